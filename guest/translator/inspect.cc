#include "inspect.h"

#include <cstdio>
#include <cstdlib>

#include "function_facts.h"
#include "instructions.h"

namespace calf::translator {

const char kInspectHelp[] =
    "  function N|name       signature, names, table slots; calls, loads, stores and constants in "
    "order\n"
    "  calls N|name          the calls alone, numbered as anchors count them\n"
    "  string TEXT           addresses of the string and the functions that refer to it\n"
    "  strings PATTERN       strings that contain PATTERN, with the functions that refer to them\n"
    "  callers N|name        functions that call it, and its table slots\n"
    "  accesses ADDRESS      functions that load from or store to a constant address\n"
    "  constants VALUE       functions with this i32.const, and what consumes it\n"
    "  table [N [COUNT]]     what a slot of the table holds\n"
    "  exports [PATTERN]     exports whose name contains PATTERN\n"
    "  imports               imported functions\n"
    "  data ADDRESS LENGTH   initial memory as words, bytes and text\n"
    "  words VALUE           addresses in initial memory whose aligned word is VALUE\n"
    "  disasm N|name         the instructions\n";

namespace {

uint32_t parse_number(const std::string& text) {
  char* end = nullptr;
  unsigned long value = std::strtoul(text.c_str(), &end, 0);
  if (text.empty() || *end) fail("not a number: " + text);
  return static_cast<uint32_t>(value);
}

std::string quote(const std::string& text) {
  std::string out = "\"";
  for (char c : text) {
    if (c == '\n')
      out += "\\n";
    else if (c == '\t')
      out += "\\t";
    else if (c == '"')
      out += "\\\"";
    else
      out += c;
  }
  return out + '"';
}

class Inspector {
 public:
  explicit Inspector(const Module& module)
      : module_(module), memory_(module), table_(initial_table(module)) {}

  void run(const std::vector<std::string>& arguments) {
    const std::string& command = arguments.at(0);
    auto argument = [&](size_t n) {
      if (n >= arguments.size()) fail("inspect " + command + " wants more arguments");
      return arguments[n];
    };
    if (command == "function")
      show_function(find(argument(1)), false);
    else if (command == "calls")
      show_function(find(argument(1)), true);
    else if (command == "string")
      show_string(argument(1));
    else if (command == "strings")
      show_strings(argument(1));
    else if (command == "callers")
      show_callers(find(argument(1)));
    else if (command == "accesses")
      show_accesses(parse_number(argument(1)));
    else if (command == "constants")
      show_constants(parse_number(argument(1)));
    else if (command == "table")
      show_table(arguments.size() > 1 ? parse_number(arguments[1]) : 0,
                 arguments.size() > 2   ? parse_number(arguments[2])
                 : arguments.size() > 1 ? 1
                                        : UINT32_MAX);
    else if (command == "exports")
      show_exports(arguments.size() > 1 ? arguments[1] : "");
    else if (command == "imports")
      show_imports();
    else if (command == "data")
      show_data(parse_number(argument(1)), parse_number(argument(2)));
    else if (command == "words")
      show_words(parse_number(argument(1)));
    else if (command == "disasm")
      show_instructions(find(argument(1)));
    else
      fail("unknown inspection: " + command + "\n" + kInspectHelp);
  }

 private:
  uint32_t find(const std::string& name) const {
    std::string digits =
        name.size() > 1 && name[0] == 'f' && isdigit(name[1]) ? name.substr(1) : name;
    if (isdigit(digits[0])) {
      uint32_t function = parse_number(digits);
      if (function >= module_.function_count()) fail("no function " + name);
      return function;
    }
    if (const Export* item = module_.find_export(name, ExportKind::kFunction)) return item->index;
    for (uint32_t i = 0; i < module_.function_imports.size(); ++i) {
      if (module_.function_imports[i].name == name) return i;
    }
    fail("no function is exported or imported as " + name);
  }

  std::string label(uint32_t function) const {
    std::string out = "f" + std::to_string(function);
    std::vector<std::string> names = module_.names_of(function);
    if (!names.empty()) out += " " + names[0];
    return out;
  }

  // A constant for people: with the string, exported datum or function that it may stand for.
  std::string constant_text(uint64_t value) const {
    auto as_word = static_cast<uint32_t>(value);
    std::string out = std::to_string(static_cast<int32_t>(as_word));
    if (as_word < 1024) return out;
    if (auto text = memory_.text(as_word)) return out + " " + quote(*text);
    for (const Export& item : module_.exports) {
      if (item.kind == ExportKind::kGlobal && !module_.globals[item.index].is_mutable &&
          module_.globals[item.index].initial.constant == as_word) {
        return out + " &" + item.name;
      }
    }
    return out;
  }
  std::string operand(const Constant& constant) const {
    return constant ? constant_text(*constant) : "?";
  }

  std::string slots_of(uint32_t function) const {
    std::string out;
    for (auto [slot, item] : table_) {
      if (item == function) out += " " + std::to_string(slot);
    }
    return out;
  }

  void show_function(uint32_t function, bool calls_only) const {
    std::printf("%s  %s\n", label(function).c_str(),
                signature_text(module_.type_of(function)).c_str());
    for (const std::string& name : module_.names_of(function))
      std::printf("  name %s\n", name.c_str());
    if (std::string slots = slots_of(function); !slots.empty())
      std::printf("  table%s\n", slots.c_str());
    if (module_.is_import(function)) return;
    const FunctionBody& body = module_.body(function);
    std::printf("  body %td bytes, %zu locals\n", body.end - body.begin, body.locals.size());
    FunctionFacts facts = gather_facts(module_, function);
    uint32_t direct = 0;
    for (auto [kind, index] : facts.order) {
      switch (kind) {
        case FunctionFacts::Kind::kCall:
          show_call(facts.calls[index], direct);
          break;
        case FunctionFacts::Kind::kLoad:
          if (!calls_only && facts.loads[index].address)
            show_access("load", index, facts.loads[index]);
          break;
        case FunctionFacts::Kind::kStore:
          if (!calls_only) show_access("store", index, facts.stores[index]);
          break;
        case FunctionFacts::Kind::kConstant:
          if (!calls_only) show_constant(facts.constants[index]);
          break;
      }
    }
  }

  void show_call(const CallFact& call, uint32_t& direct) const {
    std::string arguments;
    for (const Constant& value : call.arguments) {
      if (!arguments.empty()) arguments += ", ";
      arguments += operand(value);
    }
    if (call.indirect) {
      std::printf("  call indirect %s [%s] (%s)\n",
                  signature_text(module_.types[call.callee]).c_str(),
                  operand(call.table_index).c_str(), arguments.c_str());
    } else {
      std::printf("  call[%u] %s(%s)\n", direct++, label(call.callee).c_str(), arguments.c_str());
    }
  }

  void show_access(const char* what, uint32_t index, const AccessFact& access) const {
    std::printf("  %s[%u] %s ", what, index, opcode_name(access.opcode).c_str());
    if (access.address)
      std::printf("[%s]", constant_text(*access.address).c_str());
    else
      std::printf("[? + %u]", access.offset);
    if (is_store(access.opcode)) std::printf(" = %s", operand(access.value).c_str());
    std::printf("\n");
  }

  // Strings, and constants that are compared with something; the rest would only be noise.
  void show_constant(const ConstantFact& fact) const {
    bool compared = fact.consumer == kI32Eq || fact.consumer == kI32Ne;
    if (compared || (fact.value >= 1024 && memory_.text(fact.value) && fact.consumer != kCall)) {
      std::printf("    const %s  -> %s\n", constant_text(fact.value).c_str(),
                  opcode_name(fact.consumer).c_str());
    }
  }

  template <typename Visit>
  void each_function(Visit visit) const {
    for (uint32_t i = static_cast<uint32_t>(module_.function_imports.size());
         i < module_.function_count(); ++i) {
      visit(i, gather_facts(module_, i));
    }
  }

  void show_constant_users(uint32_t value) const {
    each_function([&](uint32_t function, const FunctionFacts& facts) {
      for (const ConstantFact& fact : facts.constants) {
        if (fact.value == value) {
          std::printf("  %s %s  -> %s\n", label(function).c_str(),
                      signature_text(module_.type_of(function)).c_str(),
                      opcode_name(fact.consumer).c_str());
        }
      }
    });
  }

  void show_string(const std::string& text) const {
    for (uint32_t address : memory_.find_string(text)) {
      std::printf("%u (0x%x) %s\n", address, address, quote(text).c_str());
      show_constant_users(address);
    }
  }

  void show_strings(const std::string& pattern) const {
    std::map<uint32_t, std::vector<uint32_t>> users;
    each_function([&](uint32_t function, const FunctionFacts& facts) {
      for (const ConstantFact& fact : facts.constants) {
        if (fact.value >= 1024) users[fact.value].push_back(function);
      }
    });
    for (const auto& [address, functions] : users) {
      auto text = memory_.text(address);
      if (!text || text->find(pattern) == std::string::npos) continue;
      std::printf("%u %s\n", address, quote(*text).c_str());
      for (uint32_t function : functions) std::printf("    %s\n", label(function).c_str());
    }
  }

  void show_callers(uint32_t callee) const {
    std::printf("%s  table slots:%s\n", label(callee).c_str(), slots_of(callee).c_str());
    each_function([&](uint32_t function, const FunctionFacts& facts) {
      uint32_t n = 0;
      for (uint32_t item : facts.direct_callees()) {
        if (item == callee) std::printf("  %s  call[%u]\n", label(function).c_str(), n);
        ++n;
      }
    });
    for (auto [slot, item] : table_) {
      if (item != callee) continue;
      std::printf("  functions with the constant %u (its table slot):\n", slot);
      if (slot >= 256) show_constant_users(slot);
    }
  }

  void show_accesses(uint32_t address) const {
    each_function([&](uint32_t function, const FunctionFacts& facts) {
      auto show = [&](const char* what, const std::vector<AccessFact>& list) {
        for (uint32_t i = 0; i < list.size(); ++i) {
          if (list[i].address == address) {
            std::printf("%s", label(function).c_str());
            show_access(what, i, list[i]);
          }
        }
      };
      show("load", facts.loads);
      show("store", facts.stores);
    });
  }

  void show_constants(uint32_t value) const { show_constant_users(value); }

  void show_table(uint32_t first, uint32_t count) const {
    for (auto at = table_.lower_bound(first); at != table_.end() && at->first - first < count;
         ++at) {
      std::printf("%u %s %s\n", at->first, label(at->second).c_str(),
                  signature_text(module_.type_of(at->second)).c_str());
    }
  }

  void show_exports(const std::string& pattern) const {
    for (const Export& item : module_.exports) {
      if (item.name.find(pattern) == std::string::npos) continue;
      if (item.kind == ExportKind::kFunction) {
        std::printf("function %s f%u %s%s%s\n", item.name.c_str(), item.index,
                    signature_text(module_.type_of(item.index)).c_str(),
                    slots_of(item.index).empty() ? "" : " table", slots_of(item.index).c_str());
      } else if (item.kind == ExportKind::kGlobal) {
        std::printf("datum %s %llu\n", item.name.c_str(),
                    static_cast<unsigned long long>(module_.globals[item.index].initial.constant));
      }
    }
  }

  void show_imports() const {
    for (uint32_t i = 0; i < module_.function_imports.size(); ++i) {
      std::printf("f%u %s.%s %s\n", i, module_.function_imports[i].module.c_str(),
                  module_.function_imports[i].name.c_str(),
                  signature_text(module_.type_of(i)).c_str());
    }
    for (const Global& global : module_.globals) {
      if (global.imported())
        std::printf("global %s.%s\n", global.import_module.c_str(), global.import_name.c_str());
    }
  }

  void show_data(uint32_t address, uint32_t length) const {
    for (uint32_t at = address; at < address + length; at += 4) {
      auto word = memory_.word(at);
      if (!word) break;
      std::printf("%u (0x%x)  %08x  ", at, at, *word);
      for (uint32_t i = 0; i < 4; ++i) {
        uint8_t c = memory_.bytes()[at + i];
        std::putchar(c >= 0x20 && c < 0x7f ? c : '.');
      }
      std::printf("  %s", constant_text(*word).c_str());
      if (auto entry = table_.find(*word); entry != table_.end()) {
        std::printf("  table: %s", label(entry->second).c_str());
      }
      std::printf("\n");
    }
  }

  void show_words(uint32_t value) const {
    for (uint32_t at = 0; at + 4 <= memory_.bytes().size(); at += 4) {
      if (memory_.word(at) == value) std::printf("%u (0x%x)\n", at, at);
    }
  }

  void show_instructions(uint32_t function) const {
    std::printf("%s %s\n", label(function).c_str(),
                signature_text(module_.type_of(function)).c_str());
    if (module_.is_import(function)) return;
    InstructionReader reader(module_, module_.body(function));
    Instruction instruction;
    int depth = 1;
    while (reader.next(instruction)) {
      uint16_t opcode = instruction.opcode;
      if (opcode == kEnd || opcode == kElse) --depth;
      std::printf("%*s%s", depth * 2, "", opcode_name(opcode).c_str());
      show_immediates(instruction);
      std::printf("\n");
      if (opcode == kBlock || opcode == kLoop || opcode == kIf || opcode == kElse) ++depth;
    }
  }

  void show_immediates(const Instruction& instruction) const {
    switch (instruction.opcode) {
      case kCall:
        std::printf(" %s", label(static_cast<uint32_t>(instruction.value)).c_str());
        return;
      case kCallIndirect:
        std::printf(" %s", signature_text(module_.types.at(instruction.value)).c_str());
        return;
      case kI32Const:
        std::printf(" %s", constant_text(instruction.value).c_str());
        return;
      case kI64Const:
        std::printf(" %lld", static_cast<long long>(instruction.value));
        return;
      case kF32Const:
      case kF64Const:
        std::printf(" 0x%llx", static_cast<unsigned long long>(instruction.value));
        return;
      case kBr:
      case kBrIf:
      case kLocalGet:
      case kLocalSet:
      case kLocalTee:
      case kGlobalGet:
      case kGlobalSet:
        std::printf(" %llu", static_cast<unsigned long long>(instruction.value));
        return;
      case kBrTable:
        for (uint32_t target : instruction.targets) std::printf(" %u", target);
        return;
      default:
        if (is_load(instruction.opcode) || is_store(instruction.opcode)) {
          std::printf(" offset=%llu", static_cast<unsigned long long>(instruction.value));
        }
    }
  }

  const Module& module_;
  InitialMemory memory_;
  std::map<uint32_t, uint32_t> table_;
};

}  // namespace

void inspect(const Module& module, const std::vector<std::string>& arguments) {
  if (arguments.empty()) fail(std::string("inspect what?\n") + kInspectHelp);
  Inspector(module).run(arguments);
}

}  // namespace calf::translator
