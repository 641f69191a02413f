#include "emit_image.h"

#include <algorithm>
#include <cstdio>
#include <filesystem>
#include <fstream>

#include "sha256.h"

namespace calf::translator {
namespace fs = std::filesystem;
namespace {

constexpr size_t kLargestShard = 140'000;  // bytes of WASM code in one C file
// Zeros that are cheaper to store than a segment of their own. The image's data become one: see
// write_data().
constexpr uint32_t kLargestSkippedGap = 16 * 1024;

void write_if_changed(const fs::path& path, const std::string& content) {
  std::ifstream old(path, std::ios::binary);
  if (old) {
    std::string present((std::istreambuf_iterator<char>(old)), std::istreambuf_iterator<char>());
    if (present == content) return;
  }
  std::ofstream out(path, std::ios::binary | std::ios::trunc);
  out.write(content.data(), static_cast<std::streamsize>(content.size()));
  if (!out.flush()) fail("cannot write " + path.string());
}

struct Blob {
  std::string bytes;
  struct Segment {
    uint32_t address, size, offset;
  };
  std::vector<Segment> segments;
};

// All segments of a module as one run of bytes; segments that nearly touch become one.
Blob gather_data(const LinkedModule& linked) {
  Blob blob;
  for (const DataSegment& segment : linked.module->data) {
    if (segment.passive || segment.size == 0) continue;
    uint32_t address = static_cast<uint32_t>(segment.offset.constant) +
                       (segment.offset.global ? linked.memory_base : 0);
    if (!blob.segments.empty()) {
      Blob::Segment& last = blob.segments.back();
      uint64_t end = uint64_t{last.address} + last.size;
      if (address >= end && address - end <= kLargestSkippedGap) {
        blob.bytes.append(address - end, '\0');
        blob.bytes.append(reinterpret_cast<const char*>(segment.begin), segment.size);
        last.size = address + segment.size - last.address;
        continue;
      }
    }
    blob.segments.push_back({address, segment.size, static_cast<uint32_t>(blob.bytes.size())});
    blob.bytes.append(reinterpret_cast<const char*>(segment.begin), segment.size);
  }
  return blob;
}

std::string quoted(const std::string& text) {
  std::string out = "\"";
  for (char c : text) {
    if (c == '"' || c == '\\') out += '\\';
    out += c;
  }
  return out + '"';
}

class ImageWriter {
 public:
  ImageWriter(Linker& linker, const Hooks& hooks, const EmitOptions& options)
      : linker_(linker), hooks_(hooks), options_(options), prefix_(linker.runtime_prefix()) {}

  void run() {
    fs::create_directories(options_.sources);
    fs::create_directories(options_.headers);
    for (const auto& entry : fs::directory_iterator(options_.sources))
      stale_.insert(entry.path().filename());
    for (const auto& linked : linker_.modules()) write_module(*linked);
    write_runtime();
    write_table();
    write_structures();
    write_imports_header();
    write_image_header();
    write_anchors_header();
    for (const fs::path& name : stale_) {
      if (name.extension() == ".c" || name.extension() == ".bin")
        fs::remove(options_.sources / name);
    }
  }

 private:
  std::string file_stem(const LinkedModule& linked) const {
    return linked.prefix.substr(0, linked.prefix.size() - 1);
  }
  void write_source(const std::string& name, const std::string& content) {
    stale_.erase(name);
    write_if_changed(fs::path(options_.sources) / name, content);
  }
  // A second image has a table of its own; the generated code always says calf_table.
  std::string head() const {
    std::string out;
    if (prefix_ != "calf_") {
      for (const char* name : {"table", "table_size", "image", "side_modules", "side_module_count",
                               "image_initial_pages", "image_maximum_pages", "image_globals"}) {
        out += std::string("#define calf_") + name + ' ' + prefix_ + name + '\n';
      }
    }
    return out + "#include \"prelude.h\"\n";
  }
  static std::string prototypes(const std::map<std::string, const FunctionType*>& functions) {
    std::string out;
    for (const auto& [symbol, type] : functions) out += c_prototype(*type, symbol, false) + ";\n";
    return out;
  }

  // Functions that become one file.
  struct Shard {
    std::string code;
    std::map<std::string, const FunctionType*> callees;
  };

  void write_shard(const std::string& name, Shard& shard) {
    write_source(name, head() + prototypes(shard.callees) + shard.code);
    shard = Shard();
  }

  void add_function(const LinkedModule& linked, uint32_t function, Shard& shard) {
    const std::string& symbol = linked.body_symbols[function];
    if (symbol.empty()) return;
    const BodyPatches& patches = patches_of(linked, function);
    EmittedFunction emitted = emit_function(linked.names, function, symbol, patches);
    check_patched(patches, emitted, symbol);
    shard.code += emitted.code;
    shard.callees.merge(emitted.callees);
    shard.callees[symbol] = &linked.module->type_of(function);
  }

  void write_module(const LinkedModule& linked) {
    const Module& module = *linked.module;
    const auto imports = static_cast<uint32_t>(module.function_imports.size());
    const auto is_hot = [&](uint32_t body) {
      return linked.path.empty() && options_.hot.contains(linked.body_symbols[imports + body]);
    };
    const auto size_of = [&](uint32_t body) {
      return static_cast<size_t>(module.bodies[body].end - module.bodies[body].begin);
    };
    size_t total = 0;
    for (uint32_t i = 0; i < module.bodies.size(); ++i) total += is_hot(i) ? 0 : size_of(i);
    size_t shards = (total + kLargestShard - 1) / kLargestShard;
    if (linked.path.empty() && shards > 4)
      shards = options_.shards;  // one size for the image, whatever its release
    size_t done = 0, number = 0;
    Shard hot, shard;
    auto flush = [&] {
      char suffix[16] = "";
      if (shards > 1) std::snprintf(suffix, sizeof suffix, "_%02zu", number);
      write_shard(file_stem(linked) + suffix + ".c", shard);
      ++number;
    };
    for (uint32_t i = 0; i < module.bodies.size(); ++i) {
      add_function(linked, imports + i, is_hot(i) ? hot : shard);
      done += is_hot(i) ? 0 : size_of(i);
      if (done * shards >= total * (number + 1) && !shard.code.empty()) flush();
    }
    if (!shard.code.empty()) flush();
    if (!hot.code.empty()) write_shard(file_stem(linked) + "_hot.c", hot);
    write_data(linked);
  }

  static void check_patched(const BodyPatches& patches, const EmittedFunction& emitted,
                            const std::string& symbol) {
    if (!patches.pid_constants.empty() && emitted.patched_constants == 0) {
      fail("hooks: pid-constant: " + symbol + " compares nothing with such a constant");
    }
    if (!patches.calls.empty() && emitted.replaced_calls < patches.calls.size()) {
      fail("hooks: replace-call: " + symbol + " does not make such a call");
    }
    if (patches.resumable_call && emitted.resumable_calls != 1) {
      fail("hooks: resumable-call: " + symbol + " makes " +
           std::to_string(emitted.resumable_calls) + " such calls instead of one");
    }
  }

  const BodyPatches& patches_of(const LinkedModule& linked, uint32_t function) const {
    static const BodyPatches kNone;
    auto at = hooks_.patches.find(function);
    return !linked.path.empty() || at == hooks_.patches.end() ? kNone : at->second;
  }

  std::string data_symbol(const LinkedModule& linked) const {
    return prefix_ + "data_" + file_stem(linked);
  }

  void write_data(const LinkedModule& linked) {
    Blob blob = gather_data(linked);
    if (blob.bytes.empty()) return;
    std::string file = file_stem(linked) + ".bin", symbol = data_symbol(linked);
    write_source(file, blob.bytes);
    // Whole pages, and at the same place in their pages as in memory: the host maps the image's.
    const std::string align = linked.path.empty() ? ".balign 4096,0\\n" : ".balign 16\\n";
    const std::string before =
        linked.path.empty() ? ".space " + std::to_string(blob.segments[0].address % 4096) + "\\n"
                            : "";
    // The digest makes the object's cache key depend on the bytes.
    write_source(file_stem(linked) + "_data.c",
                 "/* " + sha256_hex(blob.bytes) + " */\n__asm__(\".section .rodata\\n.hidden " +
                     symbol + "\\n.globl " + symbol + "\\n" + align + before + symbol +
                     ":\\n.incbin \\\"" + file + "\\\"\\n" + align + ".previous\\n\");\n");
  }

  // invoke_* and longjmp: see calf_jump_frame. Each invoke is a function of its own that is never
  // inlined, so that nothing of its caller lives in registers across __builtin_setjmp.
  void write_runtime() {
    std::string out = head();
    const LinkedModule& image = linker_.image();
    const Export* set_threw = image.module->find_export("setThrew", ExportKind::kFunction);
    std::string threw;
    if (!linker_.invokes().empty()) {
      if (!set_threw) fail("the image imports invoke_* but does not export setThrew");
      threw = image.names.functions[set_threw->index].symbol;
      out += "void " + threw + "(u32,u32);\n";
    }
    for (const auto& [symbol, type] : linker_.invokes()) out += invoke_text(symbol, type, threw);
    if (linker_.throws_longjmp()) {
      out +=
          "void " + linker_.throw_symbol() +
          "(void){\ncalf_jump_frame*frame=CALF_STATE->jump_frame;\n"
          "if(!frame)calf_trap(CALF_TRAP_UNREACHABLE);\n__builtin_longjmp(frame->buffer,1);\n}\n";
    }
    write_source(image.prefix + "runtime.c", out);
  }

  static std::string invoke_text(const std::string& symbol, const FunctionType& type,
                                 const std::string& threw) {
    FunctionType target = type;
    target.params.erase(target.params.begin());
    std::string arguments;
    for (size_t i = 1; i < type.params.size(); ++i)
      arguments += (i > 1 ? ",l" : "l") + std::to_string(i);
    std::string call = "((" + c_function_pointer(target) + ")calf_lookup(l0," + type_hash(target) +
                       "))(" + arguments + ')';
    bool returns = !type.results.empty();
    std::string out = "__attribute__((noinline)) " + c_prototype(type, symbol, true) + "{\n";
    out +=
        "calf_jump_frame frame;\nframe.outer=CALF_STATE->jump_frame;\n"
        "frame.stack_pointer=CALF_STATE->globals[0];\nCALF_STATE->jump_frame=&frame;\n"
        "if(__builtin_setjmp(frame.buffer)==0){\n";
    out +=
        returns ? std::string(c_type(type.results[0])) + " result=" + call + ";\n" : call + ";\n";
    out += "CALF_STATE->jump_frame=frame.outer;\n";
    out += returns ? "return result;\n}\n" : "return;\n}\n";
    out +=
        "calf_jump_frame*landed=CALF_STATE->jump_frame;\nCALF_STATE->globals[0]=landed->stack_"
        "pointer;\n"
        "CALF_STATE->jump_frame=landed->outer;\n" +
        threw + "(1,0);\n";
    return out + (returns ? "return 0;\n}\n" : "}\n");
  }

  void write_table() {
    std::map<std::string, const FunctionType*> functions;
    for (const CallTarget& target : linker_.table()) {
      if (target.type && !target.symbol.empty()) functions[target.symbol] = target.type;
    }
    std::string out = head() + prototypes(functions) + "const calf_table_entry calf_table[]={\n";
    for (const CallTarget& target : linker_.table()) {
      if (!target.type || target.symbol.empty())
        out += "{0,0},\n";
      else
        out += "{(void(*)(void))" + target.symbol + ',' + type_hash(*target.type) + "},\n";
    }
    out += "};\nconst u32 calf_table_size=" + std::to_string(linker_.table().size()) + ";\n";
    write_source(linker_.image().prefix + "table.c", out);
  }

  std::string export_list(const std::string& name, const std::vector<NamedValue>& values) {
    if (values.empty()) return "";
    std::string out = "static const calf_export " + name + "[]={\n";
    for (const NamedValue& value : values)
      out += '{' + quoted(value.name) + ',' + std::to_string(value.value) + "u},\n";
    return out + "};\n";
  }

  void write_structures() {
    std::string out = head(), list;
    uint32_t count = 0;
    for (const auto& linked : linker_.modules()) {
      bool is_image = linked->path.empty();
      std::string id = file_stem(*linked);
      out += module_structure(*linked, is_image ? "const calf_module calf_image"
                                                : "static const calf_module module_" + id);
      if (is_image) continue;
      list += "&module_" + id + ",\n";
      ++count;
    }
    out += "const calf_module*const calf_side_modules[]={\n" + list + "0};\n";
    out += "const u32 calf_side_module_count=" + std::to_string(count) + ";\n";
    const Module& image = *linker_.image().module;
    out += "const u32 calf_image_initial_pages=" + std::to_string(image.memory_initial) + ";\n";
    out += "const u32 calf_image_maximum_pages=" +
           std::to_string(image.memory_maximum ? image.memory_maximum : 32768) + ";\n";
    out += "const u32 calf_image_globals[CALF_GLOBAL_SLOTS]={";
    for (uint32_t value : linker_.image_globals()) out += std::to_string(value) + "u,";
    write_source(linker_.image().prefix + "modules.c", out + "};\n");
  }

  std::string module_structure(const LinkedModule& linked, const std::string& declaration) {
    std::string id = file_stem(linked), out;
    Blob blob = gather_data(linked);
    if (!blob.segments.empty()) {
      out += "extern const u8 " + data_symbol(linked) +
             "[];\nstatic const calf_data_segment segments_" + id + "[]={\n";
      for (const Blob::Segment& segment : blob.segments) {
        out += '{' + std::to_string(segment.address) + "u," + std::to_string(segment.size) + "u," +
               data_symbol(linked) + '+' + std::to_string(segment.offset) + "},\n";
      }
      out += "};\n";
    }
    out += export_list("functions_" + id, linked.function_exports) +
           export_list("data_" + id, linked.data_exports);
    if (!linked.missing.empty()) {
      out += "static const char*const missing_" + id + "[]={";
      for (const std::string& name : linked.missing) out += quoted(name) + ',';
      out += "};\n";
    }
    for (const std::string* symbol :
         {&linked.start, &linked.apply_relocations, &linked.call_constructors}) {
      if (!symbol->empty()) out += "void " + *symbol + "(void);\n";
    }
    auto list = [&](const char* kind, size_t size) {
      return size == 0 ? std::string("0") : kind + id;
    };
    auto or_null = [](const std::string& symbol) {
      return symbol.empty() ? std::string("0") : symbol;
    };
    out += declaration + "={\n.path=" + quoted(linked.path) +
           ",.memory_base=" + std::to_string(linked.memory_base) +
           "u,.memory_size=" + std::to_string(linked.memory_size) +
           "u,.table_base=" + std::to_string(linked.table_base) +
           "u,.table_size=" + std::to_string(linked.table_size) +
           "u,\n.segments=" + list("segments_", blob.segments.size()) +
           ",.segment_count=" + std::to_string(blob.segments.size()) +
           ",\n.functions=" + list("functions_", linked.function_exports.size()) +
           ",.function_count=" + std::to_string(linked.function_exports.size()) +
           ",\n.data=" + list("data_", linked.data_exports.size()) +
           ",.data_count=" + std::to_string(linked.data_exports.size()) +
           ",\n.missing=" + list("missing_", linked.missing.size()) +
           ",.missing_count=" + std::to_string(linked.missing.size()) +
           ",\n.start=" + or_null(linked.start) +
           ",.apply_relocations=" + or_null(linked.apply_relocations) +
           ",.call_constructors=" + or_null(linked.call_constructors) + "};\n";
    return out;
  }

  // --- headers

  void write_header(const std::string& name, const std::string& purpose, const std::string& body) {
    std::string guard = "CALF_GENERATED_" + sanitise(name) + '_';
    write_if_changed(
        fs::path(options_.headers) / name,
        "/* Generated by calf-translate: " + purpose + " */\n#ifndef " + guard + "\n#define " +
            guard + "\n#include \"calf_abi.h\"\n#ifdef __cplusplus\nextern \"C\" {\n#endif\n\n" +
            body + "\n#ifdef __cplusplus\n}\n#endif\n#endif\n");
  }

  void write_imports_header() {
    std::string body;
    for (const auto& [symbol, type] : linker_.host_imports())
      body += c_prototype(type, symbol, false) + ";\n";
    write_header(prefix_ + "imports.h", "functions that the host provides to the image.", body);
  }

  void write_image_header() {
    std::string body;
    if (prefix_ != "calf_") {
      body += "extern const calf_module " + prefix_ + "image;\nextern const calf_table_entry " +
              prefix_ + "table[];\nextern const u32 " + prefix_ + "table_size;\nextern const u32 " +
              prefix_ + "image_initial_pages;\nextern const u32 " + prefix_ +
              "image_maximum_pages;\nextern const u32 " + prefix_ +
              "image_globals[CALF_GLOBAL_SLOTS];\n\n";
    }
    const LinkedModule& image = linker_.image();
    std::map<std::string, const FunctionType*> functions;
    for (const Export& item : image.module->exports) {
      if (item.kind != ExportKind::kFunction) continue;
      const CallTarget& target = image.names.functions[item.index];
      functions[target.symbol] = target.type;
    }
    write_header(prefix_ + "image.h", "functions that the image exports.",
                 body + prototypes(functions));
  }

  void write_anchors_header() {
    std::string body;
    const LinkedModule& image = linker_.image();
    for (const NamedNumber& item : hooks_.addresses) {
      body += "#define PG_ADDRESS_" + item.name + " 0x" + hex(item.value) + "u\n";
    }
    for (const NamedNumber& item : hooks_.offsets) {
      body += "#define PG_OFFSET_" + item.name + ' ' + std::to_string(item.value) + "u\n";
    }
    for (const NamedNumber& item : hooks_.constants) {
      body += "#define PG_CONSTANT_" + item.name + ' ' + std::to_string(item.value) + "u\n";
    }
    std::map<std::string, const FunctionHook*> by_name;
    for (const auto& [function, hook] : hooks_.functions) by_name[hook.name] = &hook;
    for (const auto& [name, hook] : by_name) {
      const CallTarget& target = image.names.functions[hook->function];
      body += labelled(*target.type, image.prefix + name, target.symbol);
      if (hook->action == FunctionAction::kWrap) {
        body +=
            labelled(*target.type, image.prefix + name + "_original", target.symbol + "_original");
      }
      if (uint32_t slot = linker_.slot_of(target.symbol)) {
        body += "#define PG_TABLE_" + name + ' ' + std::to_string(slot) + "u\n";
      }
    }
    for (const auto& [function, patches] : hooks_.patches) {
      for (const CallReplacement& call : patches.calls) {
        body += c_prototype(*image.names.functions[call.callee].type, call.symbol, false) + ";\n";
      }
    }
    write_header(prefix_ + "anchors.h", "what the hooks file names.", body);
  }

  // A prototype under a readable name for another symbol; works for calls as well as for the host's
  // definition.
  static std::string labelled(const FunctionType& type, const std::string& name,
                              const std::string& symbol) {
    std::string out = c_prototype(type, name, false);
    return (name == symbol ? out : out + " __asm__(\"" + symbol + "\")") + ";\n";
  }

  static std::string hex(uint32_t value) {
    char text[16];
    std::snprintf(text, sizeof text, "%x", value);
    return text;
  }

  Linker& linker_;
  const Hooks& hooks_;
  const EmitOptions& options_;
  std::string prefix_;
  std::set<fs::path> stale_;
};

}  // namespace

void emit_image(Linker& linker, const Hooks& hooks, const EmitOptions& options) {
  ImageWriter(linker, hooks, options).run();
}

}  // namespace calf::translator
