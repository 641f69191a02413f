// system(), popen() and pclose() of the image: what PostgreSQL may have done by programs of the
// host, and how a process waits for them.
#include "base/log.h"
#include "calf_anchors.h"
#include "postgres/kernel.h"
#include "wasm/files/guest_errno.h"
#include "wasm/files/stream.h"

using calf::os::Errno;
using calf::postgres::HostProgram;
using calf::postgres::HostProgramRights;
using calf::postgres::Process;

extern "C" {
u32 pg___errno_location(void);
u32 pg_errstart(u32 level, u32 domain);
u32 pg_errcode(u32 sqlstate);
u32 pg_errhint(u32 format, u32 arguments);
void pg_errfinish(u32 file, u32 line, u32 function);
u32 pg_fdopen(u32 fd, u32 mode);
u32 pg_fileno(u32 file);
u32 pg_fclose(u32 file);
}

namespace {

// COPY's end of a program's pipe. Waits as a blocking pipe does; other processes run meanwhile.
class ProgramPipe final : public calf::wasm::Stream {
 public:
  explicit ProgramPipe(std::shared_ptr<HostProgram> program) : program_(std::move(program)) {}
  ~ProgramPipe() override { program_->close_stream(); }

  [[nodiscard]] calf::vfs::FileKind kind() const override { return calf::vfs::FileKind::kPipe; }

  calf::os::Expected<size_t> preadv(std::span<const iovec> buffers, uint64_t) override {
    for (const iovec& buffer : buffers) {
      if (buffer.iov_len == 0) continue;
      const std::span out(static_cast<std::byte*>(buffer.iov_base), buffer.iov_len);
      while (true) {
        if (const auto n = program_->read(out)) return *n;
        wait();
      }
    }
    return 0;
  }
  calf::os::Expected<size_t> pwritev(std::span<const iovec> buffers, uint64_t) override {
    for (const iovec& buffer : buffers) {
      if (buffer.iov_len == 0) continue;
      const std::span in(static_cast<const std::byte*>(buffer.iov_base), buffer.iov_len);
      while (true) {
        if (const auto n = program_->write(in)) return *n;
        wait();
      }
    }
    return 0;
  }

 private:
  // A signal's handler may end the process here: then nothing of this frame is destroyed, but the
  // process's files and programs are.
  static void wait() {
    Process& process = Process::current();
    process.wait(Process::kNever);
    process.deliver_signals();
  }

  std::shared_ptr<HostProgram> program_;  // shared with the process, which waits for its end
};

// Apart from its callers, so that nothing with a destructor is alive when they call the guest or
// wait. False: the guest's errno says why.
[[gnu::noinline]] bool start(Process& process, u32 command, HostProgram::Stream stream, int& fd) {
  auto started = HostProgram::start({.command = process.c_string(command),
                                     .directory = process.kernel().program_rights().directory,
                                     .stream = stream,
                                     .on_moved = process.kernel().waker(process)});
  if (!started) {
    calf::log::error("{}", started.error().to_string());
    process.store<s32>(pg___errno_location(), calf::wasm::guest_errno(Errno::kAgain));
    return false;
  }
  std::shared_ptr<HostProgram> program = std::move(*started);
  fd = -1;
  if (stream != HostProgram::Stream::kNone) {
    const bool reads = stream == HostProgram::Stream::kOutput;
    fd = process.files().install(std::make_unique<ProgramPipe>(program), reads, !reads);
    if (fd < 0) {
      process.store<s32>(pg___errno_location(), -fd);
      return false;
    }
  }
  process.programs().push_back({.fd = fd, .program = std::move(program)});
  return true;
}

// The end of the process's program with this descriptor.
s32 wait_for_end(Process& process, int fd) {
  auto& programs = process.programs();
  while (true) {
    const auto found = std::find_if(programs.begin(), programs.end(),
                                    [&](const auto& one) { return one.fd == fd; });
    if (found == programs.end()) return -1;
    if (const auto status = found->program->wait_status()) {
      programs.erase(found);
      return *status;
    }
    process.wait(Process::kNever);
    process.deliver_signals();
  }
}

// ereport() of a refusal; does not return for an ERROR.
void report(Process& process, u32 level, const char* message, const char* hint) {
  constexpr u32 kFeatureNotSupported = 17 << 6;  // MAKE_SQLSTATE('0', 'A', '0', '0', '0')
  const u32 saved_stack = CALF_STATE->globals[0];
  if (pg_errstart(level, 0) != 0) {
    pg_errcode(kFeatureNotSupported);
    pg_errmsg(process.push_text(message), 0);
    pg_errhint(process.push_text(hint), 0);
    pg_errfinish(process.push_text("fd.c"), 0, process.push_text("OpenPipeStream"));
  }
  CALF_STATE->globals[0] = saved_stack;
}

}  // namespace

extern "C" {

u32 pg_pgl_system(u32 command) {
  constexpr u32 kLog = 15;                 // elog.h
  constexpr u32 kExitedWithOne = 1u << 8;  // as waitpid() tells it
  Process& process = Process::current();
  if (!process.kernel().program_rights().archiving) {
    report(process, kLog, "archive and restore commands are not run here",
           "They are by a server on a directory (calf serve DIR), but not in its branches.");
    return kExitedWithOne;
  }
  int fd = -1;
  if (!start(process, command, HostProgram::Stream::kNone, fd)) return static_cast<u32>(-1);
  return static_cast<u32>(wait_for_end(process, fd));
}

u32 pg_pgl_popen(u32 command, u32 mode) {
  constexpr u32 kError = 21;  // elog.h
  Process& process = Process::current();
  if (!process.kernel().program_rights().copying) {
    report(process, kError, "this server does not run programs",
           "calf serve --allow-programs permits COPY ... FROM and TO PROGRAM.");
  }
  const bool reads = *process.c_string(mode) == 'r';
  int fd = -1;
  const auto stream = reads ? HostProgram::Stream::kOutput : HostProgram::Stream::kInput;
  if (!start(process, command, stream, fd)) return 0;
  return pg_fdopen(static_cast<u32>(fd), mode);
}

u32 pg_pgl_pclose(u32 file) {
  const u32 fd = pg_fileno(file);
  pg_fclose(file);
  return static_cast<u32>(wait_for_end(Process::current(), static_cast<int>(fd)));
}

}  // extern "C"
