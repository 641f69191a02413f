/* What every generated file includes: access to linear memory and WASM's operations, exactly as the
 * specification defines them where C does not. Hand-written; the translator only uses the names.
 *
 * Not here: the state of a process and the table (calf_abi.h). */
#ifndef CALF_PRELUDE_H_
#define CALF_PRELUDE_H_

/* Everything that is linked with the image is in the same binary: no indirection through a global
 * offset table. */
#pragma GCC visibility push(hidden)
#include "calf_abi.h"

/* --- linear memory: base and offset are 32 bits each and their sum does not wrap; 8 GiB are
 * reserved. */
typedef u8 CALF_GUEST calf_guest_u8;
typedef s8 CALF_GUEST calf_guest_s8;
typedef u16 CALF_GUEST calf_guest_u16 __attribute__((aligned(1)));
typedef s16 CALF_GUEST calf_guest_s16 __attribute__((aligned(1)));
typedef u32 CALF_GUEST calf_guest_u32 __attribute__((aligned(1)));
typedef s32 CALF_GUEST calf_guest_s32 __attribute__((aligned(1)));
typedef u64 CALF_GUEST calf_guest_u64 __attribute__((aligned(1)));
typedef f32 CALF_GUEST calf_guest_f32 __attribute__((aligned(1)));
typedef f64 CALF_GUEST calf_guest_f64 __attribute__((aligned(1)));

#if CALF_MEMORY_GS
#define CALF_AT(type, base, offset) (*(calf_guest_##type*)((u64)(u32)(base) + (offset)))
#else
#define CALF_AT(type, base, offset) \
  (*(calf_guest_##type*)(calf_memory_base + ((u64)(u32)(base) + (offset))))
#endif

#define CALF_LOAD8(base, offset) CALF_AT(u8, base, offset)
#define CALF_LOAD16(base, offset) CALF_AT(u16, base, offset)
#define CALF_LOAD32(base, offset) CALF_AT(u32, base, offset)
#define CALF_LOAD64(base, offset) CALF_AT(u64, base, offset)
#define CALF_LOADF32(base, offset) CALF_AT(f32, base, offset)
#define CALF_LOADF64(base, offset) CALF_AT(f64, base, offset)
#define CALF_LOAD8S(base, offset) ((u32)(s32)CALF_AT(s8, base, offset))
#define CALF_LOAD8U(base, offset) ((u32)CALF_AT(u8, base, offset))
#define CALF_LOAD16S(base, offset) ((u32)(s32)CALF_AT(s16, base, offset))
#define CALF_LOAD16U(base, offset) ((u32)CALF_AT(u16, base, offset))
#define CALF_LOAD8S64(base, offset) ((u64)(s64)CALF_AT(s8, base, offset))
#define CALF_LOAD8U64(base, offset) ((u64)CALF_AT(u8, base, offset))
#define CALF_LOAD16S64(base, offset) ((u64)(s64)CALF_AT(s16, base, offset))
#define CALF_LOAD16U64(base, offset) ((u64)CALF_AT(u16, base, offset))
#define CALF_LOAD32S64(base, offset) ((u64)(s64)CALF_AT(s32, base, offset))
#define CALF_LOAD32U64(base, offset) ((u64)CALF_AT(u32, base, offset))
#define CALF_STORE8(base, offset, value) (CALF_AT(u8, base, offset) = (u8)(value))
#define CALF_STORE16(base, offset, value) (CALF_AT(u16, base, offset) = (u16)(value))
#define CALF_STORE32(base, offset, value) (CALF_AT(u32, base, offset) = (u32)(value))
#define CALF_STORE64(base, offset, value) (CALF_AT(u64, base, offset) = (value))
#define CALF_STOREF32(base, offset, value) (CALF_AT(f32, base, offset) = (value))
#define CALF_STOREF64(base, offset, value) (CALF_AT(f64, base, offset) = (value))

/* --- indirect calls */
static inline void (*calf_lookup(u32 index, u64 type))(void) {
  if (__builtin_expect(index >= calf_table_size || calf_table[index].type != type, 0)) {
    calf_trap(CALF_TRAP_INDIRECT_CALL);
  }
  return calf_table[index].function;
}

/* --- integers */
#define CALF_DEFINE_DIVISION(bits, minimum)                                         \
  static inline u##bits calf_div_u##bits(u##bits a, u##bits b) {                    \
    if (__builtin_expect(b == 0, 0)) calf_trap(CALF_TRAP_INTEGER_DIVISION_BY_ZERO); \
    return a / b;                                                                   \
  }                                                                                 \
  static inline u##bits calf_rem_u##bits(u##bits a, u##bits b) {                    \
    if (__builtin_expect(b == 0, 0)) calf_trap(CALF_TRAP_INTEGER_DIVISION_BY_ZERO); \
    return a % b;                                                                   \
  }                                                                                 \
  static inline u##bits calf_div_s##bits(u##bits a, u##bits b) {                    \
    if (__builtin_expect(b == 0, 0)) calf_trap(CALF_TRAP_INTEGER_DIVISION_BY_ZERO); \
    if (__builtin_expect((s##bits)a == (minimum) && (s##bits)b == -1, 0)) {         \
      calf_trap(CALF_TRAP_INTEGER_OVERFLOW);                                        \
    }                                                                               \
    return (u##bits)((s##bits)a / (s##bits)b);                                      \
  }                                                                                 \
  static inline u##bits calf_rem_s##bits(u##bits a, u##bits b) {                    \
    if (__builtin_expect(b == 0, 0)) calf_trap(CALF_TRAP_INTEGER_DIVISION_BY_ZERO); \
    if ((s##bits)b == -1) return 0;                                                 \
    return (u##bits)((s##bits)a % (s##bits)b);                                      \
  }                                                                                 \
  static inline u##bits calf_rotl##bits(u##bits a, u##bits n) {                     \
    return (a << (n & (bits - 1))) | (a >> (-n & (bits - 1)));                      \
  }                                                                                 \
  static inline u##bits calf_rotr##bits(u##bits a, u##bits n) {                     \
    return (a >> (n & (bits - 1))) | (a << (-n & (bits - 1)));                      \
  }
CALF_DEFINE_DIVISION(32, INT32_MIN)
CALF_DEFINE_DIVISION(64, INT64_MIN)

static inline u32 calf_clz32(u32 a) {
  return a ? (u32)__builtin_clz(a) : 32;
}
static inline u32 calf_ctz32(u32 a) {
  return a ? (u32)__builtin_ctz(a) : 32;
}
static inline u32 calf_popcnt32(u32 a) {
  return (u32)__builtin_popcount(a);
}
static inline u64 calf_clz64(u64 a) {
  return a ? (u64)__builtin_clzll(a) : 64;
}
static inline u64 calf_ctz64(u64 a) {
  return a ? (u64)__builtin_ctzll(a) : 64;
}
static inline u64 calf_popcnt64(u64 a) {
  return (u64)__builtin_popcountll(a);
}

/* --- floating point */
static inline u32 calf_bits_of_f32(f32 a) {
  u32 bits;
  __builtin_memcpy(&bits, &a, 4);
  return bits;
}
static inline u64 calf_bits_of_f64(f64 a) {
  u64 bits;
  __builtin_memcpy(&bits, &a, 8);
  return bits;
}
static inline f32 calf_f32_of_bits(u32 a) {
  f32 value;
  __builtin_memcpy(&value, &a, 4);
  return value;
}
static inline f64 calf_f64_of_bits(u64 a) {
  f64 value;
  __builtin_memcpy(&value, &a, 8);
  return value;
}

/* Adding a NaN to itself makes it quiet and keeps its payload, as WASM wants of every operation but
 * the bit-wise ones. */
#define CALF_DEFINE_FLOAT(type, suffix, unsigned_type, sign_bit)                               \
  static inline type calf_abs_##type(type a) {                                                 \
    return __builtin_fabs##suffix(a);                                                          \
  }                                                                                            \
  static inline type calf_neg_##type(type a) {                                                 \
    return calf_##type##_of_bits(calf_bits_of_##type(a) ^ (sign_bit));                         \
  }                                                                                            \
  static inline type calf_ceil_##type(type a) {                                                \
    return a != a ? a + a : __builtin_ceil##suffix(a);                                         \
  }                                                                                            \
  static inline type calf_floor_##type(type a) {                                               \
    return a != a ? a + a : __builtin_floor##suffix(a);                                        \
  }                                                                                            \
  static inline type calf_trunc_##type(type a) {                                               \
    return a != a ? a + a : __builtin_trunc##suffix(a);                                        \
  }                                                                                            \
  static inline type calf_nearest_##type(type a) {                                             \
    return a != a ? a + a : __builtin_nearbyint##suffix(a);                                    \
  }                                                                                            \
  static inline type calf_sqrt_##type(type a) {                                                \
    return __builtin_sqrt##suffix(a);                                                          \
  }                                                                                            \
  static inline type calf_copysign_##type(type a, type b) {                                    \
    return __builtin_copysign##suffix(a, b);                                                   \
  }                                                                                            \
  static inline type calf_min_##type(type a, type b) {                                         \
    if (a != a || b != b) return a + b;                                                        \
    if (a == b) return calf_##type##_of_bits(calf_bits_of_##type(a) | calf_bits_of_##type(b)); \
    return a < b ? a : b;                                                                      \
  }                                                                                            \
  static inline type calf_max_##type(type a, type b) {                                         \
    if (a != a || b != b) return a + b;                                                        \
    if (a == b) return calf_##type##_of_bits(calf_bits_of_##type(a) & calf_bits_of_##type(b)); \
    return a > b ? a : b;                                                                      \
  }
CALF_DEFINE_FLOAT(f32, f, u32, 0x80000000u)
CALF_DEFINE_FLOAT(f64, , u64, 0x8000000000000000ull)

/* Float to integer: `fits_low` is the test of the lower bound that is exact in the float type;
 * `high` is the first float that is too big. */
#define CALF_DEFINE_TRUNC(name, unsigned_type, integer, type, fits_low, high, minimum, maximum) \
  static inline unsigned_type calf_trunc_##name(type a) {                                       \
    if (__builtin_expect(a != a, 0)) calf_trap(CALF_TRAP_INVALID_CONVERSION);                   \
    if (__builtin_expect(!(fits_low && a < (high)), 0)) calf_trap(CALF_TRAP_INTEGER_OVERFLOW);  \
    return (unsigned_type)(integer)a;                                                           \
  }                                                                                             \
  static inline unsigned_type calf_saturate_##name(type a) {                                    \
    if (a != a) return 0;                                                                       \
    if (!(fits_low)) return (unsigned_type)(minimum);                                           \
    if (!(a < (high))) return (unsigned_type)(maximum);                                         \
    return (unsigned_type)(integer)a;                                                           \
  }
CALF_DEFINE_TRUNC(s32_f32, u32, s32, f32, a >= -0x1p31f, 0x1p31f, INT32_MIN, INT32_MAX)
CALF_DEFINE_TRUNC(u32_f32, u32, u32, f32, a > -1.0f, 0x1p32f, 0, UINT32_MAX)
CALF_DEFINE_TRUNC(s32_f64, u32, s32, f64, a > -2147483649.0, 0x1p31, INT32_MIN, INT32_MAX)
CALF_DEFINE_TRUNC(u32_f64, u32, u32, f64, a > -1.0, 0x1p32, 0, UINT32_MAX)
CALF_DEFINE_TRUNC(s64_f32, u64, s64, f32, a >= -0x1p63f, 0x1p63f, INT64_MIN, INT64_MAX)
CALF_DEFINE_TRUNC(u64_f32, u64, u64, f32, a > -1.0f, 0x1p64f, 0, UINT64_MAX)
CALF_DEFINE_TRUNC(s64_f64, u64, s64, f64, a >= -0x1p63, 0x1p63, INT64_MIN, INT64_MAX)
CALF_DEFINE_TRUNC(u64_f64, u64, u64, f64, a > -1.0, 0x1p64, 0, UINT64_MAX)

#endif /* CALF_PRELUDE_H_ */
