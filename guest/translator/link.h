// Links the main image and its side modules statically: gives each module its place in linear
// memory and in the table, resolves imports and GOT entries to constants and C symbols, and runs
// the side modules' relocating start functions at build time.
#pragma once

#include <map>
#include <memory>
#include <set>
#include <string>
#include <unordered_map>
#include <vector>

#include "emit_function.h"
#include "hooks.h"
#include "wasm_module.h"

namespace calf::translator {

// C functions of the host that stand in for imports which the image lacks: name to signature.
using Supplies = std::map<std::string, FunctionType>;
Supplies read_supplies(const std::string& path);

struct NamedValue {
  std::string name;
  uint32_t value = 0;
};

struct LinkedModule {
  std::unique_ptr<Module> module;
  std::string path;    // guest path, "" for the image
  std::string prefix;  // of its C symbols
  ModuleNames names;
  std::vector<std::string>
      body_symbols;  // by function index: symbol of the emitted body, "" if it is not emitted
  uint32_t memory_base = 0, memory_size = 0;
  uint32_t table_base = 0, table_size = 0;
  std::vector<NamedValue> function_exports, data_exports;  // sorted by name
  std::set<std::string> missing;
  std::string start, apply_relocations, call_constructors;  // C symbols or ""
};

struct LinkOptions {
  std::string prefix;  // of the image: "pg", "initdb"
  const Hooks* hooks = nullptr;
  const Supplies* supplies = nullptr;
};

class Linker {
 public:
  Linker(LinkOptions options, Module image);
  // `path` is the guest path. Modules are placed in the order of their paths.
  void add_side_module(const std::string& path, Module module);
  void link();

  LinkedModule& image() { return *modules_.front(); }
  const std::vector<std::unique_ptr<LinkedModule>>& modules() const {
    return modules_;
  }  // the image first
  const std::vector<CallTarget>& table() const { return table_; }
  const std::vector<uint32_t>& image_globals() const { return image_globals_; }
  // Functions that the host provides: symbol to type.
  const std::map<std::string, FunctionType>& host_imports() const { return host_imports_; }
  // invoke_* functions to generate: symbol to the type of the import (first parameter: table
  // index).
  const std::map<std::string, FunctionType>& invokes() const { return invokes_; }
  bool throws_longjmp() const { return throws_longjmp_; }
  std::string runtime_prefix() const {
    return options_.prefix == "pg" ? "calf_" : "calf_" + options_.prefix + '_';
  }
  std::string throw_symbol() const { return runtime_prefix() + "throw_longjmp"; }
  uint32_t slot_of(const std::string& symbol) const;  // 0 if it has none

 private:
  void name_functions(LinkedModule& linked);
  void place(LinkedModule& linked, uint64_t& next_address, uint32_t& next_slot);
  CallTarget resolve_import(LinkedModule& linked, const FunctionImport& import,
                            const FunctionType& type);
  CallTarget host_import(const FunctionImport& import, const FunctionType& type);
  void fill_table(const LinkedModule& linked);
  uint32_t slot_for(const CallTarget& target);
  void resolve_image_globals();
  void resolve_side_globals(LinkedModule& linked);
  uint32_t got_function(LinkedModule& linked, const std::string& name);
  uint32_t got_datum(LinkedModule& linked, const std::string& name);
  void evaluate_start(LinkedModule& linked);
  void collect_exports(LinkedModule& linked);
  std::string own_symbol(const LinkedModule& linked, const std::string& export_name) const;

  LinkOptions options_;
  std::vector<std::unique_ptr<LinkedModule>> modules_;
  std::vector<CallTarget> table_;
  std::unordered_map<std::string, uint32_t> slots_;
  std::unordered_map<std::string, uint32_t> image_functions_;  // export name to function index
  std::unordered_map<std::string, uint32_t> image_data_;       // export name to address
  std::vector<uint32_t> image_globals_;
  std::map<std::string, FunctionType> host_imports_, invokes_;
  bool throws_longjmp_ = false;
};

// Letters, digits and underscores only.
std::string sanitise(const std::string& name);

}  // namespace calf::translator
