#include "pool/pool.h"

#include "pool/branch_databases.h"
#include "pool/http_server.h"

namespace calf::pool {
namespace {

class PoolServer final : public Pool {
 public:
  PoolServer(Options options, std::unique_ptr<HttpServer> http)
      : options_(std::move(options)), http_(std::move(http)) {}
  ~PoolServer() override { stop(); }

  [[nodiscard]] std::uint16_t port() const override { return http_->port(); }

  Result<void> serve(server::Engine& engine, Reach reach) override {
    databases_ = std::make_unique<BranchDatabases>(engine, reach.user, reach.database);
    CALF_CHECK_OK(databases_->drop_leftovers());
    templates_ = std::make_unique<Templates>(*databases_, options_.templates);
    http_->serve([this, reach = std::move(reach)](HttpRequest request, Templates::Reply reply) {
      const auto call = parse_call(request.method, request.target, request.body);
      if (!call) return reply(call.error());
      Reach here = reach;
      if (here.host.empty()) here.host = std::move(request.local_host);
      templates_->handle(*call, std::move(here), std::move(reply));
    });
    return {};
  }

  void stop() override {
    http_->stop();
    templates_.reset();
    databases_.reset();
  }

 private:
  const Options options_;
  const std::unique_ptr<HttpServer> http_;  // replies may come until the templates are gone
  std::unique_ptr<BranchDatabases> databases_;
  std::unique_ptr<Templates> templates_;
};

}  // namespace

Result<std::unique_ptr<Pool>> Pool::bind(Options options) {
  CALF_TRY(auto http, HttpServer::bind({.host = options.host, .port = options.port}));
  return std::make_unique<PoolServer>(std::move(options), std::move(http));
}

}  // namespace calf::pool
