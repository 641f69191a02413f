// A cluster on a directory, and clusters on its branches, at the same time.
#include <gtest/gtest.h>
#include <stdlib.h>

#include <filesystem>

#include "client/session.h"
#include "node/data_directory.h"
#include "node/embedded.h"
#include "os/clock.h"
#include "os/files.h"
#include "postgres/cluster.h"
#include "vfs/branched_directory.h"
#include "vfs/memory_file_system.h"

namespace calf::node {
namespace {

using vfs::BranchedDirectory;

class ClusterEngine final : public server::Engine {
 public:
  explicit ClusterEngine(const std::shared_ptr<vfs::FileSystem>& data) {
    auto pack = installation_pack();
    EXPECT_TRUE(pack);
    vfs::MemoryFileSystem::Options options;
    options.clock = std::make_shared<os::SystemClock>();
    options.read_only = true;
    options.pack = *pack;
    auto cluster = postgres::Cluster::start(
        {.installation = std::move(*vfs::MemoryFileSystem::create(options)),
         .data = data,
         .snapshot = nullptr,
         .settings = {{"shared_buffers", "2MB"}},  // pages go through the files
         .log_sink = {}});
    EXPECT_TRUE(cluster) << cluster.error().to_string();
    cluster_ = std::move(*cluster);
  }
  void connect(server::ClientConnection connection) override {
    cluster_->connect({.transport = std::move(connection.transport),
                       .startup_packet = std::move(connection.startup_packet)});
  }
  void cancel(server::CancelRequest) override {}
  Result<void> shutdown(server::ShutdownMode mode) override {
    using Mode = postgres::Cluster::Shutdown;
    cluster_->request_shutdown(mode == server::ShutdownMode::kImmediate ? Mode::kImmediate
                                                                        : Mode::kFast);
    return cluster_->wait_stopped(30'000);
  }
  void set_exit_handler(std::function<void(Error)>) override {}

  void run(const std::string& sql) {
    auto done = client::execute(*session(), sql);
    ASSERT_TRUE(done) << done.error().to_string();
  }
  std::string ask(const std::string& sql) {
    auto value = client::query_value(*session(), sql);
    return value ? value->value_or("NULL") : value.error().to_string();
  }

 private:
  std::unique_ptr<client::Session> session() {
    auto session = client::Session::connect(*this, {.timeout = std::chrono::seconds(30)});
    EXPECT_TRUE(session) << session.error().to_string();
    return std::move(*session);
  }
  std::unique_ptr<postgres::Cluster> cluster_;
};

class BranchClusters : public testing::Test {
 protected:
  BranchClusters() {
    char pattern[] = "/tmp/calf-branches-XXXXXX";
    place_ = mkdtemp(pattern);
    auto opened = DataDirectory::open(place_ / "data");
    EXPECT_TRUE(opened) << opened.error().to_string();
    open();
  }
  ~BranchClusters() override {
    std::error_code ignored;
    std::filesystem::remove_all(place_, ignored);
  }
  void open() {
    branched_ =
        std::move(*BranchedDirectory::open({.path = (place_ / "data").string(),
                                            .files = std::make_shared<os::SystemFiles>(),
                                            .clock = std::make_shared<os::SystemClock>(),
                                            .sharing = BranchedDirectory::Sharing::kOverlay}));
  }

  std::filesystem::path place_;
  std::unique_ptr<BranchedDirectory> branched_;
};

constexpr const char* kSum =
    "select count(*) || ' ' || sum(v) || ' ' || sum(hashtext(text)) from t";
constexpr const char* kCheck =
    "select sum(hashtext(text)) = (select sum(hashtext(md5(k::text))) from t) from t";

TEST_F(BranchClusters, run_beside_their_parent_and_diverge) {
  auto root = branched_->root();
  std::shared_ptr<vfs::FileSystem> b, c;
  std::string frozen;
  {
    ClusterEngine parent(root);
    parent.run(
        "create table t as select g as k, 0 as v, md5(g::text) as text from generate_series(1, "
        "20000) g;"
        "alter table t add primary key (k); checkpoint");
    parent.run("update t set v = 1 where k % 3 = 0");
    frozen = parent.ask(kSum);
    ASSERT_TRUE(parent.shutdown(server::ShutdownMode::kImmediate));
  }
  b = *branched_->create({.name = "b", .parent = "", .leave_out = {"postmaster.pid"}});
  c = *branched_->create({.name = "c", .parent = "b", .leave_out = {"postmaster.pid"}});
  {
    ClusterEngine parent(root), branch(b);
    for (int round = 0; round < 2; ++round) {
      parent.run("update t set v = v + 10 where k % 2 = 0; checkpoint");
      branch.run("update t set v = v + 1000 where k % 5 = 0");
      branch.run("vacuum t");
      EXPECT_EQ(parent.ask(kCheck), "t");
      EXPECT_EQ(branch.ask(kCheck), "t");
    }
    parent.run("create table only_in_parent as select * from t");
    branch.run("truncate t; checkpoint");
    branch.run("insert into t values (1, 2, md5('1'))");
    EXPECT_EQ(branch.ask("select sum(v) from t"), "2");
    ClusterEngine leaf(c);  // recovers from what the parent had not checkpointed
    EXPECT_EQ(leaf.ask(kSum), frozen);
    leaf.run("delete from t where k > 10");
    leaf.run("vacuum full t");
    leaf.run("checkpoint");
    EXPECT_EQ(leaf.ask(kCheck), "t");
    EXPECT_EQ(parent.ask("select sum(v) from t"), parent.ask("select sum(v) from only_in_parent"));
    parent.run("drop table t; checkpoint");
    ASSERT_TRUE(parent.shutdown(server::ShutdownMode::kFast));
    ASSERT_TRUE(branch.shutdown(server::ShutdownMode::kImmediate));
    ASSERT_TRUE(leaf.shutdown(server::ShutdownMode::kFast));
  }
  b.reset();
  c.reset();
  root.reset();
  branched_.reset();
  open();
  ClusterEngine branch(*branched_->open_branch("b")), leaf(*branched_->open_branch("c"));
  EXPECT_EQ(branch.ask("select sum(v) from t"), "2");
  EXPECT_EQ(leaf.ask("select count(*) from t"), "10");
  EXPECT_EQ(leaf.ask(kCheck), "t");
}

}  // namespace
}  // namespace calf::node
