// The session, the server, sequences, conversions: what functions ask their host.
#include <algorithm>

#include "os/random.h"
#include "sqlite/functions.h"
#include "sqlite/sql_error.h"
#include "sqlite/text_bytes.h"

namespace calf::sqlite {
namespace {

std::string random_uuid() {
  unsigned char bytes[16];
  os::random_bytes(std::as_writable_bytes(std::span(bytes)));
  bytes[6] = static_cast<unsigned char>((bytes[6] & 0x0f) | 0x40);
  bytes[8] = static_cast<unsigned char>((bytes[8] & 0x3f) | 0x80);
  std::string out = hex({reinterpret_cast<const char*>(bytes), sizeof bytes});
  for (const std::size_t at : {20, 16, 12, 8}) out.insert(at, 1, '-');
  return out;
}

Oid object(const Call& c, std::size_t i) {
  return static_cast<Oid>(c.integer(i));
}

void add_sequences(FunctionTable& t) {
  t.scalar("nextval(regclass) int8", [](const Call& c) {
     return Datum::of(c.host.next_value(object(c, 0)));
   }).stable = false;
  t.scalar("currval(regclass) int8", [](const Call& c) {
     return Datum::of(c.host.current_value(object(c, 0)));
   }).stable = false;
  t.scalar("lastval() int8", [](const Call& c) { return Datum::of(c.host.last_value()); }).stable =
      false;
  t.scalar("setval(regclass,int8) int8", [](const Call& c) {
     c.host.set_value(object(c, 0), c.integer(1), true);
     return c.arguments[1];
   }).stable = false;
  t.scalar("setval(regclass,int8,bool) int8", [](const Call& c) {
     c.host.set_value(object(c, 0), c.integer(1), c.integer(2) != 0);
     return c.arguments[1];
   }).stable = false;
}

// Answered by the host under their own names.
void add_questions(FunctionTable& t) {
  t.nullable("calf_ask(any...) text", [](const Call& c) {
     return c.host.ask(c.text(0), c.arguments.subspan(1));
   }).stable = false;
  const char* const questions[] = {"current_database() name",
                                   "current_user() name",
                                   "session_user() name",
                                   "current_role() name",
                                   "current_catalog() name",
                                   "current_schema() name",
                                   "version() text",
                                   "pg_backend_pid() int4",
                                   "current_query() text",
                                   "inet_server_port() int4",
                                   "pg_postmaster_start_time() timestamptz",
                                   "pg_is_in_recovery() bool",
                                   "pg_my_temp_schema() oid",
                                   "pg_conf_load_time() timestamptz",
                                   "pg_get_userbyid(oid) name",
                                   "format_type(oid,int4) text",
                                   "pg_get_expr(pg_node_tree,oid) text",
                                   "pg_get_expr(pg_node_tree,oid,bool) text",
                                   "pg_get_indexdef(oid) text",
                                   "pg_get_indexdef(oid,int4,bool) text",
                                   "pg_get_constraintdef(oid) text",
                                   "pg_get_constraintdef(oid,bool) text",
                                   "pg_get_viewdef(oid) text",
                                   "pg_get_viewdef(oid,bool) text",
                                   "pg_table_is_visible(oid) bool",
                                   "pg_type_is_visible(oid) bool",
                                   "pg_function_is_visible(oid) bool",
                                   "pg_get_serial_sequence(text,text) text",
                                   "obj_description(oid,name) text",
                                   "obj_description(oid) text",
                                   "col_description(oid,int4) text",
                                   "shobj_description(oid,name) text",
                                   "to_regclass(text) regclass",
                                   "to_regtype(text) regtype",
                                   "pg_encoding_to_char(int4) name",
                                   "pg_relation_size(regclass) int8",
                                   "pg_total_relation_size(regclass) int8",
                                   "pg_table_size(regclass) int8",
                                   "pg_indexes_size(regclass) int8",
                                   "pg_database_size(name) int8",
                                   "pg_database_size(oid) int8",
                                   "pg_relation_is_publishable(regclass) bool",
                                   "pg_get_function_arguments(oid) text",
                                   "pg_get_function_identity_arguments(oid) text",
                                   "pg_get_function_result(oid) text",
                                   "pg_get_ruledef(oid) text",
                                   "pg_get_triggerdef(oid) text",
                                   "pg_get_triggerdef(oid,bool) text",
                                   "pg_get_partkeydef(oid) text",
                                   "pg_get_statisticsobjdef_columns(oid) text",
                                   "pg_opclass_is_visible(oid) bool",
                                   "pg_collation_is_visible(oid) bool",
                                   "pg_index_column_has_property(regclass,int4,text) bool",
                                   "pg_get_partition_constraintdef(oid) text",
                                   "pg_cancel_backend(int4) bool",
                                   "pg_terminate_backend(int4) bool",
                                   "current_schemas(bool) name[]",
                                   "pg_tablespace_location(oid) text",
                                   "pg_char_to_encoding(name) int4",
                                   "pg_relation_filenode(regclass) oid"};
  for (const char* question : questions) {
    const std::string signature = question;
    const std::size_t open = signature.find('(');
    const std::size_t count =
        signature[open + 1] == ')'
            ? 0
            : static_cast<std::size_t>(std::count(
                  signature.begin(),
                  signature.begin() + static_cast<std::ptrdiff_t>(signature.find(')')), ',')) +
                  1;
    std::string sql = "\"calf_ask(any...)\"('" + signature.substr(0, open) + "'";
    for (std::size_t i = 1; i <= count; ++i) sql += ", $" + std::to_string(i);
    t.native(signature, sql + ")");
  }
}

void add_privileges(FunctionTable& t) {
  // Whoever is connected may do everything: there is one user.
  for (const char* kind : {"table", "schema", "database", "sequence", "function", "column", "type",
                           "any_column", "server", "language", "tablespace"}) {
    for (const char* arguments :
         {"text,text", "oid,text", "name,text,text", "name,oid,text", "text,text,text",
          "oid,text,text", "oid,int2,text", "oid,oid,text"}) {
      t.native(std::string("has_") + kind + "_privilege(" + arguments + ") bool", "1");
    }
  }
  t.native("pg_has_role(name,text) bool", "1");
  t.native("pg_has_role(oid,text) bool", "1");
  t.native("pg_has_role(name,oid,text) bool", "1");
  t.native("pg_has_role(name,name,text) bool", "1");
  t.native("pg_has_role(oid,oid,text) bool", "1");
}

}  // namespace

void add_system_functions(FunctionTable& t) {
  add_sequences(t);
  add_questions(t);
  add_privileges(t);
  t.scalar("gen_random_uuid() uuid", [](const Call&) { return Datum::of(random_uuid()); }).stable =
      false;
  t.scalar("uuid_generate_v4() uuid", [](const Call&) { return Datum::of(random_uuid()); }).stable =
      false;
  t.scalar("pg_sleep(float8) void", [](const Call& c) {
     c.host.sleep(c.real(0));
     return Datum::of("");
   }).stable = false;
  t.scalar("current_setting(text) text", [](const Call& c) {
     return Datum::of(c.host.setting(c.text(0), false));
   }).stable = false;
  t.nullable("current_setting(text,bool) text", [](const Call& c) {
     const std::string value = c.null(0) ? "" : c.host.setting(c.text(0), c.integer(1) != 0);
     return value.empty() ? Datum{} : Datum::of(value);
   }).stable = false;
  t.nullable("set_config(text,text,bool) text", [](const Call& c) {
     c.host.set_setting(c.text(0), c.text(1), c.integer(2) != 0);
     return Datum::of(c.host.setting(c.text(0), true));
   }).stable = false;
  t.scalar("pg_size_pretty(int8) text", [](const Call& c) {
    static const char* const kUnits[] = {"bytes", "kB", "MB", "GB", "TB", "PB"};
    std::int64_t size = c.integer(0);
    std::size_t unit = 0;
    // PostgreSQL goes on to the next unit at 10 kB, 10 MB, …, and rounds.
    for (std::int64_t limit = 10 * 1024; unit + 1 < std::size(kUnits) && std::abs(size) >= limit;
         limit = 20 * 1024 - 1) {
      size = unit == 0 ? size / 512 : size / 1024;
      ++unit;
    }
    if (unit > 0) size = (size + (size < 0 ? -1 : 1)) / 2;
    return Datum::of(std::to_string(size) + " " + kUnits[unit]);
  });
  // (value, from, to, modifier, explicit): the casts that SQLite cannot do itself.
  t.scalar("calf_cast(any,int4,int4,int4,int4) text", [](const Call& c) {
    return cast_datum(c.arguments[0], static_cast<Oid>(c.integer(1)),
                      {static_cast<Oid>(c.integer(2)), static_cast<std::int32_t>(c.integer(3))},
                      c.integer(4) != 0, c.host.conversion());
  });
  // (value, column, table): an INTEGER PRIMARY KEY would take NULL as "choose one".
  t.nullable("calf_not_null(any,text,text) text", [](const Call& c) {
    if (!c.null(0)) return c.arguments[0];
    throw SqlError{.report = {.severity = "ERROR",
                              .sqlstate = "23502",
                              .message = "null value in column \"" + c.text(1) +
                                         "\" of relation \"" + c.text(2) +
                                         "\" violates not-null constraint",
                              .table = c.text(2),
                              .column = c.text(1)}};
  });
  t.nullable("num_nulls(any...) int4", [](const Call& c) {
    return Datum::of(std::count_if(c.arguments.begin(), c.arguments.end(),
                                   [](const Datum& value) { return value.null(); }));
  });
  t.nullable("num_nonnulls(any...) int4", [](const Call& c) {
    return Datum::of(std::count_if(c.arguments.begin(), c.arguments.end(),
                                   [](const Datum& value) { return !value.null(); }));
  });
  // LIMIT and OFFSET: NULL is none, and less than 0 an error.
  t.nullable("calf_limit(int8) int8", [](const Call& c) {
    if (!c.null(0) && c.integer(0) < 0) raise("2201W", "LIMIT must not be negative");
    return c.null(0) ? Datum::of(std::int64_t{-1}) : c.arguments[0];
  });
  t.nullable("calf_offset(int8) int8", [](const Call& c) {
    if (!c.null(0) && c.integer(0) < 0) raise("2201X", "OFFSET must not be negative");
    return c.null(0) ? Datum::of(std::int64_t{0}) : c.arguments[0];
  });
  // A subquery as a value must have no more than one row: (rows, value).
  t.nullable("calf_single(int8,any) text", [](const Call& c) {
    if (!c.null(0) && c.integer(0) > 1)
      raise("21000", "more than one row returned by a subquery used as an expression");
    return c.arguments[1];
  });
  // How often MERGE is to change a row.
  t.scalar("calf_merge_once(int8) int8", [](const Call& c) {
    if (c.integer(0) > 1)
      raise("21000", "MERGE command cannot affect row a second time",
            "Ensure that not more than one source row matches any one target row.");
    return c.arguments[0];
  });
}

}  // namespace calf::sqlite
