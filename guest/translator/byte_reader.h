// Reads the WASM binary encoding (LEB128 numbers, names) from a range of bytes; past its end it
// throws TranslateError.
#pragma once

#include <cstdint>
#include <cstring>
#include <string>

#include "wasm_module.h"

namespace calf::translator {

class ByteReader {
 public:
  ByteReader(const uint8_t* begin, const uint8_t* end, const std::string& module_name)
      : at_(begin), end_(end), module_name_(&module_name) {}

  bool at_end() const { return at_ == end_; }
  const uint8_t* position() const { return at_; }
  const uint8_t* end() const { return end_; }
  const std::string& context() const { return *module_name_; }

  uint8_t byte() {
    need(1);
    return *at_++;
  }
  uint32_t u32() { return static_cast<uint32_t>(unsigned_leb()); }
  int32_t s32() { return static_cast<int32_t>(signed_leb()); }
  int64_t s64() { return signed_leb(); }
  uint32_t fixed32() { return fixed<uint32_t>(); }
  uint64_t fixed64() { return fixed<uint64_t>(); }
  std::string name() {
    ByteReader text = slice(u32());
    return {reinterpret_cast<const char*>(text.at_), static_cast<size_t>(text.end_ - text.at_)};
  }
  // The next `size` bytes as a reader of their own; this one goes on behind them.
  ByteReader slice(uint32_t size) {
    need(size);
    ByteReader part(at_, at_ + size, *module_name_);
    at_ += size;
    return part;
  }

 private:
  void need(size_t size) const {
    if (static_cast<size_t>(end_ - at_) < size) fail(*module_name_ + ": truncated");
  }
  template <typename T>
  T fixed() {
    need(sizeof(T));
    T value;
    std::memcpy(&value, at_, sizeof(T));
    at_ += sizeof(T);
    return value;
  }
  uint64_t unsigned_leb() {
    uint64_t value = 0;
    for (int shift = 0; shift < 64; shift += 7) {
      uint8_t next = byte();
      value |= static_cast<uint64_t>(next & 0x7f) << shift;
      if (!(next & 0x80)) return value;
    }
    fail(*module_name_ + ": bad LEB128 number");
  }
  int64_t signed_leb() {
    uint64_t value = 0;
    for (int shift = 0; shift < 70; shift += 7) {
      uint8_t next = byte();
      value |= static_cast<uint64_t>(next & 0x7f) << shift;
      if (!(next & 0x80)) {
        if ((next & 0x40) && shift + 7 < 64) value |= ~uint64_t{0} << (shift + 7);
        return static_cast<int64_t>(value);
      }
    }
    fail(*module_name_ + ": bad LEB128 number");
  }

  const uint8_t* at_;
  const uint8_t* end_;
  const std::string* module_name_;
};

}  // namespace calf::translator
