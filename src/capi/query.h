// Statements and their answers: what calf_query, prepared statements, streams and COPY have in
// common.
#pragma once

#include "capi/result.h"
#include "capi/session_handle.h"

struct calf_statement {
  std::shared_ptr<calf::capi::SessionState> state;
  std::string name;
  std::vector<uint32_t> parameter_types{};
  // By format; null for a statement that returns no rows.
  std::shared_ptr<const calf::capi::Columns> columns[2]{};
};

namespace calf::capi {

// What to run: SQL with parameters, or a prepared statement.
struct Query {
  const char* sql = nullptr;
  const calf_statement* statement = nullptr;
  const calf_parameter* parameters = nullptr;
  size_t parameter_count = 0;
  int result_format = CALF_TEXT;
};
// Checks a query against what messages can hold, before anything is sent; its parameters.
Answer<std::vector<pgwire::BoundValue>> read(const Query& query);
// Everything but Execute; the portal is the unnamed one.
void encode_start(pgwire::FrontendEncoder encoder, const Query& query,
                  std::span<const pgwire::BoundValue> values);

Answer<void> check_sql(const char* sql);

// Reads to ReadyForQuery; the first error on the way is the answer. What else comes goes to `sink`,
// which may be empty: Answer<void> sink(const pgwire::Message&).
using MessageSink = std::function<Answer<void>(const pgwire::Message&)>;
Answer<void> read_to_end(Call& call, const MessageSink& sink);

Answer<std::shared_ptr<const Columns>> read_columns(const pgwire::Message& row_description);

}  // namespace calf::capi
