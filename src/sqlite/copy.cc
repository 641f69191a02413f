#include "sqlite/copy.h"

#include <sqlite3.h>

namespace calf::sqlite {
namespace {

std::string option_text(const pg::Node* node) {
  if (node == nullptr) return "true";
  if (CALF_IS(node, STRING)) return node->string->sval;
  if (CALF_IS(node, BOOLEAN)) return node->boolean->boolval != 0 ? "true" : "false";
  if (CALF_IS(node, INTEGER)) return std::to_string(node->integer->ival);
  return "true";
}

char one_byte(const std::string& text, const char* what) {
  if (text.size() != 1)
    raise("0A000", std::string("COPY ") + what + " must be a single one-byte character");
  return text[0];
}

// The text format's escapes.
void append_escaped(std::string& out, std::string_view text, char delimiter) {
  constexpr std::string_view kPlain = "\b\f\n\r\t\v\\";
  constexpr std::string_view kNames = "bfnrtv\\";
  for (const char c : text) {
    if (const std::size_t at = kPlain.find(c); at != std::string_view::npos) {
      out += '\\';
      out += kNames[at];
    } else {
      if (c == delimiter) out += '\\';
      out += c;
    }
  }
}

// Cuts what the client sends into rows of fields. Bytes in, rows out.
class RowReader {
 public:
  RowReader(std::size_t columns, bool csv, char delimiter, char quote, char escape,
            std::string null)
      : columns_(columns),
        csv_(csv),
        delimiter_(delimiter),
        quote_(quote),
        escape_(escape),
        null_(std::move(null)) {}

  void feed(std::string_view data) { buffer_.append(data); }
  void finish() { finished_ = true; }

  // False: a whole row needs more bytes, or there is none left.
  bool next(std::vector<std::optional<std::string>>& row) {
    std::size_t end = 0;
    if (!find_end(end)) return false;
    std::string_view line(buffer_.data() + at_, end - at_);
    at_ = std::min(end + 1, buffer_.size());
    scanned_ = at_;
    in_quotes_ = false;
    if (line.ends_with('\r')) line.remove_suffix(1);
    // psql before 18 sends its end mark for CSV, too; in one column it could be data.
    const bool is_end = line == "\\." && (!csv_ || columns_ > 1);
    row.clear();
    if (!is_end) {
      if (csv_)
        split_csv(line, row);
      else
        split_text(line, row);
    }
    if (at_ > (1U << 16)) {
      buffer_.erase(0, at_);
      at_ = scanned_ = 0;
    }
    return !is_end;
  }

 private:
  bool find_end(std::size_t& end) {
    for (; scanned_ < buffer_.size(); ++scanned_) {
      const char c = buffer_[scanned_];
      if (csv_ && c == quote_) in_quotes_ = !in_quotes_;
      if (!csv_ && c == '\\' && scanned_ + 1 < buffer_.size()) {
        ++scanned_;
        if (buffer_[scanned_] != '.') continue;
      }
      if (c == '\n' && !in_quotes_) {
        end = scanned_;
        return true;
      }
    }
    if (!finished_ || at_ >= buffer_.size()) return false;
    if (in_quotes_) raise("22P04", "unterminated CSV quoted field");
    end = buffer_.size();
    return true;
  }

  void split_text(std::string_view line, std::vector<std::optional<std::string>>& row) const {
    std::size_t begin = 0;
    while (true) {
      std::string value;
      std::size_t i = begin;
      for (; i < line.size() && line[i] != delimiter_; ++i) {
        if (line[i] != '\\' || i + 1 == line.size()) {
          value += line[i];
          continue;
        }
        const char c = line[++i];
        constexpr std::string_view kNames = "bfnrtv";
        constexpr std::string_view kPlain = "\b\f\n\r\t\v";
        const std::size_t at = kNames.find(c);
        value += at == std::string_view::npos ? c : kPlain[at];
      }
      if (line.substr(begin, i - begin) == null_)
        row.emplace_back(std::nullopt);
      else
        row.emplace_back(std::move(value));
      if (i >= line.size()) return;
      begin = i + 1;
    }
  }

  void split_csv(std::string_view line, std::vector<std::optional<std::string>>& row) const {
    std::size_t i = 0;
    while (true) {
      std::string value;
      bool quoted = false;
      bool inside = false;
      for (; i < line.size() && (inside || line[i] != delimiter_); ++i) {
        const char c = line[i];
        if (inside && c == escape_ && i + 1 < line.size() &&
            (line[i + 1] == quote_ || line[i + 1] == escape_)) {
          value += line[++i];
        } else if (c == quote_) {
          inside = !inside;
          quoted = true;
        } else {
          value += c;
        }
      }
      if (!quoted && value == null_)
        row.emplace_back(std::nullopt);
      else
        row.emplace_back(std::move(value));
      if (i >= line.size()) return;
      ++i;
    }
  }

  std::size_t columns_;
  bool csv_;
  char delimiter_, quote_, escape_;
  std::string null_;
  std::string buffer_;
  std::size_t at_ = 0;
  std::size_t scanned_ = 0;
  bool in_quotes_ = false;
  bool finished_ = false;
};

}  // namespace

Copy::Options Copy::read_options(const PgQuery__CopyStmt& stmt) {
  Options options;
  bool delimiter = false;
  bool null = false;
  for (const pg::Node* node : CALF_LIST(&stmt, options)) {
    const pg::DefElem& option = *node->def_elem;
    const std::string name = option.defname;
    const std::string value = option_text(option.arg);
    if (name == "format") {
      if (value == "binary") unsupported("COPY in binary format");
      if (value != "csv" && value != "text")
        raise("22023", "COPY format \"" + value + "\" not recognized");
      options.csv = value == "csv";
    } else if (name == "delimiter") {
      options.delimiter = one_byte(value, "delimiter");
      delimiter = true;
    } else if (name == "null") {
      options.null = value;
      null = true;
    } else if (name == "header") {
      options.header = value == "true" || value == "on" || value == "1";
    } else if (name == "quote") {
      options.quote = one_byte(value, "quote");
    } else if (name == "escape") {
      options.escape = one_byte(value, "escape");
    } else if (name != "encoding" && name != "freeze") {
      unsupported("the COPY option " + name);
    }
  }
  if (options.csv && !delimiter) options.delimiter = ',';
  if (options.csv && !null) options.null = "";
  return options;
}

void Copy::run(const PgQuery__CopyStmt& stmt, Portal& portal) {
  if (stmt.is_program != 0) unsupported("COPY with PROGRAM");
  if (given(stmt.filename)) unsupported("COPY with a file of the server");
  const Options options = read_options(stmt);
  if (stmt.is_from != 0)
    in(stmt, options, portal);
  else
    out(stmt, options, portal);
}

void Copy::out(const PgQuery__CopyStmt& stmt, const Options& options, Portal& portal) {
  std::string sql;
  if (stmt.query != nullptr) {
    sql = statement_text(*stmt.query);
  } else {
    for (const pg::Node* name : CALF_LIST(&stmt, attlist))
      sql += (sql.empty() ? "SELECT " : ", ") + quote_name(string_of(name));
    sql = (sql.empty() ? "SELECT *" : sql) + " FROM " +
          (given(stmt.relation->schemaname) ? quote_name(stmt.relation->schemaname) + "." : "") +
          quote_name(stmt.relation->relname);
  }
  Portal source;
  source.prepared = session_.prepare(Script::parse(sql), 0, {});
  if (source.prepared->statement.stepwise()) unsupported("a data-modifying WITH in COPY");
  session_.start(source);
  const auto& columns = source.prepared->statement.columns;
  session_.encoder_.copy_response('H', 0, columns.size());
  const auto append = [&](std::string& line, const std::string& text) {
    if (!options.csv) return append_escaped(line, text, options.delimiter);
    const bool quotes = text == options.null ||
                        text.find_first_of(std::string("\n\r") + options.delimiter +
                                           options.quote) != std::string::npos ||
                        text == "\\.";
    if (!quotes) {
      line += text;
      return;
    }
    line += options.quote;
    for (const char c : text) {
      if (c == options.quote || c == options.escape) line += options.escape;
      line += c;
    }
    line += options.quote;
  };
  std::string line;
  if (options.header) {
    for (std::size_t i = 0; i < columns.size(); ++i) {
      if (i > 0) line += options.delimiter;
      append(line, columns[i].name);
    }
    session_.encoder_.copy_data(line + "\n");
  }
  std::int64_t rows = 0;
  while (source.row_ready) {
    line.clear();
    for (std::size_t i = 0; i < columns.size(); ++i) {
      if (i > 0) line += options.delimiter;
      const Datum value = Datum::column(source.statement, static_cast<int>(i));
      if (value.null())
        line += options.null;
      else
        append(line, to_text(value, columns[i].type.oid, session_.conversion_));
    }
    session_.encoder_.copy_data(line + "\n");
    if (!session_.io_.flush_if_large())
      throw SqlError{.report = {.sqlstate = "08006", .message = "the client is gone"},
                     .fatal = true};
    ++rows;
    source.row_ready = session_.step(source.statement) == SQLITE_ROW;
  }
  session_.stop(source);
  session_.encoder_.bare('c');
  portal.tag = "COPY " + std::to_string(rows);
}

void Copy::in(const PgQuery__CopyStmt& stmt, const Options& options, Portal& portal) {
  if (stmt.where_clause != nullptr) unsupported("COPY … WHERE");
  const Relation* table = session_.catalog().find(
      given(stmt.relation->schemaname) ? stmt.relation->schemaname : "", stmt.relation->relname);
  if (table == nullptr)
    raise("42P01", std::string("relation \"") + stmt.relation->relname + "\" does not exist");
  std::vector<std::string> names;
  std::vector<Oid> types;
  std::vector<Type> exact;
  for (const pg::Node* name : CALF_LIST(&stmt, attlist)) names.emplace_back(string_of(name));
  if (names.empty()) {
    for (const Column& column : table->columns) {
      if (column.generated_text.empty()) names.push_back(column.name);
    }
  }
  std::string list;
  std::string values;
  for (std::size_t i = 0; i < names.size(); ++i) {
    const Column* column = table->column(names[i]);
    if (column == nullptr)
      raise("42703",
            "column \"" + names[i] + "\" of relation \"" + table->name + "\" does not exist");
    types.push_back(column->type.oid);
    exact.push_back(column->type);
    list += (i > 0 ? ", " : "") + quote_name(names[i]);
    values += (i > 0 ? ", $" : "$") + std::to_string(i + 1);
  }
  const std::string sql = "INSERT INTO " + quote_name(table->schema) + "." +
                          quote_name(table->name) + " (" + list +
                          ") OVERRIDING SYSTEM VALUE VALUES (" + values + ")";
  Portal target;
  if (session_.block_ == Session::Block::kNone) session_.begin_implicit();
  target.prepared = session_.prepare(Script::parse(sql), 0, types);
  const std::string table_name = table->name;
  session_.encoder_.copy_response('G', 0, names.size());
  session_.io_.flush();
  RowReader reader(names.size(), options.csv, options.delimiter, options.quote, options.escape,
                   options.null);
  std::vector<std::optional<std::string>> row;
  std::int64_t rows = 0;
  std::int64_t line = 0;
  bool ended = false;
  const auto store = [&] {
    while (reader.next(row)) {
      ++line;
      if (line == 1 && options.header) continue;
      if (row.size() < names.size())
        raise("22P04", "missing data for column \"" + names[row.size()] + "\"");
      if (row.size() > names.size()) raise("22P04", "extra data after last expected column");
      target.parameters.clear();
      for (std::size_t i = 0; i < row.size(); ++i) {
        target.parameters.push_back(row[i] ? from_text(*row[i], exact[i], session_.conversion_)
                                           : Datum{});
      }
      session_.start(target);
      session_.stop(target);
      ++rows;
    }
  };
  while (!ended) {
    pgwire::Message message;
    if (session_.io_.receive(message) != ClientIo::Status::kMessage)
      throw SqlError{.report = {.sqlstate = "08006",
                                .message = "unexpected end of the connection during COPY"},
                     .fatal = true};
    switch (message.type) {
      case 'd':
        reader.feed({reinterpret_cast<const char*>(message.body.data()), message.body.size()});
        store();
        break;
      case 'c':
        reader.finish();
        store();
        ended = true;
        break;
      case 'f': {
        const auto reason = pgwire::parse_query(message.body);
        raise("57014", "COPY from stdin failed: " + (reason ? std::string(*reason) : ""));
      }
      case 'H':
      case 'S':
        break;
      default:
        throw SqlError{.report = {.sqlstate = "08P01",
                                  .message = "unexpected message type during COPY from stdin"},
                       .fatal = true};
    }
  }
  portal.tag = "COPY " + std::to_string(rows);
}

}  // namespace calf::sqlite
