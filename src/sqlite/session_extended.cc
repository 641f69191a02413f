// The extended protocol: Parse, Bind, Describe, Execute, Close, Sync.
#include <sqlite3.h>

#include "sqlite/session_guard.h"

namespace calf::sqlite {

std::shared_ptr<Prepared> Session::prepared_named(std::string_view name) {
  const auto found = prepared_.find(std::string(name));
  if (found == prepared_.end()) {
    if (name.empty()) raise("26000", "unnamed prepared statement does not exist");
    raise("26000", "prepared statement \"" + std::string(name) + "\" does not exist");
  }
  return found->second;
}

Portal& Session::portal_named(std::string_view name) {
  const auto found = portals_.find(name);
  if (found == portals_.end())
    raise("34000", "portal \"" + std::string(name) + "\" does not exist");
  return found->second;
}

void Session::parse_message(const pgwire::ParseMessage& message) {
  current_sql_ = message.sql;
  cancelled_ = false;
  if (!message.statement.empty() && prepared_.contains(std::string(message.statement))) {
    raise("42P05", "prepared statement \"" + std::string(message.statement) + "\" already exists");
  }
  begin_statement();
  auto script = Script::parse(std::string(message.sql));
  if (script->size() > 1)
    raise("42601", "cannot insert multiple commands into a prepared statement");
  std::shared_ptr<Prepared> prepared;
  if (script->size() == 0) {
    prepared = std::make_shared<Prepared>();
  } else {
    prepared = prepare(std::move(script), 0, message.parameter_types);
  }
  if (message.statement.empty()) portals_.erase("");
  prepared_[std::string(message.statement)] = std::move(prepared);
  encoder_.bare('1');
}

void Session::bind_message(const pgwire::BindMessage& message) {
  auto prepared = prepared_named(message.statement);
  current_sql_ = prepared->script == nullptr ? "" : prepared->script->sql();
  if (!message.portal.empty() && portals_.contains(message.portal))
    raise("42P03", "cursor \"" + std::string(message.portal) + "\" already exists");
  if (message.portal.empty()) portals_.erase("");
  const auto& types = prepared->parameter_types;
  if (message.values.size() != types.size()) {
    raise("08P01", "bind message supplies " + std::to_string(message.values.size()) +
                       " parameters, but prepared statement \"" + std::string(message.statement) +
                       "\" requires " + std::to_string(types.size()));
  }
  if (message.parameter_formats.size() > 1 && message.parameter_formats.size() != types.size()) {
    raise("08P01", "bind message has " + std::to_string(message.parameter_formats.size()) +
                       " parameter formats but " + std::to_string(types.size()) + " parameters");
  }
  if (prepared->script != nullptr) check_block(prepared->node());
  // Who writes looks at the tables when it is their only writer.
  if (prepared->query && !prepared->statement.writes) refresh(*prepared);
  const auto& columns = prepared->statement.columns;
  if (message.result_formats.size() > 1 && message.result_formats.size() != columns.size()) {
    raise("08P01", "bind message has " + std::to_string(message.result_formats.size()) +
                       " result formats but query has " + std::to_string(columns.size()) +
                       " columns");
  }
  Portal portal;
  for (std::size_t i = 0; i < types.size(); ++i) {
    const std::int16_t format = message.parameter_formats.empty() ? std::int16_t{0}
                                : message.parameter_formats.size() == 1
                                    ? message.parameter_formats[0]
                                    : message.parameter_formats[i];
    if (!message.values[i]) {
      portal.parameters.emplace_back();
    } else if (format == 0) {
      portal.parameters.push_back(from_text(*message.values[i], {types[i]}, conversion_));
    } else if (format == 1) {
      portal.parameters.push_back(from_binary(*message.values[i], {types[i]}, conversion_));
    } else {
      raise("22023", "unsupported format code: " + std::to_string(format));
    }
  }
  portal.formats = message.result_formats;
  portal.prepared = std::move(prepared);
  portals_.erase(std::string(message.portal));
  Portal& slot = portals_[std::string(message.portal)];
  std::swap(slot.prepared, portal.prepared);
  slot.parameters = std::move(portal.parameters);
  slot.formats = std::move(portal.formats);
  encoder_.bare('2');
}

void Session::describe_message(const pgwire::NamedObject& message) {
  if (message.kind == 'S') {
    const auto prepared = prepared_named(message.name);
    if (prepared->script != nullptr && prepared->query) refresh(*prepared);
    encoder_.parameter_description(prepared->parameter_types);
    if (prepared->statement.columns.empty()) return encoder_.bare('n');
    return describe(prepared->statement.columns, {});
  }
  const Portal& portal = portal_named(message.name);
  if (portal.prepared->statement.columns.empty()) return encoder_.bare('n');
  describe(portal.prepared->statement.columns, portal.formats);
}

void Session::execute_message(const pgwire::ExecuteMessage& message) {
  Portal& portal = portal_named(message.portal);
  if (portal.prepared->script == nullptr) return encoder_.bare('I');
  current_sql_ = portal.prepared->script->sql();
  const bool command = CALF_IS(&portal.prepared->node(), TRANSACTION_STMT);
  // Alone before Sync it commits by itself; with others it is one transaction until Sync.
  if (block_ == Block::kNone && !command && !portal.started) {
    const bool sync_follows = io_.has_message() && io_.next_type() == 'S';
    if (!sync_follows || message.max_rows != 0) begin_implicit();
  }
  if (portal.finished) {
    if (portal.prepared->statement.columns.empty())
      raise("55000", "portal \"" + std::string(message.portal) + "\" cannot be run");
    encoder_.command_complete(portal.prepared->statement.tag + " 0");
    return;
  }
  execute(portal, message.max_rows, false);
}

void Session::close_message(const pgwire::NamedObject& message) {
  if (message.kind == 'S') {
    prepared_.erase(std::string(message.name));
  } else {
    portals_.erase(std::string(message.name));
  }
  encoder_.bare('3');
}

void Session::sync() {
  skip_until_sync_ = false;
  if (block_ == Block::kImplicit) {
    if (!guarded(current_sql_, [&] { end_implicit(true); })) fail_block();
  }
  cancelled_ = false;
  ready();
}

}  // namespace calf::sqlite
