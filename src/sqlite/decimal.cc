#include "sqlite/decimal.h"

#include <algorithm>
#include <charconv>
#include <cmath>

#include "sqlite/sql_error.h"

namespace calf::sqlite {
namespace {

using Integer = Decimal::Integer;
using Kind = Decimal::Kind;

constexpr int kMaxScale = 16383;
constexpr int kMaxIntegerDigits = 131072;
constexpr int kMinSignificantDigits = 16;
constexpr int kMaxDivisionScale = 1000;
constexpr int kGroupDigits = 4;  // PostgreSQL computes in digits of base 10000

Integer power_of_ten(int exponent) {
  return boost::multiprecision::pow(Integer(10), static_cast<unsigned>(exponent));
}

// The value at a larger scale.
Integer at_scale(const Decimal& value, int scale) {
  return value.scale() == scale ? value.unscaled()
                                : value.unscaled() * power_of_ten(scale - value.scale());
}

Integer divide_rounding(const Integer& a, const Integer& b) {
  Integer quotient;
  Integer rest;
  boost::multiprecision::divide_qr(a, b, quotient, rest);
  if (abs(rest) * 2 >= abs(b)) quotient += (a < 0) != (b < 0) ? -1 : 1;
  return quotient;
}

// The weight of the first base-10000 digit that is not zero, and that digit.
struct Leading {
  int weight = 0;
  int digit = 0;
};
Leading leading_of(const Decimal& value) {
  if (value.zero()) return {};
  const std::string digits = Integer(abs(value.unscaled())).str();
  const int point = static_cast<int>(digits.size()) - value.scale();  // digits before the point
  const int weight = point > 0 ? (point - 1) / kGroupDigits : -((-point) / kGroupDigits) - 1;
  const int first_count = point - weight * kGroupDigits;  // digits in the first group: 1 to 4
  std::string group = digits.substr(0, static_cast<std::size_t>(first_count));
  group.resize(static_cast<std::size_t>(first_count), '0');
  return {.weight = weight, .digit = std::stoi(group)};
}

int division_scale(const Decimal& a, const Decimal& b) {
  const Leading first = leading_of(a);
  const Leading second = leading_of(b);
  int weight = first.weight - second.weight;
  if (first.digit <= second.digit) --weight;
  int scale = kMinSignificantDigits - weight * kGroupDigits;
  scale = std::max({scale, a.scale(), b.scale(), 0});
  return std::min(scale, kMaxDivisionScale);
}

std::optional<int> parse_exponent(std::string_view text) {
  if (text.starts_with('+')) text.remove_prefix(1);
  int exponent = 0;
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), exponent);
  if (error == std::errc::result_out_of_range) raise("22003", "value overflows numeric format");
  if (error != std::errc() || end != text.data() + text.size()) return std::nullopt;
  return exponent;
}

std::string_view trim(std::string_view text) {
  constexpr std::string_view kSpaces = " \t\n\r\v\f";
  const std::size_t first = text.find_first_not_of(kSpaces);
  if (first == std::string_view::npos) return {};
  return text.substr(first, text.find_last_not_of(kSpaces) - first + 1);
}

bool equals_ignoring_case(std::string_view a, std::string_view b) {
  return std::equal(a.begin(), a.end(), b.begin(), b.end(), [](unsigned char x, unsigned char y) {
    return std::tolower(x) == std::tolower(y);
  });
}

}  // namespace

Decimal Decimal::special(Kind kind) {
  Decimal value;
  value.kind_ = kind;
  return value;
}

Decimal Decimal::of(double value, int digits) {
  if (std::isnan(value)) return special(Kind::kNaN);
  if (std::isinf(value)) return special(value > 0 ? Kind::kInfinity : Kind::kMinusInfinity);
  char text[64];
  std::snprintf(text, sizeof text, "%.*g", digits, value);
  return *parse(text);
}

std::optional<Decimal> Decimal::parse(std::string_view text) {
  text = trim(text);
  std::string_view rest = text;
  const bool negative = rest.starts_with('-');
  if (negative || rest.starts_with('+')) rest.remove_prefix(1);
  if (equals_ignoring_case(text, "nan")) return special(Kind::kNaN);
  if (equals_ignoring_case(rest, "infinity") || equals_ignoring_case(rest, "inf")) {
    return special(negative ? Kind::kMinusInfinity : Kind::kInfinity);
  }
  int exponent = 0;
  if (const std::size_t e = rest.find_first_of("eE"); e != std::string_view::npos) {
    const auto parsed = parse_exponent(rest.substr(e + 1));
    if (!parsed) return std::nullopt;
    exponent = *parsed;
    rest = rest.substr(0, e);
  }
  std::string digits;
  int scale = 0;
  bool point = false;
  for (const char c : rest) {
    if (c >= '0' && c <= '9') {
      digits += c;
      scale += point ? 1 : 0;
    } else if (c == '.' && !point) {
      point = true;
    } else {
      return std::nullopt;
    }
  }
  if (digits.empty()) return std::nullopt;
  scale -= exponent;
  const std::size_t significant =
      digits.size() - std::min(digits.find_first_not_of('0'), digits.size());
  if (static_cast<std::int64_t>(significant) - scale > kMaxIntegerDigits) {
    raise("22003", "value overflows numeric format");
  }
  digits.erase(0, std::min(digits.find_first_not_of('0'), digits.size() - 1));
  Integer unscaled(digits);
  if (scale < 0) {
    unscaled *= power_of_ten(-scale);
    scale = 0;
  }
  if (negative) unscaled = -unscaled;
  Decimal value(std::move(unscaled), scale);
  return scale > kMaxScale ? value.rounded(kMaxScale) : value;
}

Decimal Decimal::read(std::string_view text) {
  auto value = parse(text);
  if (!value) {
    raise("22P02", "invalid input syntax for type numeric: \"" + std::string(text) + "\"");
  }
  return std::move(*value);
}

std::string Decimal::to_string() const {
  if (kind_ == Kind::kNaN) return "NaN";
  if (kind_ == Kind::kInfinity) return "Infinity";
  if (kind_ == Kind::kMinusInfinity) return "-Infinity";
  std::string digits = Integer(abs(unscaled_)).str();
  if (scale_ > 0) {
    const auto scale = static_cast<std::size_t>(scale_);
    if (digits.size() <= scale) digits.insert(0, scale + 1 - digits.size(), '0');
    digits.insert(digits.size() - scale, ".");
  }
  return unscaled_ < 0 ? "-" + digits : digits;
}

double Decimal::to_double() const {
  return std::strtod(to_string().c_str(), nullptr);
}

std::optional<std::int64_t> Decimal::to_int64() const {
  if (!finite()) return std::nullopt;
  const Decimal whole = rounded(0);
  if (whole.unscaled_ > INT64_MAX || whole.unscaled_ < INT64_MIN) return std::nullopt;
  return static_cast<std::int64_t>(whole.unscaled_);
}

int Decimal::sign() const {
  if (kind_ == Kind::kMinusInfinity) return -1;
  if (!finite()) return 1;
  return unscaled_.sign();
}

Decimal Decimal::rounded(int scale) const {
  if (!finite()) return *this;
  scale = std::clamp(scale, -kMaxIntegerDigits, kMaxScale);
  if (scale >= scale_) return {at_scale(*this, scale), scale};
  Integer quotient = divide_rounding(unscaled_, power_of_ten(scale_ - scale));
  if (scale < 0) return {quotient * power_of_ten(-scale), 0};
  return {std::move(quotient), scale};
}

Decimal Decimal::truncated(int scale) const {
  if (!finite()) return *this;
  scale = std::clamp(scale, -kMaxIntegerDigits, kMaxScale);
  if (scale >= scale_) return {at_scale(*this, scale), scale};
  Integer quotient = unscaled_ / power_of_ten(scale_ - scale);
  if (scale < 0) return {quotient * power_of_ten(-scale), 0};
  return {std::move(quotient), scale};
}

Decimal Decimal::floor() const {
  const Decimal whole = truncated(0);
  return finite() && compare(whole, *this) > 0 ? whole - of(std::int64_t{1}) : whole;
}

Decimal Decimal::ceil() const {
  const Decimal whole = truncated(0);
  return finite() && compare(whole, *this) < 0 ? whole + of(std::int64_t{1}) : whole;
}

Decimal Decimal::trimmed() const {
  Decimal value = *this;
  while (value.finite() && value.scale_ > 0 && value.unscaled_ % 10 == 0) {
    value.unscaled_ /= 10;
    --value.scale_;
  }
  return value;
}

Decimal Decimal::negated() const {
  Decimal value = *this;
  value.unscaled_ = -value.unscaled_;
  if (kind_ == Kind::kInfinity) value.kind_ = Kind::kMinusInfinity;
  if (kind_ == Kind::kMinusInfinity) value.kind_ = Kind::kInfinity;
  return value;
}

Decimal Decimal::square_root() const {
  if (sign() < 0) raise("2201F", "cannot take square root of a negative number");
  if (!finite()) return *this;
  const int digits_before = (leading_of(*this).weight + 1) * kGroupDigits / 2 - 1;
  const int scale =
      std::min(std::max({kMinSignificantDigits - digits_before, scale_, 0}), kMaxDivisionScale);
  // One digit more, then rounded.
  const Integer root =
      boost::multiprecision::sqrt(at_scale(*this, std::max(2 * scale + 2, scale_)));
  return Decimal(root, scale + 1).rounded(scale);
}

Decimal Decimal::fit(NumericModifier modifier) const {
  if (kind_ == Kind::kNaN) return *this;
  const Decimal value = rounded(modifier.scale);
  const Decimal limit = Decimal(power_of_ten(std::max(modifier.precision - modifier.scale, 0)), 0);
  Decimal magnitude = value;
  if (magnitude.sign() < 0) magnitude = magnitude.negated();
  if (!finite() || compare(magnitude, limit) >= 0) {
    const int digits = modifier.precision - modifier.scale;
    raise("22003", "numeric field overflow", {},
          finite()
              ? "A field with precision " + std::to_string(modifier.precision) + ", scale " +
                    std::to_string(modifier.scale) + " must round to an absolute value less than " +
                    (digits > 0 ? "10^" + std::to_string(digits) : "1") + "."
              : "A field with precision " + std::to_string(modifier.precision) + ", scale " +
                    std::to_string(modifier.scale) + " cannot hold an infinite value.");
  }
  return value;
}

Decimal operator+(const Decimal& a, const Decimal& b) {
  if (!a.finite() || !b.finite()) {
    return Decimal::of(a.to_double() + b.to_double());
  }
  const int scale = std::max(a.scale_, b.scale_);
  return {at_scale(a, scale) + at_scale(b, scale), scale};
}

Decimal operator-(const Decimal& a, const Decimal& b) {
  return a + b.negated();
}

Decimal operator*(const Decimal& a, const Decimal& b) {
  if (!a.finite() || !b.finite()) {
    return Decimal::of(static_cast<double>(a.sign()) * b.to_double() *
                       (a.finite() ? 1 : a.to_double() * a.sign()));
  }
  Decimal product(a.unscaled_ * b.unscaled_, a.scale_ + b.scale_);
  return product.scale_ > kMaxScale ? product.rounded(kMaxScale) : product;
}

Decimal operator/(const Decimal& a, const Decimal& b) {
  if (b.zero() && a.kind_ != Kind::kNaN) raise("22012", "division by zero");
  if (!a.finite() || !b.finite()) {
    if (a.finite() && b.kind_ != Kind::kNaN) return Decimal::of(std::int64_t{0});
    return Decimal::of(a.to_double() / b.to_double());
  }
  const int scale = division_scale(a, b);
  const int shift = scale - a.scale_ + b.scale_;
  if (shift >= 0) return {divide_rounding(a.unscaled_ * power_of_ten(shift), b.unscaled_), scale};
  return {divide_rounding(a.unscaled_, b.unscaled_ * power_of_ten(-shift)), scale};
}

Decimal operator%(const Decimal& a, const Decimal& b) {
  if (b.zero() && a.kind_ != Kind::kNaN) raise("22012", "division by zero");
  if (!a.finite() || b.kind_ == Kind::kNaN) return Decimal::special(Kind::kNaN);
  if (!b.finite()) return a;
  const int scale = std::max(a.scale_, b.scale_);
  return {at_scale(a, scale) % at_scale(b, scale), scale};
}

int compare(const Decimal& a, const Decimal& b) {
  const auto rank = [](const Decimal& value) {
    switch (value.kind()) {
      case Kind::kMinusInfinity:
        return -1;
      case Kind::kFinite:
        return 0;
      case Kind::kInfinity:
        return 1;
      case Kind::kNaN:
        break;
    }
    return 2;
  };
  if (!a.finite() || !b.finite()) return rank(a) - rank(b);
  if (a.sign() != b.sign()) return a.sign() - b.sign();
  const int scale = std::max(a.scale(), b.scale());
  return at_scale(a, scale).compare(at_scale(b, scale));
}

}  // namespace calf::sqlite
