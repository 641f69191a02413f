#include "instructions.h"

#include <array>

#include "byte_reader.h"

namespace calf::translator {
namespace {

constexpr std::array<Operation, 0xc5> make_operations() {
  std::array<Operation, 0xc5> table{};
  auto set = [&table](int first, std::initializer_list<const char*> names, const char* params,
                      char result) {
    for (const char* name : names) table[static_cast<size_t>(first++)] = {name, params, result};
  };
  set(0x28, {"i32.load"}, "i", 'i');
  set(0x29, {"i64.load"}, "i", 'I');
  set(0x2a, {"f32.load"}, "i", 'f');
  set(0x2b, {"f64.load"}, "i", 'F');
  set(0x2c, {"i32.load8_s", "i32.load8_u", "i32.load16_s", "i32.load16_u"}, "i", 'i');
  set(0x30,
      {"i64.load8_s", "i64.load8_u", "i64.load16_s", "i64.load16_u", "i64.load32_s",
       "i64.load32_u"},
      "i", 'I');
  set(0x36, {"i32.store"}, "ii", 0);
  set(0x37, {"i64.store"}, "iI", 0);
  set(0x38, {"f32.store"}, "if", 0);
  set(0x39, {"f64.store"}, "iF", 0);
  set(0x3a, {"i32.store8", "i32.store16"}, "ii", 0);
  set(0x3c, {"i64.store8", "i64.store16", "i64.store32"}, "iI", 0);
  set(0x45, {"i32.eqz"}, "i", 'i');
  set(0x46,
      {"i32.eq", "i32.ne", "i32.lt_s", "i32.lt_u", "i32.gt_s", "i32.gt_u", "i32.le_s", "i32.le_u",
       "i32.ge_s", "i32.ge_u"},
      "ii", 'i');
  set(0x50, {"i64.eqz"}, "I", 'i');
  set(0x51,
      {"i64.eq", "i64.ne", "i64.lt_s", "i64.lt_u", "i64.gt_s", "i64.gt_u", "i64.le_s", "i64.le_u",
       "i64.ge_s", "i64.ge_u"},
      "II", 'i');
  set(0x5b, {"f32.eq", "f32.ne", "f32.lt", "f32.gt", "f32.le", "f32.ge"}, "ff", 'i');
  set(0x61, {"f64.eq", "f64.ne", "f64.lt", "f64.gt", "f64.le", "f64.ge"}, "FF", 'i');
  set(0x67, {"i32.clz", "i32.ctz", "i32.popcnt"}, "i", 'i');
  set(0x6a,
      {"i32.add", "i32.sub", "i32.mul", "i32.div_s", "i32.div_u", "i32.rem_s", "i32.rem_u",
       "i32.and", "i32.or", "i32.xor", "i32.shl", "i32.shr_s", "i32.shr_u", "i32.rotl", "i32.rotr"},
      "ii", 'i');
  set(0x79, {"i64.clz", "i64.ctz", "i64.popcnt"}, "I", 'I');
  set(0x7c,
      {"i64.add", "i64.sub", "i64.mul", "i64.div_s", "i64.div_u", "i64.rem_s", "i64.rem_u",
       "i64.and", "i64.or", "i64.xor", "i64.shl", "i64.shr_s", "i64.shr_u", "i64.rotl", "i64.rotr"},
      "II", 'I');
  set(0x8b, {"f32.abs", "f32.neg", "f32.ceil", "f32.floor", "f32.trunc", "f32.nearest", "f32.sqrt"},
      "f", 'f');
  set(0x92, {"f32.add", "f32.sub", "f32.mul", "f32.div", "f32.min", "f32.max", "f32.copysign"},
      "ff", 'f');
  set(0x99, {"f64.abs", "f64.neg", "f64.ceil", "f64.floor", "f64.trunc", "f64.nearest", "f64.sqrt"},
      "F", 'F');
  set(0xa0, {"f64.add", "f64.sub", "f64.mul", "f64.div", "f64.min", "f64.max", "f64.copysign"},
      "FF", 'F');
  set(0xa7, {"i32.wrap_i64"}, "I", 'i');
  set(0xa8, {"i32.trunc_f32_s", "i32.trunc_f32_u"}, "f", 'i');
  set(0xaa, {"i32.trunc_f64_s", "i32.trunc_f64_u"}, "F", 'i');
  set(0xac, {"i64.extend_i32_s", "i64.extend_i32_u"}, "i", 'I');
  set(0xae, {"i64.trunc_f32_s", "i64.trunc_f32_u"}, "f", 'I');
  set(0xb0, {"i64.trunc_f64_s", "i64.trunc_f64_u"}, "F", 'I');
  set(0xb2, {"f32.convert_i32_s", "f32.convert_i32_u"}, "i", 'f');
  set(0xb4, {"f32.convert_i64_s", "f32.convert_i64_u"}, "I", 'f');
  set(0xb6, {"f32.demote_f64"}, "F", 'f');
  set(0xb7, {"f64.convert_i32_s", "f64.convert_i32_u"}, "i", 'F');
  set(0xb9, {"f64.convert_i64_s", "f64.convert_i64_u"}, "I", 'F');
  set(0xbb, {"f64.promote_f32"}, "f", 'F');
  set(0xbc, {"i32.reinterpret_f32"}, "f", 'i');
  set(0xbd, {"i64.reinterpret_f64"}, "F", 'I');
  set(0xbe, {"f32.reinterpret_i32"}, "i", 'f');
  set(0xbf, {"f64.reinterpret_i64"}, "I", 'F');
  set(0xc0, {"i32.extend8_s", "i32.extend16_s"}, "i", 'i');
  set(0xc2, {"i64.extend8_s", "i64.extend16_s", "i64.extend32_s"}, "I", 'I');
  return table;
}

const std::array<Operation, 0xc5> kOperations = make_operations();
constexpr Operation kSaturating[8] = {
    {"i32.trunc_sat_f32_s", "f", 'i'}, {"i32.trunc_sat_f32_u", "f", 'i'},
    {"i32.trunc_sat_f64_s", "F", 'i'}, {"i32.trunc_sat_f64_u", "F", 'i'},
    {"i64.trunc_sat_f32_s", "f", 'I'}, {"i64.trunc_sat_f32_u", "f", 'I'},
    {"i64.trunc_sat_f64_s", "F", 'I'}, {"i64.trunc_sat_f64_u", "F", 'I'}};

}  // namespace

const Operation* find_operation(uint16_t opcode) {
  if (opcode >= 0xfc00 && opcode < 0xfc08) return &kSaturating[opcode - 0xfc00];
  if (opcode < kOperations.size() && kOperations[opcode].name) return &kOperations[opcode];
  return nullptr;
}

ValueType type_of_letter(char letter) {
  switch (letter) {
    case 'i':
      return ValueType::kI32;
    case 'I':
      return ValueType::kI64;
    case 'f':
      return ValueType::kF32;
    default:
      return ValueType::kF64;
  }
}

std::string opcode_name(uint16_t opcode) {
  if (const Operation* operation = find_operation(opcode)) return operation->name;
  switch (opcode) {
    case kUnreachable:
      return "unreachable";
    case kNop:
      return "nop";
    case kBlock:
      return "block";
    case kLoop:
      return "loop";
    case kIf:
      return "if";
    case kElse:
      return "else";
    case kEnd:
      return "end";
    case kBr:
      return "br";
    case kBrIf:
      return "br_if";
    case kBrTable:
      return "br_table";
    case kReturn:
      return "return";
    case kCall:
      return "call";
    case kCallIndirect:
      return "call_indirect";
    case kDrop:
      return "drop";
    case kSelect:
    case kSelectTyped:
      return "select";
    case kLocalGet:
      return "local.get";
    case kLocalSet:
      return "local.set";
    case kLocalTee:
      return "local.tee";
    case kGlobalGet:
      return "global.get";
    case kGlobalSet:
      return "global.set";
    case kMemorySize:
      return "memory.size";
    case kMemoryGrow:
      return "memory.grow";
    case kI32Const:
      return "i32.const";
    case kI64Const:
      return "i64.const";
    case kF32Const:
      return "f32.const";
    case kF64Const:
      return "f64.const";
    case kMemoryInit:
      return "memory.init";
    case kDataDrop:
      return "data.drop";
    case kMemoryCopy:
      return "memory.copy";
    case kMemoryFill:
      return "memory.fill";
    default:
      return "opcode " + std::to_string(opcode);
  }
}

InstructionReader::InstructionReader(const Module& module, const FunctionBody& body)
    : at_(body.begin), end_(body.end), name_(&module.name) {}

bool InstructionReader::next(Instruction& instruction) {
  if (at_ == end_) return false;
  ByteReader in(at_, end_, *name_);
  instruction.opcode = in.byte();
  instruction.value = 0;
  instruction.targets.clear();
  if (instruction.opcode == 0xfc) instruction.opcode = static_cast<uint16_t>(0xfc00 + in.u32());
  switch (instruction.opcode) {
    case kBlock:
    case kLoop:
    case kIf:
      instruction.block_type = in.s64();
      break;
    case kBr:
    case kBrIf:
    case kCall:
    case kLocalGet:
    case kLocalSet:
    case kLocalTee:
    case kGlobalGet:
    case kGlobalSet:
    case kDataDrop:
      instruction.value = in.u32();
      break;
    case kBrTable:
      for (uint32_t n = in.u32() + 1; n > 0; --n) instruction.targets.push_back(in.u32());
      break;
    case kCallIndirect:
      instruction.value = in.u32();
      if (in.u32() != 0) fail(*name_ + ": a second table");
      break;
    case kSelectTyped:
      for (uint32_t n = in.u32(); n > 0; --n) in.byte();
      instruction.opcode = kSelect;
      break;
    case kMemorySize:
    case kMemoryGrow:
    case kMemoryFill:
      in.u32();
      break;
    case kMemoryCopy:
      in.u32();
      in.u32();
      break;
    case kMemoryInit:
      instruction.value = in.u32();
      in.u32();
      break;
    case kI32Const:
      instruction.value = static_cast<uint32_t>(in.s32());
      break;
    case kI64Const:
      instruction.value = static_cast<uint64_t>(in.s64());
      break;
    case kF32Const:
      instruction.value = in.fixed32();
      break;
    case kF64Const:
      instruction.value = in.fixed64();
      break;
    case kUnreachable:
    case kNop:
    case kElse:
    case kEnd:
    case kReturn:
    case kDrop:
    case kSelect:
      break;
    default:
      if (!find_operation(instruction.opcode)) {
        fail(*name_ + ": opcode " + std::to_string(instruction.opcode) +
             " is not supported (SIMD, threads, exceptions and references are not)");
      }
      if (is_load(instruction.opcode) || is_store(instruction.opcode)) {
        in.u32();  // alignment is a hint
        instruction.value = in.u32();
      }
  }
  at_ = in.position();
  return true;
}

}  // namespace calf::translator
