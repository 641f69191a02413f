#include "pgfiles/relation_files.h"

#include <spdlog/fmt/fmt.h>

#include <algorithm>
#include <charconv>
#include <tuple>

#include "pgfiles/page_checksum.h"

namespace calf::pgfiles {
namespace {

constexpr uint64_t kListedPerFile = 20;

// A number without sign or leading zeros, as PostgreSQL writes OIDs.
std::optional<uint32_t> parse_number(std::string_view text) {
  uint32_t value = 0;
  const auto parsed = std::from_chars(text.data(), text.data() + text.size(), value);
  if (parsed.ec != std::errc() || parsed.ptr != text.data() + text.size()) return std::nullopt;
  if (text.front() == '0') return std::nullopt;
  return value;
}

Result<std::vector<std::string>> names_in(vfs::FileSystem& data, const std::string& directory) {
  auto opened = data.open(directory, {.directory = true});
  if (!opened) return fail(os::to_error("opening " + directory, opened.error()));
  std::vector<std::string> names;
  auto listed = (*opened)->read_directory(0, [&](const vfs::DirectoryEntry& entry) {
    if (entry.name != "." && entry.name != "..") names.emplace_back(entry.name);
    return true;
  });
  if (!listed) return fail(os::to_error("listing " + directory, listed.error()));
  std::sort(names.begin(), names.end());
  return names;
}

Result<void> list_directory(vfs::FileSystem& data, const std::string& directory, uint32_t database,
                            uint32_t tablespace, std::vector<RelationFile>& out) {
  CALF_TRY(const auto names, names_in(data, directory));
  for (const std::string& name : names) {
    auto file = parse_file_name(name);
    if (!file) continue;
    file->directory = directory;
    file->path = directory + "/" + name;
    file->database = database;
    file->tablespace = tablespace;
    auto stat = data.stat(file->path, vfs::Follow::kYes);
    if (!stat) return fail(os::to_error("looking at " + file->path, stat.error()));
    file->size_bytes = stat->size_bytes;
    out.push_back(std::move(*file));
  }
  return {};
}

Result<void> list_databases(vfs::FileSystem& data, const std::string& directory,
                            uint32_t tablespace, std::vector<RelationFile>& out) {
  CALF_TRY(const auto names, names_in(data, directory));
  for (const std::string& name : names) {
    const auto database = parse_number(name);
    if (database)
      CALF_CHECK_OK(list_directory(data, directory + "/" + name, *database, tablespace, out));
  }
  return {};
}

// pg_tblspc/16999/PG_18_202506291/5
Result<void> list_tablespaces(vfs::FileSystem& data, std::vector<RelationFile>& out) {
  CALF_TRY(const auto spaces, names_in(data, "pg_tblspc"));
  for (const std::string& space : spaces) {
    const auto tablespace = parse_number(space);
    if (!tablespace) continue;
    CALF_TRY(const auto versions, names_in(data, "pg_tblspc/" + space));
    for (const std::string& version : versions) {
      if (version.starts_with("PG_18_"))
        CALF_CHECK_OK(list_databases(data, "pg_tblspc/" + space + "/" + version, *tablespace, out));
    }
  }
  return {};
}

class Checker {
 public:
  Checker(vfs::FileSystem& data, const ControlFile& control,
          const std::function<bool(uint64_t)>& progress)
      : data_(data), control_(control), progress_(progress) {}

  Result<void> check(const RelationFile& file) {
    listed_ = 0;
    auto opened = data_.open(file.path, {});
    if (!opened) return fail(os::to_error("opening " + file.path, opened.error()));
    for (uint64_t at = 0; at < file.size_bytes;) {
      auto got = (*opened)->pread(buffer_, at);
      if (!got) {
        add(file, block_at(file, at),
            "cannot be read: " + os::to_error("", got.error()).message.substr(2));
        return {};
      }
      if (*got == 0) return {};  // cut off since it was listed
      check_buffer(file, at, *got);
      at += *got;
      done_bytes_ += *got;
      if (!progress_(done_bytes_)) return fail(ErrorCode::kCancelled, "interrupted");
    }
    return {};
  }

  // Segments before the last one that holds something must be full.
  void check_segments(const std::vector<RelationFile>& sorted) {
    const uint64_t full = uint64_t{control_.segment_pages} * kPageBytes;
    for (size_t i = 0; i < sorted.size(); ++i) {
      const RelationFile& file = sorted[i];
      if (file.segment == 0 || file.size_bytes == 0) continue;
      const bool follows =
          i > 0 && same_fork(sorted[i - 1], file) && sorted[i - 1].segment + 1 == file.segment;
      listed_ = 0;
      if (!follows) {
        add(file, std::nullopt, "the segment before this one is missing");
      } else if (sorted[i - 1].size_bytes < full) {
        add(sorted[i - 1], std::nullopt,
            fmt::format("has {} of {} bytes although another segment follows",
                        sorted[i - 1].size_bytes, full));
      }
    }
  }

  PageCheck result() { return std::move(result_); }

 private:
  static bool same_fork(const RelationFile& a, const RelationFile& b) {
    return std::tie(a.directory, a.file_number, a.fork) ==
           std::tie(b.directory, b.file_number, b.fork);
  }
  [[nodiscard]] uint32_t block_at(const RelationFile& file, uint64_t offset) const {
    return static_cast<uint32_t>(uint64_t{file.segment} * control_.segment_pages +
                                 offset / kPageBytes);
  }

  void check_buffer(const RelationFile& file, uint64_t offset, size_t size) {
    size_t at = 0;
    for (; at + kPageBytes <= size; at += kPageBytes)
      check_page(file, block_at(file, offset + at), Page(buffer_.data() + at, kPageBytes));
    // Zeros are a block that a crash kept from being added: nobody has ever used it, and PostgreSQL
    // does not count it.
    const auto rest = std::span(buffer_).subspan(at, size - at);
    if (std::any_of(rest.begin(), rest.end(), [](std::byte b) { return b != std::byte{0}; }))
      add(file, block_at(file, offset + at),
          fmt::format("the file ends in the middle of a block: {} of {} bytes", rest.size(),
                      kPageBytes));
  }

  void check_page(const RelationFile& file, uint32_t block, Page page) {
    ++result_.pages;
    if (!control_.data_checksums) return;
    const PageState state = state_of_page(page, block);
    if (state == PageState::kBadChecksum)
      add(file, block,
          fmt::format("page verification failed: calculated checksum {} but expected {}",
                      page_checksum(page, block), stored_checksum(page)));
    if (state == PageState::kZeroedHeader)
      add(file, block, "the page's header is empty, but the page is not");
  }

  void add(const RelationFile& file, std::optional<uint32_t> block, std::string message) {
    if (++listed_ > kListedPerFile) {
      ++result_.problems_not_listed;
      return;
    }
    result_.problems.push_back({.file = file, .block = block, .message = std::move(message)});
  }

  static constexpr size_t kBufferBytes = 128 * kPageBytes;

  vfs::FileSystem& data_;
  const ControlFile& control_;
  const std::function<bool(uint64_t)>& progress_;
  std::vector<std::byte> buffer_ = std::vector<std::byte>(kBufferBytes);
  uint64_t done_bytes_ = 0;
  uint64_t listed_ = 0;
  PageCheck result_;
};

}  // namespace

std::optional<RelationFile> parse_file_name(std::string_view name) {
  RelationFile file;
  const size_t dot = name.find('.');
  if (dot != std::string_view::npos) {
    const auto segment = parse_number(name.substr(dot + 1));
    if (!segment) return std::nullopt;
    file.segment = *segment;
    name = name.substr(0, dot);
  }
  if (const size_t underscore = name.find('_'); underscore != std::string_view::npos) {
    file.fork = name.substr(underscore + 1);
    if (file.fork != "fsm" && file.fork != "vm" && file.fork != "init") return std::nullopt;
    name = name.substr(0, underscore);
  }
  if (name.empty()) return std::nullopt;
  const auto number = parse_number(name);
  if (!number) return std::nullopt;
  file.file_number = *number;
  return file;
}

Result<std::vector<RelationFile>> list_relation_files(vfs::FileSystem& data) {
  std::vector<RelationFile> files;
  CALF_CHECK_OK(list_directory(data, "global", 0, 0, files));
  CALF_CHECK_OK(list_databases(data, "base", 0, files));
  CALF_CHECK_OK(list_tablespaces(data, files));
  std::sort(files.begin(), files.end(), [](const RelationFile& a, const RelationFile& b) {
    return std::tie(a.tablespace, a.database, a.file_number, a.fork, a.segment) <
           std::tie(b.tablespace, b.database, b.file_number, b.fork, b.segment);
  });
  return files;
}

Result<PageCheck> check_pages(vfs::FileSystem& data, const ControlFile& control,
                              const std::vector<RelationFile>& files,
                              const std::function<bool(uint64_t)>& progress) {
  Checker checker(data, control, progress);
  checker.check_segments(files);
  for (const RelationFile& file : files) CALF_CHECK_OK(checker.check(file));
  return checker.result();
}

}  // namespace calf::pgfiles
