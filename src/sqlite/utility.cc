#include "sqlite/utility.h"

#include <sqlite3.h>

#include <algorithm>

#include "sqlite/connection.h"
#include "sqlite/copy.h"
#include "sqlite/declarations.h"

namespace calf::sqlite {
namespace {

// The text of SET's arguments: words, strings and numbers.
std::string value_text(const pg::Node& node) {
  if (CALF_IS(&node, A_CONST)) {
    const PgQuery__AConst& value = *node.a_const;
    switch (value.val_case) {
      case PG_QUERY__A__CONST__VAL_IVAL:
        return std::to_string(value.ival->ival);
      case PG_QUERY__A__CONST__VAL_FVAL:
        return value.fval->fval;
      case PG_QUERY__A__CONST__VAL_SVAL:
        return value.sval->sval;
      case PG_QUERY__A__CONST__VAL_BOOLVAL:
        return value.boolval->boolval != 0 ? "on" : "off";
      default:
        return "0";
    }
  }
  if (CALF_IS(&node, TYPE_CAST)) return value_text(*node.type_cast->arg);
  unsupported("this value of a setting");
}

// Whether a statement makes something that is of its session only.
bool declares_temporary(const pg::Node& node) {
  const pg::RangeVar* made = CALF_IS(&node, CREATE_STMT) ? node.create_stmt->relation
                             : CALF_IS(&node, CREATE_TABLE_AS_STMT)
                                 ? node.create_table_as_stmt->into->rel
                             : CALF_IS(&node, VIEW_STMT)       ? node.view_stmt->view
                             : CALF_IS(&node, CREATE_SEQ_STMT) ? node.create_seq_stmt->sequence
                                                               : nullptr;
  return made != nullptr && given(made->relpersistence) && made->relpersistence[0] == 't';
}

void set_isolation(Session& session, const PgQuery__DefElem& option,
                   const std::function<void(const std::string&, const std::string&)>& set) {
  (void)session;
  const std::string name = option.defname;
  if (name == "transaction_isolation") set(name, value_text(*option.arg));
  if (name == "transaction_read_only")
    set(name, CALF_IS(option.arg, A_CONST) && value_text(*option.arg) == "0" ? "off" : "on");
}

}  // namespace

std::vector<OutputColumn> Utility::columns(const Prepared& prepared) {
  const pg::Node& node = prepared.node();
  if (CALF_IS(&node, VARIABLE_SHOW_STMT)) {
    const std::string name = node.variable_show_stmt->name;
    if (name == "all")
      return {{.name = "name", .type = {oid::kText}},
              {.name = "setting", .type = {oid::kText}},
              {.name = "description", .type = {oid::kText}}};
    std::string shown = name;
    for (const auto& [info, value] : session_.settings_.all()) {
      if (sqlite3_stricmp(info.name, name.c_str()) == 0) shown = info.name;
    }
    return {{.name = shown, .type = {oid::kText}}};
  }
  if (CALF_IS(&node, EXPLAIN_STMT)) return {{.name = "QUERY PLAN", .type = {oid::kText}}};
  if (CALF_IS(&node, EXECUTE_STMT))
    return session_.prepared_named(node.execute_stmt->name)->statement.columns;
  if (CALF_IS(&node, FETCH_STMT) && node.fetch_stmt->ismove == 0) {
    const auto found = session_.portals_.find(node.fetch_stmt->portalname);
    if (found == session_.portals_.end())
      raise("34000", std::string("cursor \"") + node.fetch_stmt->portalname + "\" does not exist");
    return found->second.prepared->statement.columns;
  }
  return {};
}

void Utility::run(Portal& portal) {
  const pg::Node& node = portal.prepared->node();
  portal.columns = portal.prepared->statement.columns;
  switch (node.node_case) {
    case PG_QUERY__NODE__NODE_TRANSACTION_STMT:
      return transaction(*node.transaction_stmt, portal);
    case PG_QUERY__NODE__NODE_VARIABLE_SET_STMT:
      return set(*node.variable_set_stmt, portal);
    case PG_QUERY__NODE__NODE_VARIABLE_SHOW_STMT:
      return show(node.variable_show_stmt->name, portal);
    case PG_QUERY__NODE__NODE_EXPLAIN_STMT:
      return explain(*node.explain_stmt, portal);
    case PG_QUERY__NODE__NODE_DISCARD_STMT:
      return discard(*node.discard_stmt, portal);
    case PG_QUERY__NODE__NODE_PREPARE_STMT:
      return prepare_statement(*node.prepare_stmt, portal);
    case PG_QUERY__NODE__NODE_EXECUTE_STMT:
      return execute_statement(*node.execute_stmt, portal);
    case PG_QUERY__NODE__NODE_DEALLOCATE_STMT: {
      const char* name = node.deallocate_stmt->name;
      if (!given(name)) {
        std::erase_if(session_.prepared_, [](const auto& entry) { return !entry.first.empty(); });
        portal.tag = "DEALLOCATE ALL";
        return;
      }
      session_.prepared_named(name);
      session_.prepared_.erase(name);
      portal.tag = "DEALLOCATE";
      return;
    }
    case PG_QUERY__NODE__NODE_DECLARE_CURSOR_STMT:
      return declare_cursor(*node.declare_cursor_stmt, portal);
    case PG_QUERY__NODE__NODE_FETCH_STMT:
      return fetch(*node.fetch_stmt, portal);
    case PG_QUERY__NODE__NODE_CLOSE_PORTAL_STMT: {
      const char* name = node.close_portal_stmt->portalname;
      if (given(name) && !session_.portals_.contains(name))
        raise("34000", std::string("cursor \"") + name + "\" does not exist");
      if (given(name)) session_.portals_.erase(name);
      portal.tag = "CLOSE CURSOR";
      return;
    }
    case PG_QUERY__NODE__NODE_COPY_STMT:
      return Copy(session_).run(*node.copy_stmt, portal);
    case PG_QUERY__NODE__NODE_VACUUM_STMT: {
      const bool vacuum = node.vacuum_stmt->is_vacuumcmd != 0;
      if (vacuum && session_.block_ != Session::Block::kNone)
        raise("25001", "VACUUM cannot run inside a transaction block");
      session_.raw(vacuum ? "VACUUM" : "ANALYZE");
      portal.tag = vacuum ? "VACUUM" : "ANALYZE";
      return;
    }
    case PG_QUERY__NODE__NODE_CONSTRAINTS_SET_STMT:
      session_.raw(std::string("PRAGMA defer_foreign_keys = ") +
                   (node.constraints_set_stmt->deferred != 0 ? "ON" : "OFF"));
      portal.tag = "SET CONSTRAINTS";
      return;
    case PG_QUERY__NODE__NODE_LISTEN_STMT:
      session_.listen(
          {.kind = ListenAction::Kind::kListen, .channel = node.listen_stmt->conditionname});
      portal.tag = "LISTEN";
      return;
    case PG_QUERY__NODE__NODE_UNLISTEN_STMT: {
      const char* channel = node.unlisten_stmt->conditionname;
      session_.listen(given(channel)
                          ? ListenAction{.kind = ListenAction::Kind::kUnlisten, .channel = channel}
                          : ListenAction{.kind = ListenAction::Kind::kUnlistenAll});
      portal.tag = "UNLISTEN";
      return;
    }
    case PG_QUERY__NODE__NODE_NOTIFY_STMT:
      session_.notify(node.notify_stmt->conditionname,
                      given(node.notify_stmt->payload) ? node.notify_stmt->payload : "");
      portal.tag = "NOTIFY";
      return;
    case PG_QUERY__NODE__NODE_CHECK_POINT_STMT:
      session_.database_->checkpoint(session_.connection_.get(), session_.wal_frames_);
      portal.tag = "CHECKPOINT";
      return;
    default:
      break;
  }
  // Declarations change the catalog and the schema together.
  if (session_.block_ == Session::Block::kNone) session_.begin_implicit();
  if (!declares_temporary(node)) session_.take_writers_place();
  Declarations(session_).run(node, portal);
}

void Utility::transaction(const PgQuery__TransactionStmt& stmt, Portal& portal) {
  const std::string name = given(stmt.savepoint_name) ? stmt.savepoint_name : "";
  const bool chain = stmt.chain != 0;
  switch (stmt.kind) {
    case PG_QUERY__TRANSACTION_STMT_KIND__TRANS_STMT_BEGIN:
    case PG_QUERY__TRANSACTION_STMT_KIND__TRANS_STMT_START: {
      session_.begin_block(session_.settings_.get("calf.transaction_mode").value_or("deferred"));
      for (const pg::Node* option : CALF_LIST(&stmt, options)) {
        set_isolation(session_, *option->def_elem,
                      [&](const std::string& key, const std::string& value) {
                        session_.settings_.set(key, value, true);
                      });
      }
      if (session_.settings_.get("transaction_read_only") == "on")
        session_.raw("PRAGMA query_only = ON");
      portal.tag = stmt.kind == PG_QUERY__TRANSACTION_STMT_KIND__TRANS_STMT_BEGIN
                       ? "BEGIN"
                       : "START TRANSACTION";
      return;
    }
    case PG_QUERY__TRANSACTION_STMT_KIND__TRANS_STMT_COMMIT:
      portal.tag = session_.block_ == Session::Block::kFailed ? "ROLLBACK" : "COMMIT";
      session_.raw("PRAGMA query_only = OFF");
      return session_.commit_block(chain);
    case PG_QUERY__TRANSACTION_STMT_KIND__TRANS_STMT_ROLLBACK:
      portal.tag = "ROLLBACK";
      session_.raw("PRAGMA query_only = OFF");
      return session_.rollback_block(chain);
    case PG_QUERY__TRANSACTION_STMT_KIND__TRANS_STMT_SAVEPOINT:
      portal.tag = "SAVEPOINT";
      return session_.savepoint(name);
    case PG_QUERY__TRANSACTION_STMT_KIND__TRANS_STMT_RELEASE:
      portal.tag = "RELEASE";
      return session_.release(name);
    case PG_QUERY__TRANSACTION_STMT_KIND__TRANS_STMT_ROLLBACK_TO:
      portal.tag = "ROLLBACK";
      return session_.rollback_to(name);
    default:
      unsupported("PREPARE TRANSACTION");
  }
}

void Utility::set(const PgQuery__VariableSetStmt& stmt, Portal& portal) {
  const std::string name = given(stmt.name) ? stmt.name : "";
  portal.tag = "SET";
  const bool local = stmt.is_local != 0;
  switch (stmt.kind) {
    case PG_QUERY__VARIABLE_SET_KIND__VAR_SET_VALUE: {
      std::string value;
      for (const pg::Node* argument : CALF_LIST(&stmt, args))
        value +=
            (value.empty() ? "" : ", ") +
            (name == "search_path" ? pg_quote_name(value_text(*argument)) : value_text(*argument));
      if (local && session_.block_ == Session::Block::kNone)
        session_.notice("25P01", "SET LOCAL can only be used in transaction blocks", "WARNING");
      session_.set_setting(name, value, local);
      return;
    }
    case PG_QUERY__VARIABLE_SET_KIND__VAR_SET_DEFAULT:
    case PG_QUERY__VARIABLE_SET_KIND__VAR_RESET:
      session_.settings_.reset(name);
      session_.apply_settings();
      portal.tag = stmt.kind == PG_QUERY__VARIABLE_SET_KIND__VAR_RESET ? "RESET" : "SET";
      return;
    case PG_QUERY__VARIABLE_SET_KIND__VAR_RESET_ALL:
      session_.settings_.reset_all();
      session_.apply_settings();
      portal.tag = "RESET";
      return;
    case PG_QUERY__VARIABLE_SET_KIND__VAR_SET_MULTI:
      for (const pg::Node* argument : CALF_LIST(&stmt, args)) {
        if (!CALF_IS(argument, DEF_ELEM)) continue;
        set_isolation(
            session_, *argument->def_elem, [&](const std::string& key, const std::string& value) {
              session_.set_setting(name == "SESSION CHARACTERISTICS" ? "default_" + key : key,
                                   value, name != "SESSION CHARACTERISTICS");
            });
      }
      return;
    default:
      unsupported("SET … FROM CURRENT");
  }
}

void Utility::show(const std::string& name, Portal& portal) {
  portal.tag = "SHOW";
  if (name == "all") {
    for (const auto& [info, value] : session_.settings_.all())
      portal.results.push_back(
          {Datum::of(info.name), Datum::of(value), Datum::of(info.description)});
    return;
  }
  portal.results.push_back({Datum::of(session_.setting(name, false))});
}

// SQLite's plan, a line a step.
void Utility::explain(const PgQuery__ExplainStmt& stmt, Portal& portal) {
  portal.tag = "EXPLAIN";
  Analyzer analyzer({.catalog = &session_.catalog(), .conversion = &session_.conversion_});
  const Statement statement = analyzer.analyze(*stmt.query);
  std::map<std::int64_t, int> depths;
  Connection(session_.connection_.get())
      .query("EXPLAIN QUERY PLAN " + statement.sql, [&](const Row& row) {
        const int depth = depths.contains(row.integer(1)) ? depths[row.integer(1)] + 1 : 0;
        depths[row.integer(0)] = depth;
        portal.results.push_back(
            {Datum::of(std::string(static_cast<std::size_t>(depth) * 2, ' ') + row.text(3))});
      });
}

void Utility::discard(const PgQuery__DiscardStmt& stmt, Portal& portal) {
  if (stmt.target == PG_QUERY__DISCARD_MODE__DISCARD_ALL) {
    if (session_.block_ != Session::Block::kNone)
      raise("25001", "DISCARD ALL cannot run inside a transaction block");
    session_.settings_.reset_all();
    session_.apply_settings();
    Declarations(session_).drop_temporary();
    session_.listen({.kind = ListenAction::Kind::kUnlistenAll});
    std::erase_if(session_.prepared_, [](const auto& entry) { return !entry.first.empty(); });
    session_.sequence_values_.clear();
    session_.last_value_.reset();
    portal.tag = "DISCARD ALL";
    return;
  }
  if (stmt.target == PG_QUERY__DISCARD_MODE__DISCARD_TEMP) Declarations(session_).drop_temporary();
  portal.tag = stmt.target == PG_QUERY__DISCARD_MODE__DISCARD_TEMP    ? "DISCARD TEMP"
               : stmt.target == PG_QUERY__DISCARD_MODE__DISCARD_PLANS ? "DISCARD PLANS"
                                                                      : "DISCARD SEQUENCES";
}

void Utility::prepare_statement(const PgQuery__PrepareStmt& stmt, Portal& portal) {
  const std::string name = stmt.name;
  if (session_.prepared_.contains(name))
    raise("42P05", "prepared statement \"" + name + "\" already exists");
  Analyzer types({.catalog = &session_.catalog(), .conversion = &session_.conversion_});
  std::vector<Oid> declared;
  for (const pg::Node* type : CALF_LIST(&stmt, argtypes))
    declared.push_back(types.type_of(*type->type_name).oid);
  session_.prepared_[name] =
      session_.prepare(Script::parse(statement_text(*stmt.query)), 0, std::move(declared));
  portal.tag = "PREPARE";
}

void Utility::execute_statement(const PgQuery__ExecuteStmt& stmt, Portal& portal) {
  auto prepared = session_.prepared_named(stmt.name);
  if (stmt.n_params != prepared->parameter_types.size()) {
    raise("42601",
          std::string("wrong number of parameters for prepared statement \"") + stmt.name + "\"",
          {},
          "Expected " + std::to_string(prepared->parameter_types.size()) + " parameters but got " +
              std::to_string(stmt.n_params) + ".");
  }
  Portal inner;
  inner.prepared = prepared;
  for (std::size_t i = 0; i < stmt.n_params; ++i) {
    // Each argument is an expression of its own: SQLite computes it.
    Analyzer analyzer({.catalog = &session_.catalog(), .conversion = &session_.conversion_});
    const std::string sql =
        "SELECT " +
        analyzer.column_expression(*stmt.params[i], nullptr, Type{prepared->parameter_types[i]});
    sqlite3_stmt* made = nullptr;
    if (const int code =
            sqlite3_prepare_v2(session_.connection_.get(), sql.c_str(), -1, &made, nullptr);
        code != SQLITE_OK)
      throw session_.sqlite_error(code);
    const std::unique_ptr<sqlite3_stmt, int (*)(sqlite3_stmt*)> owned(made, sqlite3_finalize);
    session_.step(made);
    inner.parameters.push_back(Datum::column(made, 0));
  }
  session_.start(inner);
  if (!prepared->query) {
    portal.tag = inner.tag;
    portal.results = std::move(inner.results);
    return;
  }
  portal.columns = prepared->statement.columns;
  if (inner.collected) portal.results = std::move(inner.results);
  collect(inner, portal, -1);
  const std::string& tag = prepared->statement.tag;
  const std::int64_t count = tag == "SELECT"   ? static_cast<std::int64_t>(portal.results.size())
                             : inner.collected ? inner.changed
                                               : sqlite3_changes64(session_.connection_.get());
  session_.stop(inner);
  portal.tag = tag + " " + std::to_string(count);
}

void Utility::collect(Portal& from, Portal& to, std::int64_t limit) {
  while (from.row_ready && limit != 0) {
    std::vector<Datum> row;
    for (std::size_t i = 0; i < from.prepared->statement.columns.size(); ++i)
      row.push_back(Datum::column(from.statement, static_cast<int>(i)));
    to.results.push_back(std::move(row));
    from.row_ready = session_.step(from.statement) == SQLITE_ROW;
    if (limit > 0) --limit;
  }
}

void Utility::declare_cursor(const PgQuery__DeclareCursorStmt& stmt, Portal& portal) {
  constexpr int kHold = 0x20;
  if (session_.block_ == Session::Block::kNone)
    raise("25P01", "DECLARE CURSOR can only be used in transaction blocks");
  if ((stmt.options & kHold) != 0) unsupported("a cursor WITH HOLD");
  if (session_.portals_.contains(stmt.portalname))
    raise("42P03", std::string("cursor \"") + stmt.portalname + "\" already exists");
  auto prepared = session_.prepare(Script::parse(statement_text(*stmt.query)), 0, {});
  if (prepared->statement.stepwise())
    raise("0A000", "DECLARE CURSOR must not contain data-modifying statements in WITH");
  Portal& cursor = session_.portals_[stmt.portalname];
  cursor.prepared = std::move(prepared);
  session_.start(cursor);
  portal.tag = "DECLARE CURSOR";
}

void Utility::fetch(const PgQuery__FetchStmt& stmt, Portal& portal) {
  if (stmt.direction != PG_QUERY__FETCH_DIRECTION__FETCH_FORWARD)
    unsupported("fetching backward or by position");
  const auto found = session_.portals_.find(stmt.portalname);
  if (found == session_.portals_.end())
    raise("34000", std::string("cursor \"") + stmt.portalname + "\" does not exist");
  constexpr std::int64_t kAll = INT64_MAX;
  Portal rows;
  collect(found->second, rows,
          stmt.how_many == kAll || stmt.how_many == INT32_MAX ? -1 : stmt.how_many);
  const auto count = static_cast<std::int64_t>(rows.results.size());
  if (stmt.ismove != 0) {
    portal.tag = "MOVE " + std::to_string(count);
    return;
  }
  portal.results = std::move(rows.results);
  portal.tag = "FETCH";
}

}  // namespace calf::sqlite
