// A random life of an archive: commits, faults of the network, crashes of the writer, moves to
// other machines, restores. A plain list of what was acknowledged says what must be there.
#include <gtest/gtest.h>

#include <random>

#include "archive/archiver.h"
#include "archive/testing/database.h"
#include "blob/environment.h"
#include "blob/fault_store.h"
#include "blob/memory_store.h"

namespace calf::archive {
namespace {

using testing::Database;
using testing::Folder;

class Model {
 public:
  explicit Model(std::uint64_t seed)
      : dice_(seed),
        store_(memory_, {.seed = seed,
                         .refused = 0.03,
                         .timed_out = 0.02,
                         .lost_acknowledgement = 0.05,
                         .partial_read = 0.03}) {}

  void live(int steps) {
    start();
    for (int i = 0; i < steps && !::testing::Test::HasFailure(); ++i) {
      const int choice = pick(100);
      if (choice < 70) {
        write();
      } else if (choice < 85) {
        acknowledge();
      } else if (choice < 90) {
        compare_restored();
      } else if (choice < 95) {
        crash(/*same_machine=*/true);
      } else {
        crash(/*same_machine=*/false);
      }
    }
    acknowledge();
    compare_restored();
  }

 private:
  int pick(int below) { return static_cast<int>(dice_() % static_cast<unsigned>(below)); }
  static blob::Limits limits() { return blob::Limits::within(30'000); }

  void start() {
    ArchiverOptions options{
        .database = folder_ / ("m" + std::to_string(machine_) + ".db"),
        .interval_ms = 1 + pick(20),
        .checkpoint_bytes = 20'000 + static_cast<std::uint64_t>(pick(200'000)),
        .min_base_interval_bytes = 10'000 + static_cast<std::uint64_t>(pick(100'000)),
        .lease_ttl_ms = 150,
        .lease_wait_ms = 20'000};
    auto archiver = Archiver::open(store_, options);
    ASSERT_TRUE(archiver) << archiver.error().to_string();
    archiver_ = std::move(*archiver);
    db_ = std::make_unique<Database>(options.database);
    db_->run("create table if not exists log(n integer primary key, filler)");
    read_back();
  }

  // What is there now becomes the truth, if it has all that was acknowledged.
  void read_back() {
    const std::string text = db_->query("select coalesce(max(n), 0), count(*) from log");
    const int last = std::stoi(text);
    EXPECT_EQ(text, std::to_string(last) + "|" + std::to_string(last) + "|");
    EXPECT_GE(last, acknowledged_);
    EXPECT_LE(last, written_);
    written_ = last;
  }

  void write() {
    const int size = pick(10) == 0 ? 50'000 : pick(3'000);
    db_->run("insert into log values (" + std::to_string(++written_) + ", randomblob(" +
             std::to_string(size) + "))");
    if (pick(8) == 0) db_->run("update log set filler = randomblob(500) where n % 5 = 0");
    if (pick(20) == 0) db_->query("pragma wal_checkpoint(truncate)");
    if (pick(40) == 0) db_->run("vacuum");
  }

  void acknowledge() {
    const auto done = archiver_->commit_barrier(limits());
    ASSERT_TRUE(done) << done.error().to_string();
    acknowledged_ = written_;
  }

  void crash(bool same_machine) {
    archiver_.reset();  // ships nothing, gives no lease back
    db_.reset();
    if (!same_machine) ++machine_;
    start();
  }

  void compare_restored() {
    const auto file = folder_ / blob::random_name("copy-");
    const auto header = restore(memory_, file, {}, limits());
    ASSERT_TRUE(header) << header.error().to_string();
    {
      Database copy(file);
      EXPECT_EQ(copy.query("pragma integrity_check"), "ok|");
      const int last = std::stoi("0" + copy.query("select max(n) from log"));
      EXPECT_GE(last, acknowledged_);
      EXPECT_LE(last, written_);
      if (acknowledged_ == 0) return;  // not even the table is sure to be there
      const std::string upto = " from log where n <= " + std::to_string(acknowledged_);
      EXPECT_EQ(copy.query("select count(*)" + upto), db_->query("select count(*)" + upto));
      if (last == written_) {
        const std::string all =
            "select n, length(filler), hex(substr(filler, 1, 8)) from log order by n";
        if (acknowledged_ == written_) EXPECT_EQ(copy.query(all), db_->query(all));
      }
    }
    std::filesystem::remove(file);
  }

  std::mt19937_64 dice_;
  Folder folder_;
  blob::MemoryStore memory_;
  blob::FaultStore store_;
  std::unique_ptr<Archiver> archiver_;
  std::unique_ptr<Database> db_;
  int machine_ = 0;
  int written_ = 0;
  int acknowledged_ = 0;
};

// CALF_TEST_SEED runs one life again; CALF_TEST_LIVES runs more of them, and longer ones.
TEST(ArchiveModel, loses_nothing_that_was_acknowledged) {
  const auto environment = blob::process_environment();
  const std::uint64_t first = std::stoull(environment("CALF_TEST_SEED").value_or("1"));
  const std::uint64_t lives = std::stoull(environment("CALF_TEST_LIVES").value_or("2"));
  const int steps = environment("CALF_TEST_LIVES") ? 120 : 35;
  for (std::uint64_t seed = first; seed < first + lives && !HasFailure(); ++seed) {
    SCOPED_TRACE("CALF_TEST_SEED=" + std::to_string(seed) + " CALF_TEST_LIVES=1");
    Model(seed).live(steps);
  }
}

}  // namespace
}  // namespace calf::archive
