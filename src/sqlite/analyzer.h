// PostgreSQL's parse tree in, SQLite's SQL out. Names are resolved and every expression gets its
// PostgreSQL type, by which operators, functions and casts are chosen, as PostgreSQL's parser does.
// What has no translation raises 0A000; what PostgreSQL would refuse is refused with its SQLSTATE.
#pragma once

#include <functional>
#include <map>
#include <memory>
#include <optional>
#include <set>
#include <string>
#include <vector>

#include "sqlite/catalog.h"
#include "sqlite/datum.h"
#include "sqlite/functions.h"
#include "sqlite/newer_grammar.h"
#include "sqlite/tree.h"

namespace calf::sqlite {

// The fields of a composite value, which is a JSON array in SQLite; nullptr: not a composite.
using Fields = std::shared_ptr<const std::vector<std::pair<std::string, Type>>>;

struct OutputColumn {
  std::string name;
  Type type{};
  Oid table = 0;
  std::int16_t number = 0;
  bool not_null = false;
  Fields fields{};
};

// One of several statements of SQLite that make one of PostgreSQL.
struct Step {
  std::string sql;
  int keep = -1;        // its rows are kept under this number (kept_rows.h)
  bool counts = false;  // the rows that it changes are those of the statement
  std::string once{};   // the table whose rows it may change only once; a sqlite name
};

// A statement that is ready for SQLite.
struct Statement {
  std::string sql;
  std::vector<OutputColumn> columns;  // empty: it returns no rows
  std::string tag;                    // "SELECT", "INSERT 0", "UPDATE", …
  bool writes = false;
  bool writes_temporary = false;  // a temporary table only
  bool uses_sequences = false;
  std::string lock_table{};  // SELECT … FOR UPDATE: taking the writer's place first; a sqlite name
  bool lock_nowait = false;
  std::vector<Step> before{};  // what runs before `sql`, …
  std::vector<Step> after{};   // … and after it, seeing none of its rows
  bool counts = true;          // as Step's
  std::string once{};
  [[nodiscard]] bool stepwise() const { return !before.empty() || !after.empty(); }
};

struct Expr {
  enum class Form { kPlain, kLiteral, kNull, kParameter };
  std::string sql;
  Type type{};
  Form form = Form::kPlain;
  std::string literal{};  // of an untyped or integer constant
  int parameter = 0;      // of a parameter whose type is not known yet
  std::string name = "?column?";
  bool weak_name = false;              // of a cast or CASE: a cast around it gives its own name
  const Relation* relation = nullptr;  // of a plain column
  int number = 0;
  bool not_null = false;
  Fields fields{};
  std::shared_ptr<const std::vector<Expr>> parts{};  // of a row that was made right here
  int location = -1;
  [[nodiscard]] bool unknown() const { return type.oid == oid::kUnknown; }
};

struct ScopeColumn {
  std::string name;
  std::string sql;
  Type type{};
  bool not_null = false;
  const Relation* relation = nullptr;
  int number = 0;
  bool hidden = false;  // merged by USING, or not selected by *
  Fields fields{};
};

struct ScopeTable {
  std::string alias;
  std::string schema{};
  std::vector<ScopeColumn> columns{};
  const Relation* relation = nullptr;
  bool function = false;  // its name alone means its value
};

struct Cte {
  std::string name;
  std::string sql_name;
  std::vector<OutputColumn> columns;
  int part = -1;  // the step that keeps its rows; -1: a query of SQLite's WITH
};

// A set-returning function of a select list: it is joined to what is selected from.
struct RowCall {
  std::string alias;
  std::string sql;  // "calf_rows(…) AS alias"
};

// What names mean in one query level.
struct Scope {
  Scope* parent = nullptr;
  std::vector<ScopeTable> tables{};
  std::vector<Cte> ctes{};
  std::vector<std::pair<std::string, const pg::WindowDef*>> windows{};
  const char* clause = "";  // where we are, for messages
  bool aggregates_allowed = false;
  bool inside_aggregate = false;
  bool saw_aggregate = false;
  bool outer_join = false;
  std::string merge_actions{};                // what merge_action() is; empty: not here
  std::vector<RowCall>* row_calls = nullptr;  // where set-returning functions may be called
  std::vector<std::string> group_sql{};       // expressions of GROUP BY
  std::vector<std::string> absent{};          // those that the grouping set at hand has not
  bool grouped = false;                       // there is a GROUP BY
  bool grouping_sets = false;
  std::vector<std::pair<std::string, const ScopeColumn*>>
      ungrouped{};  // columns outside of aggregates
};

// A subquery of FROM that sees what stands before it. SQLite runs it as a statement of its own,
// and what it takes from outside as parameters.
struct Lateral {
  Lateral* outer = nullptr;
  const Scope* boundary = nullptr;  // names found beyond it come from outside
  std::vector<std::string> arguments{};
};

struct Query {
  std::string sql;
  std::vector<OutputColumn> columns;
  bool single_row = false;
};

// The queries of a WITH that run as steps.
struct Parts {
  // What has been done to a table by steps that run before the one that is being analyzed.
  struct Change {
    // The steps that have added rows: their kept rows have these rows' numbers behind `second`
    // columns.
    std::vector<std::pair<int, std::size_t>> inserted{};
    bool whole = false;  // more than that: it is read from a copy
    int copy = -1;       // where that is kept
    int parts = 0;       // how many have changed it
    bool insert_may_follow = false;
  };
  struct Copy {
    const Relation* table = nullptr;
    int number = 0;
  };
  std::vector<Cte> ctes{};
  std::map<std::string, Change> changed{};  // by sqlite name
  std::vector<Copy> copies{};
  std::set<int> uses{};  // which others the one that is being analyzed reads
  int next_number = 0;   // of kept rows
};

// calf_kept(number), and what a table calls the number of a row; empty: nothing.
std::string kept_rows(int number);
std::string rowid_name(const Relation& table);

struct AnalyzerOptions {
  const Catalog* catalog = nullptr;
  const ConversionContext* conversion = nullptr;
  std::vector<Oid> parameter_types{};  // 0: to be found out
  bool steps = false;                  // whoever asks can run several statements for one
  const MergeExtras* merge = nullptr;  // what the tree of a MERGE does not have
};

// Analyzes one statement. Raises SqlError. One thread.
class Analyzer {
 public:
  explicit Analyzer(AnalyzerOptions options)
      : options_(std::move(options)), catalog_(*options_.catalog) {}

  // SELECT, INSERT, UPDATE, DELETE, VALUES.
  Statement analyze(const pg::Node& node);
  // The types of $1, $2, …; text where nothing said more.
  [[nodiscard]] std::vector<Oid> parameter_types() const;

  // For declarations: an expression over one table's columns (CHECK, indexes, generated columns),
  // or over none (defaults), cast by assignment to `target` when there is one. `columns`: those
  // that it names.
  std::string column_expression(const pg::Node& node, const Relation* table,
                                std::optional<Type> target,
                                std::vector<std::string>* columns = nullptr);
  Query view_query(const pg::Node& node);
  // Whether the statement's own WITH changes tables.
  static bool changes_in_with(const pg::Node& node);
  Type type_of(const pg::TypeName& name, bool* serial = nullptr);  // analyze_type.cc
  // The sqlite names that were read.
  [[nodiscard]] const std::vector<std::string>& relations_read() const { return relations_read_; }

 private:
  // analyze_select.cc
  Query select(const pg::SelectStmt& stmt, Scope* parent,
               const std::vector<Type>* wanted = nullptr);
  Query simple_select(const pg::SelectStmt& stmt, Scope& scope, const std::vector<Type>* wanted);
  std::string group_clause(const pg::SelectStmt& stmt, Scope& scope,
                           const std::vector<Expr>& targets);
  std::string order_clause(std::span<PgQuery__Node* const> sorts, Scope& scope,
                           const std::vector<Expr>& targets, bool only_outputs, bool distinct);
  std::string order_term(const PgQuery__SortBy& sort, const std::string& sql, Type type,
                         bool not_null);
  std::string limit_clause(const pg::SelectStmt& stmt, Scope& scope);
  void locking(const pg::SelectStmt& stmt, const Scope& scope);
  std::vector<Expr> target_list(std::span<PgQuery__Node* const> targets, Scope& scope);
  std::string join_row_calls(const std::vector<RowCall>& calls, std::string from,
                             std::string* number = nullptr);
  void expand_star(const PgQuery__ColumnRef& ref, Scope& scope, std::vector<Expr>& out);
  void check_grouping(Scope& scope);
  std::string distinct_on(const pg::SelectStmt& stmt, Scope& scope, std::vector<Expr>& targets,
                          const std::string& body);
  static std::string output_list(const std::vector<Expr>& targets, bool collate);
  static std::vector<OutputColumn> outputs_of(const std::vector<Expr>& targets);

  Expr group_item(const pg::Node& item, Scope& scope, const std::vector<Expr>& targets);
  static std::string group_key(const Expr& value);
  static std::size_t sorted_target(const PgQuery__SortBy& sort, const std::vector<Expr>& targets);

  // analyze_grouping.cc
  struct GroupedOutputs {
    std::vector<Expr> targets{};
    std::string order{};
  };
  static bool has_grouping_sets(const pg::SelectStmt& stmt);
  std::vector<std::size_t> grouped_expressions(const pg::Node& node, Scope& scope,
                                               const std::vector<Expr>& targets,
                                               std::vector<Expr>& grouped);
  std::vector<std::vector<std::size_t>> grouping_sets_of(const pg::Node& node, Scope& scope,
                                                         const std::vector<Expr>& targets,
                                                         std::vector<Expr>& grouped);
  std::vector<std::vector<std::size_t>> all_grouping_sets(const pg::SelectStmt& stmt, Scope& scope,
                                                          const std::vector<Expr>& targets,
                                                          std::vector<Expr>& grouped);
  Expr as_grouped(Expr value, const Scope& scope) const;
  Expr grouping(const PgQuery__GroupingFunc& node, Scope& scope);
  std::string grouping_query(const pg::SelectStmt& stmt, Scope& scope,
                             const std::vector<std::string>& group, const std::string& body,
                             const std::vector<Type>* wanted, GroupedOutputs& out);
  std::string grouped_order(const pg::SelectStmt& stmt, Scope& scope,
                            const std::vector<Expr>& targets, std::string& list);
  Query grouping_sets(const pg::SelectStmt& stmt, Scope& scope, const std::string& body,
                      const std::vector<Type>* wanted);

  // analyze_compound.cc
  Query values(const pg::SelectStmt& stmt, Scope& scope, const std::vector<Type>* wanted);
  Query set_operation(const pg::SelectStmt& stmt, Scope& scope, const std::vector<Type>* wanted);

  // analyze_with.cc
  Statement with_parts(const pg::Node& node);
  Statement part(const pg::Node& node, int number);
  Statement part_query(const PgQuery__CommonTableExpr& cte, bool recursive, int number);
  Cte cte_of_part(const PgQuery__CommonTableExpr& cte, Statement made, int number);
  static std::vector<int> order_of_parts(const pg::WithClause& with,
                                         const std::vector<std::set<int>>& uses, bool query);
  void add_cascades(const Relation& table, Parts::Change change);
  void check_target(const pg::Node& node) const;
  void note_change(const pg::Node& node, int part, const Statement& made);
  std::string as_it_was(const Relation& table, bool& copied);
  void check_view(const Relation& view) const;

  // analyze_subquery.cc
  static void name_columns(const PgQuery__CommonTableExpr& cte, Cte& entry);
  std::string with_clause(const pg::WithClause* with, Scope& scope);
  std::string common_table(const PgQuery__CommonTableExpr& cte, bool recursive, Scope& scope);
  Expr sub_link(const PgQuery__SubLink& link, Scope& scope);

  // analyze_from.cc
  std::string from_clause(std::span<PgQuery__Node* const> items, Scope& scope);
  std::string from_item(const pg::Node& node, Scope& scope);
  std::string range_var(const pg::RangeVar& var, Scope& scope);
  std::string range_subselect(const PgQuery__RangeSubselect& sub, Scope& scope);
  std::string lateral_subselect(const PgQuery__RangeSubselect& sub, Scope& scope);
  std::string from_outside(std::string sql, const Scope& inner, const Scope* owner);
  std::string rows_from(const PgQuery__RangeFunction& range, Scope& scope);
  std::string range_function(const PgQuery__RangeFunction& function, Scope& scope);
  std::string join(const PgQuery__JoinExpr& join, Scope& scope);
  std::string rows_call(const Function& function, const std::vector<Expr>& arguments,
                        const std::string& alias);
  static std::string table_rows(const Relation& table);
  std::string add_table(const Relation& relation, const std::string& alias,
                        const PgQuery__Alias* columns, Scope& scope);
  const Relation& relation_named(const pg::RangeVar& var);
  std::string system_view(const Relation& relation);

  // analyze_expr.cc
  Expr expr(const pg::Node& node, Scope& scope);
  Expr expr_of_kind(const pg::Node& node, Scope& scope);
  Expr column_ref(const PgQuery__ColumnRef& ref, Scope& scope);
  Expr constant(const PgQuery__AConst& value);
  Expr parameter(int number, const Scope& scope, int location);
  Expr bool_expr(const PgQuery__BoolExpr& node, Scope& scope);
  Expr case_expr(const PgQuery__CaseExpr& node, Scope& scope);
  Expr type_cast(const PgQuery__TypeCast& cast, Scope& scope);
  Expr value_function(const PgQuery__SQLValueFunction& function);
  Expr array_expr(const PgQuery__AArrayExpr& array, Scope& scope, const Type* wanted);
  Expr indirection(const PgQuery__AIndirection& node, Scope& scope);
  Expr condition(const pg::Node& node, Scope& scope, const char* clause);
  Expr common_list(std::span<PgQuery__Node* const> nodes, Scope& scope, const std::string& before,
                   const char* what, const char* name);
  const ScopeColumn* find_column(std::string_view table, std::string_view name, Scope& scope,
                                 Scope*& owner, int location);

  // analyze_row.cc
  Expr row_of(const std::vector<Expr>& parts, const std::vector<std::string>& names, int location);
  Expr whole_row(const ScopeTable& table, const Scope& scope, Scope* owner, int location);
  Expr row_expr(const PgQuery__RowExpr& row, Scope& scope);
  Expr row_as_json(const Expr& row);
  Expr field_of(const Expr& value, std::string_view name);
  std::string record_rows(const PgQuery__RangeFunction& range, Scope& scope);

  // analyze_operator.cc
  Expr a_expr(const PgQuery__AExpr& node, Scope& scope);
  Expr binary(const std::string& op, Expr left, Expr right, int location);
  Expr compare(const std::string& op, Expr left, Expr right, int location);
  Expr row_compare(const std::string& op, const pg::Node& left, const pg::Node& right, Scope& scope,
                   int location);
  Expr concatenate(Expr left, Expr right, int location);
  Expr any_all(const PgQuery__AExpr& node, Scope& scope, bool all);
  Expr in_list(const PgQuery__AExpr& node, Scope& scope);
  Expr prefix(const std::string& op, Expr operand, int location);

  // analyze_function.cc
  Expr function_call(const PgQuery__FuncCall& call, Scope& scope);
  std::optional<Expr> special_function(const std::string& name, std::vector<Expr>& arguments,
                                       const PgQuery__FuncCall& call);
  Expr row_value(const Function& function, const std::vector<Expr>& arguments, Scope& scope,
                 int location);
  Expr enum_function(const std::string& name, const std::vector<Expr>& arguments, int location);
  Expr aggregate_call(const Function& function, std::vector<Expr> arguments,
                      const PgQuery__FuncCall& call, Scope& scope);
  std::string over_clause(const pg::WindowDef& window, Scope& scope);
  std::string window_body(const pg::WindowDef& window, Scope& scope);
  const Function* resolve(const std::vector<const Function*>& candidates,
                          std::vector<Expr>& arguments);
  Expr call(const Function& function, std::vector<Expr> arguments);
  Expr as_json(Expr value);
  static std::string fill(std::string_view pattern, const std::vector<Expr>& arguments);

  // analyze_cast.cc
  Expr coerce(Expr value, Type target, CastContext context, int location = -1);
  Expr to_text(Expr value);
  Expr literal(const Datum& value, Type type);
  Type common_type(const std::vector<const Expr*>& values, const char* what);
  static std::string collated(const Expr& value);

  // analyze_dml.cc
  Statement statement(const pg::Node& node);
  Statement insert(const pg::InsertStmt& stmt);
  Statement update(const pg::UpdateStmt& stmt);
  Statement delete_from(const pg::DeleteStmt& stmt);
  static int target_column(const pg::ResTarget& target, const Relation& table);
  static std::vector<int> columns_with_defaults(const Relation& table,
                                                const std::vector<int>& besides);
  static void check_given(const Relation& table, int number, const pg::Node* value,
                          PgQuery__OverridingKind overriding);
  std::string insert_source(const pg::InsertStmt& stmt, const Relation& table,
                            std::vector<int>& numbers, Scope& scope);
  Expr assigned(const pg::Node& value, const Relation& table, int number, Scope& scope);
  Expr assigned_value(Expr value, const Relation& table, int number);
  Expr default_of(const Relation& table, int number);
  std::string guarded(const Relation& table, int number, const Expr& value) const;
  std::string conflict_clause(const PgQuery__OnConflictClause& clause, const Relation& table,
                              Scope& scope);
  struct Assignment {
    int number = 0;  // of the column
    std::string sql;
  };
  std::vector<Assignment> assignments(std::span<PgQuery__Node* const> targets,
                                      const Relation& table, Scope& scope);
  static std::string set_list(const std::vector<Assignment>& assignments, const Relation& table);
  Expr assigned_column(const PgQuery__MultiAssignRef& multi, const Relation& table, int number,
                       Scope& scope);
  void returning(std::span<PgQuery__Node* const> targets, const Relation& table,
                 const pg::RangeVar& var, Scope* parent, Statement& out);
  std::vector<Expr> returned(std::span<PgQuery__Node* const> targets, Scope& scope, Statement& out);
  const Relation& writable(const pg::RangeVar& var);

  // analyze_merge.cc
  struct MergeClause;
  struct Merge;
  Statement merge(const PgQuery__MergeStmt& stmt);
  std::vector<MergeClause> merge_clauses(const PgQuery__MergeStmt& stmt) const;
  void merge_insert(Merge& merge, MergeClause& clause);
  void merge_clause(Merge& merge, MergeClause& clause);
  static std::string merge_action(const Merge& merge, bool by_source);
  static Step merge_rows(Merge& merge, bool by_source);
  Step merge_step(const Merge& merge, const MergeClause& clause, int inserted);
  void merge_returning(const Merge& merge, const std::vector<int>& inserted,
                       std::size_t first_column, Statement& out);

  // analyze_steps.cc
  void update_in_steps(const pg::UpdateStmt& stmt, const Relation& table, const std::string& with,
                       const std::vector<Assignment>& set, const std::string& body, Scope& scope,
                       Statement& out);
  void delete_in_steps(const pg::DeleteStmt& stmt, const Relation& table, const std::string& with,
                       const std::string& body, Scope& scope, Statement& out);
  void insert_in_steps(const pg::InsertStmt& stmt, const Relation& table, Scope& scope,
                       Statement& out);
  void check_steps() const;
  bool asks_queries(std::span<PgQuery__Node* const> targets, Scope scope);
  static ScopeTable target_table(const Relation& table, const pg::RangeVar& var,
                                 const std::string& qualifier);

  std::string fresh(const char* prefix) { return prefix + std::to_string(++names_); }

  AnalyzerOptions options_;
  const Catalog& catalog_;
  int names_ = 0;
  Parts parts_;
  int sub_links_ = 0;           // seen so far
  bool volatile_ = false;       // a volatile function was
  Scope* outer_ = nullptr;      // of a statement that is a part of another one
  Lateral* lateral_ = nullptr;  // the innermost one that is being analyzed
  bool uses_sequences_ = false;
  std::string lock_table_;
  bool lock_nowait_ = false;
  std::vector<std::string> relations_read_;
};

}  // namespace calf::sqlite
