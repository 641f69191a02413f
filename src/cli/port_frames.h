// The packets of `calf port`: a length of four bytes, big-endian, and that many bytes. Bytes in,
// pieces out; no input or output.
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <span>
#include <string_view>
#include <vector>

#include "base/result.h"

namespace calf::cli {

// Takes frames apart as they come: what is inside is passed on piece by piece, so a frame of any
// length needs no memory.
class FrameReader {
 public:
  // A gigabyte, which is what the longest message of the protocol has, and a little.
  static constexpr std::uint32_t kMaxFrameBytes = (1u << 30) + (1u << 20);

  // The next piece of payload at the front of `bytes`, which loses what was read. Empty when
  // `bytes` is used up. kDataCorrupted: a frame claims more than kMaxFrameBytes; nothing more can
  // be read.
  Result<std::span<const std::byte>> next(std::span<const std::byte>& bytes);

  // Whether a frame has begun and is not whole.
  [[nodiscard]] bool in_frame() const { return header_size_ > 0 || left_ > 0; }

 private:
  std::array<std::byte, 4> header_{};
  std::size_t header_size_ = 0;
  std::uint32_t left_ = 0;  // of the frame's payload
};

// Appends a frame with `payload` to `out`.
void put_frame(std::vector<std::byte>& out, std::span<const std::byte> payload);

}  // namespace calf::cli
