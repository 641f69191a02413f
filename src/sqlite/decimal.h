// PostgreSQL's numeric: exact, with a display scale. Stored in SQLite as its text.
#pragma once

#include <boost/multiprecision/cpp_int.hpp>
#include <compare>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

#include "sqlite/types.h"

namespace calf::sqlite {

class Decimal {
 public:
  using Integer = boost::multiprecision::cpp_int;
  enum class Kind { kFinite, kNaN, kInfinity, kMinusInfinity };

  Decimal() = default;
  Decimal(Integer unscaled, int scale) : unscaled_(std::move(unscaled)), scale_(scale) {}
  static Decimal of(std::int64_t value) { return {Integer(value), 0}; }
  static Decimal of(double value, int digits = 15);  // 15: as float8 casts, 6: as float4

  // Nothing when it is not a numeric. Raises 22003 for one that is too large.
  static std::optional<Decimal> parse(std::string_view text);
  // Raises 22P02.
  static Decimal read(std::string_view text);

  [[nodiscard]] std::string to_string() const;
  [[nodiscard]] double to_double() const;
  // Rounded to an integer; nothing when it does not fit.
  [[nodiscard]] std::optional<std::int64_t> to_int64() const;

  [[nodiscard]] Kind kind() const { return kind_; }
  [[nodiscard]] bool finite() const { return kind_ == Kind::kFinite; }
  [[nodiscard]] int scale() const { return scale_; }
  [[nodiscard]] bool zero() const { return finite() && unscaled_ == 0; }
  [[nodiscard]] int sign() const;
  [[nodiscard]] const Integer& unscaled() const { return unscaled_; }

  // Half away from zero; a negative scale rounds left of the point.
  [[nodiscard]] Decimal rounded(int scale) const;
  [[nodiscard]] Decimal truncated(int scale) const;
  [[nodiscard]] Decimal floor() const;
  [[nodiscard]] Decimal ceil() const;
  [[nodiscard]] Decimal trimmed() const;  // trim_scale
  [[nodiscard]] Decimal negated() const;
  [[nodiscard]] Decimal square_root() const;  // raises 2201F
  // Raises 22003 when it does not fit.
  [[nodiscard]] Decimal fit(NumericModifier modifier) const;

  friend Decimal operator+(const Decimal& a, const Decimal& b);
  friend Decimal operator-(const Decimal& a, const Decimal& b);
  friend Decimal operator*(const Decimal& a, const Decimal& b);
  friend Decimal operator/(const Decimal& a, const Decimal& b);  // raises 22012
  friend Decimal operator%(const Decimal& a, const Decimal& b);  // raises 22012
  friend int compare(const Decimal& a, const Decimal& b);  // NaN is the greatest, as in PostgreSQL

 private:
  static Decimal special(Kind kind);

  Integer unscaled_ = 0;
  int scale_ = 0;
  Kind kind_ = Kind::kFinite;
};

int compare(const Decimal& a, const Decimal& b);

}  // namespace calf::sqlite
