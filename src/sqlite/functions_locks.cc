// What sessions tell each other: pg_advisory_lock and its relatives, pg_notify.
#include "sqlite/functions.h"
#include "sqlite/virtual_tables.h"

namespace calf::sqlite {
namespace {

AdvisoryKey key_of(const Call& c) {
  if (c.size() == 1) return {.first = c.integer(0)};
  return {.first = c.integer(0), .second = c.integer(1), .pair = true};
}

template <AdvisoryMode kMode, AdvisoryScope kScope>
void add(FunctionTable& t, const std::string& suffix) {
  for (const char* arguments : {"(int8)", "(int4,int4)"}) {
    t.scalar("pg_advisory_" + suffix + arguments + " void", [](const Call& c) {
       while (!c.host.try_advisory_lock(key_of(c), kMode, kScope)) c.host.await_advisory_lock();
       return Datum::of("");
     }).stable = false;
    t.scalar("pg_try_advisory_" + suffix + arguments + " bool", [](const Call& c) {
       return Datum::of_bool(c.host.try_advisory_lock(key_of(c), kMode, kScope));
     }).stable = false;
  }
}

template <AdvisoryMode kMode>
void add_unlock(FunctionTable& t, const std::string& name) {
  for (const char* arguments : {"(int8)", "(int4,int4)"}) {
    t.scalar(name + arguments + " bool", [](const Call& c) {
       return Datum::of_bool(c.host.advisory_unlock(key_of(c), kMode));
     }).stable = false;
  }
}

}  // namespace

void add_lock_functions(FunctionTable& t) {
  add<AdvisoryMode::kExclusive, AdvisoryScope::kSession>(t, "lock");
  add<AdvisoryMode::kShared, AdvisoryScope::kSession>(t, "lock_shared");
  add<AdvisoryMode::kExclusive, AdvisoryScope::kTransaction>(t, "xact_lock");
  add<AdvisoryMode::kShared, AdvisoryScope::kTransaction>(t, "xact_lock_shared");
  add_unlock<AdvisoryMode::kExclusive>(t, "pg_advisory_unlock");
  add_unlock<AdvisoryMode::kShared>(t, "pg_advisory_unlock_shared");
  t.scalar("pg_advisory_unlock_all() void", [](const Call& c) {
     c.host.advisory_unlock_all();
     return Datum::of("");
   }).stable = false;
  t.nullable("pg_notify(text,text) void", [](const Call& c) {
     c.host.notify(c.null(0) ? "" : c.text(0), c.null(1) ? "" : c.text(1));
     return Datum::of("");
   }).stable = false;
  t.rows("pg_listening_channels() text", [](const Call& c) {
    std::vector<std::vector<Datum>> rows;
    for (std::string& channel : c.host.listening_channels())
      rows.push_back({Datum::of(std::move(channel))});
    return make_rows(std::move(rows));
  });
}

}  // namespace calf::sqlite
