// Databases that are branches, made through sessions inside this process.
#pragma once

#include <map>
#include <memory>
#include <mutex>

#include "client/session.h"
#include "pool/databases.h"
#include "server/engine.h"

namespace calf::pool {

class BranchDatabases final : public Databases {
 public:
  // `engine` must outlive it. `user` is a superuser; `database` the one that tests use.
  BranchDatabases(server::Engine& engine, std::string user, std::string database)
      : engine_(engine), user_(std::move(user)), database_(std::move(database)) {}

  // Drops what an earlier run of the program has left: branches with names of the pool's form.
  Result<void> drop_leftovers();

  Result<void> create_template(const std::string& name) override;
  Result<void> create_test(const std::string& template_name, const std::string& name) override;
  Result<void> reset_test(const std::string& template_name, const std::string& name) override;
  Result<void> drop(const std::string& name) override;
  Result<std::set<std::string>> in_use() override;
  void close() override;

 private:
  // A session that lasts; one call at a time.
  struct Kept {
    std::mutex mutex;
    std::shared_ptr<client::Session>
        session;                 // under BranchDatabases::mutex_, too; null: to be made
    std::uint64_t last_use = 0;  // under BranchDatabases::mutex_
  };

  Result<std::shared_ptr<client::Session>> connect(const std::string& branch);
  std::shared_ptr<Kept> kept(const std::string& branch);
  Result<std::optional<std::string>> run(const std::string& branch, const std::string& sql);
  void forget(const std::string& branch);

  server::Engine& engine_;
  const std::string user_;
  const std::string database_;
  std::mutex mutex_;
  std::map<std::string, std::shared_ptr<Kept>> kept_;  // by branch; "": the server's own cluster
  std::uint64_t uses_ = 0;
  bool closed_ = false;
};

}  // namespace calf::pool
