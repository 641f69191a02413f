// Big-endian numbers and strings, written to and read from buffers: the ground of every message.
#pragma once

#include <cstddef>
#include <cstdint>
#include <cstring>
#include <optional>
#include <span>
#include <string_view>

#include "pgwire/error_response.h"

namespace calf::pgwire {

inline void put_bytes(Bytes& out, std::span<const std::byte> bytes) {
  out.insert(out.end(), bytes.begin(), bytes.end());
}
inline void put_text(Bytes& out, std::string_view text) {
  put_bytes(out, std::as_bytes(std::span(text.data(), text.size())));
}
inline void put_u8(Bytes& out, std::uint8_t value) {
  out.push_back(std::byte{value});
}
inline void put_u16(Bytes& out, std::uint16_t value) {
  const std::byte bytes[] = {std::byte(value >> 8), std::byte(value)};
  put_bytes(out, bytes);
}
inline void put_u32(Bytes& out, std::uint32_t value) {
  const std::byte bytes[] = {std::byte(value >> 24), std::byte(value >> 16), std::byte(value >> 8),
                             std::byte(value)};
  put_bytes(out, bytes);
}
// A text that ends at a NUL on the wire: cut at its own first NUL, so that it cannot begin another
// field.
inline void put_cstring(Bytes& out, std::string_view text) {
  put_text(out, text.substr(0, text.find('\0')));
  put_u8(out, 0);
}

inline std::uint32_t load_u32(std::span<const std::byte> bytes) {
  return std::uint32_t(bytes[0]) << 24 | std::uint32_t(bytes[1]) << 16 |
         std::uint32_t(bytes[2]) << 8 | std::uint32_t(bytes[3]);
}

inline std::string_view as_text(std::span<const std::byte> bytes) {
  return {reinterpret_cast<const char*>(bytes.data()), bytes.size()};
}

// Reads a body from front to back. A read past the end gives zeros or an empty text and makes ok()
// false for good, so a parser may look at ok() once, at its end, provided that its loops are
// bounded by what is left.
class Reader {
 public:
  explicit Reader(std::span<const std::byte> body) : rest_(body) {}

  std::uint8_t u8() { return std::uint8_t(take(1)[0]); }
  std::uint16_t u16() {
    const auto b = take(2);
    return static_cast<std::uint16_t>(std::uint16_t(b[0]) << 8 | std::uint16_t(b[1]));
  }
  std::int16_t i16() { return static_cast<std::int16_t>(u16()); }
  std::uint32_t u32() { return load_u32(take(4)); }
  std::int32_t i32() { return static_cast<std::int32_t>(u32()); }

  std::string_view text(std::size_t size) {
    if (size > rest_.size()) return broken();
    const auto bytes = rest_.first(size);
    rest_ = rest_.subspan(size);
    return as_text(bytes);
  }

  // Up to the next NUL, which is consumed. No NUL: broken.
  std::string_view cstring() {
    const void* end = rest_.empty() ? nullptr : std::memchr(rest_.data(), 0, rest_.size());
    if (end == nullptr) return broken();
    const auto size = static_cast<std::size_t>(static_cast<const std::byte*>(end) - rest_.data());
    const auto value = as_text(rest_.first(size));
    rest_ = rest_.subspan(size + 1);
    return value;
  }

  [[nodiscard]] std::size_t left() const { return rest_.size(); }
  [[nodiscard]] bool ok() const { return ok_; }
  // Everything was there and nothing is left over.
  [[nodiscard]] bool finished() const { return ok_ && rest_.empty(); }

 private:
  std::span<const std::byte> take(std::size_t size) {
    static constexpr std::byte kZeros[4] = {};
    if (size > rest_.size()) {
      broken();
      return kZeros;
    }
    const auto bytes = rest_.first(size);
    rest_ = rest_.subspan(size);
    return bytes;
  }
  std::string_view broken() {
    ok_ = false;
    rest_ = {};
    return {};
  }

  std::span<const std::byte> rest_;
  bool ok_ = true;
};

// A message under construction: the type byte (none for a startup packet) and a length that is
// filled in at the end.
class MessageBuilder {
 public:
  MessageBuilder(Bytes& out, char type) : out_(out) {
    if (type != 0) put_u8(out_, static_cast<std::uint8_t>(type));
    start_ = out_.size();
    put_u32(out_, 0);
  }
  ~MessageBuilder() {
    const auto size = static_cast<std::uint32_t>(out_.size() - start_);
    for (int i = 0; i < 4; ++i) {
      out_[start_ + static_cast<std::size_t>(i)] = static_cast<std::byte>(size >> (24 - 8 * i));
    }
  }
  MessageBuilder(const MessageBuilder&) = delete;
  MessageBuilder& operator=(const MessageBuilder&) = delete;

 private:
  Bytes& out_;
  std::size_t start_;
};

}  // namespace calf::pgwire
