// SQLite's callbacks -> functions of the table. Exceptions stop here: SQLite is C.
#include <sqlite3.h>

#include <array>
#include <cstring>

#include "base/assert.h"
#include "sqlite/decimal.h"
#include "sqlite/functions.h"
#include "sqlite/json.h"
#include "sqlite/sql_error.h"

namespace calf::sqlite {
namespace {

struct Bridge {
  const Function* function;
  FunctionHost* host;
  std::exception_ptr* pending;
};

// Runs `body`; what it throws becomes SQLite's error, and is kept for the session, which alone can
// tell the client.
template <typename Body>
void guarded(sqlite3_context* context, std::exception_ptr& pending, Body body) {
  try {
    body();
  } catch (const SqlError& error) {
    pending = std::current_exception();
    sqlite3_result_error(context, error.report.message.c_str(), -1);
  } catch (...) {
    pending = std::current_exception();
    sqlite3_result_error(context, "internal error", -1);
  }
}

constexpr int kFewArguments = 8;

// Arguments on the stack when there are few.
class Arguments {
 public:
  Arguments(int count, sqlite3_value** values) {
    Datum* target = few_.data();
    if (count > kFewArguments) {
      many_.resize(static_cast<std::size_t>(count));
      target = many_.data();
    }
    for (int i = 0; i < count; ++i) {
      target[i] = Datum::of(values[i]);
      any_null_ = any_null_ || target[i].null();
    }
    span_ = {target, static_cast<std::size_t>(count)};
  }
  [[nodiscard]] std::span<const Datum> span() const { return span_; }
  [[nodiscard]] bool any_null() const { return any_null_; }

 private:
  std::array<Datum, kFewArguments> few_;
  std::vector<Datum> many_;
  std::span<const Datum> span_;
  bool any_null_ = false;
};

void call_scalar(sqlite3_context* context, int count, sqlite3_value** values) {
  const auto& bridge = *static_cast<Bridge*>(sqlite3_user_data(context));
  if (bridge.function->strict) {
    for (int i = 0; i < count; ++i) {
      if (sqlite3_value_type(values[i]) == SQLITE_NULL) return sqlite3_result_null(context);
    }
  }
  guarded(context, *bridge.pending, [&] {
    const Arguments arguments(count, values);
    bridge.function->implementation({arguments.span(), *bridge.host}).result(context);
  });
}

// SQLite zeroes the memory of an aggregate: a null pointer before the first step.
Aggregate*& state_of(sqlite3_context* context) {
  return *static_cast<Aggregate**>(sqlite3_aggregate_context(context, sizeof(Aggregate*)));
}

void step_aggregate(sqlite3_context* context, int count, sqlite3_value** values) {
  const auto& bridge = *static_cast<Bridge*>(sqlite3_user_data(context));
  guarded(context, *bridge.pending, [&] {
    Aggregate*& state = state_of(context);
    if (state == nullptr) state = bridge.function->aggregate(*bridge.host).release();
    state->step(Arguments(count, values).span());
  });
}

void inverse_aggregate(sqlite3_context* context, int count, sqlite3_value** values) {
  const auto& bridge = *static_cast<Bridge*>(sqlite3_user_data(context));
  guarded(context, *bridge.pending,
          [&] { state_of(context)->inverse(Arguments(count, values).span()); });
}

void value_aggregate(sqlite3_context* context) {
  const auto& bridge = *static_cast<Bridge*>(sqlite3_user_data(context));
  guarded(context, *bridge.pending, [&] {
    Aggregate*& state = state_of(context);
    if (state == nullptr) state = bridge.function->aggregate(*bridge.host).release();
    state->value().result(context);
  });
}

void finish_aggregate(sqlite3_context* context) {
  const auto& bridge = *static_cast<Bridge*>(sqlite3_user_data(context));
  guarded(context, *bridge.pending, [&] {
    auto* slot = static_cast<Aggregate**>(sqlite3_aggregate_context(context, 0));
    const std::unique_ptr<Aggregate> state(
        slot != nullptr && *slot != nullptr ? *slot
                                            : bridge.function->aggregate(*bridge.host).release());
    if (slot != nullptr) *slot = nullptr;
    state->value().result(context);
  });
}

template <int (*kCompare)(std::string_view, std::string_view)>
int collate(void*, int a_size, const void* a, int b_size, const void* b) {
  const std::string_view x(static_cast<const char*>(a), static_cast<std::size_t>(a_size));
  const std::string_view y(static_cast<const char*>(b), static_cast<std::size_t>(b_size));
  if (x == y) return 0;
  try {
    return kCompare(x, y);
  } catch (...) {  // not a value of the type: any order will do, as long as it is one
    return x < y ? -1 : 1;
  }
}

int compare_numerics(std::string_view a, std::string_view b) {
  return compare(Decimal::read(a), Decimal::read(b));
}
int compare_intervals(std::string_view a, std::string_view b) {
  const __int128 x = Interval::read(a).span();
  const __int128 y = Interval::read(b).span();
  return x < y ? -1 : x > y ? 1 : 0;
}
int compare_jsonb(std::string_view a, std::string_view b) {
  return compare(Json::parse(a), Json::parse(b));
}

void install(sqlite3* connection, const Function& function, Bridge* bridge) {
  const int count =
      function.variadic || function.ordered ? -1 : static_cast<int>(function.arguments.size());
  int flags = SQLITE_UTF8;
  if (function.stable) flags |= SQLITE_DETERMINISTIC;
  const auto free_bridge = [](void* data) { delete static_cast<Bridge*>(data); };
  const int made =
      function.kind == Function::Kind::kAggregate
          ? sqlite3_create_window_function(connection, function.internal.c_str(), count,
                                           SQLITE_UTF8, bridge, step_aggregate, finish_aggregate,
                                           value_aggregate, inverse_aggregate, free_bridge)
          : sqlite3_create_function_v2(connection, function.internal.c_str(), count, flags, bridge,
                                       call_scalar, nullptr, nullptr, free_bridge);
  ASSERT(made == SQLITE_OK);
}

}  // namespace

void install_functions(sqlite3* connection, FunctionHost& host, std::exception_ptr& pending) {
  for (const auto& function : FunctionTable::get().all()) {
    if (function->implementation == nullptr && function->aggregate == nullptr) continue;
    install(connection, *function, new Bridge{function.get(), &host, &pending});
  }
  sqlite3_create_collation(connection, "pg_numeric", SQLITE_UTF8, nullptr,
                           collate<compare_numerics>);
  sqlite3_create_collation(connection, "pg_interval", SQLITE_UTF8, nullptr,
                           collate<compare_intervals>);
  sqlite3_create_collation(connection, "pg_jsonb", SQLITE_UTF8, nullptr, collate<compare_jsonb>);
}

}  // namespace calf::sqlite
