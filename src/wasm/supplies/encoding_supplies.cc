// The encoding functions of supplies.h: guest ABI on the outside, conversion.h and
// mule_conversion.h on the inside. Nothing here may own memory, since raise_error() and the guest's
// conversion functions can jump away.
#include "wasm/supplies/conversion.h"
#include "wasm/supplies/guest.h"
#include "wasm/supplies/guest_error.h"
#include "wasm/supplies/mule_conversion.h"
#include "wasm/supplies/supplies.h"

namespace calf::supplies {
namespace {

// Calls a function of a side module by its index in the table, as the guest's call_indirect does.
u32 call_guest_function(u32 index, u32 code) {
  if (index >= calf_table_size || calf_table[index].function == nullptr) {
    calf_trap(CALF_TRAP_INDIRECT_CALL);
  }
  return reinterpret_cast<u32 (*)(u32)>(calf_table[index].function)(code);
}

CodeMap code_map(LinearMemory memory, u32 tree, u32 combined, u32 combined_count, u32 function) {
  CodeMap map{.memory = memory,
              .tree = tree,
              .combined = combined,
              .combined_count = static_cast<s32>(combined_count) < 0 ? 0 : combined_count,
              .function = {}};
  if (function != 0) map.function = CodeFunction{.call = call_guest_function, .context = function};
  return map;
}

// Where a conversion reads and writes, and what its errors say.
struct Job {
  std::span<const u8> text;
  u8* out;
  Encoding source;
  Encoding destination;
  bool no_error;
};

// Ends the output, and raises what stopped the conversion unless the caller wants no error.
u32 finish(const Job& job, const Outcome& outcome) {
  job.out[outcome.produced] = 0;
  if (outcome.stop == Stop::kEnd || job.no_error) return outcome.consumed;
  std::span<const u8> shown = job.text.subspan(outcome.error_offset, outcome.error_length);
  if (outcome.stop == Stop::kInvalid) raise_error(invalid_encoding_error(job.source, shown));
  raise_error(untranslatable_error(job.source, job.destination, shown));
}

UpperHalf upper_half(LinearMemory memory, u32 table) {
  return UpperHalf(memory.base + table);
}

// Which way between a single-byte encoding and the Mule internal code.
enum class MuleWay { kToMule, kFromMule };

// The arguments that the four functions have in common.
struct MuleCall {
  u32 text;
  u32 out;
  u32 size;
  u32 charset;
  u32 encoding;
  u32 no_error;
};

u32 convert_mule(MuleWay way, const MuleCall& call, LinearMemory memory, UpperHalf upper) {
  Encoding local{call.encoding};
  bool to_mule = way == MuleWay::kToMule;
  Job job{.text = guest_text(memory, call.text, call.size),
          .out = memory.base + call.out,
          .source = to_mule ? local : Encoding::kMuleInternal,
          .destination = to_mule ? Encoding::kMuleInternal : local,
          .no_error = call.no_error != 0};
  u8 charset = static_cast<u8>(call.charset);
  if (to_mule) return finish(job, convert_single_byte_to_mule(upper, charset, job.text, job.out));
  return finish(job, convert_mule_to_single_byte(upper, charset, job.text, job.out));
}

}  // namespace
}  // namespace calf::supplies

using namespace calf::supplies;  // NOLINT: the functions below are C functions

extern "C" {

u32 calf_supply_LocalToUtf(u32 text, u32 size, u32 out, u32 tree, u32 combined, u32 combined_count,
                           u32 function, u32 encoding, u32 no_error) {
  LinearMemory memory = running_memory();
  Job job{.text = guest_text(memory, text, size),
          .out = memory.base + out,
          .source = Encoding{encoding},
          .destination = Encoding::kUtf8,
          .no_error = no_error != 0};
  if (!is_valid(job.source)) raise_error(encoding_number_error(job.source));
  CodeMap map = code_map(memory, tree, combined, combined_count, function);
  return finish(job, convert_local_to_utf8(map, job.source, job.text, job.out));
}

u32 calf_supply_UtfToLocal(u32 text, u32 size, u32 out, u32 tree, u32 combined, u32 combined_count,
                           u32 function, u32 encoding, u32 no_error) {
  LinearMemory memory = running_memory();
  Job job{.text = guest_text(memory, text, size),
          .out = memory.base + out,
          .source = Encoding::kUtf8,
          .destination = Encoding{encoding},
          .no_error = no_error != 0};
  if (!is_valid(job.destination)) raise_error(encoding_number_error(job.destination));
  CodeMap map = code_map(memory, tree, combined, combined_count, function);
  return finish(job, convert_utf8_to_local(map, job.text, job.out));
}

u32 calf_supply_local2local(u32 text, u32 out, u32 size, u32 source_encoding,
                            u32 destination_encoding, u32 table, u32 no_error) {
  LinearMemory memory = running_memory();
  Job job{.text = guest_text(memory, text, size),
          .out = memory.base + out,
          .source = Encoding{source_encoding},
          .destination = Encoding{destination_encoding},
          .no_error = no_error != 0};
  return finish(job, convert_single_byte(upper_half(memory, table), job.text, job.out));
}

u32 calf_supply_latin2mic(u32 text, u32 out, u32 size, u32 charset, u32 encoding, u32 no_error) {
  return convert_mule(MuleWay::kToMule, {text, out, size, charset, encoding, no_error},
                      running_memory(), UpperHalf());
}

u32 calf_supply_mic2latin(u32 text, u32 out, u32 size, u32 charset, u32 encoding, u32 no_error) {
  return convert_mule(MuleWay::kFromMule, {text, out, size, charset, encoding, no_error},
                      running_memory(), UpperHalf());
}

u32 calf_supply_latin2mic_with_table(u32 text, u32 out, u32 size, u32 charset, u32 encoding,
                                     u32 table, u32 no_error) {
  LinearMemory memory = running_memory();
  return convert_mule(MuleWay::kToMule, {text, out, size, charset, encoding, no_error}, memory,
                      upper_half(memory, table));
}

u32 calf_supply_mic2latin_with_table(u32 text, u32 out, u32 size, u32 charset, u32 encoding,
                                     u32 table, u32 no_error) {
  LinearMemory memory = running_memory();
  return convert_mule(MuleWay::kFromMule, {text, out, size, charset, encoding, no_error}, memory,
                      upper_half(memory, table));
}

void calf_supply_report_invalid_encoding(u32 encoding, u32 text, u32 size) {
  raise_error(invalid_encoding_error(Encoding{encoding}, guest_text(running_memory(), text, size)));
}

void calf_supply_report_untranslatable_char(u32 source_encoding, u32 destination_encoding, u32 text,
                                            u32 size) {
  raise_error(untranslatable_error(Encoding{source_encoding}, Encoding{destination_encoding},
                                   guest_text(running_memory(), text, size)));
}

u32 calf_supply_pg_encoding_verifymbchar(u32 encoding, u32 text, u32 size) {
  return static_cast<u32>(
      verify_character(Encoding{encoding}, guest_text(running_memory(), text, size)));
}

u32 calf_supply_pg_utf8_islegal(u32 text, u32 size) {
  return is_legal_utf8(guest_text(running_memory(), text, size)) ? 1 : 0;
}

}  // extern "C"
