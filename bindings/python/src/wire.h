// The frontend's half of PostgreSQL's wire protocol 3.0, as bytes: writes requests, cuts answers
// into messages. Not here: what a message means for a statement (session.h), and where the bytes go
// (transport.h). Source: PostgreSQL 18 documentation, chapter 54 "Frontend/Backend Protocol".
#pragma once

#include <cstdint>
#include <cstring>
#include <string>
#include <string_view>

namespace calf::python {

// Appends messages to a buffer. A message is begun, filled and ended; its length is put in at the
// end. Lengths of more than 1 GiB are the caller's to refuse (kMaxMessageBytes).
class MessageWriter {
 public:
  static constexpr std::size_t kMaxMessageBytes = 0x3fffffff;

  explicit MessageWriter(std::string& out) : out_(out) {}

  void begin(char type) {
    out_.push_back(type);
    begin_untyped();
  }
  // The startup message has no type.
  void begin_untyped() {
    start_ = out_.size();
    out_.append(4, '\0');
  }
  void end() { put_at(start_, static_cast<std::uint32_t>(out_.size() - start_)); }

  void int16(std::uint16_t value) {
    const char bytes[2] = {static_cast<char>(value >> 8), static_cast<char>(value)};
    out_.append(bytes, 2);
  }
  void int32(std::uint32_t value) {
    out_.append(4, '\0');
    put_at(out_.size() - 4, value);
  }
  void bytes(std::string_view value) { out_.append(value); }
  // A zero-terminated string. `value` must not contain a zero byte.
  void text(std::string_view value) {
    out_.append(value);
    out_.push_back('\0');
  }

 private:
  void put_at(std::size_t at, std::uint32_t value) {
    value = __builtin_bswap32(value);
    std::memcpy(out_.data() + at, &value, sizeof value);
  }

  std::string& out_;
  std::size_t start_ = 0;
};

// Reads the body of one message. What is read past its end is zero or empty, and ok() is false from
// then on.
class MessageReader {
 public:
  explicit MessageReader(std::string_view body) : rest_(body) {}

  bool ok() const { return ok_; }
  std::uint8_t int8() {
    const auto bytes = take(1);
    return bytes.empty() ? 0 : static_cast<std::uint8_t>(bytes[0]);
  }
  std::uint16_t int16() {
    const auto bytes = take(2);
    std::uint16_t value = 0;
    if (!bytes.empty()) std::memcpy(&value, bytes.data(), sizeof value);
    return __builtin_bswap16(value);
  }
  std::uint32_t int32() {
    const auto bytes = take(4);
    std::uint32_t value = 0;
    if (!bytes.empty()) std::memcpy(&value, bytes.data(), sizeof value);
    return __builtin_bswap32(value);
  }
  std::string_view text() {
    const auto end = rest_.find('\0');
    if (end == std::string_view::npos) {
      ok_ = false;
      return {};
    }
    const auto value = rest_.substr(0, end);
    rest_.remove_prefix(end + 1);
    return value;
  }
  std::string_view take(std::size_t size) {
    if (size > rest_.size()) {
      ok_ = false;
      rest_ = {};
      return {};
    }
    const auto value = rest_.substr(0, size);
    rest_.remove_prefix(size);
    return value;
  }

 private:
  std::string_view rest_;
  bool ok_ = true;
};

}  // namespace calf::python
