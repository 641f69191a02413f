// Arithmetic and mathematics. Integers are checked: SQLite would go over to floating point.
#include <cmath>
#include <cstring>

#include "os/random.h"
#include "sqlite/decimal.h"
#include "sqlite/functions.h"
#include "sqlite/sql_error.h"

namespace calf::sqlite {
namespace {

[[noreturn]] void division_by_zero() {
  raise("22012", "division by zero");
}

template <Oid kType>
Datum integer_result(bool overflow, std::int64_t value) {
  if (overflow) raise("22003", std::string(type_info(kType).sql_name) + " out of range");
  return Datum::of(check_integer(value, kType));
}
template <Oid kType>
Datum add(const Call& c) {
  std::int64_t r = 0;
  const bool overflow = __builtin_add_overflow(c.integer(0), c.integer(1), &r);
  return integer_result<kType>(overflow, r);
}
template <Oid kType>
Datum subtract(const Call& c) {
  std::int64_t r = 0;
  const bool overflow = __builtin_sub_overflow(c.integer(0), c.integer(1), &r);
  return integer_result<kType>(overflow, r);
}
template <Oid kType>
Datum multiply(const Call& c) {
  std::int64_t r = 0;
  const bool overflow = __builtin_mul_overflow(c.integer(0), c.integer(1), &r);
  return integer_result<kType>(overflow, r);
}
template <Oid kType>
Datum divide(const Call& c) {
  if (c.integer(1) == 0) division_by_zero();
  if (c.integer(1) == -1) {
    std::int64_t r = 0;
    const bool overflow = __builtin_sub_overflow(std::int64_t{0}, c.integer(0), &r);
    return integer_result<kType>(overflow, r);
  }
  return Datum::of(c.integer(0) / c.integer(1));
}
template <Oid kType>
Datum remainder_of(const Call& c) {
  if (c.integer(1) == 0) division_by_zero();
  return Datum::of(c.integer(1) == -1 ? 0 : c.integer(0) % c.integer(1));
}
template <Oid kType>
Datum negate(const Call& c) {
  std::int64_t r = 0;
  const bool overflow = __builtin_sub_overflow(std::int64_t{0}, c.integer(0), &r);
  return integer_result<kType>(overflow, r);
}
template <Oid kType>
Datum absolute(const Call& c) {
  return c.integer(0) < 0 ? negate<kType>(c) : c.arguments[0];
}

template <Oid kType>
void add_integers(FunctionTable& t, const std::string& type) {
  const std::string pair = "(" + type + "," + type + ") " + type;
  const std::string single = "(" + type + ") " + type;
  t.scalar("+" + pair, add<kType>);
  t.scalar("-" + pair, subtract<kType>);
  t.scalar("*" + pair, multiply<kType>);
  t.scalar("/" + pair, divide<kType>);
  t.scalar("%" + pair, remainder_of<kType>);
  t.scalar("mod" + pair, remainder_of<kType>);
  t.scalar("-" + single, negate<kType>);
  t.scalar("abs" + single, absolute<kType>);
  t.scalar("@" + single, absolute<kType>);
  t.native("+" + single, "$1");
  t.native("&" + pair, "($1 & $2)");
  t.native("|" + pair, "($1 | $2)");
  t.scalar("#" + pair, [](const Call& c) { return Datum::of(c.integer(0) ^ c.integer(1)); });
  t.native("~" + single, "(~$1)");
  t.scalar("gcd" + pair, [](const Call& c) {
    std::int64_t a = c.integer(0);
    std::int64_t b = c.integer(1);
    while (b != 0) {
      const std::int64_t rest = b == -1 ? 0 : a % b;
      a = b;
      b = rest;
    }
    return integer_result<kType>(a == INT64_MIN, a < 0 && a != INT64_MIN ? -a : a);
  });
}

double check_float(double value, bool inputs_finite, Oid type, bool inputs_zero = true) {
  if (type == oid::kFloat4) value = static_cast<float>(value);
  if (std::isinf(value) && inputs_finite) raise("22003", "value out of range: overflow");
  if (value == 0 && !inputs_zero) raise("22003", "value out of range: underflow");
  if (std::isnan(value)) unsupported("NaN of a floating-point type");
  return value;
}

template <Oid kType>
void add_floats(FunctionTable& t, const std::string& type) {
  const std::string pair = "(" + type + "," + type + ") " + type;
  const std::string single = "(" + type + ") " + type;
  t.scalar("+" + pair, [](const Call& c) {
    const bool finite = std::isfinite(c.real(0)) && std::isfinite(c.real(1));
    return Datum::of(check_float(c.real(0) + c.real(1), finite, kType));
  });
  t.scalar("-" + pair, [](const Call& c) {
    const bool finite = std::isfinite(c.real(0)) && std::isfinite(c.real(1));
    return Datum::of(check_float(c.real(0) - c.real(1), finite, kType));
  });
  t.scalar("*" + pair, [](const Call& c) {
    const bool finite = std::isfinite(c.real(0)) && std::isfinite(c.real(1));
    return Datum::of(
        check_float(c.real(0) * c.real(1), finite, kType, c.real(0) == 0 || c.real(1) == 0));
  });
  t.scalar("/" + pair, [](const Call& c) {
    if (c.real(1) == 0) division_by_zero();
    return Datum::of(check_float(c.real(0) / c.real(1), std::isfinite(c.real(0)), kType,
                                 c.real(0) == 0 || std::isinf(c.real(1))));
  });
  t.scalar("-" + single, [](const Call& c) { return Datum::of(-c.real(0)); });
  t.native("+" + single, "$1");
  t.scalar("abs" + single, [](const Call& c) { return Datum::of(std::fabs(c.real(0))); });
  t.scalar("@" + single, [](const Call& c) { return Datum::of(std::fabs(c.real(0))); });
}

Decimal number(const Call& c, std::size_t i) {
  return Decimal::read(c.text(i));
}
Datum of(const Decimal& value) {
  return Datum::of(value.to_string());
}
Decimal truncated_quotient(const Decimal& a, const Decimal& b) {
  if (b.zero()) division_by_zero();
  return ((a - a % b) / b).rounded(0);
}

// x ^ n for a whole n: exact digits, then rounded as PostgreSQL's numeric_power does.
Datum numeric_power(const Call& c) {
  const Decimal base = number(c, 0);
  const Decimal exponent = number(c, 1);
  if (base.zero() && exponent.sign() < 0)
    raise("2201F", "zero raised to a negative power is undefined");
  if (compare(exponent, exponent.rounded(0)) != 0 || !base.finite() || !exponent.finite()) {
    unsupported("numeric power with an exponent that is not whole");
  }
  const std::int64_t n = exponent.to_int64().value_or(INT64_MAX);
  if (n < -1000 || n > 10'000) unsupported("numeric power with so large an exponent");
  Decimal exact(boost::multiprecision::pow(base.unscaled(), static_cast<unsigned>(n < 0 ? -n : n)),
                base.scale() * static_cast<int>(n < 0 ? -n : n));
  if (n < 0) exact = Decimal::of(std::int64_t{1}) / exact;
  if (exact.zero()) return of(exact.rounded(16));
  const double magnitude = std::log10(std::fabs(exact.to_double()));
  const int scale = std::max({16 - static_cast<int>(magnitude), base.scale(), exponent.scale(), 0});
  return of(exact.rounded(std::min(scale, 1000)));
}

void add_numerics(FunctionTable& t) {
  t.scalar("+(numeric,numeric) numeric",
           [](const Call& c) { return of(number(c, 0) + number(c, 1)); });
  t.scalar("-(numeric,numeric) numeric",
           [](const Call& c) { return of(number(c, 0) - number(c, 1)); });
  t.scalar("*(numeric,numeric) numeric",
           [](const Call& c) { return of(number(c, 0) * number(c, 1)); });
  t.scalar("/(numeric,numeric) numeric",
           [](const Call& c) { return of(number(c, 0) / number(c, 1)); });
  t.scalar("%(numeric,numeric) numeric",
           [](const Call& c) { return of(number(c, 0) % number(c, 1)); });
  t.scalar("mod(numeric,numeric) numeric",
           [](const Call& c) { return of(number(c, 0) % number(c, 1)); });
  t.scalar("div(numeric,numeric) numeric",
           [](const Call& c) { return of(truncated_quotient(number(c, 0), number(c, 1))); });
  t.scalar("-(numeric) numeric", [](const Call& c) { return of(number(c, 0).negated()); });
  t.native("+(numeric) numeric", "$1");
  const Implementation absolute_value = [](const Call& c) {
    const Decimal value = number(c, 0);
    return of(value.sign() < 0 ? value.negated() : value);
  };
  t.scalar("abs(numeric) numeric", absolute_value);
  t.scalar("@(numeric) numeric", absolute_value);
  t.scalar("round(numeric) numeric", [](const Call& c) { return of(number(c, 0).rounded(0)); });
  t.scalar("round(numeric,int4) numeric",
           [](const Call& c) { return of(number(c, 0).rounded(static_cast<int>(c.integer(1)))); });
  t.scalar("trunc(numeric) numeric", [](const Call& c) { return of(number(c, 0).truncated(0)); });
  t.scalar("trunc(numeric,int4) numeric", [](const Call& c) {
    return of(number(c, 0).truncated(static_cast<int>(c.integer(1))));
  });
  t.scalar("ceil(numeric) numeric", [](const Call& c) { return of(number(c, 0).ceil()); });
  t.scalar("ceiling(numeric) numeric", [](const Call& c) { return of(number(c, 0).ceil()); });
  t.scalar("floor(numeric) numeric", [](const Call& c) { return of(number(c, 0).floor()); });
  t.scalar("sign(numeric) numeric",
           [](const Call& c) { return of(Decimal::of(std::int64_t{number(c, 0).sign()})); });
  t.scalar("sqrt(numeric) numeric", [](const Call& c) { return of(number(c, 0).square_root()); });
  t.scalar("power(numeric,numeric) numeric", numeric_power);
  t.scalar("pow(numeric,numeric) numeric", numeric_power);
  t.scalar("^(numeric,numeric) numeric", numeric_power);
  for (const char* name : {"exp", "ln", "log", "log10"}) {
    t.scalar(std::string(name) + "(numeric) numeric",
             [](const Call&) -> Datum { unsupported("an exponential or logarithm of numeric"); });
  }
  t.scalar("log(numeric,numeric) numeric",
           [](const Call&) -> Datum { unsupported("an exponential or logarithm of numeric"); });
  t.scalar("scale(numeric) int4",
           [](const Call& c) { return Datum::of(std::int64_t{number(c, 0).scale()}); });
  t.scalar("min_scale(numeric) int4",
           [](const Call& c) { return Datum::of(std::int64_t{number(c, 0).trimmed().scale()}); });
  t.scalar("trim_scale(numeric) numeric", [](const Call& c) { return of(number(c, 0).trimmed()); });
}

template <double (*kFunction)(double)>
Datum real_function(const Call& c) {
  const double value = kFunction(c.real(0));
  if (std::isnan(value)) raise("22003", "input is out of range");
  return Datum::of(check_float(value, std::isfinite(c.real(0)), oid::kFloat8));
}

double logarithm(double x, double (*log)(double)) {
  if (x == 0) raise("2201E", "cannot take logarithm of zero");
  if (x < 0) raise("2201E", "cannot take logarithm of a negative number");
  return log(x);
}
double natural_log(double x) {
  return logarithm(x, std::log);
}
double log_10(double x) {
  return logarithm(x, std::log10);
}
double square_root(double x) {
  if (x < 0) raise("2201F", "cannot take square root of a negative number");
  return std::sqrt(x);
}
// Exact for cubes, which the C library's is not everywhere.
double cube_root(double x) {
  const double root = std::cbrt(x);
  const double whole = std::nearbyint(root);
  return whole * whole * whole == x ? whole : root;
}
double sign_of(double x) {
  return x > 0 ? 1 : x < 0 ? -1 : 0;
}
double degrees(double x) {
  return x / (M_PI / 180.0);
}
double radians(double x) {
  return x * (M_PI / 180.0);
}
double cotangent(double x) {
  return 1 / std::tan(x);
}

Datum real_power(const Call& c) {
  if (c.real(0) == 0 && c.real(1) < 0)
    raise("2201F", "zero raised to a negative power is undefined");
  if (c.real(0) < 0 && c.real(1) != std::floor(c.real(1))) {
    raise("2201F", "a negative number raised to a non-integer power yields a complex result");
  }
  const bool finite = std::isfinite(c.real(0)) && std::isfinite(c.real(1));
  return Datum::of(
      check_float(std::pow(c.real(0), c.real(1)), finite, oid::kFloat8, c.real(0) == 0 || !finite));
}

void add_reals(FunctionTable& t) {
  t.scalar("round(float8) float8", real_function<std::nearbyint>);
  t.scalar("trunc(float8) float8", real_function<std::trunc>);
  t.scalar("ceil(float8) float8", real_function<std::ceil>);
  t.scalar("ceiling(float8) float8", real_function<std::ceil>);
  t.scalar("floor(float8) float8", real_function<std::floor>);
  t.scalar("sign(float8) float8", real_function<sign_of>);
  t.scalar("sqrt(float8) float8", real_function<square_root>);
  t.scalar("|/(float8) float8", real_function<square_root>);
  t.scalar("cbrt(float8) float8", real_function<cube_root>);
  t.scalar("exp(float8) float8", real_function<std::exp>);
  t.scalar("ln(float8) float8", real_function<natural_log>);
  t.scalar("log(float8) float8", real_function<log_10>);
  t.scalar("log10(float8) float8", real_function<log_10>);
  t.scalar("sin(float8) float8", real_function<std::sin>);
  t.scalar("cos(float8) float8", real_function<std::cos>);
  t.scalar("tan(float8) float8", real_function<std::tan>);
  t.scalar("cot(float8) float8", real_function<cotangent>);
  t.scalar("asin(float8) float8", real_function<std::asin>);
  t.scalar("acos(float8) float8", real_function<std::acos>);
  t.scalar("atan(float8) float8", real_function<std::atan>);
  t.scalar("sinh(float8) float8", real_function<std::sinh>);
  t.scalar("cosh(float8) float8", real_function<std::cosh>);
  t.scalar("tanh(float8) float8", real_function<std::tanh>);
  t.scalar("degrees(float8) float8", real_function<degrees>);
  t.scalar("radians(float8) float8", real_function<radians>);
  t.scalar("atan2(float8,float8) float8",
           [](const Call& c) { return Datum::of(std::atan2(c.real(0), c.real(1))); });
  t.scalar("power(float8,float8) float8", real_power);
  t.scalar("pow(float8,float8) float8", real_power);
  t.scalar("^(float8,float8) float8", real_power);
  t.scalar("pi() float8", [](const Call&) { return Datum::of(M_PI); });
  t.scalar("random() float8", [](const Call&) {
     std::uint64_t bits = 0;
     os::random_bytes(std::as_writable_bytes(std::span(&bits, 1)));
     return Datum::of(static_cast<double>(bits >> 11) * 0x1.0p-53);
   }).stable = false;
}

void add_shifts(FunctionTable& t) {
  t.scalar("<<(int4,int4) int4", [](const Call& c) {
    return Datum::of(std::int64_t{static_cast<std::int32_t>(static_cast<std::uint32_t>(c.integer(0))
                                                            << (c.integer(1) & 31))});
  });
  t.scalar(">>(int4,int4) int4", [](const Call& c) {
    return Datum::of(std::int64_t{static_cast<std::int32_t>(c.integer(0)) >> (c.integer(1) & 31)});
  });
  t.scalar("<<(int8,int4) int8", [](const Call& c) {
    return Datum::of(
        static_cast<std::int64_t>(static_cast<std::uint64_t>(c.integer(0)) << (c.integer(1) & 63)));
  });
  t.scalar(">>(int8,int4) int8",
           [](const Call& c) { return Datum::of(c.integer(0) >> (c.integer(1) & 63)); });
}

}  // namespace

void add_math_functions(FunctionTable& t) {
  add_integers<oid::kInt2>(t, "int2");
  add_integers<oid::kInt4>(t, "int4");
  add_integers<oid::kInt8>(t, "int8");
  add_floats<oid::kFloat4>(t, "float4");
  add_floats<oid::kFloat8>(t, "float8");
  add_numerics(t);
  add_reals(t);
  add_shifts(t);
}

}  // namespace calf::sqlite
