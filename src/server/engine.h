// What the server needs from something that answers SQL. The server accepts connections and reads
// the startup packet; everything after that, authentication included, is the engine's.
#pragma once

#include <cstddef>
#include <cstdint>
#include <functional>
#include <memory>
#include <vector>

#include "base/result.h"
#include "net/transport.h"

namespace calf::server {

struct ClientConnection {
  std::unique_ptr<net::Transport> transport;
  // The startup packet without its four length bytes, as received: it starts with the protocol
  // number. The server has checked its layout (pgwire::StartupMachine): a supported major protocol
  // version, terminated name/value pairs, a user. Between 8 and pgwire::kMaxStartupPacketBytes
  // bytes.
  std::vector<std::byte> startup_packet;
};

// "Interrupt the session with this pid, if `key` (up to 256 bytes) is its key."
struct CancelRequest {
  std::uint32_t pid = 0;
  std::vector<std::byte> key;
  // The connection that it came over, if there is one: the engine closes it, unanswered, when the
  // request has been acted on. libpq waits for that, and then knows that the next query is safe.
  std::unique_ptr<net::Transport> transport{};
};

enum class ShutdownMode {
  kSmart,      // wait for the sessions to end
  kFast,       // end the sessions (57P01), checkpoint
  kImmediate,  // stop now; the next start recovers
  kHalt,       // stop now, without a word to anybody: for a cluster that nobody will start again
};

// Every function may be called from any thread.
class Engine {
 public:
  virtual ~Engine() = default;

  // Takes a connection over: from now on the engine does all its input and output, on its own
  // thread. Does not block. Errors (too many clients, wrong password, shutting down) go to the
  // client as protocol messages. A transport of Address::Kind::kInProcess belongs to the process's
  // owner and is trusted without a password.
  virtual void connect(ClientConnection connection) = 0;

  // Does the engine's work on the calling thread, which waits for an in-process connection: until
  // `done`, which is called first thing and often, or until nothing is left to do. False, at once,
  // when another thread is at it. An engine need not offer it.
  virtual bool help(const std::function<bool()>& done) {
    (void)done;
    return false;
  }

  // Acts on a cancel request; a wrong pid or key is not an error. Does not block.
  virtual void cancel(CancelRequest request) = 0;

  // Stops the engine and blocks until it has stopped. kFast that takes longer than 5 s becomes
  // kImmediate. A second call from another thread with a sharper mode overtakes the first one.
  // Calling it on a stopped engine is fine.
  virtual Result<void> shutdown(ShutdownMode mode) = 0;

  // `on_exit` is called once, on some thread of the engine, when the engine stops without having
  // been asked to (a crash that recovery could not mend): the error says why. Not called after
  // shutdown(). Set it before the first connect; when the engine has already stopped it is called
  // at once. It must not block or call the engine.
  virtual void set_exit_handler(std::function<void(Error)> on_exit) = 0;
};

}  // namespace calf::server
