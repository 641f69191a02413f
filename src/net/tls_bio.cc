#include "net/tls_bio.h"

#include <cerrno>

namespace calf::net {
namespace {

int bio_result(BIO* bio, const IoResult& result, std::size_t* moved) {
  BIO_clear_retry_flags(bio);
  *moved = result.bytes;
  switch (result.state) {
    case IoState::kDone:
      return 1;
    case IoState::kWouldBlockRead:
      BIO_set_retry_read(bio);
      break;
    case IoState::kWouldBlockWrite:
      BIO_set_retry_write(bio);
      break;
    case IoState::kEndOfStream:
      BIO_set_flags(bio, BIO_FLAGS_IN_EOF);
      break;
    case IoState::kError:
      errno = result.system_errno;
      break;
  }
  return 0;
}

Transport& transport_of(BIO* bio) {
  return *static_cast<Transport*>(BIO_get_data(bio));
}

int bio_read(BIO* bio, char* data, std::size_t size, std::size_t* moved) {
  return bio_result(bio, transport_of(bio).read_some(std::as_writable_bytes(std::span(data, size))),
                    moved);
}

int bio_write(BIO* bio, const char* data, std::size_t size, std::size_t* moved) {
  return bio_result(bio, transport_of(bio).write_some(std::as_bytes(std::span(data, size))), moved);
}

long bio_control(BIO* bio, int command, long, void*) {
  if (command == BIO_CTRL_EOF) return BIO_test_flags(bio, BIO_FLAGS_IN_EOF) != 0;
  return command == BIO_CTRL_FLUSH ? 1 : 0;
}

// Made once for the process; OpenSSL offers no moment at which it could be freed safely.
const BIO_METHOD* transport_method() {
  static const BIO_METHOD* method = [] {
    BIO_METHOD* made = BIO_meth_new(BIO_get_new_index() | BIO_TYPE_SOURCE_SINK, "calf transport");
    BIO_meth_set_read_ex(made, bio_read);
    BIO_meth_set_write_ex(made, bio_write);
    BIO_meth_set_ctrl(made, bio_control);
    return made;
  }();
  return method;
}

}  // namespace

BIO* make_transport_bio(Transport& transport) {
  BIO* bio = BIO_new(transport_method());
  BIO_set_data(bio, &transport);
  BIO_set_init(bio, 1);
  return bio;
}

}  // namespace calf::net
