// The functions of PostgreSQL that ask about the server, the session and the catalog.
#include <algorithm>
#include <unordered_map>

#include "sqlite/connection.h"
#include "sqlite/sql_error.h"
#include "sqlite/system_rows.h"
#include "sqlite/system_tables.h"

namespace calf::sqlite {
namespace {

std::string joined(const std::vector<std::string>& names) {
  std::string out;
  for (const std::string& name : names) out += (out.empty() ? "" : ", ") + pg_quote_name(name);
  return out;
}

std::string index_item(const IndexColumn& part) {
  if (!part.expression) return pg_quote_name(part.text);
  // A function's call stands alone, other expressions have parentheses.
  const bool call = part.text.find('(') != std::string::npos && part.text.front() != '(';
  return call ? part.text : "(" + part.text + ")";
}

std::string action(const char* when, char a) {
  switch (a) {
    case 'a':
      return {};
    case 'c':
      return std::string(when) + "CASCADE";
    case 'n':
      return std::string(when) + "SET NULL";
    case 'd':
      return std::string(when) + "SET DEFAULT";
    default:
      return std::string(when) + "RESTRICT";
  }
}

std::string constraint_definition(const TableConstraint& c) {
  if (c.kind == 'c') return "CHECK ((" + c.check_text + "))";
  const std::string deferral =
      std::string(c.deferrable ? " DEFERRABLE" : "") + (c.deferred ? " INITIALLY DEFERRED" : "");
  if (c.kind == 'p') return "PRIMARY KEY (" + joined(c.columns) + ")" + deferral;
  if (c.kind == 'u') return "UNIQUE (" + joined(c.columns) + ")" + deferral;
  return "FOREIGN KEY (" + joined(c.columns) + ") REFERENCES " +
         (c.foreign_schema == "public" ? "" : pg_quote_name(c.foreign_schema) + ".") +
         pg_quote_name(c.foreign_table) + "(" + joined(c.foreign_columns) + ")" +
         action(" ON UPDATE ", c.on_update) + action(" ON DELETE ", c.on_delete) + deferral;
}

}  // namespace

std::string index_definition(const Relation& table, const Index& index, IndexStyle style) {
  std::string parts;
  for (const IndexColumn& part : index.columns)
    parts += (parts.empty() ? "" : ", ") + index_item(part) + (part.descending ? " DESC" : "");
  return std::string("CREATE ") + (index.unique ? "UNIQUE " : "") + "INDEX " +
         pg_quote_name(index.name) + " ON " +
         (style == IndexStyle::kPretty ? "" : pg_quote_name(table.schema) + ".") +
         pg_quote_name(table.name) + " USING btree (" + parts + ")" +
         (index.predicate_text.empty()   ? ""
          : style == IndexStyle::kPretty ? " WHERE " + index.predicate_text
                                         : " WHERE (" + index.predicate_text + ")");
}

// One function for each question.
struct SystemTables::Questions {
  using Arguments = std::span<const Datum>;
  using Answer = Datum (*)(SystemTables&, Arguments);

  static Oid oid_at(Arguments a, std::size_t i) { return static_cast<Oid>(a[i].integer); }
  static const Catalog& catalog(const SystemTables& t) { return t.session_.catalog(); }

  // Those that are not strict, then those that are.
  static const std::unordered_map<std::string_view, Answer>& about_session();
  static const std::unordered_map<std::string_view, Answer>& about_objects();

  static Datum index(SystemTables& t, Arguments a) {
    for (const auto& [key, r] : catalog(t).relations) {
      for (const Index& index : r.indexes) {
        if (index.oid != oid_at(a, 0)) continue;
        const std::int64_t column = a.size() > 1 ? a[1].integer : 0;
        const bool pretty =
            a.size() > 2 && a[2].integer != 0 && t.relation_is_visible(r.oid).integer != 0;
        if (column == 0)
          return text(index_definition(r, index, pretty ? IndexStyle::kPretty : IndexStyle::kFull));
        if (column < 0 || column > static_cast<std::int64_t>(index.columns.size())) return {};
        return text(index_item(index.columns[static_cast<std::size_t>(column - 1)]));
      }
    }
    return {};
  }

  static Datum constraint(SystemTables& t, Arguments a) {
    for (const auto& [key, r] : catalog(t).relations) {
      for (const TableConstraint& c : r.constraints) {
        if (constraint_oid(r, c) == oid_at(a, 0)) return text(constraint_definition(c));
      }
    }
    return {};
  }

  static Datum view(SystemTables& t, Arguments a) {
    const Relation* view = catalog(t).by_oid(oid_at(a, 0));
    return view == nullptr || view->view_text.empty() ? Datum{} : text(" " + view->view_text + ";");
  }

  static Datum visible_table(SystemTables& t, Arguments a) {
    return t.relation_is_visible(oid_at(a, 0));
  }

  // The schemas of the search path that exist; with pg_catalog, which is always looked at first.
  static std::vector<std::string> schemas(const SystemTables& t, bool all) {
    std::vector<std::string> out;
    if (all && catalog(t).temporary_initialized) out.push_back(catalog(t).names.temporary_schema);
    const auto& path = catalog(t).names.path;
    if (all && std::find(path.begin(), path.end(), "pg_catalog") == path.end())
      out.emplace_back("pg_catalog");
    for (const std::string& schema : path) {
      if (catalog(t).has_schema(schema)) out.push_back(catalog(t).schema_named(schema));
    }
    return out;
  }

  static Datum schema_array(SystemTables& t, Arguments a) {
    std::vector<Datum> names;
    for (std::string& name : schemas(t, a[0].integer != 0)) names.push_back(text(std::move(name)));
    return text(store_array(names, oid::kName));
  }

  template <Oid kType>
  static Datum named(SystemTables& t, Arguments a) {
    const Oid found = t.object_named(kType, a[0].text);
    return found == 0 ? Datum{} : number(found);
  }

  static Datum description(SystemTables& t, Oid object, std::int64_t column) {
    for (const auto& row : t.descriptions()) {
      if (row[0].integer == object && row[2].integer == column) return row[3];
    }
    return {};
  }

  static Datum serial_sequence(SystemTables& t, Arguments a) {
    const Oid table = t.object_named(oid::kRegclass, a[0].text);
    const Relation* r = catalog(t).by_oid(table);
    if (r == nullptr) raise("42P01", "relation \"" + a[0].text + "\" does not exist");
    if (r->column(a[1].text) == nullptr)
      raise("42703", "column \"" + a[1].text + "\" of relation \"" + r->name + "\" does not exist");
    for (const auto& [key, s] : catalog(t).sequences) {
      if (s.owner_table == r->sqlite_name && s.owner_column == a[1].text)
        return text(pg_quote_name(s.schema) + "." + pg_quote_name(s.name));
    }
    return {};
  }

  static Datum measured(SystemTables& t, const char* sql, const std::vector<Datum>& parameters) {
    std::int64_t size = 0;
    Connection(t.session_.connection_.get())
        .query(sql, [&](const Row& row) { size = row.integer(0); }, parameters);
    return number(size);
  }

  static Datum database_size(SystemTables& t, Arguments) {
    return measured(t, "SELECT page_count * page_size FROM pragma_page_count, pragma_page_size",
                    {});
  }

  static Datum relation_size(SystemTables& t, Arguments a) {
    const Relation* r = catalog(t).by_oid(oid_at(a, 0));
    if (r == nullptr || r->system) return number(0);
    return measured(t, "SELECT coalesce(sum(pgsize), 0) FROM dbstat WHERE name = ?1",
                    {Datum::of(r->sqlite_name)});
  }

  static Datum user_name(SystemTables& t, Arguments a) {
    return text(oid_at(a, 0) == kOwner ? t.session_.options_.user
                                       : "unknown (OID=" + std::to_string(oid_at(a, 0)) + ")");
  }
};

const std::unordered_map<std::string_view, SystemTables::Questions::Answer>&
SystemTables::Questions::about_session() {
  static constexpr auto kDatabaseName = [](SystemTables& t, Arguments) {
    return text(t.session_.options_.database);
  };
  static constexpr auto kUser = [](SystemTables& t, Arguments) { return text(t.session_.user_); };
  static constexpr auto kStarted = [](SystemTables& t, Arguments) {
    return number(t.session_.options_.started_micros);
  };
  static constexpr auto kNo = [](SystemTables&, Arguments) { return flag(false); };
  static const std::unordered_map<std::string_view, Answer> kAnswers = {
      {"current_database", kDatabaseName},
      {"current_catalog", kDatabaseName},
      {"current_user", kUser},
      {"session_user", kUser},
      {"current_role", kUser},
      {"current_schema",
       [](SystemTables& t, Arguments) {
         const auto found = schemas(t, false);
         return found.empty() ? Datum{} : text(found[0]);
       }},
      {"version",
       [](SystemTables&, Arguments) { return text("PostgreSQL 18.6 (Calf, SQLite engine)"); }},
      {"pg_backend_pid", [](SystemTables& t, Arguments) { return number(t.session_.pid_); }},
      {"current_query", [](SystemTables& t, Arguments) { return text(t.session_.current_sql_); }},
      {"inet_server_port",
       [](SystemTables& t, Arguments) {
         return number(std::atoll(t.session_.setting("port", true).c_str()));
       }},
      {"pg_postmaster_start_time", kStarted},
      {"pg_conf_load_time", kStarted},
      {"pg_is_in_recovery", kNo},
      {"pg_relation_is_publishable", kNo},
      {"pg_my_temp_schema",
       [](SystemTables& t, Arguments) {
         return number(catalog(t).temporary_initialized
                           ? namespace_oid(catalog(t).names.temporary_schema)
                           : 0);
       }},
  };
  return kAnswers;
}

const std::unordered_map<std::string_view, SystemTables::Questions::Answer>&
SystemTables::Questions::about_objects() {
  static constexpr auto kYes = [](SystemTables&, Arguments) { return flag(true); };
  static const std::unordered_map<std::string_view, Answer> kAnswers = {
      {"current_schemas", schema_array},
      {"pg_get_userbyid", user_name},
      {"format_type",
       [](SystemTables&, Arguments a) {
         return text(format_type(
             {oid_at(a, 0), a[1].null() ? -1 : static_cast<std::int32_t>(a[1].integer)}));
       }},
      {"pg_get_expr",
       [](SystemTables&, Arguments a) {
         // Pretty: without the parentheses around all of it.
         const std::string& sql = a[0].text;
         const bool bare = a.size() > 2 && a[2].integer != 0 && sql.starts_with('(') &&
                           sql.find(')') == sql.size() - 1;
         return bare ? text(sql.substr(1, sql.size() - 2)) : a[0];
       }},
      {"pg_get_indexdef", index},
      {"pg_get_constraintdef", constraint},
      {"pg_get_viewdef", view},
      {"pg_table_is_visible", visible_table},
      {"pg_type_is_visible", kYes},
      {"pg_function_is_visible", kYes},
      {"pg_opclass_is_visible", kYes},
      {"pg_collation_is_visible", kYes},
      {"to_regclass", named<oid::kRegclass>},
      {"to_regtype", named<oid::kRegtype>},
      {"pg_encoding_to_char",
       [](SystemTables&, Arguments a) { return text(a[0].integer == 6 ? "UTF8" : ""); }},
      {"pg_char_to_encoding",
       [](SystemTables&, Arguments a) { return number(upper_text(a[0].text) == "UTF8" ? 6 : -1); }},
      {"obj_description",
       [](SystemTables& t, Arguments a) { return description(t, oid_at(a, 0), 0); }},
      {"col_description",
       [](SystemTables& t, Arguments a) { return description(t, oid_at(a, 0), a[1].integer); }},
      {"pg_get_serial_sequence", serial_sequence},
      {"pg_database_size", database_size},
      {"pg_relation_size", relation_size},
      {"pg_total_relation_size", relation_size},
      {"pg_table_size", relation_size},
      {"pg_indexes_size", relation_size},
  };
  return kAnswers;
}

Datum SystemTables::ask(std::string_view question, std::span<const Datum> arguments) {
  const auto answer = [&](const auto& answers) -> Questions::Answer {
    const auto found = answers.find(question);
    return found == answers.end() ? nullptr : found->second;
  };
  if (const auto found = answer(Questions::about_session()); found != nullptr)
    return found(*this, arguments);
  if (!arguments.empty() && arguments[0].null()) return {};
  const auto found = answer(Questions::about_objects());
  return found == nullptr ? Datum{} : found(*this, arguments);
}

Datum Session::ask(std::string_view question, std::span<const Datum> arguments) {
  return SystemTables(*this).ask(question, arguments);
}

}  // namespace calf::sqlite
