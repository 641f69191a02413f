// CREATE TYPE … AS ENUM, ALTER TYPE, DROP TYPE.
#include <algorithm>
#include <set>

#include "sqlite/declarations.h"

namespace calf::sqlite {
namespace {

// Values of labels lie apart, so that others fit in between. They are 32 bits wide.
constexpr std::int64_t kGap = 1 << 16;
constexpr std::size_t kMaxLabels = 32000;
constexpr std::size_t kMaxLabelBytes = 63;

void check_label(std::string_view label) {
  if (label.empty() || label.size() > kMaxLabelBytes)
    raise("42602", "invalid enum label \"" + std::string(label) + "\"", {},
          "Labels must be 63 bytes or less.");
}

std::pair<std::string, std::string> schema_and_name(std::span<PgQuery__Node* const> parts) {
  return {parts.size() > 1 ? std::string(string_of(parts[parts.size() - 2])) : "",
          std::string(string_of(parts.back()))};
}

auto find_label(EnumType& type, std::string_view label) {
  return std::find_if(type.labels.begin(), type.labels.end(),
                      [&](const EnumType::Label& known) { return known.text == label; });
}

[[noreturn]] void no_label(std::string_view label) {
  raise("22023", "\"" + std::string(label) + "\" is not an existing enum label");
}

}  // namespace

void Declarations::store(const EnumType& type) {
  db_.execute("INSERT OR REPLACE INTO " + catalog_table(type.schema) + " VALUES ('enum', ?1, ?2)",
              {Datum::of(sqlite_name_of(type.schema, type.name)), Datum::of(to_json(type))});
  session_.schema_changed();
}

void Declarations::create_enum(const PgQuery__CreateEnumStmt& stmt, Portal& portal) {
  portal.tag = "CREATE TYPE";
  auto [schema, name] = schema_and_name(CALF_LIST(&stmt, type_name));
  if (schema.empty()) schema = session_.catalog().creation_schema();
  if (!session_.catalog().has_schema(schema))
    raise("3F000", "schema \"" + schema + "\" does not exist");
  if (session_.catalog().enumeration(schema, name) != nullptr ||
      session_.catalog().find(schema, name) != nullptr)
    raise("42710", "type \"" + name + "\" already exists");
  EnumType type{.schema = schema, .name = name};
  if (stmt.n_vals > kMaxLabels) unsupported("an enum of so many labels");
  for (const pg::Node* node : CALF_LIST(&stmt, vals)) {
    const std::string label(string_of(node));
    check_label(label);
    if (find_label(type, label) != type.labels.end())
      raise("23505",
            "duplicate key value violates unique constraint "
            "\"pg_enum_typid_label_index\"");
    type.labels.push_back(
        {.text = label, .value = kGap * (static_cast<std::int64_t>(type.labels.size()) + 1)});
  }
  store(type);
}

// ADD VALUE and RENAME VALUE.
void Declarations::alter_enum(const PgQuery__AlterEnumStmt& stmt, Portal& portal) {
  portal.tag = "ALTER TYPE";
  const auto [schema, name] = schema_and_name(CALF_LIST(&stmt, type_name));
  const EnumType* found = session_.catalog().enumeration(schema, name);
  if (found == nullptr) raise("42704", "type \"" + name + "\" does not exist");
  EnumType type = *found;
  const std::string label = stmt.new_val;
  check_label(label);
  const auto known = find_label(type, label);
  if (given(stmt.old_val)) {
    const auto old = find_label(type, stmt.old_val);
    if (old == type.labels.end()) no_label(stmt.old_val);
    if (known != type.labels.end()) raise("42710", "enum label \"" + label + "\" already exists");
    old->text = label;
    return store(type);
  }
  if (known != type.labels.end()) {
    if (stmt.skip_if_new_val_exists == 0)
      raise("42710", "enum label \"" + label + "\" already exists");
    return session_.notice("42710", "enum label \"" + label + "\" already exists, skipping");
  }
  auto place = type.labels.end();
  if (given(stmt.new_val_neighbor)) {
    place = find_label(type, stmt.new_val_neighbor);
    if (place == type.labels.end()) no_label(stmt.new_val_neighbor);
    if (stmt.new_val_is_after != 0) ++place;
  }
  const std::int64_t before = place == type.labels.begin() ? 0 : std::prev(place)->value;
  const std::int64_t value =
      place == type.labels.end() ? before + kGap : before + (place->value - before) / 2;
  if (value == before || type.labels.size() == kMaxLabels)
    unsupported("one more label at this place of an enum");
  type.labels.insert(place, {.text = label, .value = value});
  store(type);
}

void Declarations::drop_type(const pg::Node& node, bool missing_ok, bool cascade) {
  const auto [schema, name] = schema_and_name(CALF_LIST(node.type_name, names));
  const EnumType* found = session_.catalog().enumeration(schema, name);
  if (found == nullptr) {
    if (find_type(name) != nullptr)
      raise("2BP01", "cannot drop type " + name + " because it is required by the database system");
    if (!missing_ok) raise("42704", "type \"" + name + "\" does not exist");
    return session_.notice("00000", "type \"" + name + "\" does not exist, skipping");
  }
  const EnumType type = *found;
  for (const auto& [key, relation] : session_.catalog().relations) {
    for (const Column& column : relation.columns) {
      if (column.type.oid != type.oid && element_of(column.type.oid) != type.oid) continue;
      if (cascade) unsupported("DROP TYPE … CASCADE: drop the columns first, then this");
      raise("2BP01", "cannot drop type " + name + " because other objects depend on it",
            "Use DROP ... CASCADE to drop the dependent objects too.",
            "column " + column.name + " of table " + relation.name + " depends on type " + name);
    }
  }
  forget("enum", sqlite_name_of(type.schema, type.name));
}

}  // namespace calf::sqlite
