// pg_catalog: its relations' rows, names behind oids, and the functions that ask about them.
#pragma once

#include <memory>

#include "sqlite/session.h"
#include "sqlite/virtual_tables.h"

namespace calf::sqlite {

class SystemTables {
 public:
  explicit SystemTables(Session& session) : session_(session) {}

  std::unique_ptr<RowSource> rows(const Relation& relation);
  std::string name_of(Oid type, Oid object);
  Oid object_named(Oid type, std::string_view name);
  Datum ask(std::string_view question, std::span<const Datum> arguments);

 private:
  using Values = std::vector<std::vector<Datum>>;
  Values classes();
  Values attributes();
  Values indexes();
  Values constraints();
  Values types();
  Values descriptions();
  std::string index_definition(Oid oid, int column);
  std::string constraint_definition(Oid oid);

  Session& session_;
};

}  // namespace calf::sqlite
