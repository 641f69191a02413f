#include "hooks.h"

#include <algorithm>
#include <cstdio>
#include <cstdlib>
#include <set>
#include <unordered_map>

#include "function_facts.h"
#include "hooks_file.h"
#include "link.h"

namespace calf::translator {
namespace {

using FunctionSet = std::set<uint32_t>;

class Resolver {
 public:
  Resolver(const std::string& path, const Module& module)
      : path_(path),
        module_(module),
        memory_(module),
        table_(initial_table(module)),
        entries_(parse_hooks_file(path)) {
    for (uint32_t i = 0; i < module.function_count(); ++i)
      facts_.push_back(gather_facts(module, i));
    for (const HookEntry& entry : entries_) {
      if (entry.kind != "function" && entry.kind != "global" && entry.kind != "offset" &&
          entry.kind != "constant") {
        fail(at(entry.line) + "unknown kind of entry: " + entry.kind);
      }
      if (sanitise(entry.name) != entry.name)
        fail(at(entry.line) + entry.name + " is no C identifier");
      if (!by_name_.emplace(entry.name, &entry).second)
        fail(at(entry.line) + entry.name + " is there twice");
    }
  }

  Hooks run() {
    for (const HookEntry& entry : entries_) {
      if (entry.kind == "function")
        add_function(entry);
      else if (entry.kind == "global")
        hooks_.addresses.push_back({entry.name, value_of(entry)});
      else if (entry.kind == "offset")
        hooks_.offsets.push_back({entry.name, value_of(entry)});
      else
        hooks_.constants.push_back({entry.name, value_of(entry)});
    }
    for (const HookEntry& entry : entries_) note_changes(entry);
    return std::move(hooks_);
  }

 private:
  std::string at(int line) const { return path_ + ':' + std::to_string(line) + ": "; }
  std::string label(uint32_t function) const {
    std::string out = "f" + std::to_string(function);
    for (const std::string& name : module_.names_of(function)) out += ' ' + name;
    return out + ' ' + signature_text(module_.type_of(function));
  }
  template <typename Set>
  std::string candidates(const Set& functions) const {
    if (functions.empty()) return " none";
    std::string out;
    size_t shown = 0;
    for (uint32_t function : functions) {
      if (++shown > 12) return out + "\n    … " + std::to_string(functions.size()) + " in all";
      out += "\n    " + label(function);
    }
    return out;
  }

  // `check N` is what was found once; that it moves with a release is normal and only worth a line.
  void note_changes(const HookEntry& entry) const {
    for (const HookLine& line : entry.lines) {
      if (line.words[0] != "check" || results_.at(&entry) == number(line, 1)) continue;
      std::printf("%s%s is %u now, was %u\n", at(line.number).c_str(), entry.name.c_str(),
                  results_.at(&entry), number(line, 1));
    }
  }

  // --- entries

  void add_function(const HookEntry& entry) {
    uint32_t function = function_of(entry);
    FunctionHook hook;
    hook.name = entry.name;
    hook.function = function;
    for (const HookLine& line : entry.lines) {
      const std::string& word = line.words[0];
      if (word == "action") hook.action = action(line);
      if (word == "replace-call") {
        hooks_.patches[function].calls.push_back({named_function(this->word(line, 1), line),
                                                  number(line, 2), "pg_" + this->word(line, 3)});
      }
      if (word == "resumable-call") {
        if (hooks_.patches[function].resumable_call)
          fail(at(line.number) + entry.name + " has a resumable call already");
        hooks_.patches[function].resumable_call = named_function(this->word(line, 1), line);
      }
      if (word == "pid-constant") hooks_.patches[function].pid_constants.insert(number(line, 1));
    }
    if (module_.is_import(function)) {
      if (hook.action != FunctionAction::kName)
        fail(at(entry.line) + entry.name + " is an import; the host has it already");
      return;
    }
    if (hook.action == FunctionAction::kReplace && hooks_.patches.contains(function)) {
      fail(at(entry.line) + entry.name + ": a replaced body cannot be patched");
    }
    auto [present, added] = hooks_.functions.emplace(function, hook);
    if (!added)
      fail(at(entry.line) + entry.name + " is the same function as " + present->second.name + ": " +
           label(function));
    if (const Export* item = module_.find_export(entry.name, ExportKind::kFunction);
        item && item->index != function) {
      fail(at(entry.line) + entry.name + " is " + label(function) +
           " but the image exports another function of this name");
    }
  }

  FunctionAction action(const HookLine& line) const {
    std::string word = line.words.size() == 2 ? line.words[1] : "";
    if (word == "name") return FunctionAction::kName;
    if (word == "replace") return FunctionAction::kReplace;
    if (word == "wrap") return FunctionAction::kWrap;
    fail(at(line.number) + "action is name, replace or wrap");
  }

  uint32_t number(const HookLine& line, size_t n) const {
    if (n >= line.words.size()) fail(at(line.number) + "a number is missing: " + line.text);
    char* end = nullptr;
    long long value = std::strtoll(line.words[n].c_str(), &end, 0);
    if (*end) fail(at(line.number) + "not a number: " + line.words[n]);
    return static_cast<uint32_t>(value);
  }
  const std::string& word(const HookLine& line, size_t n) const {
    if (n >= line.words.size()) fail(at(line.number) + "something is missing: " + line.text);
    return line.words[n];
  }
  void expect_word(const HookLine& line, size_t n, const char* wanted) const {
    if (word(line, n) != wanted)
      fail(at(line.number) + "expected '" + wanted + "' instead of '" + line.words[n] + '\'');
  }

  // A function by the name of another entry, an export or an import.
  uint32_t named_function(const std::string& name, const HookLine& line) {
    if (auto entry = by_name_.find(name);
        entry != by_name_.end() && entry->second->kind == "function") {
      return function_of(*entry->second);
    }
    if (const Export* item = module_.find_export(name, ExportKind::kFunction)) return item->index;
    for (uint32_t i = 0; i < module_.function_imports.size(); ++i) {
      if (module_.function_imports[i].name == name) return i;
    }
    fail(at(line.number) + "no entry, export or import is called " + name);
  }
  uint32_t named_address(const std::string& name, const HookLine& line) {
    if (auto entry = by_name_.find(name);
        entry != by_name_.end() && entry->second->kind == "global") {
      return value_of(*entry->second);
    }
    return exported_datum(name, line);
  }
  uint32_t exported_datum(const std::string& name, const HookLine& line) const {
    if (const Export* item = module_.find_export(name, ExportKind::kGlobal)) {
      return static_cast<uint32_t>(module_.globals[item->index].initial.constant);
    }
    fail(at(line.number) + "no entry and no exported datum is called " + name);
  }

  // Entries may refer to each other in any order, but not in a circle.
  template <typename Compute>
  uint32_t once(const HookEntry& entry, Compute compute) {
    if (auto known = results_.find(&entry); known != results_.end()) return known->second;
    if (!in_progress_.insert(&entry).second)
      fail(at(entry.line) + entry.name + " refers to itself in a circle");
    uint32_t result = compute();
    in_progress_.erase(&entry);
    results_[&entry] = result;
    return result;
  }

  static bool is_remark(const std::string& word) {
    return word == "action" || word == "check" || word == "pid-constant" || word == "expect" ||
           word == "initial" || word == "replace-call" || word == "resumable-call";
  }

  // --- functions

  uint32_t function_of(const HookEntry& entry) {
    return once(entry, [&] {
      std::optional<FunctionSet> left;
      std::string story;
      for (const HookLine& line : entry.lines) {
        if (is_remark(line.words[0])) continue;
        FunctionSet found = functions_for(line);
        story += "\n  '" + line.text + "' (line " + std::to_string(line.number) +
                 "):" + candidates(found);
        if (!left) {
          left = found;
        } else {
          std::erase_if(*left, [&](uint32_t function) { return !found.contains(function); });
        }
      }
      if (!left) fail(at(entry.line) + entry.name + " has no anchor");
      filter_by_signature(entry, *left, story);
      if (left->size() != 1) {
        fail(at(entry.line) + "the anchors of " + entry.name + " fit " +
             std::to_string(left->size()) + " functions instead of one:" + candidates(*left) +
             story);
      }
      return *left->begin();
    });
  }

  void filter_by_signature(const HookEntry& entry, FunctionSet& functions,
                           std::string& story) const {
    for (const HookLine& line : entry.lines) {
      if (line.words[0] != "expect") continue;
      FunctionType type = parse_signature(word(line, 1));
      story = "\n  without 'expect':" + candidates(functions) + story;
      std::erase_if(functions,
                    [&](uint32_t function) { return module_.type_of(function) != type; });
    }
  }

  FunctionSet functions_for(const HookLine& line) {
    const std::string& kind = line.words[0];
    if (kind == "export") return {exported(line)};
    if (kind == "refers") return referring(word(line, 1), line);
    if (kind == "constant") return with_constant(number(line, 1), false);
    if (kind == "compares") return with_constant(number(line, 1), true);
    if (kind == "calls") return callers(named_function(word(line, 1), line));
    if (kind == "called-by") return callees(named_function(word(line, 1), line));
    if (kind == "loads") return accessing(named_address(word(line, 1), line), false);
    if (kind == "stores") return accessing(named_address(word(line, 1), line), true);
    if (kind == "call") return {nth_call(line)};
    if (kind == "after" || kind == "before") return {neighbour(line)};
    if (kind == "between") return between(line);
    if (kind == "signature") return with_signature(parse_signature(word(line, 1)));
    if (kind == "table") return {table_entry(number(line, 1), line)};
    if (kind == "word") return {table_entry(data_word(line), line)};
    if (kind == "record") return record_functions(line);
    if (kind == "argument") return {table_entry(argument(line), line)};
    fail(at(line.number) + "unknown anchor of a function: " + line.text);
  }

  uint32_t exported(const HookLine& line) const {
    if (const Export* item = module_.find_export(word(line, 1), ExportKind::kFunction))
      return item->index;
    fail(at(line.number) + "the image does not export the function " + line.words[1]);
  }
  template <typename Test>
  FunctionSet functions_where(Test test) const {
    FunctionSet found;
    for (uint32_t i = 0; i < facts_.size(); ++i) {
      if (test(facts_[i])) found.insert(i);
    }
    return found;
  }
  FunctionSet referring(const std::string& text, const HookLine& line) const {
    std::vector<uint32_t> addresses = memory_.find_string(text);
    if (addresses.empty()) fail(at(line.number) + "the image has no such string: " + line.text);
    return functions_where([&](const FunctionFacts& facts) {
      return std::any_of(
          facts.constants.begin(), facts.constants.end(), [&](const ConstantFact& fact) {
            return std::find(addresses.begin(), addresses.end(), fact.value) != addresses.end();
          });
    });
  }
  FunctionSet with_constant(uint32_t value, bool compared) const {
    return functions_where([&](const FunctionFacts& facts) {
      return std::any_of(facts.constants.begin(), facts.constants.end(),
                         [&](const ConstantFact& fact) {
                           return fact.value == value &&
                                  (!compared || fact.consumer == kI32Eq || fact.consumer == kI32Ne);
                         });
    });
  }
  FunctionSet callers(uint32_t callee) const {
    return functions_where([&](const FunctionFacts& facts) {
      return std::any_of(facts.calls.begin(), facts.calls.end(), [&](const CallFact& call) {
        return !call.indirect && call.callee == callee;
      });
    });
  }
  FunctionSet callees(uint32_t function) const {
    std::vector<uint32_t> list = facts_[function].direct_callees();
    return {list.begin(), list.end()};
  }
  FunctionSet accessing(uint32_t address, bool store) const {
    return functions_where([&](const FunctionFacts& facts) {
      const auto& list = store ? facts.stores : facts.loads;
      return std::any_of(list.begin(), list.end(),
                         [&](const AccessFact& fact) { return fact.address == address; });
    });
  }

  FunctionSet with_signature(const FunctionType& type) const {
    FunctionSet found;
    for (uint32_t i = 0; i < facts_.size(); ++i) {
      if (module_.type_of(i) == type) found.insert(i);
    }
    return found;
  }

  // call N of F; a negative N counts from the end, -1 is the last.
  uint32_t nth_call(const HookLine& line) {
    expect_word(line, 2, "of");
    std::vector<uint32_t> list = facts_[named_function(word(line, 3), line)].direct_callees();
    auto n = static_cast<int32_t>(number(line, 1));
    if (n < 0) n += static_cast<int32_t>(list.size());
    if (n < 0 || static_cast<size_t>(n) >= list.size()) {
      fail(at(line.number) + line.words[3] + " has only " + std::to_string(list.size()) +
           " direct calls");
    }
    return list[static_cast<size_t>(n)];
  }

  // Index in `list` of the one call of `callee`.
  size_t position(const std::vector<uint32_t>& list, uint32_t callee, size_t from,
                  const HookLine& line) const {
    auto found = std::find(list.begin() + static_cast<ptrdiff_t>(from), list.end(), callee);
    if (found == list.end())
      fail(at(line.number) + "no such call of " + label(callee) + ": " + line.text);
    return static_cast<size_t>(found - list.begin());
  }
  // after A in F, before A in F: the direct call next to the first call of A.
  uint32_t neighbour(const HookLine& line) {
    expect_word(line, 2, "in");
    std::vector<uint32_t> list = facts_[named_function(word(line, 3), line)].direct_callees();
    size_t here = position(list, named_function(line.words[1], line), 0, line);
    if (line.words[0] == "after" ? here + 1 == list.size() : here == 0)
      fail(at(line.number) + "there is no call there");
    return list[line.words[0] == "after" ? here + 1 : here - 1];
  }
  // between A and B in F
  FunctionSet between(const HookLine& line) {
    expect_word(line, 2, "and");
    expect_word(line, 4, "in");
    std::vector<uint32_t> list = facts_[named_function(word(line, 5), line)].direct_callees();
    size_t first = position(list, named_function(line.words[1], line), 0, line);
    size_t last = position(list, named_function(line.words[3], line), first + 1, line);
    return {list.begin() + static_cast<ptrdiff_t>(first) + 1,
            list.begin() + static_cast<ptrdiff_t>(last)};
  }

  uint32_t table_entry(uint32_t slot, const HookLine& line) const {
    auto entry = table_.find(slot);
    if (entry == table_.end())
      fail(at(line.number) + std::to_string(slot) + " is no table entry: " + line.text);
    return entry->second;
  }

  // --- data

  // word DATUM [+ OFFSET]: what the word there is in initial memory.
  uint32_t data_word(const HookLine& line) {
    uint32_t address = named_address(word(line, 1), line) + plus(line, 2);
    if (auto value = memory_.word(address)) return *value;
    fail(at(line.number) + "there is no initial data at " + std::to_string(address));
  }
  uint32_t plus(const HookLine& line, size_t n) const {
    if (n >= line.words.size() || line.words[n] != "+") return 0;
    return number(line, n + 1);
  }
  // record "TEXT" [+ OFFSET] [next "TEXT" at STRIDE]: addresses of words that point to the string.
  std::vector<uint32_t> records(const HookLine& line) const {
    std::vector<uint32_t> names = memory_.find_string(word(line, 1)), found;
    size_t at_next = line.words.size() > 2 && line.words[2] == "+" ? 4 : 2;
    std::vector<uint32_t> next;
    uint32_t stride = 0;
    if (at_next < line.words.size()) {
      expect_word(line, at_next, "next");
      next = memory_.find_string(word(line, at_next + 1));
      expect_word(line, at_next + 2, "at");
      stride = number(line, at_next + 3);
    }
    auto is_one_of = [](const std::vector<uint32_t>& list, uint32_t value) {
      return std::find(list.begin(), list.end(), value) != list.end();
    };
    for (uint32_t address = 0; address + 4 <= memory_.bytes().size(); address += 4) {
      if (!is_one_of(names, *memory_.word(address))) continue;
      auto follower = memory_.word(address + stride);
      if (stride == 0 || (follower && is_one_of(next, *follower))) found.push_back(address);
    }
    return found;
  }
  FunctionSet record_functions(const HookLine& line) const {
    FunctionSet found;
    for (uint32_t address : records(line)) {
      auto slot = memory_.word(address + plus(line, 2));
      auto entry = slot ? table_.find(*slot) : table_.end();
      if (entry != table_.end()) found.insert(entry->second);
    }
    return found;
  }

  // argument N of CALLEE in F [call K]: a constant operand of the K-th (from 0) call of CALLEE in
  // F. Without `call K` all calls must agree.
  uint32_t argument(const HookLine& line) {
    uint32_t which = number(line, 1);
    expect_word(line, 2, "of");
    uint32_t callee = named_function(word(line, 3), line);
    expect_word(line, 4, "in");
    const FunctionFacts& facts = facts_[named_function(word(line, 5), line)];
    std::vector<Constant> values;
    for (const CallFact& call : facts.calls) {
      if (!call.indirect && call.callee == callee && which < call.arguments.size())
        values.push_back(call.arguments[which]);
    }
    if (line.words.size() > 6) {
      expect_word(line, 6, "call");
      uint32_t k = number(line, 7);
      if (k >= values.size())
        fail(at(line.number) + "there are only " + std::to_string(values.size()) + " such calls");
      values = {values[k]};
    }
    std::set<Constant> distinct(values.begin(), values.end());
    if (distinct.size() != 1 || !*distinct.begin()) {
      fail(at(line.number) + "not one constant (" + std::to_string(distinct.size()) +
           " values): " + line.text);
    }
    return static_cast<uint32_t>(**distinct.begin());
  }

  // --- addresses, offsets and constants

  uint32_t value_of(const HookEntry& entry) {
    return once(entry, [&] {
      std::optional<uint32_t> value;
      for (const HookLine& line : entry.lines) {
        if (is_remark(line.words[0])) continue;
        uint32_t found = entry.kind == "global" ? address_for(line) : plain_value_for(line);
        if (value && *value != found) {
          fail(at(line.number) + "the anchors of " + entry.name +
               " disagree: " + std::to_string(*value) + " and " + std::to_string(found));
        }
        value = found;
      }
      if (!value) fail(at(entry.line) + entry.name + " has no anchor");
      for (const HookLine& line : entry.lines) {
        if (line.words[0] == "initial" && memory_.word(*value).value_or(0) != number(line, 1)) {
          fail(at(line.number) + entry.name + " is at " + std::to_string(*value) +
               " where another word lies");
        }
      }
      return *value;
    });
  }

  uint32_t address_for(const HookLine& line) {
    const std::string& kind = line.words[0];
    if (kind == "export") return exported_datum(word(line, 1), line) + plus(line, 2);
    if (kind == "load" || kind == "store")
      return constant_of(access(line).address, line) + plus(line, line.words.size() - 2);
    if (kind == "store-of") return store_of(line);
    if (kind == "argument") return argument(line);
    if (kind == "word") return data_word(line);
    if (kind == "string") return single(memory_.find_string(word(line, 1)), line);
    if (kind == "record") return single(records(line), line) + plus(line, 2);
    fail(at(line.number) + "unknown anchor of an address: " + line.text);
  }
  // Offsets of fields and other numbers.
  uint32_t plain_value_for(const HookLine& line) {
    const std::string& kind = line.words[0];
    if (kind == "load" || kind == "store") return access(line).offset;
    if (kind == "stored") return constant_of(access(line).value, line);
    if (kind == "argument") return argument(line);
    if (kind == "word") return data_word(line);
    fail(at(line.number) + "unknown anchor of a value: " + line.text);
  }
  uint32_t constant_of(const Constant& constant, const HookLine& line) const {
    if (!constant) fail(at(line.number) + "is not constant there: " + line.text);
    return static_cast<uint32_t>(*constant);
  }
  uint32_t single(const std::vector<uint32_t>& found, const HookLine& line) const {
    if (found.size() == 1) return found[0];
    std::string list;
    for (uint32_t address : found) list += ' ' + std::to_string(address);
    fail(at(line.number) + "fits " + std::to_string(found.size()) +
         " addresses instead of one:" + list + ": " + line.text);
  }

  // load N of F, store N of F, stored N of F: numbered as `inspect function` prints them, negative
  // from the end. load before|after CALLEE in F (and store …): the nearest one with a constant
  // address next to the first call.
  const AccessFact& access(const HookLine& line) {
    bool store = line.words[0] != "load";
    if (word(line, 1) == "before" || line.words[1] == "after") return access_beside(line, store);
    expect_word(line, 2, "of");
    const FunctionFacts& facts = facts_[named_function(word(line, 3), line)];
    const auto& list = store ? facts.stores : facts.loads;
    auto n = static_cast<int32_t>(number(line, 1));
    if (n < 0) n += static_cast<int32_t>(list.size());
    if (n < 0 || static_cast<size_t>(n) >= list.size())
      fail(at(line.number) + "there are only " + std::to_string(list.size()));
    return list[static_cast<size_t>(n)];
  }
  const AccessFact& access_beside(const HookLine& line, bool store) {
    uint32_t callee = named_function(word(line, 2), line);
    expect_word(line, 3, "in");
    const FunctionFacts& facts = facts_[named_function(word(line, 4), line)];
    auto wanted = store ? FunctionFacts::Kind::kStore : FunctionFacts::Kind::kLoad;
    const AccessFact* last = nullptr;
    bool passed = false;
    for (auto [kind, index] : facts.order) {
      if (kind == FunctionFacts::Kind::kCall && !facts.calls[index].indirect &&
          facts.calls[index].callee == callee) {
        if (line.words[1] == "before") break;
        passed = true;
      } else if (kind == wanted) {
        const AccessFact& fact = store ? facts.stores[index] : facts.loads[index];
        if (!fact.address) continue;
        if (passed) return fact;
        last = &fact;
      }
    }
    if (!last || line.words[1] == "after") fail(at(line.number) + "there is none: " + line.text);
    return *last;
  }
  // store-of VALUE in F: the constant address to which F stores this constant.
  uint32_t store_of(const HookLine& line) {
    uint32_t value = number(line, 1);
    expect_word(line, 2, "in");
    std::set<uint32_t> found;
    for (const AccessFact& fact : facts_[named_function(word(line, 3), line)].stores) {
      if (fact.address && fact.value && static_cast<uint32_t>(*fact.value) == value) {
        found.insert(static_cast<uint32_t>(*fact.address));
      }
    }
    return single({found.begin(), found.end()}, line);
  }

  std::string path_;
  const Module& module_;
  InitialMemory memory_;
  std::map<uint32_t, uint32_t> table_;
  std::vector<HookEntry> entries_;
  std::vector<FunctionFacts> facts_;
  std::unordered_map<std::string, const HookEntry*> by_name_;
  std::map<const HookEntry*, uint32_t> results_;
  std::set<const HookEntry*> in_progress_;
  Hooks hooks_;
};

}  // namespace

Hooks resolve_hooks(const std::string& path, const Module& image) {
  return Resolver(path, image).run();
}

}  // namespace calf::translator
