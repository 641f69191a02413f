#include "archive/local_state.h"

#include <sys/file.h>

#include <algorithm>
#include <nlohmann/json.hpp>

#include "blob/encoding.h"

namespace calf::archive {
namespace {
constexpr std::size_t kMaxBytes = 4096;
}

Result<LocalState> LocalState::open(const std::filesystem::path& database) {
  const std::filesystem::path lock_path = database.string() + "-calf-lock";
  CALF_TRY(auto lock, blob::open_file(lock_path, O_RDWR | O_CREAT));
  if (::flock(lock.get(), LOCK_EX | LOCK_NB) != 0) {
    return fail(ErrorCode::kUnavailable, database.string() + " is archived by another process",
                "stop that one first");
  }
  LocalState state(database.string() + "-calf", std::move(lock));
  CALF_CHECK_OK(state.load());
  // The owner's name must survive a crash, or this place would have to wait for its own lease.
  CALF_CHECK_OK(state.write());
  return state;
}

Result<void> LocalState::load() {
  auto bytes = blob::read_file(path_, kMaxBytes);
  if (!bytes && bytes.error().code != ErrorCode::kNotFound) return fail(std::move(bytes).error());
  owner_ = blob::random_name("");
  if (!bytes) return {};
  try {
    const auto json = nlohmann::json::parse(*bytes);
    owner_ = json.at("owner").get<std::string>();
    archive_id_ = json.at("archive").get<std::string>();
    epochs_ = json.at("epochs").get<std::vector<std::uint64_t>>();
  } catch (const nlohmann::json::exception&) {
    return fail(ErrorCode::kDataCorrupted, path_.string() + " is damaged",
                "delete it: the database is then taken from the store");
  }
  return {};
}

bool LocalState::is_current(const std::array<char, 16>& archive_id, std::uint64_t epoch) const {
  return is_of_archive(archive_id) &&
         std::find(epochs_.begin(), epochs_.end(), epoch) != epochs_.end();
}

bool LocalState::is_of_archive(const std::array<char, 16>& archive_id) const {
  return archive_id_ == blob::hex({archive_id.data(), archive_id.size()});
}

Result<void> LocalState::save(const std::array<char, 16>& archive_id,
                              std::vector<std::uint64_t> epochs) {
  archive_id_ = blob::hex({archive_id.data(), archive_id.size()});
  epochs_ = std::move(epochs);
  return write();
}

Result<void> LocalState::write() const {
  const nlohmann::json json{{"owner", owner_}, {"archive", archive_id_}, {"epochs", epochs_}};
  return blob::write_file(path_, json.dump() + "\n");
}

}  // namespace calf::archive
