#include "operation_text.h"

#include <cmath>
#include <cstdio>
#include <cstring>

#include "instructions.h"

namespace calf::translator {
namespace {

template <typename Float, typename Bits>
std::string float_text(uint64_t bits, const char* suffix, const char* from_bits) {
  auto raw = static_cast<Bits>(bits);
  Float value;
  std::memcpy(&value, &raw, sizeof value);
  char text[64];
  if (std::isfinite(value))
    std::snprintf(text, sizeof text, "(%a%s)", static_cast<double>(value), suffix);
  else
    std::snprintf(text, sizeof text, "%s(0x%llxull)", from_bits,
                  static_cast<unsigned long long>(bits));
  return text;
}

OperationText infix(const std::string& left, const char* sign, const std::string& right) {
  return {'(' + left + sign + right + ')'};
}
OperationText compare(const std::string& left, const char* sign, const std::string& right) {
  return {'(' + left + sign + right + ')', true};
}
OperationText call(const std::string& function, const std::string& arguments) {
  return {function + '(' + arguments + ')'};
}

constexpr const char* kComparison[] = {"==", "!=", "<", "<", ">", ">", "<=", "<=", ">=", ">="};
constexpr const char* kFloatComparison[] = {"==", "!=", "<", ">", "<=", ">="};

OperationText compare_integers(unsigned which, const char* signed_type, const std::string& left,
                               const std::string& right) {
  bool is_signed = which >= 2 && which % 2 == 0;
  std::string cast = is_signed ? std::string("(") + signed_type + ')' : "";
  return compare(cast + left, kComparison[which], cast + right);
}

// Division by a constant that is neither 0 nor -1 cannot trap.
OperationText divide(const char* name, const char* sign, const char* signed_type, bool is_signed,
                     const std::string& left, const std::string& right,
                     std::optional<uint64_t> divisor, uint64_t minus_one) {
  if (divisor && *divisor != 0 && *divisor != minus_one) {
    if (!is_signed) return infix(left, sign, right);
    std::string cast = std::string("(") + signed_type + ')';
    return {std::string("(u") + (signed_type + 1) + ")(" + cast + left + sign + cast + right + ')'};
  }
  OperationText out = call(name, left + ',' + right);
  out.may_trap = true;
  return out;
}

// clz … rotr of one width; `n` counts from clz.
OperationText integer_operation(unsigned n, unsigned width, const std::string& left,
                                const std::string& right, std::optional<uint64_t> divisor) {
  std::string bits = std::to_string(width), mask = std::to_string(width - 1);
  std::string signed_type = "s" + bits;
  uint64_t minus_one = width == 32 ? 0xffffffffu : ~uint64_t{0};
  auto named = [&](const char* name) {
    return call(name + bits, left + (right.empty() ? "" : ',' + right));
  };
  switch (n) {
    case 0:
      return named("calf_clz");
    case 1:
      return named("calf_ctz");
    case 2:
      return named("calf_popcnt");
    case 3:
      return infix(left, "+", right);
    case 4:
      return infix(left, "-", right);
    case 5:
      return infix(left, "*", right);
    case 6:
      return divide(("calf_div_s" + bits).c_str(), "/", signed_type.c_str(), true, left, right,
                    divisor, minus_one);
    case 7:
      return divide(("calf_div_u" + bits).c_str(), "/", signed_type.c_str(), false, left, right,
                    divisor, 0);
    case 8:
      return divide(("calf_rem_s" + bits).c_str(), "%", signed_type.c_str(), true, left, right,
                    divisor, minus_one);
    case 9:
      return divide(("calf_rem_u" + bits).c_str(), "%", signed_type.c_str(), false, left, right,
                    divisor, 0);
    case 10:
      return infix(left, "&", right);
    case 11:
      return infix(left, "|", right);
    case 12:
      return infix(left, "^", right);
    case 13:
      return {'(' + left + "<<(" + right + '&' + mask + "))"};
    case 14:
      return {"(u" + bits + ")((" + signed_type + ')' + left + ">>(" + right + '&' + mask + "))"};
    case 15:
      return {'(' + left + ">>(" + right + '&' + mask + "))"};
    case 16:
      return named("calf_rotl");
    default:
      return named("calf_rotr");
  }
}

// abs … copysign of one width; `n` counts from abs.
OperationText float_operation(unsigned n, const char* type, const std::string& left,
                              const std::string& right) {
  constexpr const char* kUnary[] = {"abs", "neg", "ceil", "floor", "trunc", "nearest", "sqrt"};
  constexpr const char* kInfix[] = {"+", "-", "*", "/"};
  constexpr const char* kBinary[] = {"min", "max", "copysign"};
  if (n < 7) return call(std::string("calf_") + kUnary[n] + '_' + type, left);
  if (n < 11) return infix(left, kInfix[n - 7], right);
  return call(std::string("calf_") + kBinary[n - 11] + '_' + type, left + ',' + right);
}

OperationText conversion(uint16_t opcode, const std::string& value) {
  auto trapping = [&](const char* name) {
    OperationText out = call(name, value);
    out.may_trap = true;
    return out;
  };
  switch (opcode) {
    case 0xa7:
      return {"(u32)" + value};
    case 0xa8:
      return trapping("calf_trunc_s32_f32");
    case 0xa9:
      return trapping("calf_trunc_u32_f32");
    case 0xaa:
      return trapping("calf_trunc_s32_f64");
    case 0xab:
      return trapping("calf_trunc_u32_f64");
    case 0xac:
      return {"(u64)(s64)(s32)" + value};
    case 0xad:
      return {"(u64)" + value};
    case 0xae:
      return trapping("calf_trunc_s64_f32");
    case 0xaf:
      return trapping("calf_trunc_u64_f32");
    case 0xb0:
      return trapping("calf_trunc_s64_f64");
    case 0xb1:
      return trapping("calf_trunc_u64_f64");
    case 0xb2:
      return {"(f32)(s32)" + value};
    case 0xb3:
      return {"(f32)" + value};
    case 0xb4:
      return {"(f32)(s64)" + value};
    case 0xb5:
      return {"(f32)" + value};
    case 0xb6:
      return {"(f32)" + value};
    case 0xb7:
      return {"(f64)(s32)" + value};
    case 0xb8:
      return {"(f64)" + value};
    case 0xb9:
      return {"(f64)(s64)" + value};
    case 0xba:
      return {"(f64)" + value};
    case 0xbb:
      return {"(f64)" + value};
    case 0xbc:
      return call("calf_bits_of_f32", value);
    case 0xbd:
      return call("calf_bits_of_f64", value);
    case 0xbe:
      return call("calf_f32_of_bits", value);
    case 0xbf:
      return call("calf_f64_of_bits", value);
    case 0xc0:
      return {"(u32)(s32)(s8)" + value};
    case 0xc1:
      return {"(u32)(s32)(s16)" + value};
    case 0xc2:
      return {"(u64)(s64)(s8)" + value};
    case 0xc3:
      return {"(u64)(s64)(s16)" + value};
    case 0xc4:
      return {"(u64)(s64)(s32)" + value};
    case 0xfc00:
      return call("calf_saturate_s32_f32", value);
    case 0xfc01:
      return call("calf_saturate_u32_f32", value);
    case 0xfc02:
      return call("calf_saturate_s32_f64", value);
    case 0xfc03:
      return call("calf_saturate_u32_f64", value);
    case 0xfc04:
      return call("calf_saturate_s64_f32", value);
    case 0xfc05:
      return call("calf_saturate_u64_f32", value);
    case 0xfc06:
      return call("calf_saturate_s64_f64", value);
    case 0xfc07:
      return call("calf_saturate_u64_f64", value);
    default:
      fail("no C text for " + opcode_name(opcode));
  }
}

}  // namespace

std::string constant_text(ValueType type, uint64_t bits) {
  switch (type) {
    case ValueType::kI32:
      return std::to_string(static_cast<uint32_t>(bits)) + 'u';
    case ValueType::kI64:
      return std::to_string(bits) + "ull";
    case ValueType::kF32:
      return float_text<float, uint32_t>(bits, "f", "calf_f32_of_bits");
    case ValueType::kF64:
      return float_text<double, uint64_t>(bits, "", "calf_f64_of_bits");
  }
  return "0";
}

const char* load_macro(uint16_t opcode) {
  constexpr const char* kNames[] = {
      "CALF_LOAD32",    "CALF_LOAD64",    "CALF_LOADF32",   "CALF_LOADF64",  "CALF_LOAD8S",
      "CALF_LOAD8U",    "CALF_LOAD16S",   "CALF_LOAD16U",   "CALF_LOAD8S64", "CALF_LOAD8U64",
      "CALF_LOAD16S64", "CALF_LOAD16U64", "CALF_LOAD32S64", "CALF_LOAD32U64"};
  return kNames[opcode - kI32Load];
}

const char* store_macro(uint16_t opcode) {
  constexpr const char* kNames[] = {"CALF_STORE32",  "CALF_STORE64", "CALF_STOREF32",
                                    "CALF_STOREF64", "CALF_STORE8",  "CALF_STORE16",
                                    "CALF_STORE8",   "CALF_STORE16", "CALF_STORE32"};
  return kNames[opcode - kI32Store];
}

OperationText operation_text(uint16_t opcode, const std::string& left, const std::string& right,
                             std::optional<uint64_t> right_constant) {
  if (opcode == 0x45 || opcode == 0x50) return {"(!" + left + ')', true};
  if (opcode <= 0x4f) return compare_integers(opcode - 0x46u, "s32", left, right);
  if (opcode <= 0x5a) return compare_integers(opcode - 0x51u, "s64", left, right);
  if (opcode <= 0x60) return compare(left, kFloatComparison[opcode - 0x5b], right);
  if (opcode <= 0x66) return compare(left, kFloatComparison[opcode - 0x61], right);
  if (opcode <= 0x78) return integer_operation(opcode - 0x67u, 32, left, right, right_constant);
  if (opcode <= 0x8a) return integer_operation(opcode - 0x79u, 64, left, right, right_constant);
  if (opcode <= 0x98) return float_operation(opcode - 0x8bu, "f32", left, right);
  if (opcode <= 0xa6) return float_operation(opcode - 0x99u, "f64", left, right);
  return conversion(opcode, left);
}

}  // namespace calf::translator
