// What PostgreSQL's initdb does: makes a complete, cleanly shut down data directory, by running the
// image's `--boot` and
// `--single` modes over PostgreSQL's own scripts. Source: src/bin/initdb/initdb.c of PostgreSQL 18.
#pragma once

#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "base/result.h"
#include "initdb/configuration.h"
#include "vfs/namespace.h"

namespace calf::initdb {

struct Options {
  std::string superuser =
      "postgres";  // at most 63 bytes, not "pg_…", without quotes, $ and backslash
  std::optional<std::string> password;
  std::string encoding =
      "UTF8";  // a server encoding's name, spelled as PostgreSQL accepts it ("utf-8", "LATIN1")
  std::string locale = "C.UTF-8";  // of the builtin provider: C, C.UTF-8 or PG_UNICODE_FAST
  std::string time_zone = "Etc/UTC";
  std::string text_search_configuration = "english";  // in pg_catalog
  // trust, reject, scram-sha-256, md5 or password, for pg_hba.conf. The last three want a password
  // above.
  std::string local_authentication = "trust";
  std::string host_authentication = "trust";
  bool data_checksums = true;
  std::vector<Setting> settings;  // more for postgresql.conf, as initdb's -c
};

// Fills the data directory of `tree` (postgres::make_guest_tree), which must be there and empty.
// Databases template0, template1 and postgres; WAL segments of 16 MB; permissions for the owner
// only. Everything is synced at the end. When it fails the directory is emptied again.
//
// kInvalidArgument for options that initdb would refuse too, kAlreadyExists when the directory is
// not empty, kDataCorrupted when PostgreSQL's scripts are missing or of another version, kInternal
// with the guest's words when a step fails, kIo. Blocks for seconds; any thread that runs no other
// guest.
Result<void> initialise(const std::shared_ptr<vfs::Namespace>& tree, const Options& options);

// The same over a tree made here. `installation` holds PostgreSQL's own files (bin, lib, share),
// `data` becomes the data directory: memory, or a directory of the host.
Result<void> initialise(std::shared_ptr<vfs::FileSystem> installation,
                        std::shared_ptr<vfs::FileSystem> data, const Options& options);

}  // namespace calf::initdb
