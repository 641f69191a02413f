#include "sqlite/system_tables.h"

#include <algorithm>
#include <set>

#include "sqlite/connection.h"
#include "sqlite/json.h"

namespace calf::sqlite {
namespace {

constexpr Oid kOwner = 10;
constexpr Oid kDatabase = 5;
constexpr Oid kDefaultCollation = 100;
constexpr Oid kBtree = 403;
constexpr Oid kHeap = 2;

Datum number(std::int64_t value) {
  return Datum::of(value);
}
Datum flag(bool value) {
  return Datum::of_bool(value);
}
Datum text(std::string value) {
  return Datum::of(std::move(value));
}
Datum letter(char c) {
  return Datum::of(std::string(1, c));
}

std::string joined(const std::vector<std::string>& names) {
  std::string out;
  for (const std::string& name : names) out += (out.empty() ? "" : ", ") + pg_quote_name(name);
  return out;
}

// What is written of an index: its columns' numbers, 0 for an expression.
std::string key_vector(const Relation& table, const Index& index) {
  std::string out;
  for (const IndexColumn& part : index.columns)
    out += (out.empty() ? "" : " ") +
           std::to_string(part.expression ? 0 : table.column_number(part.text));
  return out;
}

Datum number_array(const Relation& table, const std::vector<std::string>& columns) {
  std::vector<Datum> values;
  for (const std::string& column : columns) values.push_back(number(table.column_number(column)));
  return text(store_array(values, oid::kInt2));
}

Oid constraint_oid(const Relation& table, const TableConstraint& constraint) {
  return oid_of("constraint", table.sqlite_name + "." + constraint.name);
}

Oid collation_of_type(Oid type) {
  const Oid base = is_array(type) ? element_of(type) : type;
  return base == oid::kText || base == oid::kVarchar || base == oid::kBpchar ? kDefaultCollation
         : base == oid::kName                                                ? 950
                                                                             : 0;
}

}  // namespace

std::string pg_quote_name(std::string_view name) {
  const Function* quote = FunctionTable::get().named("quote_ident")[0];
  struct NoHost final : FunctionHost {
    ConversionContext context;
    [[nodiscard]] const ConversionContext& conversion() const override { return context; }
    std::string setting(const std::string&, bool) override { return {}; }
    void set_setting(const std::string&, const std::string&, bool) override {}
    std::int64_t next_value(Oid) override { return 0; }
    std::int64_t current_value(Oid) override { return 0; }
    void set_value(Oid, std::int64_t, bool) override {}
    std::int64_t last_value() override { return 0; }
    void sleep(double) override {}
    Datum ask(std::string_view, std::span<const Datum>) override { return {}; }
  } host;
  const Datum argument = Datum::of(name);
  return quote->implementation({std::span(&argument, 1), host}).text;
}

SystemTables::Values SystemTables::classes() {
  Values rows;
  // psql asks for foreign keys only where there are triggers: PostgreSQL checks them so.
  std::set<std::string> keyed;
  for (const auto& [name, r] : session_.catalog().relations) {
    for (const TableConstraint& c : r.constraints) {
      if (c.kind != 'f') continue;
      keyed.insert(name);
      keyed.insert(sqlite_name_of(c.foreign_schema, c.foreign_table));
    }
  }
  const auto row = [&](Oid oid, const std::string& name, const std::string& schema, Oid am,
                       char kind, std::size_t columns, std::size_t checks, bool has_index) {
    rows.push_back({number(oid),
                    text(name),
                    number(namespace_oid(schema)),
                    number(0),
                    number(0),
                    number(kOwner),
                    number(am),
                    number(oid),
                    number(0),
                    number(0),
                    Datum::of(-1.0),
                    number(0),
                    number(0),
                    flag(has_index),
                    flag(false),
                    letter('p'),
                    letter(kind),
                    number(static_cast<std::int64_t>(columns)),
                    number(static_cast<std::int64_t>(checks)),
                    flag(kind == 'v'),
                    flag(kind == 'r' && keyed.contains(sqlite_name_of(schema, name))),
                    flag(false),
                    flag(false),
                    flag(false),
                    flag(true),
                    letter(kind == 'r' ? 'd' : 'n'),
                    flag(false),
                    number(0),
                    number(0),
                    number(0),
                    {},
                    {},
                    {},
                    number(1259)});
  };
  const auto relation_row = [&](const Relation& r) {
    const auto checks = std::count_if(r.constraints.begin(), r.constraints.end(),
                                      [](const TableConstraint& c) { return c.kind == 'c'; });
    row(r.oid, r.name, r.schema, r.kind == 'r' ? kHeap : 0, r.kind, r.columns.size(),
        static_cast<std::size_t>(checks), !r.indexes.empty());
  };
  for (const auto& [name, r] : session_.catalog().relations) {
    relation_row(r);
    for (const Index& index : r.indexes)
      row(index.oid, index.name, r.schema, kBtree, 'i', index.columns.size(), 0, false);
  }
  for (const auto& [name, s] : session_.catalog().sequences)
    row(s.oid, s.name, s.schema, 0, 'S', 3, 0, false);
  for (const Relation& r : system_relations()) relation_row(r);
  return rows;
}

SystemTables::Values SystemTables::attributes() {
  Values rows;
  const auto add = [&](const Relation& r) {
    for (std::size_t i = 0; i < r.columns.size(); ++i) {
      const Column& c = r.columns[i];
      const bool has_default = !c.default_text.empty() || !c.generated_text.empty();
      rows.push_back({number(r.oid),
                      text(c.name),
                      number(c.type.oid),
                      number(size_of(c.type.oid)),
                      number(static_cast<std::int64_t>(i) + 1),
                      number(-1),
                      number(c.type.typmod),
                      number(is_array(c.type.oid) ? 1 : 0),
                      flag(size_of(c.type.oid) > 0 && size_of(c.type.oid) <= 8),
                      letter(size_of(c.type.oid) == 8   ? 'd'
                             : size_of(c.type.oid) == 2 ? 's'
                             : size_of(c.type.oid) == 1 ? 'c'
                                                        : 'i'),
                      letter(size_of(c.type.oid) == -1 ? 'x' : 'p'),
                      text(""),
                      flag(c.not_null),
                      flag(has_default),
                      flag(false),
                      c.identity != 0 ? letter(c.identity) : text(""),
                      c.generated_text.empty() ? text("") : letter('s'),
                      flag(false),
                      flag(true),
                      number(0),
                      number(collation_of_type(c.type.oid)),
                      {},
                      {},
                      {},
                      {},
                      {}});
    }
  };
  for (const auto& [name, r] : session_.catalog().relations) {
    add(r);
    for (const Index& index : r.indexes) {
      Relation columns{.oid = index.oid};
      for (const IndexColumn& part : index.columns) {
        const Column* column = r.column(part.text);
        columns.columns.push_back({.name = part.expression ? "expr" : part.text,
                                   .type = column == nullptr ? Type{oid::kText} : column->type});
      }
      add(columns);
    }
  }
  for (const Relation& r : system_relations()) add(r);
  return rows;
}

SystemTables::Values SystemTables::indexes() {
  Values rows;
  for (const auto& [name, r] : session_.catalog().relations) {
    for (const Index& index : r.indexes) {
      std::string zeros;
      std::string options;
      std::string collations;
      bool expressions = false;
      for (const IndexColumn& part : index.columns) {
        const Column* column = r.column(part.text);
        zeros += zeros.empty() ? "0" : " 0";
        collations += (collations.empty() ? "" : " ") +
                      std::to_string(column == nullptr ? 0 : collation_of_type(column->type.oid));
        options += (options.empty() ? "" : " ") +
                   std::to_string((part.descending ? 1 : 0) |
                                  (part.descending || part.nulls_first ? 2 : 0));
        expressions = expressions || part.expression;
      }
      const auto count = static_cast<std::int64_t>(index.columns.size());
      std::string texts;
      for (const IndexColumn& part : index.columns) {
        if (part.expression) texts += (texts.empty() ? "" : ", ") + part.text;
      }
      rows.push_back({number(index.oid),
                      number(r.oid),
                      number(count),
                      number(count),
                      flag(index.unique),
                      flag(false),
                      flag(index.primary),
                      flag(false),
                      flag(true),
                      flag(false),
                      flag(true),
                      flag(false),
                      flag(true),
                      flag(true),
                      flag(false),
                      text(key_vector(r, index)),
                      text(collations),
                      text(zeros),
                      text(options),
                      expressions ? text(texts) : Datum{},
                      index.predicate_text.empty() ? Datum{} : text(index.predicate_text)});
    }
  }
  return rows;
}

SystemTables::Values SystemTables::constraints() {
  Values rows;
  for (const auto& [name, r] : session_.catalog().relations) {
    for (const TableConstraint& c : r.constraints) {
      Oid index = 0;
      for (const Index& i : r.indexes) {
        if (i.name == c.name && c.kind != 'f') index = i.oid;
      }
      Datum foreign_key;
      Oid foreign = 0;
      if (c.kind == 'f') {
        if (const Relation* target = session_.catalog().find(c.foreign_schema, c.foreign_table);
            target != nullptr) {
          foreign = target->oid;
          std::vector<std::string> columns = c.foreign_columns;
          if (columns.empty() && target->primary_key() != nullptr)
            columns = target->primary_key()->columns;
          foreign_key = number_array(*target, columns);
          for (const Index& i : target->indexes) {
            if (i.unique && i.columns.size() == columns.size() && !columns.empty() &&
                i.columns[0].text == columns[0])
              index = i.oid;
          }
        }
      }
      std::vector<std::string> columns = c.columns;
      if (c.kind == 'c' && columns.empty()) {
        for (const Column& column : r.columns) {
          if (c.check_text.find(column.name) != std::string::npos) columns.push_back(column.name);
        }
      }
      rows.push_back({number(constraint_oid(r, c)),
                      text(c.name),
                      number(namespace_oid(r.schema)),
                      letter(c.kind),
                      flag(c.deferrable),
                      flag(c.deferred),
                      flag(true),
                      flag(true),
                      number(r.oid),
                      number(0),
                      number(index),
                      number(0),
                      number(foreign),
                      c.kind == 'f' ? letter(c.on_update) : text(" "),
                      c.kind == 'f' ? letter(c.on_delete) : text(" "),
                      c.kind == 'f' ? letter('s') : text(" "),
                      flag(true),
                      number(0),
                      flag(c.kind != 'c'),
                      number_array(r, columns),
                      std::move(foreign_key),
                      {},
                      {},
                      {},
                      {},
                      {},
                      c.kind == 'c' ? text(c.check_text) : Datum{},
                      flag(false)});
    }
  }
  return rows;
}

SystemTables::Values SystemTables::types() {
  Values rows;
  const auto add = [&](Oid oid, const std::string& name, int size, char category, bool preferred,
                       Oid element, Oid array) {
    const bool pseudo = category == 'P';
    rows.push_back({number(oid),
                    text(name),
                    number(kCatalogNamespace),
                    number(kOwner),
                    number(size),
                    flag(size > 0 && size <= 8),
                    letter(pseudo ? 'p' : 'b'),
                    letter(category),
                    flag(preferred),
                    flag(true),
                    letter(','),
                    number(0),
                    number(0),
                    number(element),
                    number(array),
                    number(oid),
                    number(oid),
                    number(oid),
                    number(oid),
                    number(0),
                    number(0),
                    number(0),
                    letter(size == 8 ? 'd' : 'i'),
                    letter(size == -1 ? 'x' : 'p'),
                    flag(false),
                    number(0),
                    number(-1),
                    number(0),
                    number(collation_of_type(oid)),
                    {},
                    {},
                    {}});
  };
  for (const TypeInfo& type : all_types()) {
    const Oid element = type.oid == oid::kInt2Vector  ? oid::kInt2
                        : type.oid == oid::kOidVector ? oid::kOid
                                                      : 0;
    add(type.oid, type.name, type.size, type.category, type.preferred, element, type.array);
    if (type.array != 0) add(type.array, std::string("_") + type.name, -1, 'A', false, type.oid, 0);
  }
  return rows;
}

SystemTables::Values SystemTables::descriptions() {
  Values rows;
  const auto add = [&](Oid object, Oid catalog, std::int64_t number_, const std::string& comment) {
    if (!comment.empty())
      rows.push_back({number(object), number(catalog), number(number_), text(comment)});
  };
  for (const auto& [name, r] : session_.catalog().relations) {
    add(r.oid, 1259, 0, r.comment);
    for (std::size_t i = 0; i < r.columns.size(); ++i)
      add(r.oid, 1259, static_cast<std::int64_t>(i) + 1, r.columns[i].comment);
    for (const Index& index : r.indexes) add(index.oid, 1259, 0, index.comment);
  }
  for (const auto& [name, comment] : session_.catalog().schemas)
    add(namespace_oid(name), 2615, 0, comment);
  return rows;
}

std::unique_ptr<RowSource> SystemTables::rows(const Relation& relation) {
  const std::string& name = relation.name;
  const Catalog& catalog = session_.catalog();
  Values rows;
  if (name == "pg_class") return make_rows(classes());
  if (name == "pg_attribute") return make_rows(attributes());
  if (name == "pg_index") return make_rows(indexes());
  if (name == "pg_constraint") return make_rows(constraints());
  if (name == "pg_type") return make_rows(types());
  if (name == "pg_description") return make_rows(descriptions());
  if (name == "pg_attrdef") {
    for (const auto& [key, r] : catalog.relations) {
      for (std::size_t i = 0; i < r.columns.size(); ++i) {
        const std::string& value = r.columns[i].generated_text.empty()
                                       ? r.columns[i].default_text
                                       : r.columns[i].generated_text;
        if (!value.empty())
          rows.push_back({number(oid_of("default", key + "." + r.columns[i].name)), number(r.oid),
                          number(static_cast<std::int64_t>(i) + 1), text(value)});
      }
    }
  } else if (name == "pg_namespace") {
    for (const auto& [schema, comment] : catalog.schemas)
      rows.push_back({number(namespace_oid(schema)), text(schema), number(kOwner), {}});
  } else if (name == "pg_database") {
    rows.push_back({number(kDatabase),
                    text(session_.options_.database),
                    number(kOwner),
                    number(6),
                    letter('b'),
                    flag(false),
                    flag(true),
                    flag(false),
                    number(-1),
                    number(0),
                    number(0),
                    number(1663),
                    text("C"),
                    text("C.UTF-8"),
                    text("C.UTF-8"),
                    {},
                    {},
                    {},
                    {}});
  } else if (name == "pg_roles" || name == "pg_authid" || name == "pg_user") {
    const std::string& user = session_.options_.user;
    if (name == "pg_roles")
      rows.push_back({text(user),
                      flag(true),
                      flag(true),
                      flag(true),
                      flag(true),
                      flag(true),
                      flag(false),
                      number(-1),
                      text("********"),
                      {},
                      flag(true),
                      {},
                      number(kOwner)});
    else if (name == "pg_authid")
      rows.push_back({number(kOwner),
                      text(user),
                      flag(true),
                      flag(true),
                      flag(true),
                      flag(true),
                      flag(true),
                      flag(false),
                      flag(true),
                      number(-1),
                      {},
                      {}});
    else
      rows.push_back({text(user),
                      number(kOwner),
                      flag(true),
                      flag(true),
                      flag(false),
                      flag(true),
                      text("********"),
                      {},
                      {}});
  } else if (name == "pg_settings") {
    for (const auto& [info, value] : session_.settings_.all())
      rows.push_back({text(info.name),
                      text(value),
                      {},
                      text("Calf"),
                      text(info.description),
                      {},
                      text(info.read_only ? "internal" : "user"),
                      text("string"),
                      text("default"),
                      {},
                      {},
                      {},
                      text(info.value),
                      text(info.value),
                      {},
                      {},
                      flag(false)});
  } else if (name == "pg_tables" || name == "pg_views" || name == "pg_indexes") {
    for (const auto& [key, r] : catalog.relations) {
      if (name == "pg_tables" && r.kind == 'r')
        rows.push_back({text(r.schema),
                        text(r.name),
                        text(session_.options_.user),
                        {},
                        flag(!r.indexes.empty()),
                        flag(false),
                        flag(false),
                        flag(false)});
      if (name == "pg_views" && r.kind == 'v')
        rows.push_back(
            {text(r.schema), text(r.name), text(session_.options_.user), text(r.view_text)});
      if (name != "pg_indexes") continue;
      for (const Index& index : r.indexes)
        rows.push_back({text(r.schema),
                        text(r.name),
                        text(index.name),
                        {},
                        text(index_definition(index.oid, 0))});
    }
  } else if (name == "pg_sequence" || name == "pg_sequences") {
    for (const auto& [key, s] : catalog.sequences) {
      if (name == "pg_sequence") {
        rows.push_back({number(s.oid), number(s.type), number(s.start), number(s.increment),
                        number(s.maximum), number(s.minimum), number(s.cache), flag(s.cycle)});
        continue;
      }
      Datum last;
      if (session_.database_->knows_sequence(s.oid)) {
        const auto state = session_.database_->sequence_state(s.oid);
        if (state.called) last = number(state.last);
      } else {
        Connection(session_.connection_.get())
            .query("SELECT last FROM calf_sequence WHERE name = ?1 AND called",
                   [&](const Row& row) { last = number(row.integer(0)); }, {Datum::of(key)});
      }
      rows.push_back({text(s.schema), text(s.name), text(session_.options_.user), number(s.type),
                      number(s.start), number(s.minimum), number(s.maximum), number(s.increment),
                      flag(s.cycle), number(s.cache), last});
    }
  } else if (name == "pg_depend") {
    for (const auto& [key, s] : catalog.sequences) {
      const Relation* owner = catalog.by_sqlite_name(s.owner_table);
      if (owner != nullptr)
        rows.push_back({number(1259), number(s.oid), number(0), number(1259), number(owner->oid),
                        number(owner->column_number(s.owner_column)),
                        letter(s.identity ? 'i' : 'a')});
    }
  } else if (name == "pg_am") {
    rows.push_back({number(kHeap), text("heap"), number(0), letter('t')});
    rows.push_back({number(kBtree), text("btree"), number(0), letter('i')});
  } else if (name == "pg_collation") {
    rows.push_back({number(kDefaultCollation),
                    text("default"),
                    number(kCatalogNamespace),
                    number(kOwner),
                    letter('d'),
                    flag(true),
                    number(-1),
                    {},
                    {},
                    {},
                    {},
                    {}});
    rows.push_back({number(950),
                    text("C"),
                    number(kCatalogNamespace),
                    number(kOwner),
                    letter('c'),
                    flag(true),
                    number(-1),
                    text("C"),
                    text("C"),
                    {},
                    {},
                    {}});
  } else if (name == "pg_language") {
    rows.push_back({number(14),
                    text("sql"),
                    number(kOwner),
                    flag(false),
                    flag(true),
                    number(0),
                    number(0),
                    number(0),
                    {}});
  } else if (name == "pg_tablespace") {
    rows.push_back({number(1663), text("pg_default"), number(kOwner), {}, {}});
  } else if (name == "pg_stat_activity") {
    rows.push_back({number(kDatabase),
                    text(session_.options_.database),
                    number(session_.pid_),
                    {},
                    number(kOwner),
                    text(session_.user_),
                    text(session_.setting("application_name", true)),
                    {},
                    {},
                    {},
                    {},
                    {},
                    {},
                    {},
                    {},
                    {},
                    text("active"),
                    {},
                    {},
                    {},
                    text(session_.current_sql_),
                    text("client backend")});
  } else if (name == "pg_timezone_names") {
    rows.push_back({text("UTC"), text("UTC"), text("00:00:00"), flag(false)});
  } else if (name == "pg_proc") {
    for (const auto& function : FunctionTable::get().all()) {
      if (std::isalpha(static_cast<unsigned char>(function->name[0])) == 0 ||
          function->name.starts_with("calf_"))
        continue;
      std::string types;
      for (const Oid type : function->arguments)
        types += (types.empty() ? "" : " ") + std::to_string(type);
      const char kind = function->kind == Function::Kind::kAggregate ? 'a'
                        : function->kind == Function::Kind::kWindow  ? 'w'
                                                                     : 'f';
      rows.push_back({number(oid_of("function", function->internal) % 8000 + 4000),
                      text(function->name),
                      number(kCatalogNamespace),
                      number(kOwner),
                      number(12),
                      Datum::of(1.0),
                      Datum::of(0.0),
                      number(0),
                      number(0),
                      letter(kind),
                      flag(false),
                      flag(false),
                      flag(function->strict),
                      flag(function->kind == Function::Kind::kRows),
                      letter(function->stable ? 'i' : 'v'),
                      letter('s'),
                      number(static_cast<std::int64_t>(function->arguments.size())),
                      number(0),
                      number(function->result),
                      text(types),
                      {},
                      {},
                      {},
                      text(function->name),
                      {},
                      {},
                      {}});
    }
  }
  return make_rows(std::move(rows));
}

std::string SystemTables::name_of(Oid type, Oid object) {
  const Catalog& catalog = session_.catalog();
  if (type == oid::kRegtype) {
    const Oid element = element_of(object);
    return find_type(element != 0 ? element : object) == nullptr ? "" : format_type({object});
  }
  if (type == oid::kRegnamespace) {
    for (const auto& [name, comment] : catalog.schemas) {
      if (namespace_oid(name) == object) return pg_quote_name(name);
    }
    return {};
  }
  if (type == oid::kRegrole) return object == kOwner ? pg_quote_name(session_.options_.user) : "";
  if (type != oid::kRegclass) return {};
  const auto written = [](const std::string& schema, const std::string& name) {
    return (schema == "public" || schema == "pg_catalog" ? "" : pg_quote_name(schema) + ".") +
           pg_quote_name(name);
  };
  if (const Relation* r = catalog.by_oid(object); r != nullptr) return written(r->schema, r->name);
  if (const Sequence* s = catalog.sequence_by_oid(object); s != nullptr)
    return written(s->schema, s->name);
  for (const auto& [key, r] : catalog.relations) {
    for (const Index& index : r.indexes) {
      if (index.oid == object) return written(r.schema, index.name);
    }
  }
  return {};
}

Oid SystemTables::object_named(Oid type, std::string_view name) {
  const Catalog& catalog = session_.catalog();
  // schema.name, with quotes or without.
  std::vector<std::string> parts{""};
  bool quoted = false;
  for (const char c : name) {
    if (c == '"')
      quoted = !quoted;
    else if (c == '.' && !quoted)
      parts.emplace_back();
    else
      parts.back() += quoted ? c : static_cast<char>(std::tolower(static_cast<unsigned char>(c)));
  }
  const std::string schema = parts.size() > 1 ? parts[parts.size() - 2] : "";
  const std::string& last = parts.back();
  if (type == oid::kRegtype) {
    if (last.ends_with("[]")) {
      const TypeInfo* element = find_type(std::string_view(last).substr(0, last.size() - 2));
      return element == nullptr ? 0 : element->array;
    }
    const TypeInfo* found = find_type(last);
    return found == nullptr ? 0 : found->oid;
  }
  if (type == oid::kRegnamespace) return catalog.has_schema(last) ? namespace_oid(last) : 0;
  if (type == oid::kRegrole) return last == session_.options_.user ? kOwner : 0;
  if (type == oid::kRegproc) {
    const auto& functions = FunctionTable::get().named(last);
    return functions.empty() ? 0 : oid_of("function", functions[0]->internal) % 8000 + 4000;
  }
  if (const Relation* r = catalog.find(schema, last); r != nullptr) return r->oid;
  if (const Sequence* s = catalog.sequence(schema, last); s != nullptr) return s->oid;
  const Index* index = catalog.index(schema, last);
  return index == nullptr ? 0 : index->oid;
}

std::string SystemTables::index_definition(Oid oid, int column) {
  for (const auto& [key, r] : session_.catalog().relations) {
    for (const Index& index : r.indexes) {
      if (index.oid != oid) continue;
      std::string parts;
      int number_ = 0;
      for (const IndexColumn& part : index.columns) {
        const std::string item =
            part.expression ? (part.text.find('(') == std::string::npos || part.text.front() == '('
                                   ? "(" + part.text + ")"
                                   : part.text)
                            : pg_quote_name(part.text);
        if (++number_ == column) return item;
        parts += (parts.empty() ? "" : ", ") + item + (part.descending ? " DESC" : "");
      }
      if (column > 0) return {};
      return std::string("CREATE ") + (index.unique ? "UNIQUE " : "") + "INDEX " +
             pg_quote_name(index.name) + " ON " + pg_quote_name(r.schema) + "." +
             pg_quote_name(r.name) + " USING btree (" + parts + ")" +
             (index.predicate_text.empty() ? "" : " WHERE (" + index.predicate_text + ")");
    }
  }
  return {};
}

std::string SystemTables::constraint_definition(Oid oid) {
  const auto action = [](const char* when, char a) {
    return a == 'a' ? std::string()
                    : std::string(when) + (a == 'c'   ? "CASCADE"
                                           : a == 'n' ? "SET NULL"
                                           : a == 'd' ? "SET DEFAULT"
                                                      : "RESTRICT");
  };
  for (const auto& [key, r] : session_.catalog().relations) {
    for (const TableConstraint& c : r.constraints) {
      if (constraint_oid(r, c) != oid) continue;
      if (c.kind == 'c') return "CHECK ((" + c.check_text + "))";
      if (c.kind == 'p') return "PRIMARY KEY (" + joined(c.columns) + ")";
      if (c.kind == 'u') return "UNIQUE (" + joined(c.columns) + ")";
      return "FOREIGN KEY (" + joined(c.columns) + ") REFERENCES " +
             (c.foreign_schema == "public" ? "" : pg_quote_name(c.foreign_schema) + ".") +
             pg_quote_name(c.foreign_table) + "(" + joined(c.foreign_columns) + ")" +
             action(" ON UPDATE ", c.on_update) + action(" ON DELETE ", c.on_delete) +
             (c.deferrable ? " DEFERRABLE" : "") + (c.deferred ? " INITIALLY DEFERRED" : "");
    }
  }
  return {};
}

Datum SystemTables::ask(std::string_view question, std::span<const Datum> a) {
  const auto oid_at = [&](std::size_t i) { return static_cast<Oid>(a[i].integer); };
  const auto or_null = [](std::string value) {
    return value.empty() ? Datum{} : text(std::move(value));
  };
  if (question == "current_database" || question == "current_catalog")
    return text(session_.options_.database);
  if (question == "current_user" || question == "session_user" || question == "current_role")
    return text(session_.user_);
  if (question == "current_schema") return text("public");
  if (question == "version") return text("PostgreSQL 18.0 (Calf, SQLite engine)");
  if (question == "pg_backend_pid") return number(session_.pid_);
  if (question == "current_query") return text(session_.current_sql_);
  if (question == "inet_server_port")
    return number(std::atoll(session_.setting("port", true).c_str()));
  if (question == "pg_postmaster_start_time" || question == "pg_conf_load_time")
    return number(session_.options_.started_micros);
  if (question == "pg_is_in_recovery" || question == "pg_relation_is_publishable")
    return flag(false);
  if (question == "pg_my_temp_schema") return number(0);
  for (const Datum& argument : a.first(std::min<std::size_t>(a.size(), 1))) {
    if (argument.null()) return {};
  }
  if (question == "current_schemas")
    return text(a[0].integer != 0 ? "[\"pg_catalog\",\"public\"]" : "[\"public\"]");
  if (question == "pg_get_userbyid")
    return text(oid_at(0) == kOwner ? session_.options_.user
                                    : "unknown (OID=" + std::to_string(oid_at(0)) + ")");
  if (question == "format_type")
    return text(
        format_type({oid_at(0), a[1].null() ? -1 : static_cast<std::int32_t>(a[1].integer)}));
  if (question == "pg_get_expr") return a[0];
  if (question == "pg_get_indexdef")
    return or_null(index_definition(oid_at(0), a.size() > 1 ? static_cast<int>(a[1].integer) : 0));
  if (question == "pg_get_constraintdef") return or_null(constraint_definition(oid_at(0)));
  if (question == "pg_get_viewdef") {
    const Relation* view = session_.catalog().by_oid(oid_at(0));
    return view == nullptr || view->view_text.empty() ? Datum{} : text(" " + view->view_text + ";");
  }
  if (question == "pg_table_is_visible") {
    const Relation* r = session_.catalog().by_oid(oid_at(0));
    if (r != nullptr) return flag(r->schema == "public" || r->schema == "pg_catalog");
    return flag(!name_of(oid::kRegclass, oid_at(0)).empty());
  }
  if (question.ends_with("_is_visible")) return flag(true);
  if (question == "to_regclass" || question == "to_regtype") {
    const Oid found =
        object_named(question == "to_regclass" ? oid::kRegclass : oid::kRegtype, a[0].text);
    return found == 0 ? Datum{} : number(found);
  }
  if (question == "pg_encoding_to_char") return text(a[0].integer == 6 ? "UTF8" : "");
  if (question == "pg_char_to_encoding") return number(upper_text(a[0].text) == "UTF8" ? 6 : -1);
  if (question == "obj_description" || question == "col_description") {
    const std::int64_t column = question == "col_description" ? a[1].integer : 0;
    for (const auto& row : descriptions()) {
      if (row[0].integer == a[0].integer && row[2].integer == column) return row[3];
    }
    return {};
  }
  if (question == "pg_get_serial_sequence") {
    const Oid table = object_named(oid::kRegclass, a[0].text);
    const Relation* r = session_.catalog().by_oid(table);
    if (r == nullptr) raise("42P01", "relation \"" + a[0].text + "\" does not exist");
    if (r->column(a[1].text) == nullptr)
      raise("42703", "column \"" + a[1].text + "\" of relation \"" + r->name + "\" does not exist");
    for (const auto& [key, s] : session_.catalog().sequences) {
      if (s.owner_table == r->sqlite_name && s.owner_column == a[1].text)
        return text(pg_quote_name(s.schema) + "." + pg_quote_name(s.name));
    }
    return {};
  }
  if (question == "pg_database_size") {
    std::int64_t size = 0;
    Connection(session_.connection_.get())
        .query("SELECT page_count * page_size FROM pragma_page_count, pragma_page_size",
               [&](const Row& row) { size = row.integer(0); });
    return number(size);
  }
  if (question.ends_with("_size")) {
    const Relation* r = session_.catalog().by_oid(oid_at(0));
    std::int64_t size = 0;
    if (r != nullptr && !r->system)
      Connection(session_.connection_.get())
          .query("SELECT coalesce(sum(pgsize), 0) FROM dbstat WHERE name = ?1",
                 [&](const Row& row) { size = row.integer(0); }, {Datum::of(r->sqlite_name)});
    return number(size);
  }
  return {};
}

Datum Session::ask(std::string_view question, std::span<const Datum> arguments) {
  return SystemTables(*this).ask(question, arguments);
}

}  // namespace calf::sqlite
