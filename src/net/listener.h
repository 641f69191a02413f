// Listening sockets: TCP and Unix, bound the way PostgreSQL binds its own. Not for accepting (the
// server does that).
#pragma once

#include <cstdint>
#include <filesystem>
#include <string>
#include <vector>

#include "base/result.h"
#include "net/transport.h"

namespace calf::net {

// One listening socket: non-blocking, close-on-exec. Closes it, and removes a Unix socket and its
// lock file, when destroyed. Any thread, one at a time.
class Listener {
 public:
  Listener(Listener&& other) noexcept;
  Listener& operator=(Listener&&) = delete;
  ~Listener();

  [[nodiscard]] int descriptor() const { return descriptor_; }
  [[nodiscard]] const Address& address() const { return address_; }

 private:
  friend Result<std::vector<Listener>> listen_tcp(const std::string&, std::uint16_t);
  friend Result<Listener> listen_unix(const std::filesystem::path&, const struct UnixOptions&);
  Listener(int descriptor, Address address, std::filesystem::path lock_file)
      : descriptor_(descriptor), address_(std::move(address)), lock_file_(std::move(lock_file)) {}

  int descriptor_;
  Address address_;
  std::filesystem::path lock_file_;  // empty for TCP
};

// The numeric addresses of `host`: "*" is every one, "localhost" may be two. kInvalidArgument when
// it does not resolve. May block on a name server.
Result<std::vector<Address>> resolve(const std::string& host, std::uint16_t port);

// 127.0.0.0/8, ::1, and every Unix or in-process address.
bool is_loopback(const Address& address);

// Binds `host` (see resolve) at `port`; 0 takes a free port, the same one for all its addresses.
// Succeeds when at least one address could be bound and the others failed only because the machine
// has no such address family. Errors: kAlreadyExists when the port is in use; kPermissionDenied;
// kIo.
Result<std::vector<Listener>> listen_tcp(const std::string& host, std::uint16_t port);

struct UnixOptions {
  std::uint16_t port = 0;      // told in the lock file
  std::string data_directory;  // told in the lock file
};

// Binds a Unix socket at `path` that only this user may connect to, guarded by `path`.lock as
// PostgreSQL does it. A socket and a lock left over by a process that is gone are replaced. Errors:
// kAlreadyExists when a server is alive there; kInvalidArgument for a path that is too long;
// kPermissionDenied; kIo.
Result<Listener> listen_unix(const std::filesystem::path& path, const UnixOptions& options);

}  // namespace calf::net
