#include "sqlite/datum.h"

#include <sqlite3.h>

#include <cmath>

#include "sqlite/sql_error.h"

namespace calf::sqlite {

Datum Datum::of(sqlite3_value* value) {
  switch (sqlite3_value_type(value)) {
    case SQLITE_INTEGER:
      return of(static_cast<std::int64_t>(sqlite3_value_int64(value)));
    case SQLITE_FLOAT:
      return of(sqlite3_value_double(value));
    case SQLITE_NULL:
      return {};
    case SQLITE_BLOB: {
      const auto* data = static_cast<const char*>(sqlite3_value_blob(value));
      return blob(
          {data == nullptr ? "" : data, static_cast<std::size_t>(sqlite3_value_bytes(value))});
    }
    default:
      break;
  }
  const auto* data = reinterpret_cast<const char*>(sqlite3_value_text(value));
  if (data == nullptr) raise("53200", "out of memory");
  return of(std::string(data, static_cast<std::size_t>(sqlite3_value_bytes(value))));
}

Datum Datum::column(sqlite3_stmt* statement, int index) {
  return of(sqlite3_column_value(statement, index));
}

void Datum::bind(sqlite3_stmt* statement, int index) const {
  switch (kind) {
    case Kind::kNull:
      sqlite3_bind_null(statement, index);
      return;
    case Kind::kInteger:
      sqlite3_bind_int64(statement, index, integer);
      return;
    case Kind::kReal:
      sqlite3_bind_double(statement, index, real);
      return;
    case Kind::kText:
      sqlite3_bind_text64(statement, index, text.data(), text.size(), SQLITE_TRANSIENT,
                          SQLITE_UTF8);
      return;
    case Kind::kBlob:
      sqlite3_bind_blob64(statement, index, text.data(), text.size(), SQLITE_TRANSIENT);
      return;
  }
}

void Datum::result(sqlite3_context* context) const {
  switch (kind) {
    case Kind::kNull:
      sqlite3_result_null(context);
      return;
    case Kind::kInteger:
      sqlite3_result_int64(context, integer);
      return;
    case Kind::kReal:
      // SQLite has no NaN: it would become NULL without a word.
      if (std::isnan(real)) unsupported("NaN of a floating-point type");
      sqlite3_result_double(context, real);
      return;
    case Kind::kText:
      sqlite3_result_text64(context, text.data(), text.size(), SQLITE_TRANSIENT, SQLITE_UTF8);
      return;
    case Kind::kBlob:
      sqlite3_result_blob64(context, text.data(), text.size(), SQLITE_TRANSIENT);
      return;
  }
}

}  // namespace calf::sqlite
