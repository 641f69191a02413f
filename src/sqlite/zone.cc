#include <algorithm>
#include <charconv>
#include <fstream>
#include <map>
#include <mutex>
#include <sstream>
#include <vector>

#include "sqlite/datetime.h"

namespace calf::sqlite {
namespace {

class FixedZone final : public Zone {
 public:
  explicit FixedZone(Offset offset) : offset_(std::move(offset)) {}
  [[nodiscard]] Offset at(std::int64_t) const override { return offset_; }

 private:
  Offset offset_;
};

// A compiled zone file (RFC 9636), the 64-bit part. Moments behind its last transition keep the
// last rule, which Debian's files have until 2037.
class FileZone final : public Zone {
 public:
  static std::shared_ptr<const Zone> parse(const std::string& data);
  [[nodiscard]] Offset at(std::int64_t utc_seconds) const override {
    const auto after = std::upper_bound(times_.begin(), times_.end(), utc_seconds);
    if (after == times_.begin()) return types_[0];
    return types_[indexes_[static_cast<std::size_t>(after - times_.begin() - 1)]];
  }

 private:
  std::vector<std::int64_t> times_;
  std::vector<unsigned char> indexes_;
  std::vector<Offset> types_;
};

std::int64_t big_endian(const std::string& data, std::size_t at, int bytes) {
  std::uint64_t value = 0;
  for (int i = 0; i < bytes; ++i) {
    value = value << 8 | static_cast<unsigned char>(data[at + static_cast<std::size_t>(i)]);
  }
  return bytes == 4 ? static_cast<std::int32_t>(value) : static_cast<std::int64_t>(value);
}

struct Counts {
  std::size_t utc, standard, leap, times, types, characters;
};
constexpr std::size_t kHeaderBytes = 44;

bool read_counts(const std::string& data, std::size_t at, Counts& counts) {
  if (data.size() < at + kHeaderBytes || data.compare(at, 4, "TZif") != 0) return false;
  const auto count = [&](std::size_t i) {
    return static_cast<std::size_t>(
        static_cast<std::uint32_t>(big_endian(data, at + 20 + i * 4, 4)));
  };
  counts = {count(0), count(1), count(2), count(3), count(4), count(5)};
  return true;
}

std::size_t block_bytes(const Counts& counts, std::size_t time_bytes) {
  return counts.times * (time_bytes + 1) + counts.types * 6 + counts.characters +
         counts.leap * (time_bytes + 4) + counts.standard + counts.utc;
}

std::shared_ptr<const Zone> FileZone::parse(const std::string& data) {
  Counts counts{};
  if (!read_counts(data, 0, counts)) return nullptr;
  const std::size_t second = kHeaderBytes + block_bytes(counts, 4);
  if (!read_counts(data, second, counts) || counts.types == 0) return nullptr;
  std::size_t at = second + kHeaderBytes;
  if (data.size() < at + block_bytes(counts, 8)) return nullptr;
  auto zone = std::make_shared<FileZone>();
  for (std::size_t i = 0; i < counts.times; ++i)
    zone->times_.push_back(big_endian(data, at + i * 8, 8));
  at += counts.times * 8;
  for (std::size_t i = 0; i < counts.times; ++i) {
    zone->indexes_.push_back(static_cast<unsigned char>(data[at + i]));
    if (zone->indexes_.back() >= counts.types) return nullptr;
  }
  at += counts.times;
  const std::size_t names = at + counts.types * 6;
  for (std::size_t i = 0; i < counts.types; ++i) {
    const std::size_t name = static_cast<unsigned char>(data[at + i * 6 + 5]);
    if (name >= counts.characters) return nullptr;
    zone->types_.push_back({.seconds = static_cast<int>(big_endian(data, at + i * 6, 4)),
                            .abbreviation = data.c_str() + names + name});
  }
  return zone;
}

// "+02", "-03:30", "2": east of Greenwich is positive, as SET TIME ZONE has it in ISO notation.
std::shared_ptr<const Zone> parse_offset(std::string_view text, bool posix_sign) {
  if (text.empty()) return nullptr;
  const bool negative = text[0] == '-';
  if (negative || text[0] == '+') text.remove_prefix(1);
  int parts[3] = {0, 0, 0};
  for (int& part : parts) {
    const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), part);
    if (error != std::errc()) return nullptr;
    text.remove_prefix(static_cast<std::size_t>(end - text.data()));
    if (text.empty()) break;
    if (text[0] != ':') return nullptr;
    text.remove_prefix(1);
  }
  if (!text.empty() || parts[0] > 15 || parts[1] > 59 || parts[2] > 59) return nullptr;
  const int seconds = parts[0] * 3600 + parts[1] * 60 + parts[2];
  const int east = negative != posix_sign ? -seconds : seconds;
  std::string name = (east < 0 ? "-" : "+");
  name += std::to_string(parts[0] + 100).substr(1);
  if (parts[1] != 0) name += ":" + std::to_string(parts[1] + 100).substr(1);
  return std::make_shared<FixedZone>(Zone::Offset{.seconds = east, .abbreviation = name});
}

std::shared_ptr<const Zone> load(std::string_view name) {
  if (name.find("..") != std::string_view::npos || name.starts_with('/')) return nullptr;
  std::ifstream file("/usr/share/zoneinfo/" + std::string(name), std::ios::binary);
  if (!file) return nullptr;
  std::ostringstream data;
  data << file.rdbuf();
  return FileZone::parse(data.str());
}

}  // namespace

std::shared_ptr<const Zone> Zone::find(std::string_view name) {
  static std::mutex mutex;
  static std::map<std::string, std::shared_ptr<const Zone>, std::less<>> cache;
  std::string lower(name);
  std::transform(lower.begin(), lower.end(), lower.begin(), ::tolower);
  for (const char* utc : {"utc", "gmt", "etc/utc", "z", "zulu", "universal", "etc/gmt", "uct"}) {
    if (lower == utc) {
      return std::make_shared<FixedZone>(
          Offset{.seconds = 0, .abbreviation = lower.ends_with("gmt") ? "GMT" : "UTC"});
    }
  }
  if (auto fixed = parse_offset(name, false)) return fixed;
  if (name.starts_with('<') && name.find('>') != std::string_view::npos) {
    return parse_offset(name.substr(name.find('>') + 1), true);
  }
  if (lower.starts_with("utc") || lower.starts_with("gmt")) {
    if (auto fixed = parse_offset(name.substr(3), true)) return fixed;
  }
  const std::lock_guard lock(mutex);
  if (const auto found = cache.find(name); found != cache.end()) return found->second;
  auto zone = load(name);
  if (zone != nullptr) cache.emplace(name, zone);
  return zone;
}

std::int64_t Zone::to_local(std::int64_t utc_micros) const {
  const std::int64_t seconds =
      utc_micros / kMicrosPerSecond - (utc_micros % kMicrosPerSecond < 0 ? 1 : 0);
  return utc_micros + at(seconds).seconds * kMicrosPerSecond;
}

// In the gap of spring the offset before it counts, in the hour that comes twice the second one
// (standard time), as PostgreSQL has it.
std::int64_t Zone::to_utc(std::int64_t local_micros) const {
  const std::int64_t local = local_micros / kMicrosPerSecond;
  const int before = at(local - 86'400).seconds;
  const int after = at(local + 86'400).seconds;
  if (before == after) return local_micros - before * kMicrosPerSecond;
  const bool before_holds = at(local - before).seconds == before;
  const bool after_holds = at(local - after).seconds == after;
  const int offset = after_holds ? after : before_holds ? before : before;
  return local_micros - offset * kMicrosPerSecond;
}

}  // namespace calf::sqlite
