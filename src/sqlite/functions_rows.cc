// Functions that return rows.
#include <algorithm>

#include "sqlite/decimal.h"
#include "sqlite/functions.h"
#include "sqlite/json.h"
#include "sqlite/sql_error.h"
#include "sqlite/virtual_tables.h"

namespace calf::sqlite {
namespace {

class IntegerSeries final : public RowSource {
 public:
  IntegerSeries(std::int64_t first, std::int64_t last, std::int64_t step)
      : at_(first), last_(last), step_(step) {
    if (step == 0) raise("22023", "step size cannot equal zero");
  }
  bool next(std::vector<Datum>& row) override {
    if (ended_ || (step_ > 0 ? at_ > last_ : at_ < last_)) return false;
    row = {Datum::of(at_)};
    ended_ = __builtin_add_overflow(at_, step_, &at_);
    return true;
  }

 private:
  std::int64_t at_, last_, step_;
  bool ended_ = false;
};

class NumericSeries final : public RowSource {
 public:
  NumericSeries(Decimal first, Decimal last, Decimal step)
      : at_(std::move(first)), last_(std::move(last)), step_(std::move(step)) {
    if (step_.zero()) raise("22023", "step size cannot equal zero");
  }
  bool next(std::vector<Datum>& row) override {
    const int order = compare(at_, last_);
    if (step_.sign() > 0 ? order > 0 : order < 0) return false;
    row = {Datum::of(at_.to_string())};
    at_ = at_ + step_;
    return true;
  }

 private:
  Decimal at_, last_, step_;
};

class MomentSeries final : public RowSource {
 public:
  MomentSeries(std::int64_t first, std::int64_t last, const Interval& step,
               std::shared_ptr<const Zone> zone)
      : at_(first), last_(last), step_(step), zone_(std::move(zone)) {
    if (step.span() == 0) raise("22023", "step size cannot equal zero");
  }
  bool next(std::vector<Datum>& row) override {
    if (step_.span() > 0 ? at_ > last_ : at_ < last_) return false;
    row = {Datum::of(at_)};
    at_ = zone_ != nullptr ? add_interval_in_zone(at_, step_, *zone_) : add_interval(at_, step_);
    return true;
  }

 private:
  std::int64_t at_, last_;
  Interval step_;
  std::shared_ptr<const Zone> zone_;
};

std::unique_ptr<RowSource> integer_series(const Call& c) {
  return std::make_unique<IntegerSeries>(c.integer(0), c.integer(1),
                                         c.size() > 2 ? c.integer(2) : 1);
}

std::unique_ptr<RowSource> numeric_series(const Call& c) {
  return std::make_unique<NumericSeries>(
      Decimal::read(c.text(0)), Decimal::read(c.text(1)),
      c.size() > 2 ? Decimal::read(c.text(2)) : Decimal::of(std::int64_t{1}));
}

Datum text_of(const Json& value) {
  if (value.kind == Json::Kind::kNull) return {};
  return Datum::of(value.kind == Json::Kind::kString ? value.text : std::string(value.raw));
}

Json checked(const Call& c, Json::Kind kind, const char* name) {
  Json value = Json::parse(c.text(0));
  if (value.kind != kind) {
    const bool scalar = value.kind != Json::Kind::kArray && value.kind != Json::Kind::kObject;
    if (kind == Json::Kind::kArray)
      raise("22023", scalar ? "cannot extract elements from a scalar"
                            : "cannot extract elements from an object");
    raise("22023", std::string("cannot call ") + name + (scalar ? " on a scalar" : " on an array"));
  }
  return value;
}

template <bool kText>
std::unique_ptr<RowSource> json_elements(const Call& c) {
  const Json value = checked(c, Json::Kind::kArray, "");
  std::vector<std::vector<Datum>> rows;
  for (const Json& item : value.items)
    rows.push_back({kText ? text_of(item) : Datum::of(item.raw)});
  return make_rows(std::move(rows));
}

template <bool kText>
std::unique_ptr<RowSource> json_members(const Call& c) {
  const Json value = checked(c, Json::Kind::kObject, "json_each");
  std::vector<std::vector<Datum>> rows;
  for (const auto& [key, item] : value.members)
    rows.push_back({Datum::of(key), kText ? text_of(item) : Datum::of(item.raw)});
  return make_rows(std::move(rows));
}

std::unique_ptr<RowSource> json_keys(const Call& c) {
  const Json value = checked(c, Json::Kind::kObject, "json_object_keys");
  std::vector<std::vector<Datum>> rows;
  for (const auto& [key, item] : value.members) rows.push_back({Datum::of(key)});
  return make_rows(std::move(rows));
}

// (array, element type)
std::unique_ptr<RowSource> unnest(const Call& c) {
  std::vector<std::vector<Datum>> rows;
  for (Datum& value : array_elements(c.text(0), static_cast<Oid>(c.integer(1))))
    rows.push_back({std::move(value)});
  return make_rows(std::move(rows));
}

// The same with their numbers.
std::unique_ptr<RowSource> expanded(const Call& c) {
  std::vector<std::vector<Datum>> rows;
  for (Datum& value : array_elements(c.text(0), static_cast<Oid>(c.integer(1))))
    rows.push_back({std::move(value), Datum::of(static_cast<std::int64_t>(rows.size()) + 1)});
  return make_rows(std::move(rows));
}

std::unique_ptr<RowSource> string_rows(const Call& c) {
  std::vector<std::vector<Datum>> rows;
  std::string_view rest = c.text(0);
  const std::string& separator = c.text(1);
  if (separator.empty()) {
    if (!rest.empty()) rows.push_back({Datum::of(rest)});
    return make_rows(std::move(rows));
  }
  while (!c.text(0).empty()) {
    const std::size_t end = rest.find(separator);
    rows.push_back({Datum::of(rest.substr(0, end))});
    if (end == std::string_view::npos) break;
    rest.remove_prefix(end + separator.size());
  }
  return make_rows(std::move(rows));
}

std::size_t vector_size(std::string_view text) {
  return text.empty() ? 0 : static_cast<std::size_t>(std::count(text.begin(), text.end(), ' ')) + 1;
}

}  // namespace

void add_row_functions(FunctionTable& t) {
  for (const char* type : {"int4", "int8"}) {
    const std::string name = type;
    t.rows("generate_series(" + name + "," + name + ") " + name, integer_series);
    t.rows("generate_series(" + name + "," + name + "," + name + ") " + name, integer_series);
  }
  t.rows("generate_series(numeric,numeric) numeric", numeric_series);
  t.rows("generate_series(numeric,numeric,numeric) numeric", numeric_series);
  t.rows("generate_series(timestamp,timestamp,interval) timestamp",
         [](const Call& c) -> std::unique_ptr<RowSource> {
           return std::make_unique<MomentSeries>(c.integer(0), c.integer(1),
                                                 Interval::read(c.text(2)), nullptr);
         });
  t.rows("generate_series(timestamptz,timestamptz,interval) timestamptz",
         [](const Call& c) -> std::unique_ptr<RowSource> {
           return std::make_unique<MomentSeries>(c.integer(0), c.integer(1),
                                                 Interval::read(c.text(2)), c.clock().zone);
         });
  t.rows("generate_subscripts(anyarray,int4) int4",
         [](const Call& c) -> std::unique_ptr<RowSource> {
           const auto size = static_cast<std::int64_t>(Json::parse(c.text(0)).items.size());
           return std::make_unique<IntegerSeries>(1, c.integer(1) == 1 ? size : 0, 1);
         });
  // Vectors of the catalog count from 0.
  for (const char* type : {"int2vector", "oidvector"}) {
    t.rows(std::string("generate_subscripts(") + type + ",int4) int4",
           [](const Call& c) -> std::unique_ptr<RowSource> {
             const auto size = static_cast<std::int64_t>(vector_size(c.text(0)));
             return std::make_unique<IntegerSeries>(0, c.integer(1) == 1 ? size - 1 : -1, 1);
           });
  }
  t.rows("_pg_expandarray(anyarray) record", expanded,
         {{"x", oid::kAnyElement}, {"n", oid::kInt4}});
  // Nothing is partitioned here; psql asks for it with every foreign key.
  t.rows("pg_partition_ancestors(regclass) regclass", [](const Call&) { return make_rows({}); });
  t.rows("unnest(anyarray) anyelement", unnest);
  t.rows("string_to_table(text,text) text", string_rows);
  for (const char* type : {"json", "jsonb"}) {
    const std::string name = type;
    const Oid value = find_type(name)->oid;
    t.rows(name + "_array_elements(" + name + ") " + name, json_elements<false>,
           {{"value", value}});
    t.rows(name + "_array_elements_text(" + name + ") text", json_elements<true>,
           {{"value", oid::kText}});
    t.rows(name + "_each(" + name + ") record", json_members<false>,
           {{"key", oid::kText}, {"value", value}});
    t.rows(name + "_each_text(" + name + ") record", json_members<true>,
           {{"key", oid::kText}, {"value", oid::kText}});
    t.rows(name + "_object_keys(" + name + ") text", json_keys);
  }
}

}  // namespace calf::sqlite
