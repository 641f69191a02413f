// Inserts 1, 2, 3, … into a database that is archived, and prints each number when the store has
// it: for a test that kills this program.
//
//   archive_writer STORE_URL FILE FAULT_SEED
#include <sqlite3.h>

#include <cstdio>
#include <cstdlib>
#include <string>

#include "archive/archiver.h"
#include "blob/fault_store.h"
#include "blob/store_url.h"

namespace {

using namespace calf;

int failed(const Error& error) {
  std::printf("error %s\n", error.to_string().c_str());
  return 1;
}

bool run(sqlite3* db, const std::string& sql) {
  return sqlite3_exec(db, sql.c_str(), nullptr, nullptr, nullptr) == SQLITE_OK;
}

int last_number(sqlite3* db) {
  int last = 0;
  const auto take = [](void* context, int, char** values, char**) {
    *static_cast<int*>(context) = std::atoi(values[0]);
    return 0;
  };
  sqlite3_exec(db, "select coalesce(max(n), 0) from log", take, &last, nullptr);
  return last;
}

}  // namespace

int main(int argc, char** argv) {
  if (argc != 4) return 2;
  std::setvbuf(stdout, nullptr, _IOLBF, 0);
  const auto options = blob::parse_store_url(argv[1]);
  if (!options) return failed(options.error());
  const auto inner = blob::open_store(*options);
  if (!inner) return failed(inner.error());
  blob::FaultStore store(**inner, {.seed = std::strtoull(argv[3], nullptr, 10),
                                   .refused = 0.02,
                                   .lost_acknowledgement = 0.03,
                                   .partial_read = 0.02});
  const auto archiver = archive::Archiver::open(store, {.database = argv[2],
                                                        .durability = archive::Durability::kCommit,
                                                        .checkpoint_bytes = 100'000,
                                                        .min_base_interval_bytes = 50'000,
                                                        .lease_ttl_ms = 600});
  if (!archiver) return failed(archiver.error());
  sqlite3* db = nullptr;
  if (sqlite3_open(argv[2], &db) != SQLITE_OK) return 3;
  sqlite3_busy_timeout(db, 5000);
  if (!run(db, "create table if not exists log(n integer primary key, filler)")) return 4;
  const int found = last_number(db);
  std::printf("started %d\n", found);
  for (int n = found + 1;; ++n) {
    if (const auto writable = (*archiver)->check_writable(); !writable) {
      return failed(writable.error());
    }
    if (!run(db, "insert into log values (" + std::to_string(n) + ", randomblob(3000))")) return 5;
    const auto done = (*archiver)->commit_barrier(blob::Limits::within(30'000));
    if (!done) return failed(done.error());
    std::printf("%d\n", n);
  }
}
