#include "postgres/host_commands.h"

#include <algorithm>
#include <cstring>

#include "calf_anchors.h"
#include "postgres/kernel.h"
#include "wasm/supplies/supplies.h"

using calf::postgres::CommandAnswer;
using calf::postgres::HostCommand;
using calf::postgres::HostCommands;
using calf::postgres::Process;

namespace {

// Apart from the supply below, so that nothing with a destructor is alive when that calls the
// guest.
[[gnu::noinline]] u32 run(HostCommands* commands, const HostCommand& command,
                          std::span<std::byte> out) {
  const CommandAnswer answer =
      commands != nullptr
          ? commands->run(command)
          : CommandAnswer{.sqlstate = "0A000", .text = "this server does not have branches"};
  const std::string text = answer.sqlstate + answer.text;
  std::memcpy(out.data(), text.data(), std::min(text.size(), out.size()));
  return static_cast<u32>(text.size());
}

}  // namespace

extern "C" u32 calf_supply_calf_command(u32 verb, u32 name, u32 argument, u32 answer,
                                        u32 answer_size) {
  constexpr u32 kCheckpoint = 0x0004 | 0x0008 | 0x0020;  // xlog.h: fast, force, wait
  Process& process = Process::current();
  HostCommands* commands = process.kernel().commands();
  HostCommand command{.verb = process.c_string(verb),
                      .name = process.c_string(name),
                      .argument = process.c_string(argument),
                      .written_to = pg_GetLastImportantRecPtr()};
  using Preparation = HostCommands::Preparation;
  const Preparation preparation =
      commands == nullptr ? Preparation::kNone : commands->preparation(command);
  if (preparation == Preparation::kCheckpoint) pg_RequestCheckpoint(kCheckpoint);
  if (preparation != Preparation::kNone) {
    pg_XLogFlush(pg_GetXLogInsertRecPtr());
    command.written_to = pg_GetLastImportantRecPtr();
  }
  return run(commands, command, process.bytes(answer, answer_size));
}
