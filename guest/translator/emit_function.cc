#include "emit_function.h"

#include <algorithm>
#include <cmath>
#include <cstdio>
#include <cstring>

#include "instructions.h"
#include "operation_text.h"
#include "pending_value.h"

namespace calf::translator {

namespace {

constexpr size_t kLongestExpression =
    200;  // longer ones go into a temporary, or compile time grows
constexpr uint32_t kLongestInlineCopy = 64;

struct Frame {
  uint16_t opcode = kBlock;
  uint32_t label = 0;
  size_t height = 0;
  std::optional<ValueType> result;
  bool targeted = false;  // a branch goes to its end
  bool has_else = false;
};

class Emitter {
 public:
  Emitter(const ModuleNames& names, uint32_t function, const BodyPatches& patches)
      : names_(names),
        module_(*names.module),
        body_(module_.body(function)),
        type_(module_.type_of(function)),
        patches_(patches) {}

  EmittedFunction run(const std::string& symbol) {
    variable_types_ = type_.params;
    variable_types_.insert(variable_types_.end(), body_.locals.begin(), body_.locals.end());
    Frame outer;
    if (!type_.results.empty()) outer.result = type_.results[0];
    frames_.push_back(outer);
    InstructionReader reader(module_, body_);
    while (reader.next(instruction_)) {
      if (reachable_)
        step();
      else
        step_over();
    }
    std::string head = c_prototype(type_, symbol, true) + "{\n";
    for (size_t i = type_.params.size(); i < variable_types_.size(); ++i) {
      head += std::string(c_type(variable_types_[i])) + " l" + std::to_string(i) + "=0;\n";
    }
    out_.code = head + declarations_ + resume_ + code_ + "}\n";
    return std::move(out_);
  }

 private:
  // --- the stack of values

  Value pop() {
    if (stack_.size() <= frames_.back().height) fail(module_.name + ": value stack underflow");
    Value value = std::move(stack_.back());
    stack_.pop_back();
    return value;
  }
  void push(Value value) {
    if (value.text.size() > kLongestExpression) materialise(value);
    stack_.push_back(std::move(value));
  }
  void push_constant(ValueType type, uint64_t bits, bool literal = false) {
    Value value;
    value.type = type;
    value.constant = bits;
    value.literal = literal;
    value.text = constant_text(type, bits);
    stack_.push_back(std::move(value));
  }
  void materialise(Value& value) {
    if (value.is_name || value.constant) return;
    std::string name = "t" + std::to_string(next_temporary_++);
    line(std::string(c_type(value.type)) + ' ' + name + '=' + value.text + ';');
    ValueType type = value.type;
    value = Value{};
    value.type = type;
    value.text = std::move(name);
    value.is_name = true;
  }
  template <typename Predicate>
  void materialise_if(Predicate predicate) {
    for (Value& value : stack_) {
      if (predicate(value)) materialise(value);
    }
  }
  void before_store() {
    materialise_if([](const Value& value) { return value.reads_memory; });
  }
  void before_call() {
    materialise_if([](const Value& value) { return value.reads_memory || value.reads_global; });
  }
  void before_block() {
    materialise_if([](const Value&) { return true; });
  }
  void line(const std::string& statement) {
    code_ += statement;
    code_ += '\n';
  }

  // --- blocks and branches

  static std::string label(const Frame& frame) { return "L" + std::to_string(frame.label); }
  static std::string result_name(const Frame& frame) { return "b" + std::to_string(frame.label); }

  void open_block(uint16_t opcode) {
    Frame frame;
    frame.opcode = opcode;
    frame.label = next_label_++;
    frame.height = stack_.size();
    if (instruction_.block_type >= 0) {
      const FunctionType& type = module_.types.at(static_cast<size_t>(instruction_.block_type));
      if (!type.params.empty()) fail(module_.name + ": blocks with parameters are not supported");
      if (!type.results.empty()) frame.result = type.results[0];
    } else if (instruction_.block_type != -64) {
      frame.result = static_cast<ValueType>(instruction_.block_type & 0x7f);
    }
    if (frame.result)
      declarations_ += std::string(c_type(*frame.result)) + ' ' + result_name(frame) + "=0;\n";
    frames_.push_back(frame);
  }

  // The statements of a branch to a frame; `value` is the operand that it carries, if any.
  std::string branch(Frame& frame, const Value* value) {
    if (&frame == &frames_.front()) return value ? "return " + text(*value) + ';' : "return;";
    if (frame.opcode == kLoop) return "goto " + label(frame) + ';';
    frame.targeted = true;
    std::string jump = "goto " + label(frame) + ';';
    return value ? result_name(frame) + '=' + text(*value) + ';' + jump : jump;
  }
  Frame& target(uint64_t depth) { return frames_.at(frames_.size() - 1 - depth); }
  static bool carries_value(const Frame& frame) {
    return frame.opcode != kLoop && frame.result.has_value();
  }

  void emit_branch(uint64_t depth) {
    Frame& frame = target(depth);
    if (carries_value(frame)) {
      Value value = pop();
      line(branch(frame, &value));
    } else {
      line(branch(frame, nullptr));
    }
    end_of_path();
  }
  void emit_branch_if(uint64_t depth) {
    Value test = pop();
    Frame& frame = target(depth);
    if (carries_value(frame)) {
      materialise(stack_.back());
      line("if(" + condition(test) + "){" + branch(frame, &stack_.back()) + '}');
    } else {
      line("if(" + condition(test) + ')' + branch(frame, nullptr));
    }
  }
  void emit_branch_table() {
    Value index = pop();
    Value value;
    bool with_value = carries_value(target(instruction_.targets.back()));
    if (with_value) {
      value = pop();
      materialise(value);
    }
    line("switch(" + text(index) + "){");
    const auto& targets = instruction_.targets;
    for (size_t i = 0; i + 1 < targets.size(); ++i) {
      if (targets[i] == targets.back()) continue;  // the default does it
      code_ += "case " + std::to_string(i) + ':';
      if (i + 2 < targets.size() && targets[i + 1] == targets[i]) continue;
      line(branch(target(targets[i]), with_value ? &value : nullptr));
    }
    line("default:" + branch(target(targets.back()), with_value ? &value : nullptr) + '}');
    end_of_path();
  }
  void emit_return() {
    if (type_.results.empty()) {
      line("return;");
    } else {
      Value value = pop();
      line("return " + text(value) + ';');
    }
    end_of_path();
  }
  void end_of_path() {
    stack_.resize(frames_.back().height);
    reachable_ = false;
  }

  void emit_else() {
    Frame& frame = frames_.back();
    if (reachable_ && frame.result) {
      Value value = pop();
      line(result_name(frame) + '=' + text(value) + ';');
    }
    if (reachable_) frame.targeted = true;  // falls out at the end
    frame.has_else = true;
    line("}else{");
    stack_.resize(frame.height);
    reachable_ = true;
  }

  void emit_end() {
    Frame frame = frames_.back();
    bool falls_out = reachable_;
    if (reachable_ && frame.result) {
      Value value = pop();
      if (frames_.size() == 1)
        line("return " + text(value) + ';');
      else
        line(result_name(frame) + '=' + text(value) + ';');
    }
    stack_.resize(frame.height);
    frames_.pop_back();
    if (frames_.empty()) {
      reachable_ = false;
      frames_.push_back({});
      return;
    }
    if (frame.opcode == kIf) {
      line("}");
      if (!frame.has_else) falls_out = true;
    }
    if (frame.opcode != kLoop && frame.targeted) {
      line(label(frame) + ":;");
      falls_out = true;
    }
    reachable_ = falls_out;
    if (reachable_ && frame.result) {
      Value value;
      value.type = *frame.result;
      value.text = result_name(frame);
      // A second run of the block (in a loop) assigns it again, but blocks materialise what is on
      // the stack first.
      value.is_name = true;
      push(std::move(value));
    }
  }

  // Code that cannot be reached is not translated; only the nesting matters.
  void step_over() {
    switch (instruction_.opcode) {
      case kBlock:
      case kLoop:
      case kIf:
        ++skipped_blocks_;
        break;
      case kElse:
        if (skipped_blocks_ == 0) emit_else();
        break;
      case kEnd:
        if (skipped_blocks_ > 0)
          --skipped_blocks_;
        else
          emit_end();
        break;
      default:
        break;
    }
  }

  // --- calls

  std::string arguments(const FunctionType& type) {
    std::vector<Value> values(type.params.size());
    for (size_t i = values.size(); i > 0; --i) values[i - 1] = pop();
    std::string out = "(";
    for (size_t i = 0; i < values.size(); ++i) {
      if (i) out += ',';
      out += text(values[i]);
    }
    return out + ')';
  }
  void finish_call(const FunctionType& type, const std::string& call) {
    before_call();
    if (type.results.empty()) {
      line(call + ';');
      return;
    }
    Value value;
    value.type = type.results[0];
    value.text = call;
    materialise(value);
    push(std::move(value));
  }
  void call_target(const CallTarget& callee) {
    const FunctionType& type = *callee.type;
    std::string list = arguments(type);
    if (callee.symbol.empty()) {
      before_call();
      line("calf_trap(CALF_TRAP_UNREACHABLE);");
      end_of_path();
      return;
    }
    out_.callees[callee.symbol] = &type;
    finish_call(type, callee.symbol + list);
  }
  void emit_call(uint32_t function) {
    CallTarget target = names_.functions.at(function);
    for (const CallReplacement& patch : patches_.calls) {
      if (patch.callee != function || target.type->params.empty()) continue;
      const Value& first = stack_.at(stack_.size() - target.type->params.size());
      if (!first.constant || static_cast<uint32_t>(*first.constant) != patch.argument) continue;
      target.symbol = patch.symbol;
      ++out_.replaced_calls;
    }
    if (patches_.resumable_call == function) prepare_resumable_call(*target.type);
    call_target(target);
  }

  // --- a call at which a process can be resumed (BodyPatches::resumable_call)

  static std::string to_bits(ValueType type, const std::string& value) {
    if (type == ValueType::kF32) return "calf_bits_of_f32(" + value + ')';
    return type == ValueType::kF64 ? "calf_bits_of_f64(" + value + ')' : value;
  }
  static std::string from_bits(ValueType type, const std::string& bits) {
    if (type == ValueType::kF32) return "calf_f32_of_bits((u32)" + bits + ')';
    if (type == ValueType::kF64) return "calf_f64_of_bits(" + bits + ')';
    return type == ValueType::kI32 ? "(u32)" + bits : bits;
  }
  // Everything that the function knows there is its locals and the call's arguments, if nothing
  // else is on the stack: the host is given them before the call, and a function that starts with
  // such a frame takes them and goes on at the call.
  void prepare_resumable_call(const FunctionType& callee) {
    if (++out_.resumable_calls > 1) return;  // refused later, by the count
    const size_t count = callee.params.size();
    if (stack_.size() != count) {
      fail(module_.name + ": resumable-call: " + std::to_string(stack_.size() - count) +
           " operands lie on the stack below the arguments");
    }
    std::vector<std::pair<ValueType, std::string>> frame;
    for (size_t i = 0; i < variable_types_.size(); ++i)
      frame.emplace_back(variable_types_[i], "l" + std::to_string(i));
    for (size_t i = 0; i < count; ++i) {
      Value& argument = stack_[i];
      if (argument.constant) continue;
      std::string name = "a" + std::to_string(i);
      declarations_ += std::string(c_type(argument.type)) + ' ' + name + "=0;\n";
      line(name + '=' + text(argument) + ';');
      frame.emplace_back(argument.type, name);
      Value saved;
      saved.type = argument.type;
      saved.text = std::move(name);
      saved.is_name = true;
      argument = std::move(saved);
    }
    declarations_ +=
        "extern void calf_checkpoint_frame(const u64*,u32);\n"
        "extern const u64*calf_resumed_frame(u32);\n";
    std::string values, size = std::to_string(frame.size()) + 'u';
    resume_ = "const u64*frame=calf_resumed_frame(" + size + ");\nif(frame){\n";
    for (size_t i = 0; i < frame.size(); ++i) {
      const auto& [type, name] = frame[i];
      values += (i ? "," : "") + to_bits(type, name);
      resume_ += name + '=' + from_bits(type, "frame[" + std::to_string(i) + ']') + ";\n";
    }
    resume_ += "goto calf_resume;\n}\n";
    line("{const u64 values[]={" + values + "};calf_checkpoint_frame(values," + size + ");}");
    line("calf_resume:;");
  }

  void emit_call_indirect() {
    const FunctionType& type = module_.types.at(instruction_.value);
    Value index = pop();
    if (index.constant && *index.constant < names_.table->size()) {
      const CallTarget& callee = (*names_.table)[*index.constant];
      if (callee.type && *callee.type == type) return call_target(callee);
    }
    std::string list = arguments(type);
    finish_call(type, "((" + c_function_pointer(type) + ")calf_lookup(" + text(index) + ',' +
                          type_hash(type) + "))" + list);
  }

  // --- variables

  void assign_local(uint32_t local, const Value& value) {
    materialise_if([local](const Value& item) {
      return std::find(item.locals.begin(), item.locals.end(), local) != item.locals.end();
    });
    line("l" + std::to_string(local) + '=' + value.text + ';');
  }
  void push_local(uint32_t local) {
    Value value;
    value.type = variable_types_.at(local);
    value.text = "l" + std::to_string(local);
    value.locals = {local};
    stack_.push_back(std::move(value));
  }
  void emit_global_get() {
    if (auto constant = names_.global_value.at(instruction_.value)) {
      return push_constant(module_.globals[instruction_.value].type, *constant);
    }
    Value value;
    value.text = "CALF_STATE->globals[" + std::to_string(global_slot()) + ']';
    value.reads_global = true;
    stack_.push_back(std::move(value));
  }
  int global_slot() const {
    int slot = names_.global_slot.at(instruction_.value);
    if (slot < 0)
      fail(module_.name + ": global " + std::to_string(instruction_.value) + " has no place");
    return slot;
  }
  void emit_global_set() {
    Value value = pop();
    materialise_if([](const Value& item) { return item.reads_global; });
    line("CALF_STATE->globals[" + std::to_string(global_slot()) + "]=" + text(value) + ';');
  }

  // --- memory

  void emit_load() {
    Value base = pop();
    std::string access =
        load_macro(instruction_.opcode) + ('(' + address(base, instruction_.value)) + ')';
    Value value = combine(std::move(access),
                          type_of_letter(find_operation(instruction_.opcode)->result), {&base});
    value.reads_memory = true;
    push(std::move(value));
  }
  void emit_store() {
    Value value = pop();
    Value base = pop();
    before_store();
    line(store_macro(instruction_.opcode) + ('(' + address(base, instruction_.value)) + ',' +
         text(value) + ");");
  }
  void emit_memory_copy() {
    Value size = pop(), source = pop(), destination = pop();
    before_store();
    if (!size.constant || *size.constant > kLongestInlineCopy) {
      line("calf_memory_copy(" + text(destination) + ',' + text(source) + ',' + text(size) + ");");
      return;
    }
    materialise(destination);
    materialise(source);
    std::string reads, writes;
    uint32_t at = 0, n = 0;
    for (uint32_t width = 8; width > 0; width /= 2) {
      for (; *size.constant - at >= width; at += width, ++n) {
        std::string bits = std::to_string(width * 8), piece = "c" + std::to_string(n);
        reads += "u" + bits + ' ' + piece + "=CALF_LOAD" + bits + '(' + address(source, at) + ");";
        writes += "CALF_STORE" + bits + '(' + address(destination, at) + ',' + piece + ");";
      }
    }
    line('{' + reads + writes + '}');
  }
  void emit_memory_fill() {
    Value size = pop(), byte = pop(), destination = pop();
    before_store();
    if (!size.constant || !byte.constant || *size.constant > kLongestInlineCopy) {
      line("calf_memory_fill(" + text(destination) + ',' + text(byte) + ',' + text(size) + ");");
      return;
    }
    materialise(destination);
    uint64_t pattern = (*byte.constant & 0xff) * 0x0101010101010101u;
    uint32_t at = 0;
    std::string writes;
    for (uint32_t width = 8; width > 0; width /= 2) {
      for (; *size.constant - at >= width; at += width) {
        writes += "CALF_STORE" + std::to_string(width * 8) + '(' + address(destination, at) + ',' +
                  std::to_string(pattern) + "ull);";
      }
    }
    line('{' + writes + '}');
  }

  // --- everything else

  void patch_pid(Value& value) {
    if (!value.literal || !patches_.pid_constants.contains(static_cast<uint32_t>(*value.constant)))
      return;
    value = Value{};
    value.text = "(u32)CALF_STATE->pid";
    value.reads_global = true;
    ++out_.patched_constants;
  }

  void emit_operation() {
    const Operation& operation = *find_operation(instruction_.opcode);
    bool binary = std::strlen(operation.params) == 2;
    Value right = binary ? pop() : Value{};
    Value left = pop();
    if (instruction_.opcode == kI32Eq || instruction_.opcode == kI32Ne) {
      patch_pid(left);
      patch_pid(right);
    }
    if (left.constant && right.constant &&
        (instruction_.opcode == kI32Add || instruction_.opcode == kI32Sub)) {
      uint64_t sum = instruction_.opcode == kI32Add ? *left.constant + *right.constant
                                                    : *left.constant - *right.constant;
      return push_constant(ValueType::kI32, static_cast<uint32_t>(sum));
    }
    OperationText result = operation_text(
        instruction_.opcode, instruction_.opcode == kI32Eqz ? condition(left) : text(left),
        binary ? text(right) : "", binary ? right.constant : std::nullopt);
    Value value =
        combine(std::move(result.text), type_of_letter(operation.result), {&left, &right});
    value.is_condition = result.is_condition;
    if (result.may_trap) materialise(value);
    push(std::move(value));
  }
  void emit_select() {
    Value test = pop(), otherwise = pop(), value = pop();
    push(combine('(' + condition(test) + '?' + text(value) + ':' + text(otherwise) + ')',
                 value.type, {&test, &value, &otherwise}));
  }
  void emit_memory_grow() {
    Value delta = pop();
    before_call();
    Value value;
    value.text = "calf_memory_grow(" + text(delta) + ')';
    materialise(value);
    push(std::move(value));
  }

  void step() {
    switch (instruction_.opcode) {
      case kNop:
        break;
      case kUnreachable:
        line("calf_trap(CALF_TRAP_UNREACHABLE);");
        end_of_path();
        break;
      case kBlock:
        before_block();
        open_block(kBlock);
        break;
      case kLoop:
        before_block();
        open_block(kLoop);
        line(label(frames_.back()) + ":;");
        break;
      case kIf: {
        Value test = pop();
        before_block();
        line("if(" + condition(test) + "){");
        open_block(kIf);
        break;
      }
      case kElse:
        emit_else();
        break;
      case kEnd:
        emit_end();
        break;
      case kBr:
        emit_branch(instruction_.value);
        break;
      case kBrIf:
        emit_branch_if(instruction_.value);
        break;
      case kBrTable:
        emit_branch_table();
        break;
      case kReturn:
        emit_return();
        break;
      case kCall:
        emit_call(static_cast<uint32_t>(instruction_.value));
        break;
      case kCallIndirect:
        emit_call_indirect();
        break;
      case kDrop:
        pop();
        break;  // calls and traps are done already
      case kSelect:
        emit_select();
        break;
      case kLocalGet:
        push_local(static_cast<uint32_t>(instruction_.value));
        break;
      case kLocalSet:
        assign_local(static_cast<uint32_t>(instruction_.value), pop());
        break;
      case kLocalTee:
        assign_local(static_cast<uint32_t>(instruction_.value), pop());
        push_local(static_cast<uint32_t>(instruction_.value));
        break;
      case kGlobalGet:
        emit_global_get();
        break;
      case kGlobalSet:
        emit_global_set();
        break;
      case kI32Const:
        push_constant(ValueType::kI32, instruction_.value, true);
        break;
      case kI64Const:
        push_constant(ValueType::kI64, instruction_.value);
        break;
      case kF32Const:
        push_constant(ValueType::kF32, instruction_.value);
        break;
      case kF64Const:
        push_constant(ValueType::kF64, instruction_.value);
        break;
      case kMemorySize: {
        Value value;
        value.text = "(u32)CALF_STATE->pages";
        value.reads_global = true;
        push(std::move(value));
        break;
      }
      case kMemoryGrow:
        emit_memory_grow();
        break;
      case kMemoryCopy:
        emit_memory_copy();
        break;
      case kMemoryFill:
        emit_memory_fill();
        break;
      case kMemoryInit:
      case kDataDrop:
        fail(module_.name + ": passive data segments are not supported");
      default:
        if (is_load(instruction_.opcode))
          emit_load();
        else if (is_store(instruction_.opcode))
          emit_store();
        else
          emit_operation();
    }
  }

  const ModuleNames& names_;
  const Module& module_;
  const FunctionBody& body_;
  const FunctionType& type_;
  const BodyPatches& patches_;
  EmittedFunction out_;
  Instruction instruction_;
  std::vector<ValueType> variable_types_;
  std::vector<Value> stack_;
  std::vector<Frame> frames_;
  std::string declarations_, resume_, code_;
  uint32_t next_temporary_ = 0, next_label_ = 1;
  uint32_t skipped_blocks_ = 0;
  bool reachable_ = true;
};

}  // namespace

EmittedFunction emit_function(const ModuleNames& names, uint32_t function,
                              const std::string& symbol, const BodyPatches& patches) {
  return Emitter(names, function, patches).run(symbol);
}

}  // namespace calf::translator
