#include "cli/port_frames.h"

#include <algorithm>
#include <string>

#include "pgwire/wire.h"

namespace calf::cli {

Result<std::span<const std::byte>> FrameReader::next(std::span<const std::byte>& bytes) {
  while (left_ == 0 && !bytes.empty()) {
    header_[header_size_++] = bytes.front();
    bytes = bytes.subspan(1);
    if (header_size_ < header_.size()) continue;
    header_size_ = 0;
    left_ = pgwire::load_u32(header_);
    if (left_ > kMaxFrameBytes) {
      return fail(ErrorCode::kDataCorrupted,
                  "a packet claims " + std::to_string(left_) + " bytes; at most " +
                      std::to_string(kMaxFrameBytes) + " are allowed",
                  "each packet begins with its length as four bytes, big-endian; --raw is without");
    }
  }
  const auto piece = bytes.first(std::min<std::size_t>(left_, bytes.size()));
  bytes = bytes.subspan(piece.size());
  left_ -= static_cast<std::uint32_t>(piece.size());
  return piece;
}

void put_frame(std::vector<std::byte>& out, std::span<const std::byte> payload) {
  pgwire::put_u32(out, static_cast<std::uint32_t>(payload.size()));
  pgwire::put_bytes(out, payload);
}

}  // namespace calf::cli
