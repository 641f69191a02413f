#include "vfs/tar_read.h"

#include <algorithm>
#include <array>
#include <charconv>
#include <cstring>
#include <optional>

#include "vfs/path.h"
#include "vfs/tree_copy.h"

namespace calf::vfs {
namespace {

constexpr size_t kBlockSize = 512;
constexpr size_t kBufferSize = 256 * 1024;
constexpr uint64_t kMaxExtraSize = 64 * 1024;  // of a pax header or a long name
constexpr uint64_t kMaxEntries = 10'000'000;

// POSIX.1-2017, pax, "ustar Interchange Format".
struct Header {
  char name[100];
  char mode[8], uid[8], gid[8];
  char size[12];
  char modify_time[12];
  char checksum[8];
  char type;
  char link_name[100];
  char magic[6], version[2];
  char user_name[32], group_name[32];
  char device_major[8], device_minor[8];
  char prefix[155];
  char padding[12];
};
static_assert(sizeof(Header) == kBlockSize);

enum Type : char {
  kOldRegular = '\0',
  kRegular = '0',
  kDirectory = '5',
  kPax = 'x',
  kPaxGlobal = 'g',
  kGnuLongName = 'L',
};

tl::unexpected<Error> broken(const std::string& how) {
  return calf::fail(ErrorCode::kDataCorrupted, "not a tar archive, or a broken one: " + how,
                    "give a tar archive of a data directory that is not compressed");
}

tl::unexpected<Error> error(const std::string& what, Errno code) {
  return calf::fail(os::to_error(what, code));
}

template <size_t kSize>
std::string_view text_of(const char (&field)[kSize]) {
  return {field, strnlen(field, kSize)};
}

// Octal digits among blanks.
std::optional<uint64_t> octal(std::string_view text) {
  const size_t begin = text.find_first_not_of(' ');
  if (begin == std::string_view::npos) return 0;
  text = text.substr(begin, text.find(' ', begin) - begin);
  uint64_t value = 0;
  const auto [end, failure] = std::from_chars(text.data(), text.data() + text.size(), value, 8);
  if (failure != std::errc{} || end != text.data() + text.size()) return std::nullopt;
  return value;
}

// Octal digits, or, behind a byte 0x80, a big-endian number (GNU; files beyond 8 GiB).
std::optional<uint64_t> size_of(const Header& header) {
  if (static_cast<unsigned char>(header.size[0]) != 0x80) return octal(text_of(header.size));
  uint64_t value = 0;
  for (size_t i = 1; i < sizeof header.size; ++i) {
    if (value >> 56 != 0) return std::nullopt;
    value = value << 8 | static_cast<unsigned char>(header.size[i]);
  }
  return value;
}

// The sum of all bytes, its own counted as blanks.
bool has_right_checksum(const Header& header) {
  const auto* bytes = reinterpret_cast<const unsigned char*>(&header);
  uint64_t sum = 0;
  for (size_t i = 0; i < kBlockSize; ++i) {
    const bool own = i - offsetof(Header, checksum) < sizeof header.checksum;
    sum += own ? ' ' : bytes[i];
  }
  return octal(text_of(header.checksum)) == sum;
}

// What follows a header for the entry after it.
struct Extra {
  std::optional<std::string> path;
  std::optional<uint64_t> size_bytes;
};

// Records "LENGTH NAME=VALUE\n", where LENGTH counts the whole record.
Result<void> read_pax(std::string_view records, Extra& extra) {
  while (!records.empty()) {
    size_t length = 0;
    const char* end = records.data() + records.size();
    const auto [space, failure] = std::from_chars(records.data(), end, length);
    const auto head = static_cast<size_t>(space - records.data()) + 1;
    if (failure != std::errc{} || space == end || *space != ' ' || length <= head ||
        length > records.size() || records[length - 1] != '\n')
      return broken("a record of its extended headers");
    const std::string_view record = records.substr(head, length - head - 1);
    const size_t equals = record.find('=');
    if (equals == std::string_view::npos) return broken("a record of its extended headers");
    const std::string_view name = record.substr(0, equals);
    const std::string_view value = record.substr(equals + 1);
    if (name == "path") extra.path = value;
    if (name == "size") {
      uint64_t size = 0;
      const auto read = std::from_chars(value.data(), value.data() + value.size(), size);
      if (read.ec != std::errc{} || read.ptr != value.data() + value.size())
        return broken("a size in its extended headers");
      extra.size_bytes = size;
    }
    records.remove_prefix(length);
  }
  return {};
}

class TarReader {
 public:
  TarReader(const TarSource& source, FileSystem& target, const std::vector<std::string>& leave_out)
      : source_(source), target_(target), leave_out_(leave_out), buffer_(kBufferSize) {}

  Result<void> run() {
    Extra extra;
    for (uint64_t entries = 0;; ++entries) {
      if (entries == kMaxEntries) return broken("it has too many entries");
      Header header{};
      CALF_TRY(const bool is_there, read_header(header));
      if (!is_there) return {};
      if (header.type == kPax || header.type == kPaxGlobal || header.type == kGnuLongName) {
        CALF_TRY(const uint64_t size, checked_size(header, {}));
        CALF_CHECK_OK(read_extra(header.type, size, extra));
        continue;
      }
      CALF_TRY(const uint64_t size, checked_size(header, extra));
      CALF_TRY(const std::string path, path_of(header, extra));
      CALF_CHECK_OK(entry(header.type, path, size));
      extra = {};
    }
  }

 private:
  // False at the end: a block of zeros, or nothing more.
  Result<bool> read_header(Header& header) {
    const auto bytes = std::as_writable_bytes(std::span(&header, 1));
    CALF_TRY(const size_t size, source_(bytes));
    taken_ += size;
    if (size == 0 && taken_ > 0) return false;
    if (size < kBlockSize) return broken("it ends after " + std::to_string(taken_) + " bytes");
    if (std::ranges::all_of(bytes, [](std::byte byte) { return byte == std::byte{0}; }))
      return false;
    if (!has_right_checksum(header))
      return broken("the header at byte " + std::to_string(taken_ - kBlockSize));
    return true;
  }

  static Result<uint64_t> checked_size(const Header& header, const Extra& extra) {
    const auto size = extra.size_bytes ? extra.size_bytes : size_of(header);
    if (!size || *size > kMaxFileSize) return broken("the size of a file");
    return *size;
  }

  Result<void> read_extra(char type, uint64_t size, Extra& extra) {
    if (size > kMaxExtraSize) return broken("an extended header is too long");
    std::string text(size, '\0');
    CALF_CHECK_OK(get(std::as_writable_bytes(std::span(text))));
    CALF_CHECK_OK(skip_padding(size));
    if (type == kPax) return read_pax(text, extra);
    if (type == kGnuLongName) extra.path = text.c_str();
    return {};
  }

  // Without "." and needless slashes; empty for the root.
  static Result<std::string> path_of(const Header& header, const Extra& extra) {
    std::string given(text_of(header.name));
    const bool has_prefix = std::memcmp(header.magic, "ustar", sizeof header.magic) == 0;
    if (has_prefix && header.prefix[0] != '\0')
      given = std::string(text_of(header.prefix)) + "/" + given;
    if (extra.path) given = *extra.path;
    std::string path;
    for (std::string_view rest = given;;) {
      const std::string_view component = take_component(rest);
      if (component.empty()) break;
      if (component == ".") continue;
      if (!path.empty()) path += '/';
      path += component;
    }
    if (!path.empty() && (!is_plain(path) || path.size() > kMaxPath))
      return broken("a path leads out of it");
    return path;
  }

  Result<void> entry(char type, const std::string& path, uint64_t size) {
    const bool is_directory = type == kDirectory;
    if (!is_directory && type != kRegular && type != kOldRegular) {
      return calf::fail(ErrorCode::kUnsupported,
                        "tar archive: " + path + " is neither file nor directory",
                        "databases with tablespaces cannot be loaded from an archive");
    }
    if (path.empty() && !is_directory) return broken("a file without a name");
    const std::string_view top = std::string_view(path).substr(0, path.find('/'));
    if (path.empty() || std::ranges::find(leave_out_, top) != leave_out_.end())
      return contents(path, size, nullptr);
    if (is_directory) {
      CALF_CHECK_OK(make_directory(path));
      return contents(path, size, nullptr);
    }
    if (const size_t slash = path.rfind('/'); slash != std::string::npos)
      CALF_CHECK_OK(make_directory(path.substr(0, slash)));
    auto file = target_.open(
        path, {.access = Access::kWrite, .create = true, .truncate = true, .permissions = 0600});
    if (!file) return error("creating " + path, file.error());
    return contents(path, size, file->get());
  }

  // With those that it is in.
  Result<void> make_directory(const std::string& path) {
    if (path == last_directory_) return {};
    for (size_t end = 0; end != std::string::npos;) {
      end = path.find('/', end + 1);
      auto made = target_.mkdir(path.substr(0, end), 0700);
      if (!made && made.error() != Errno::kExists) return error("creating " + path, made.error());
    }
    last_directory_ = path;
    return {};
  }

  // An entry's bytes, into `file` or nowhere.
  Result<void> contents(const std::string& path, uint64_t size, File* file) {
    for (uint64_t done = 0; done < size;) {
      const auto part = std::span(buffer_).first(std::min<uint64_t>(buffer_.size(), size - done));
      CALF_CHECK_OK(get(part));
      if (file != nullptr) {
        const auto written = write_sparsely(*file, part, done);
        if (!written) return error("writing " + path, written.error());
      }
      done += part.size();
    }
    if (file != nullptr) {
      const auto sized = file->truncate(size);
      if (!sized) return error("writing " + path, sized.error());
    }
    return skip_padding(size);
  }

  Result<void> skip_padding(uint64_t size) {
    std::array<std::byte, kBlockSize> padding;
    return get(std::span(padding).first((kBlockSize - size % kBlockSize) % kBlockSize));
  }

  Result<void> get(std::span<std::byte> bytes) {
    if (bytes.empty()) return {};
    CALF_TRY(const size_t size, source_(bytes));
    taken_ += size;
    if (size < bytes.size()) return broken("it ends after " + std::to_string(taken_) + " bytes");
    return {};
  }

  const TarSource& source_;
  FileSystem& target_;
  const std::vector<std::string>& leave_out_;
  std::vector<std::byte> buffer_;
  std::string last_directory_;
  uint64_t taken_ = 0;
};

}  // namespace

Result<void> read_tar(const TarSource& source, FileSystem& target,
                      const std::vector<std::string>& leave_out) {
  return TarReader(source, target, leave_out).run();
}

}  // namespace calf::vfs
