// One value, as SQLite keeps it, and its ways in and out: text and binary of the protocol, casts.
#pragma once

#include <cstdint>
#include <functional>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "sqlite/datetime.h"
#include "sqlite/types.h"

struct sqlite3_value;
struct sqlite3_stmt;
struct sqlite3_context;

namespace calf::sqlite {

struct Datum {
  enum class Kind { kNull, kInteger, kReal, kText, kBlob };
  Kind kind = Kind::kNull;
  std::int64_t integer = 0;
  double real = 0;
  std::string text{};  // of kText and kBlob

  static Datum of(std::int64_t value) { return {.kind = Kind::kInteger, .integer = value}; }
  static Datum of_bool(bool value) { return of(std::int64_t{value}); }
  static Datum of(double value) { return {.kind = Kind::kReal, .real = value}; }
  static Datum of(std::string value) { return {.kind = Kind::kText, .text = std::move(value)}; }
  static Datum of(std::string_view value) { return of(std::string(value)); }
  static Datum of(const char* value) { return of(std::string(value)); }
  static Datum blob(std::string value) { return {.kind = Kind::kBlob, .text = std::move(value)}; }
  static Datum of(sqlite3_value* value);
  static Datum column(sqlite3_stmt* statement, int index);

  [[nodiscard]] bool null() const { return kind == Kind::kNull; }
  // The number, whichever of the two kinds it is.
  [[nodiscard]] double as_real() const {
    return kind == Kind::kInteger ? static_cast<double>(integer) : real;
  }
  void bind(sqlite3_stmt* statement, int index) const;  // from 1
  void result(sqlite3_context* context) const;
};

// What conversions depend on: the session's zone and clock, and names behind oids.
struct ConversionContext {
  Clock clock{};
  bool bytea_escape = false;
  // "users" for a regclass, and back; 0: no such thing.
  std::function<std::string(Oid type, Oid object)> name_of{};
  std::function<Oid(Oid type, std::string_view name)> object_named{};
};

// PostgreSQL's input functions. Raise 22P02, 22003, 22007, ….
Datum from_text(std::string_view text, Type type, const ConversionContext& context);
std::string to_text(const Datum& value, Oid type, const ConversionContext& context);
// Appends to_text's result: for rows on their way out.
void append_text(std::string& out, const Datum& value, Oid type, const ConversionContext& context);

// The receive and send functions. 22P03 for a malformed value; 0A000 for types without one here.
Datum from_binary(std::string_view bytes, Type type, const ConversionContext& context);
std::string to_binary(const Datum& value, Oid type, const ConversionContext& context);

// The value of `from` as `to`, with to's modifier applied; `explicitly` allows cutting strings.
Datum cast_datum(const Datum& value, Oid from, Type to, bool explicitly,
                 const ConversionContext& context);

// Raises 22003 unless the integer fits the type.
std::int64_t check_integer(std::int64_t value, Oid type);
std::string float_text(double value, Oid type);

// Arrays are stored as JSON. NULL elements are JSON nulls, bytea as hex text.
std::vector<Datum> array_elements(std::string_view stored, Oid element);
std::string store_array(const std::vector<Datum>& elements, Oid element);

}  // namespace calf::sqlite
