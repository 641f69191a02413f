#include "function_facts.h"

#include <algorithm>
#include <cstring>

namespace calf::translator {
namespace {

struct Value {
  Constant constant;
  int32_t constant_fact = -1;  // index in FunctionFacts::constants while it is the bare constant
};

// Runs over a body once with a stack of possibly known values.
class Walker {
 public:
  Walker(const Module& module, const FunctionBody& body) : module_(module), body_(body) {}

  FunctionFacts run() {
    frames_.push_back({0, module_.types.at(body_.type).results.size(), false, 0});
    InstructionReader reader(module_, body_);
    while (reader.next(instruction_)) step();
    return std::move(facts_);
  }

 private:
  struct Frame {
    size_t height;
    size_t results;
    bool unreachable;
    size_t params;
  };
  using Kind = FunctionFacts::Kind;

  Value pop() {
    if (stack_.size() <= frames_.back().height) return {};  // only in unreachable code
    Value value = stack_.back();
    stack_.pop_back();
    if (value.constant_fact >= 0) {
      facts_.constants[static_cast<size_t>(value.constant_fact)].consumer = instruction_.opcode;
    }
    return value;
  }
  void push(Constant constant = {}, int32_t fact = -1) { stack_.push_back({constant, fact}); }

  void cut(size_t results) {
    stack_.resize(frames_.back().height);
    for (size_t i = 0; i < results; ++i) push();
  }
  void end_of_path() {
    frames_.back().unreachable = true;
    stack_.resize(frames_.back().height);
  }
  void open_block() {
    size_t params = 0, results = 0;
    if (instruction_.block_type >= 0) {
      const FunctionType& type = module_.types.at(static_cast<size_t>(instruction_.block_type));
      params = type.params.size();
      results = type.results.size();
    } else if (instruction_.block_type != -64) {
      results = 1;
    }
    for (size_t i = 0; i < params; ++i) pop();
    frames_.push_back({stack_.size(), results, false, params});
    for (size_t i = 0; i < params; ++i) push();
  }
  void record(Kind kind, size_t index) {
    facts_.order.emplace_back(kind, static_cast<uint32_t>(index));
  }

  void call(const FunctionType& type, CallFact fact) {
    fact.arguments.resize(type.params.size());
    for (size_t i = type.params.size(); i > 0; --i) fact.arguments[i - 1] = pop().constant;
    record(Kind::kCall, facts_.calls.size());
    facts_.calls.push_back(std::move(fact));
    for (size_t i = 0; i < type.results.size(); ++i) push();
  }

  void access(bool store) {
    AccessFact fact;
    fact.opcode = instruction_.opcode;
    fact.offset = static_cast<uint32_t>(instruction_.value);
    if (store) fact.value = pop().constant;
    if (Constant base = pop().constant) fact.address = (*base & 0xffffffffu) + fact.offset;
    auto& list = store ? facts_.stores : facts_.loads;
    record(store ? Kind::kStore : Kind::kLoad, list.size());
    list.push_back(fact);
    if (!store) push();
  }

  void plain(const Operation& operation) {
    std::vector<Constant> operands(std::strlen(operation.params));
    for (size_t i = operands.size(); i > 0; --i) operands[i - 1] = pop().constant;
    Constant result;
    bool known = std::all_of(operands.begin(), operands.end(),
                             [](const Constant& c) { return c.has_value(); });
    if (known && instruction_.opcode == kI32Add)
      result = static_cast<uint32_t>(*operands[0] + *operands[1]);
    if (known && instruction_.opcode == kI32Sub)
      result = static_cast<uint32_t>(*operands[0] - *operands[1]);
    if (operation.result) push(result);
  }

  void step() {
    switch (instruction_.opcode) {
      case kNop:
      case kDataDrop:
        break;
      case kUnreachable:
        end_of_path();
        break;
      case kIf:
        pop();
        open_block();
        break;
      case kBlock:
      case kLoop:
        open_block();
        break;
      case kElse:
        cut(frames_.back().params);
        frames_.back().unreachable = false;
        break;
      case kEnd: {
        size_t results = frames_.back().results;
        stack_.resize(frames_.back().height);
        frames_.pop_back();
        for (size_t i = 0; i < results; ++i) push();
        if (frames_.empty()) frames_.push_back({0, 0, true, 0});
        break;
      }
      case kBr:
        end_of_path();
        break;
      case kBrIf:
        pop();
        break;
      case kBrTable:
        pop();
        end_of_path();
        break;
      case kReturn:
        if (!module_.types.at(body_.type).results.empty()) pop();
        end_of_path();
        break;
      case kCall: {
        CallFact fact;
        fact.callee = static_cast<uint32_t>(instruction_.value);
        call(module_.type_of(fact.callee), std::move(fact));
        break;
      }
      case kCallIndirect: {
        CallFact fact;
        fact.indirect = true;
        fact.callee = static_cast<uint32_t>(instruction_.value);
        fact.table_index = pop().constant;
        call(module_.types.at(fact.callee), std::move(fact));
        break;
      }
      case kDrop:
      case kLocalSet:
      case kGlobalSet:
        pop();
        break;
      case kSelect:
        pop();
        pop();
        pop();
        push();
        break;
      case kLocalTee: {
        Value value = pop();
        push(value.constant);
        break;
      }
      case kLocalGet:
        push();
        break;
      case kGlobalGet: {
        const Global& global = module_.globals.at(instruction_.value);
        if (!global.is_mutable && !global.imported() && !global.initial.global)
          push(global.initial.constant);
        else
          push(global.import_name == "__memory_base" ? Constant(0) : Constant());
        break;
      }
      case kI32Const:
        facts_.constants.push_back({static_cast<uint32_t>(instruction_.value), 0});
        record(Kind::kConstant, facts_.constants.size() - 1);
        push(instruction_.value, static_cast<int32_t>(facts_.constants.size()) - 1);
        break;
      case kI64Const:
        push(instruction_.value);
        break;
      case kF32Const:
      case kF64Const:
      case kMemorySize:
        push();
        break;
      case kMemoryGrow:
        pop();
        push();
        break;
      case kMemoryInit:
      case kMemoryCopy:
      case kMemoryFill:
        pop();
        pop();
        pop();
        break;
      default:
        if (is_load(instruction_.opcode))
          access(false);
        else if (is_store(instruction_.opcode))
          access(true);
        else
          plain(*find_operation(instruction_.opcode));
    }
  }

  const Module& module_;
  const FunctionBody& body_;
  FunctionFacts facts_;
  Instruction instruction_;
  std::vector<Value> stack_;
  std::vector<Frame> frames_;
};

}  // namespace

std::vector<uint32_t> FunctionFacts::direct_callees() const {
  std::vector<uint32_t> callees;
  for (const CallFact& call : calls) {
    if (!call.indirect) callees.push_back(call.callee);
  }
  return callees;
}

FunctionFacts gather_facts(const Module& module, uint32_t function) {
  if (module.is_import(function)) return {};
  return Walker(module, module.body(function)).run();
}

InitialMemory::InitialMemory(const Module& module) {
  for (const DataSegment& segment : module.data) {
    if (segment.passive) continue;
    size_t end = segment.offset.constant + segment.size;
    if (bytes_.size() < end) bytes_.resize(end);
    std::memcpy(bytes_.data() + segment.offset.constant, segment.begin, segment.size);
  }
}

std::optional<uint32_t> InitialMemory::word(uint32_t address) const {
  if (address + uint64_t{4} > bytes_.size()) return std::nullopt;
  uint32_t value;
  std::memcpy(&value, bytes_.data() + address, 4);
  return value;
}

std::optional<std::string> InitialMemory::text(uint32_t address) const {
  constexpr size_t kLongestText = 400;
  if (address >= bytes_.size()) return std::nullopt;
  std::string out;
  for (size_t at = address; at < bytes_.size() && out.size() < kLongestText; ++at) {
    uint8_t c = bytes_[at];
    if (c == 0) return out.size() >= 2 ? std::optional(out) : std::nullopt;
    if (c < 0x20 && c != '\n' && c != '\t') return std::nullopt;
    if (c >= 0x7f && c < 0xc2) {
      if (out.empty() || static_cast<uint8_t>(out.back()) < 0x80) return std::nullopt;
    }
    out.push_back(static_cast<char>(c));
  }
  return std::nullopt;
}

std::vector<uint32_t> InitialMemory::find_string(const std::string& value) const {
  std::vector<uint32_t> found;
  const char* terminated = value.c_str();
  for (auto at = bytes_.begin();;) {
    at = std::search(at, bytes_.end(), terminated, terminated + value.size() + 1);
    if (at == bytes_.end()) return found;
    found.push_back(static_cast<uint32_t>(at - bytes_.begin()));
    ++at;
  }
}

std::map<uint32_t, uint32_t> initial_table(const Module& module) {
  std::map<uint32_t, uint32_t> table;
  for (const ElementSegment& segment : module.elements) {
    uint32_t slot = segment.offset.global ? 0 : static_cast<uint32_t>(segment.offset.constant);
    for (uint32_t function : segment.functions) table[slot++] = function;
  }
  return table;
}

}  // namespace calf::translator
