// A program of the host that PostgreSQL asks for: archive_command, restore_command, COPY … PROGRAM.
// /bin/sh runs it; a thread of its own carries its bytes and waits for its end, so that the
// cluster's thread never does. Not for who may run one (host_program_calls.cc).
#pragma once

#include <sys/types.h>

#include <cstddef>
#include <filesystem>
#include <functional>
#include <memory>
#include <mutex>
#include <optional>
#include <span>
#include <string>
#include <thread>
#include <vector>

#include "base/result.h"
#include "os/errno.h"

namespace calf::postgres {

// What a cluster may start.
struct HostProgramRights {
  // archive_command, restore_command and their kin: the cluster's files are in `directory`.
  bool archiving = false;
  bool copying = false;  // COPY … FROM and TO PROGRAM
  // Where programs begin, absolute; what PostgreSQL's paths are relative to.
  std::filesystem::path directory{};
};

// Cluster thread. Its program, with all that this has started, dies with the object.
class HostProgram {
 public:
  // What PostgreSQL has in its hands. Standard error, and standard output without kOutput, are this
  // program's standard error; standard input is otherwise empty.
  enum class Stream { kNone, kOutput, kInput };
  struct Options {
    std::string command;
    std::filesystem::path directory;
    Stream stream = Stream::kNone;
    // Something has changed in what the functions below answer. On the program's thread; quick.
    std::function<void()> on_moved;
  };
  static Result<std::unique_ptr<HostProgram>> start(Options options);
  ~HostProgram();
  HostProgram(const HostProgram&) = delete;
  HostProgram& operator=(const HostProgram&) = delete;

  // --- None of these waits
  // What the program has written; nothing before there is something, 0 at its end.
  std::optional<size_t> read(std::span<std::byte> buffer);
  // Takes some of the bytes; nothing when there is no room, kPipe when the program does not read.
  std::optional<os::Expected<size_t>> write(std::span<const std::byte> bytes);
  // No more is read, or written, from here; what was written still reaches the program.
  void close_stream();
  // As waitpid() tells it, once the program has ended.
  [[nodiscard]] std::optional<int> wait_status() const;
  // To the program and all that it has started in its process group.
  void signal(int signal);

 private:
  HostProgram(Options options, pid_t pid, int stream_fd, int wake_fd);
  void run();
  void carry();
  void receive();
  void send();
  void wake();

  const Options options_;
  const pid_t pid_;
  int stream_fd_;  // its thread's; -1 without one
  const int wake_fd_;

  mutable std::mutex mutex_;
  std::vector<std::byte> buffer_;  // on the way
  bool ended_ = false;             // the other end of the stream
  bool closed_ = false;            // our end
  bool abandoned_ = false;
  std::optional<int> status_;

  std::thread thread_;  // last: it uses what is above
};

}  // namespace calf::postgres
