// CREATE, ALTER, DROP, COMMENT, TRUNCATE: SQLite's schema and what is written down of it, changed
// together. Always inside a transaction.
#pragma once

#include "sqlite/connection.h"
#include "sqlite/session.h"

namespace calf::sqlite {

// "table", "view" or "materialized view".
const char* kind_word(char kind);

class Declarations {
 public:
  explicit Declarations(Session& session) : session_(session), db_(session.connection_.get()) {}
  void run(const pg::Node& node, Portal& portal);

  // What ON COMMIT says of temporary tables; inside the transaction that ends.
  void before_commit();
  void drop_temporary();

 private:
  // declare_table.cc
  void create_table(const PgQuery__CreateStmt& stmt, Portal& portal);
  void create_table_as(const PgQuery__CreateTableAsStmt& stmt, Portal& portal);
  void add_column_definition(Relation& table, const pg::ColumnDef& def,
                             std::vector<Sequence>& sequences);
  void add_constraint(Relation& table, const pg::Constraint& constraint, const std::string& column);
  std::string table_sql(const Relation& table);
  std::string column_sql(const Relation& table, const Column& column);
  std::string constraint_sql(const Relation& table, const TableConstraint& constraint);
  std::string index_sql(const Relation& table, const Index& index);
  void make_table(const Relation& table);
  void add_like(Relation& table, const PgQuery__TableLikeClause& like,
                std::vector<Sequence>& sequences);

  // declare_matview.cc
  void create_matview(const PgQuery__CreateTableAsStmt& stmt, Portal& portal);
  void refresh_matview(const PgQuery__RefreshMatViewStmt& stmt, Portal& portal);
  std::int64_t fill(const Relation& table, const std::string& query);
  void check_not_materialized(const Relation& table);

  // declare_rebuild.cc
  void check_can_be_key(const Relation& table, const TableConstraint& key);
  void add_primary_key(Relation& table);

  // declare_alter.cc
  void alter_table(const PgQuery__AlterTableStmt& stmt, Portal& portal);
  void alter(Relation& table, const PgQuery__AlterTableCmd& command);
  void add_column(Relation& table, const PgQuery__AlterTableCmd& command);
  void drop_column(Relation& table, const PgQuery__AlterTableCmd& command);
  void alter_type(Relation& table, const PgQuery__AlterTableCmd& command);
  void add_table_constraint(Relation& table, const pg::Constraint& constraint);
  void drop_constraint(Relation& table, const PgQuery__AlterTableCmd& command);
  void rename(const PgQuery__RenameStmt& stmt, Portal& portal);
  void rewrite_schema(const Relation& table);
  Column& column_of(Relation& table, const char* name);

  // declare_enum.cc
  void create_enum(const PgQuery__CreateEnumStmt& stmt, Portal& portal);
  void alter_enum(const PgQuery__AlterEnumStmt& stmt, Portal& portal);
  void drop_type(const pg::Node& node, bool missing_ok, bool cascade);
  void store(const EnumType& type);

  // declare_other.cc
  void create_index(const PgQuery__IndexStmt& stmt, Portal& portal);
  void create_view(const PgQuery__ViewStmt& stmt, Portal& portal);
  void create_schema(const PgQuery__CreateSchemaStmt& stmt, Portal& portal);
  void create_sequence(const PgQuery__CreateSeqStmt& stmt, Portal& portal);
  void alter_sequence(const PgQuery__AlterSeqStmt& stmt, Portal& portal);
  void sequence_options(Sequence& sequence, std::span<PgQuery__Node* const> options,
                        std::optional<std::int64_t>* restart);
  void drop(const PgQuery__DropStmt& stmt, Portal& portal);
  void drop_relation(const Relation& relation, bool cascade);
  void truncate(const PgQuery__TruncateStmt& stmt, Portal& portal);
  void comment(const PgQuery__CommentStmt& stmt, Portal& portal);

  // declarations.cc
  std::string unused_name(const std::string& schema, const std::string& wanted);
  std::string new_schema(const pg::RangeVar& var);
  void check_new(const std::string& schema, const std::string& name);
  Relation new_relation(const pg::RangeVar& var);
  std::string catalog_table(const std::string& schema);
  void store(const Relation& relation);
  void store(const Sequence& sequence);
  void forget(const char* kind, const std::string& name);
  void forget(const Sequence& sequence);
  Relation copy_of(const pg::RangeVar& var);
  Analyzer analyzer();

  Session& session_;
  Connection db_;
};

}  // namespace calf::sqlite
