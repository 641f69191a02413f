#include "link.h"

#include <algorithm>
#include <fstream>
#include <sstream>

#include "instructions.h"

namespace calf::translator {
namespace {

constexpr uint64_t kSideModulesBegin = 0x80000000;  // the image's memory ends below
constexpr uint64_t kSideModulesEnd = 0xffff0000;
constexpr uint64_t kPage = 65536;
constexpr size_t kGlobalSlots = 8;  // CALF_GLOBAL_SLOTS of calf_abi.h

// Names for which Emscripten's loader, not a module, is responsible.
bool is_throw(const FunctionImport& import) {
  return import.name == "_emscripten_throw_longjmp";
}
bool is_invoke(const FunctionImport& import) {
  return import.name.starts_with("invoke_");
}

std::string stem(const std::string& path) {
  std::string name = path.substr(path.rfind('/') + 1);
  return name.substr(0, name.rfind('.'));
}

}  // namespace

std::string sanitise(const std::string& name) {
  std::string out = name;
  for (char& c : out) {
    if (!isalnum(static_cast<unsigned char>(c))) c = '_';
  }
  return out;
}

Supplies read_supplies(const std::string& path) {
  Supplies supplies;
  std::ifstream in(path);
  if (!in) fail("cannot read " + path);
  for (std::string text; std::getline(in, text);) {
    std::istringstream words(text.substr(0, text.find('#')));
    std::string name, signature;
    if (words >> name >> signature) supplies[name] = parse_signature(signature);
  }
  return supplies;
}

Linker::Linker(LinkOptions options, Module image) : options_(std::move(options)) {
  auto linked = std::make_unique<LinkedModule>();
  linked->module = std::make_unique<Module>(std::move(image));
  linked->prefix = options_.prefix + '_';
  modules_.push_back(std::move(linked));
}

void Linker::add_side_module(const std::string& path, Module module) {
  if (!module.dynamic.present) fail(path + ": not a side module (no dylink.0 section)");
  auto linked = std::make_unique<LinkedModule>();
  linked->module = std::make_unique<Module>(std::move(module));
  linked->path = path;
  linked->prefix = sanitise(stem(path)) + '_';
  modules_.push_back(std::move(linked));
}

void Linker::name_functions(LinkedModule& linked) {
  const Module& module = *linked.module;
  bool is_image = linked.path.empty();
  linked.names.module = &module;
  linked.names.table = &table_;
  linked.names.functions.resize(module.function_count());
  linked.body_symbols.resize(module.function_count());
  std::vector<std::string> export_names(module.function_count());
  for (const Export& item : module.exports) {
    if (item.kind == ExportKind::kFunction && export_names[item.index].empty())
      export_names[item.index] = item.name;
  }
  std::set<std::string> taken;
  for (uint32_t i = static_cast<uint32_t>(module.function_imports.size());
       i < module.function_count(); ++i) {
    std::string plain = linked.prefix + 'f' + std::to_string(i);
    std::string symbol =
        is_image && !export_names[i].empty() ? linked.prefix + sanitise(export_names[i]) : plain;
    std::string body = symbol;
    const FunctionHook* hook =
        is_image && options_.hooks ? options_.hooks->find_function(i) : nullptr;
    if (!taken.insert(symbol).second) symbol = body = plain;
    // A hook does not change the symbol, so that the code of the callers, and with it their
    // objects, stay the same: the header for the host gives the symbol its readable name.
    if (hook && hook->action == FunctionAction::kReplace) body = "";
    if (hook && hook->action == FunctionAction::kWrap) body = symbol + "_original";
    linked.names.functions[i] = {symbol, &module.type_of(i)};
    linked.body_symbols[i] = body;
  }
}

void Linker::place(LinkedModule& linked, uint64_t& next_address, uint32_t& next_slot) {
  const DynamicLinkInfo& info = linked.module->dynamic;
  uint64_t alignment = std::max(kPage, uint64_t{1} << info.memory_alignment);
  next_address = (next_address + alignment - 1) / alignment * alignment;
  linked.memory_base = static_cast<uint32_t>(next_address);
  linked.memory_size = info.memory_size;
  next_address += info.memory_size;
  if (next_address > kSideModulesEnd) fail("the side modules do not fit into linear memory");
  uint32_t table_alignment = 1u << info.table_alignment;
  next_slot = (next_slot + table_alignment - 1) / table_alignment * table_alignment;
  linked.table_base = next_slot;
  linked.table_size = info.table_size;
  next_slot += info.table_size;
}

CallTarget Linker::host_import(const FunctionImport& import, const FunctionType& type) {
  if (is_throw(import)) {
    throws_longjmp_ = true;
    return {throw_symbol(), &type};
  }
  std::string symbol;
  if (is_invoke(import)) {
    symbol = runtime_prefix() + import.name;
    auto [at, added] = invokes_.emplace(symbol, type);
    if (!added && at->second != type) fail(import.name + ": imported with two signatures");
    return {symbol, &type};
  }
  std::string from = import.module == "wasi_snapshot_preview1" ? "wasi" : sanitise(import.module);
  symbol = "calf_import_" + from + '_' + sanitise(import.name);
  auto [at, added] = host_imports_.emplace(symbol, type);
  if (!added && at->second != type) fail(symbol + ": imported with two signatures");
  return {symbol, &type};
}

CallTarget Linker::resolve_import(LinkedModule& linked, const FunctionImport& import,
                                  const FunctionType& type) {
  if (linked.path.empty() || is_invoke(import) || is_throw(import))
    return host_import(import, type);
  auto check = [&](const CallTarget& target) {
    if (*target.type != type) {
      fail(linked.path + ": imports " + import.name + ' ' + signature_text(type) + " but it is " +
           signature_text(*target.type));
    }
    return target;
  };
  if (auto at = image_functions_.find(import.name); at != image_functions_.end()) {
    return check(image().names.functions[at->second]);
  }
  if (import.name == "getTempRet0" ||
      import.name == "setTempRet0") {  // Emscripten's loader wires these two
    std::string name =
        import.name == "getTempRet0" ? "_emscripten_tempret_get" : "_emscripten_tempret_set";
    if (auto at = image_functions_.find(name); at != image_functions_.end()) {
      return check(image().names.functions[at->second]);
    }
  }
  if (options_.supplies) {
    auto at = options_.supplies->find(import.name);
    if (at != options_.supplies->end()) return check({"calf_supply_" + import.name, &at->second});
  }
  if (const Export* own = linked.module->find_export(import.name, ExportKind::kFunction)) {
    return check(linked.names.functions[own->index]);
  }
  for (const FunctionImport& item :
       image().module->function_imports) {  // what Emscripten's loader gives to both
    if (item.name == import.name && item.module == import.module) return host_import(import, type);
  }
  linked.missing.insert(import.name);
  return {"", &type};
}

void Linker::fill_table(const LinkedModule& linked) {
  for (const ElementSegment& segment : linked.module->elements) {
    uint32_t slot = static_cast<uint32_t>(segment.offset.constant) +
                    (segment.offset.global ? linked.table_base : 0);
    for (uint32_t function : segment.functions) {
      if (slot >= table_.size())
        fail(linked.path + ": element segment is outside its part of the table");
      table_[slot] = linked.names.functions[function];
      if (!table_[slot].symbol.empty()) slots_.emplace(table_[slot].symbol, slot);
      ++slot;
    }
  }
}

uint32_t Linker::slot_of(const std::string& symbol) const {
  auto at = slots_.find(symbol);
  return at == slots_.end() ? 0 : at->second;
}

uint32_t Linker::slot_for(const CallTarget& target) {
  auto [at, added] = slots_.emplace(target.symbol, static_cast<uint32_t>(table_.size()));
  if (added) table_.push_back(target);
  return at->second;
}

void Linker::resolve_image_globals() {
  LinkedModule& linked = image();
  const Module& module = *linked.module;
  for (const Global& global : module.globals) {
    if (global.imported() || global.initial.global)
      fail(module.name + ": the image may not import globals");
    if (!global.is_mutable) {
      linked.names.global_value.emplace_back(global.initial.constant);
      linked.names.global_slot.push_back(-1);
      continue;
    }
    if (global.type != ValueType::kI32) fail(module.name + ": a mutable global that is not i32");
    if (image_globals_.size() == kGlobalSlots) fail(module.name + ": too many mutable globals");
    linked.names.global_value.emplace_back();
    linked.names.global_slot.push_back(static_cast<int>(image_globals_.size()));
    image_globals_.push_back(static_cast<uint32_t>(global.initial.constant));
  }
  for (const Export& item : module.exports) {
    if (item.kind == ExportKind::kFunction) image_functions_.emplace(item.name, item.index);
    if (item.kind == ExportKind::kGlobal && !module.globals[item.index].is_mutable) {
      image_data_.emplace(item.name,
                          static_cast<uint32_t>(module.globals[item.index].initial.constant));
    }
  }
}

uint32_t Linker::got_function(LinkedModule& linked, const std::string& name) {
  if (const Export* own = linked.module->find_export(name, ExportKind::kFunction)) {
    const CallTarget& target = linked.names.functions[own->index];
    if (!target.symbol.empty()) return slot_for(target);
  }
  if (auto at = image_functions_.find(name); at != image_functions_.end()) {
    return slot_for(image().names.functions[at->second]);
  }
  if (options_.supplies) {
    auto at = options_.supplies->find(name);
    if (at != options_.supplies->end()) return slot_for({"calf_supply_" + name, &at->second});
  }
  linked.missing.insert(name);
  return 0;
}

uint32_t Linker::got_datum(LinkedModule& linked, const std::string& name) {
  if (const Export* own = linked.module->find_export(name, ExportKind::kGlobal)) {
    const Global& global = linked.module->globals[own->index];
    if (!global.is_mutable)
      return static_cast<uint32_t>(global.initial.constant) + linked.memory_base;
  }
  if (auto at = image_data_.find(name); at != image_data_.end()) return at->second;
  linked.missing.insert(name);
  return 0;
}

void Linker::resolve_side_globals(LinkedModule& linked) {
  const Module& module = *linked.module;
  for (const Global& global : module.globals) {
    std::optional<uint64_t> value;
    int slot = -1;
    if (!global.imported()) {
      value = global.initial.constant;
      if (global.initial.global)
        *value += linked.names.global_value.at(*global.initial.global).value();
    } else if (global.import_module == "GOT.func") {
      value = got_function(linked, global.import_name);
    } else if (global.import_module == "GOT.mem") {
      value = got_datum(linked, global.import_name);
    } else if (global.import_name == "__memory_base") {
      value = linked.memory_base;
    } else if (global.import_name == "__table_base") {
      value = linked.table_base;
    } else if (global.import_name == "__stack_pointer") {
      slot = 0;
    } else {
      fail(linked.path + ": imports the unknown global " + global.import_name);
    }
    linked.names.global_value.push_back(value);
    linked.names.global_slot.push_back(slot);
  }
  evaluate_start(linked);
}

namespace {

void check_zeroed(const LinkedModule& linked, uint64_t address, uint64_t size, uint64_t byte) {
  bool inside = address >= linked.memory_base &&
                address + size <= uint64_t{linked.memory_base} + linked.memory_size;
  for (const DataSegment& segment : linked.module->data) {
    uint64_t begin = segment.offset.constant + (segment.offset.global ? linked.memory_base : 0);
    if (begin < address + size && address < begin + segment.size) inside = false;
  }
  if (!inside || byte != 0)
    fail(linked.path + ": the start function fills memory that is not its zeroed data");
}

}  // namespace

// The start function of a side module only does `global = base + constant`. Its effect is the same
// in every process, so it happens here. Any other write to one of the module's own globals could
// not be shared and is refused.
void Linker::evaluate_start(LinkedModule& linked) {
  const Module& module = *linked.module;
  std::vector<uint64_t> stack;
  Instruction instruction;
  if (module.start) {
    InstructionReader reader(module, module.body(*module.start));
    while (reader.next(instruction)) {
      auto operand = [&] {
        if (stack.empty()) fail(linked.path + ": the start function underflows");
        uint64_t value = stack.back();
        stack.pop_back();
        return value;
      };
      switch (instruction.opcode) {
        case kI32Const:
        case kI64Const:
          stack.push_back(instruction.value);
          break;
        case kI32Add:
          stack.push_back(static_cast<uint32_t>(operand() + operand()));
          break;
        case kGlobalGet:
          stack.push_back(linked.names.global_value.at(instruction.value).value());
          break;
        case kGlobalSet:
          linked.names.global_value.at(instruction.value) = operand();
          break;
        case kEnd:
          break;
        case kMemoryFill: {
          // Zeroing what is zero when the module is loaded: nothing remains to be done.
          uint64_t size = operand(), byte = operand(), address = operand();
          check_zeroed(linked, address, size, byte);
          break;
        }
        case 0x36:
        case 0x37:
        case 0x3a:
        case 0x3b: {  // a few bytes are zeroed by stores
          uint64_t bits = operand(), address = operand() + instruction.value;
          check_zeroed(linked, address,
                       instruction.opcode == 0x37   ? 8
                       : instruction.opcode == 0x36 ? 4
                                                    : 1,
                       bits);
          break;
        }
        default:
          fail(linked.path + ": the start function does more than relocate globals: " +
               opcode_name(instruction.opcode));
      }
    }
    linked.body_symbols[*module.start] = "";
  }
  for (uint32_t i = static_cast<uint32_t>(module.function_imports.size());
       i < module.function_count(); ++i) {
    if (module.start == i) continue;
    InstructionReader reader(module, module.body(i));
    while (reader.next(instruction)) {
      if (instruction.opcode == kGlobalSet && linked.names.global_slot.at(instruction.value) < 0) {
        fail(linked.path + ": function " + std::to_string(i) + " changes the module's global " +
             std::to_string(instruction.value) + " at run time; every process would need its own");
      }
    }
  }
}

std::string Linker::own_symbol(const LinkedModule& linked, const std::string& export_name) const {
  const Export* item = linked.module->find_export(export_name, ExportKind::kFunction);
  return item ? linked.names.functions[item->index].symbol : "";
}

void Linker::collect_exports(LinkedModule& linked) {
  const Module& module = *linked.module;
  for (const Export& item : module.exports) {
    if (item.kind == ExportKind::kFunction) {
      const CallTarget& target = linked.names.functions[item.index];
      if (!target.symbol.empty() && linked.module->start != item.index) {
        linked.function_exports.push_back({item.name, slot_for(target)});
      }
    } else if (item.kind == ExportKind::kGlobal) {
      const Global& global = module.globals[item.index];
      if (global.imported() || (linked.path.empty() && global.is_mutable)) continue;
      // Addresses are exported relative to the module's base, unless the start function has made
      // them absolute.
      uint32_t value = static_cast<uint32_t>(linked.names.global_value[item.index].value());
      linked.data_exports.push_back(
          {item.name, global.is_mutable ? value : value + linked.memory_base});
    }
  }
  auto by_name = [](const NamedValue& a, const NamedValue& b) { return a.name < b.name; };
  std::sort(linked.function_exports.begin(), linked.function_exports.end(), by_name);
  std::sort(linked.data_exports.begin(), linked.data_exports.end(), by_name);
  linked.apply_relocations = own_symbol(linked, "__wasm_apply_data_relocs");
  linked.call_constructors = own_symbol(linked, "__wasm_call_ctors");
}

void Linker::link() {
  std::sort(modules_.begin() + 1, modules_.end(),
            [](const auto& a, const auto& b) { return a->path < b->path; });
  for (auto& linked : modules_) name_functions(*linked);
  resolve_image_globals();
  LinkedModule& main = image();
  if (main.module->memory_maximum * kPage > kSideModulesBegin)
    fail("the image's memory reaches into the side modules'");
  uint64_t next_address = kSideModulesBegin;
  uint32_t next_slot = main.module->table_initial;
  main.table_size = next_slot;
  auto heap = image_data_.find("__heap_base");
  main.memory_size = heap == image_data_.end() ? 0 : heap->second;
  if (main.module->start) main.start = main.names.functions[*main.module->start].symbol;
  for (auto& linked : modules_) {
    if (linked.get() != &main) place(*linked, next_address, next_slot);
    for (uint32_t i = 0; i < linked->module->function_imports.size(); ++i) {
      linked->names.functions[i] =
          resolve_import(*linked, linked->module->function_imports[i], linked->module->type_of(i));
    }
  }
  table_.resize(next_slot);
  for (auto& linked : modules_) fill_table(*linked);
  for (auto& linked : modules_) {
    if (linked.get() != &main) resolve_side_globals(*linked);
    collect_exports(*linked);
  }
}

}  // namespace calf::translator
