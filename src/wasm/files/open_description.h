// An open file as descriptors share it: the file, its position and its status flags. Also the two
// kinds of file that only a process has: pipes and the standard streams. Private to GuestFiles.
#pragma once

#include <memory>
#include <optional>
#include <string>

#include "vfs/file_system.h"
#include "wasm/files/guest_files.h"
#include "wasm/files/stream.h"

namespace calf::wasm {

// Cluster thread. One after dup() and fork(): whoever moves the position moves it for all.
struct OpenDescription {
  std::unique_ptr<vfs::File> file;
  std::string path;  // directories: absolute and normal, what relative paths start from
  uint64_t position = 0;
  int status_flags = 0;  // the guest's O_* bits that F_GETFL reports
  bool readable = false;
  bool writable = false;
  bool append = false;
  bool seekable = true;
};

// The two ends of a new pipe. Reading an empty pipe is kAgain while a writer is left and 0 bytes
// after; writing without a reader is kPipe, and kAgain when it is full. Nothing blocks: the caller
// lets other processes run and tries again.
struct PipeEnds {
  std::unique_ptr<vfs::File> reader;
  std::unique_ptr<vfs::File> writer;
};
PipeEnds make_pipe();

// Nothing for files that are no pipe.
std::optional<PipeSide> pipe_side_of(vfs::File& file);

// Reads as empty; what is written goes to `sink`, if there is one.
std::unique_ptr<vfs::File> make_stream(int fd, OutputSink sink);

Readiness readiness_of(vfs::File& file);

}  // namespace calf::wasm
