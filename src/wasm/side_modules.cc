#include "wasm/side_modules.h"

#include <algorithm>
#include <cstring>
#include <string>

#include "base/log.h"

namespace calf::wasm {
namespace {

// struct dso of the image's C library: what dlopen() expects to be filled in.
constexpr u32 kDsoAllocated = 8;
constexpr u32 kDsoMemoryBase = 12;
constexpr u32 kDsoMemorySize = 16;
constexpr u32 kDsoTableBase = 20;
constexpr u32 kDsoTableSize = 24;
constexpr u32 kDsoPath = 36;

const calf_export* find_export(const calf_export* exports, u32 count, std::string_view name) {
  const calf_export* end = exports + count;
  const calf_export* at = std::lower_bound(
      exports, end, name,
      [](const calf_export& e, std::string_view n) { return std::string_view(e.name) < n; });
  return at != end && std::string_view(at->name) == name ? at : nullptr;
}

// "a/./b/../c" as "a/c"; the guest's paths to libraries are absolute.
std::string normal_path(std::string_view path) {
  std::vector<std::string_view> parts;
  for (size_t begin = 0; begin <= path.size();) {
    const size_t end = std::min(path.find('/', begin), path.size());
    const std::string_view part = path.substr(begin, end - begin);
    if (part == ".." && !parts.empty()) {
      parts.pop_back();
    } else if (!part.empty() && part != "." && part != "..") {
      parts.push_back(part);
    }
    begin = end + 1;
  }
  std::string out;
  for (std::string_view part : parts) out.append("/").append(part);
  return out;
}

}  // namespace

const calf_module* find_module(std::string_view path) {
  const calf_module* const* end = calf_side_modules + calf_side_module_count;
  const calf_module* const* at = std::lower_bound(
      calf_side_modules, end, path,
      [](const calf_module* m, std::string_view p) { return std::string_view(m->path) < p; });
  return at != end && std::string_view((*at)->path) == path ? *at : nullptr;
}

void write_segments(uint8_t* memory, const calf_module& module) {
  for (u32 i = 0; i < module.segment_count; ++i) {
    const calf_data_segment& segment = module.segments[i];
    std::memcpy(memory + segment.address, segment.bytes, segment.size);
  }
}

}  // namespace calf::wasm

using namespace calf::wasm;  // the rest only defines imports

extern "C" {

void pg___dl_seterr(u32 message, u32 unused);  // sets what dlerror() answers
u32 pg__emscripten_stack_alloc(u32 size);

static void set_dl_error(Guest& guest, const std::string& message) {
  const u32 saved = CALF_STATE->globals[0];
  const u32 text = pg__emscripten_stack_alloc(static_cast<u32>(message.size()) + 1);
  std::memcpy(guest.base() + text, message.c_str(), message.size() + 1);
  pg___dl_seterr(text, 0);
  CALF_STATE->globals[0] = saved;
}

u32 calf_import_env__dlopen_js(u32 handle) {
  Guest& guest = Guest::current();
  const std::string path = normal_path(guest.c_string(handle + kDsoPath));
  const calf_module* module = find_module(path);
  if (module == nullptr) {
    set_dl_error(guest, path + ": this build has no such module");
    return 0;
  }
  if (module->missing_count > 0) {
    set_dl_error(guest, path + ": undefined symbol: " + module->missing[0]);
    return 0;
  }
  if (module->memory_size > 0 && !guest.memory().valid(module->memory_base, 1)) {
    if (!guest.memory().commit(module->memory_base, module->memory_size)) {
      set_dl_error(guest, path + ": out of memory");
      return 0;
    }
    write_segments(guest.base(), *module);
    if (module->start != nullptr) module->start();
    if (module->apply_relocations != nullptr) module->apply_relocations();
    if (module->call_constructors != nullptr) module->call_constructors();
  }
  guest.store<u8>(handle + kDsoAllocated, 1);
  guest.store(handle + kDsoMemoryBase, module->memory_base);
  guest.store(handle + kDsoMemorySize, module->memory_size);
  guest.store(handle + kDsoTableBase, module->table_base);
  guest.store(handle + kDsoTableSize, module->table_size);
  return 1;
}

u32 calf_import_env__dlsym_js(u32 handle, u32 symbol, u32) {
  Guest& guest = Guest::current();
  const std::string path = normal_path(guest.c_string(handle + kDsoPath));
  const std::string_view name = guest.c_string(symbol);
  const calf_module* module = find_module(path);
  if (module != nullptr) {
    const calf_export* found = find_export(module->functions, module->function_count, name);
    if (found == nullptr) found = find_export(module->data, module->data_count, name);
    if (found != nullptr) return found->value;
  }
  set_dl_error(guest, path + ": undefined symbol: " + std::string(name));
  return 0;
}

}  // extern "C"
