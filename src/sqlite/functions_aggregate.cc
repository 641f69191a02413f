// Aggregates that SQLite lacks or computes otherwise, and window functions.
#include <algorithm>
#include <cmath>
#include <deque>
#include <map>
#include <set>

#include "sqlite/decimal.h"
#include "sqlite/functions.h"
#include "sqlite/json.h"
#include "sqlite/sql_error.h"

namespace calf::sqlite {
namespace {

template <typename T>
std::unique_ptr<Aggregate> make(FunctionHost& host) {
  return std::make_unique<T>(host);
}

Decimal decimal_of(const Datum& value) {
  return value.kind == Datum::Kind::kInteger ? Decimal::of(value.integer)
                                             : Decimal::read(value.text);
}

// How many digits behind the point the numbers of a frame have at most: so many a sum has, too.
class Scales {
 public:
  void add(const Decimal& value) { ++counts_[value.scale()]; }
  void remove(const Decimal& value) {
    const auto found = counts_.find(value.scale());
    if (found != counts_.end() && --found->second == 0) counts_.erase(found);
  }
  [[nodiscard]] int most() const { return counts_.empty() ? 0 : counts_.rbegin()->first; }

 private:
  std::map<int, std::int64_t> counts_;
};

// sum and avg over exact numbers.
template <bool kAverage>
class DecimalSum final : public Aggregate {
 public:
  explicit DecimalSum(FunctionHost&) {}
  void step(std::span<const Datum> a) override {
    if (a[0].null()) return;
    const Decimal value = decimal_of(a[0]);
    ++count_;
    if (!value.finite()) return others_.push_back(value);
    sum_ = sum_ + value;
    scales_.add(value);
  }
  void inverse(std::span<const Datum> a) override {
    if (a[0].null()) return;
    const Decimal value = decimal_of(a[0]);
    --count_;
    if (!value.finite()) return others_.pop_front();
    sum_ = sum_ - value;
    scales_.remove(value);
  }
  Datum value() override {
    if (count_ == 0) return {};
    Decimal sum = sum_.rounded(scales_.most());
    for (const Decimal& other : others_) sum = sum + other;
    return Datum::of((kAverage ? sum / Decimal::of(count_) : sum).to_string());
  }

 private:
  Decimal sum_;
  Scales scales_;
  std::deque<Decimal> others_;  // NaN and infinities: taking one away does not undo adding it
  std::int64_t count_ = 0;
};

// Keeps the values of the frame; `kCompute` looks at all of them.
using Values = std::deque<double>;
template <Datum (*kCompute)(const Values&)>
class Reals final : public Aggregate {
 public:
  explicit Reals(FunctionHost&) {}
  void step(std::span<const Datum> a) override {
    if (!a[0].null()) values_.push_back(a[0].as_real());
  }
  void inverse(std::span<const Datum> a) override {
    if (!a[0].null()) values_.pop_front();
  }
  Datum value() override { return values_.empty() ? Datum{} : kCompute(values_); }

 private:
  Values values_;
};

double total(const Values& values) {
  double sum = 0;
  for (const double v : values) sum += v;
  return sum;
}
// PostgreSQL's Youngs-Cramer sum of squared differences.
double squares(const Values& values) {
  double n = 0;
  double sx = 0;
  double sxx = 0;
  for (const double v : values) {
    n += 1;
    sx += v;
    if (n > 1) {
      const double tmp = v * n - sx;
      sxx += tmp * tmp / (n * (n - 1));
    }
  }
  return sxx;
}
Datum real_sum(const Values& v) {
  return Datum::of(total(v));
}
Datum real_sum4(const Values& v) {
  return Datum::of(double{static_cast<float>(total(v))});
}
Datum real_average(const Values& v) {
  return Datum::of(total(v) / static_cast<double>(v.size()));
}
Datum variance_sample(const Values& v) {
  return v.size() < 2 ? Datum{} : Datum::of(squares(v) / static_cast<double>(v.size() - 1));
}
Datum variance_population(const Values& v) {
  return Datum::of(squares(v) / static_cast<double>(v.size()));
}
Datum deviation_sample(const Values& v) {
  return v.size() < 2 ? Datum{}
                      : Datum::of(std::sqrt(squares(v) / static_cast<double>(v.size() - 1)));
}
Datum deviation_population(const Values& v) {
  return Datum::of(std::sqrt(squares(v) / static_cast<double>(v.size())));
}

template <bool kSample, bool kRoot>
class DecimalVariance final : public Aggregate {
 public:
  explicit DecimalVariance(FunctionHost&) {}
  void step(std::span<const Datum> a) override { change(a, 1); }
  void inverse(std::span<const Datum> a) override { change(a, -1); }
  Datum value() override {
    if (count_ == 0 || (kSample && count_ == 1)) return {};
    const Decimal n = Decimal::of(count_);
    const Decimal sum = sum_.rounded(scales_.most());
    const Decimal numerator = n * squares_.rounded(2 * scales_.most()) - sum * sum;
    if (numerator.sign() <= 0) return Datum::of("0");
    const Decimal variance = numerator / (kSample ? n * Decimal::of(count_ - 1) : n * n);
    return Datum::of((kRoot ? variance.square_root() : variance).to_string());
  }

 private:
  void change(std::span<const Datum> a, int sign) {
    if (a[0].null()) return;
    const Decimal x = decimal_of(a[0]);
    sum_ = sign > 0 ? sum_ + x : sum_ - x;
    squares_ = sign > 0 ? squares_ + x * x : squares_ - x * x;
    if (sign > 0)
      scales_.add(x);
    else
      scales_.remove(x);
    count_ += sign;
  }
  Decimal sum_;
  Scales scales_;
  Decimal squares_;
  std::int64_t count_ = 0;
};

template <bool kAverage>
class IntervalSum final : public Aggregate {
 public:
  explicit IntervalSum(FunctionHost&) {}
  void step(std::span<const Datum> a) override {
    if (a[0].null()) return;
    sum_ = sum_ + Interval::read(a[0].text);
    ++count_;
  }
  void inverse(std::span<const Datum> a) override {
    if (a[0].null()) return;
    sum_ = sum_ + Interval::read(a[0].text).negated();
    --count_;
  }
  Datum value() override {
    if (count_ == 0) return {};
    return Datum::of((kAverage ? sum_ * (1.0 / static_cast<double>(count_)) : sum_).to_string());
  }

 private:
  Interval sum_;
  std::int64_t count_ = 0;
};

// bool_and, bool_or, bit_and, …: NULLs do not count.
template <std::int64_t (*kFold)(std::int64_t, std::int64_t)>
class Fold final : public Aggregate {
 public:
  explicit Fold(FunctionHost&) {}
  void step(std::span<const Datum> a) override {
    if (!a[0].null()) values_.push_back(a[0].integer);
  }
  void inverse(std::span<const Datum> a) override {
    if (!a[0].null()) values_.pop_front();
  }
  Datum value() override {
    if (values_.empty()) return {};
    std::int64_t result = values_.front();
    for (const std::int64_t v : values_) result = kFold(result, v);
    return Datum::of(result);
  }

 private:
  std::deque<std::int64_t> values_;
};
std::int64_t fold_and(std::int64_t a, std::int64_t b) {
  return a & b;
}
std::int64_t fold_or(std::int64_t a, std::int64_t b) {
  return a | b;
}

int compare_by(const Datum& a, const Datum& b, char how) {
  if (how == 'n') return compare(Decimal::read(a.text), Decimal::read(b.text));
  if (how == 'j') return compare(Json::parse(a.text), Json::parse(b.text));
  if (how == 'i') {
    const __int128 x = Interval::read(a.text).span();
    const __int128 y = Interval::read(b.text).span();
    return x < y ? -1 : x > y ? 1 : 0;
  }
  if (a.kind == Datum::Kind::kInteger && b.kind == Datum::Kind::kInteger) {
    return a.integer < b.integer ? -1 : a.integer > b.integer ? 1 : 0;
  }
  if (a.kind == Datum::Kind::kText || a.kind == Datum::Kind::kBlob) return a.text.compare(b.text);
  return a.as_real() < b.as_real() ? -1 : a.as_real() > b.as_real() ? 1 : 0;
}

// Aggregates in which order matters. The first argument says what follows: "d" for DISTINCT, then
// three letters a key: a/d, f/l (NULLs first or last), and how to compare (n numeric, i interval,
// j jsonb, - plainly). The keys are the last arguments.
class Ordered : public Aggregate {
 public:
  void step(std::span<const Datum> a) override {
    if (rows_.empty()) read_spec(a[0].text);
    rows_.emplace_back(a.begin() + 1, a.end());
  }
  void inverse(std::span<const Datum>) override { rows_.pop_front(); }
  Datum value() final {
    std::vector<const std::vector<Datum>*> sorted;
    for (const auto& row : rows_) sorted.push_back(&row);
    if (!keys_.empty()) {
      std::stable_sort(sorted.begin(), sorted.end(),
                       [&](auto* a, auto* b) { return before(*a, *b); });
    }
    if (distinct_) {
      sorted.erase(std::unique(sorted.begin(), sorted.end(),
                               [](auto* a, auto* b) {
                                 return (*a)[0].null() == (*b)[0].null() &&
                                        compare_by((*a)[0], (*b)[0], '-') == 0;
                               }),
                   sorted.end());
    }
    return sorted.empty() ? Datum{} : finish(sorted);
  }

 protected:
  using Rows = std::vector<const std::vector<Datum>*>;
  virtual Datum finish(const Rows& rows) = 0;
  [[nodiscard]] bool before(const std::vector<Datum>& a, const std::vector<Datum>& b) const;

 private:
  void read_spec(std::string_view spec) {
    distinct_ = spec.starts_with('d') && spec.size() % 3 == 1;
    if (distinct_) spec.remove_prefix(1);
    keys_ = spec;
  }
  std::deque<std::vector<Datum>> rows_;
  std::string keys_;
  bool distinct_ = false;
};

bool Ordered::before(const std::vector<Datum>& a, const std::vector<Datum>& b) const {
  const std::size_t count = keys_.size() / 3;
  for (std::size_t i = 0; i < count; ++i) {
    const Datum& x = a[a.size() - count + i];
    const Datum& y = b[b.size() - count + i];
    if (x.null() != y.null()) return x.null() == (keys_[i * 3 + 1] == 'f');
    if (x.null()) continue;
    const int order = compare_by(x, y, keys_[i * 3 + 2]);
    if (order != 0) return (order < 0) == (keys_[i * 3] == 'a');
  }
  return false;
}

// Of WITHIN GROUP (ORDER BY …): the one key is the value, and rows without one do not count.
class OrderedSet : public Ordered {
 protected:
  virtual Datum pick(const Rows& rows) = 0;

 private:
  Datum finish(const Rows& all) override {
    Rows rows;
    for (const auto* row : all) {
      if (!row->back().null()) rows.push_back(row);
    }
    return rows.empty() ? Datum{} : pick(rows);
  }
};

class Percentile : public OrderedSet {
 protected:
  virtual Datum at(const Rows& rows, double fraction) = 0;

 private:
  // One fraction, or an array of them and the type of the values.
  Datum pick(const Rows& rows) override {
    const std::vector<Datum>& first = *rows[0];
    if (first.size() < 3) return of(rows, first[0]);
    if (first[0].null()) return {};
    std::vector<Datum> values;
    for (const Datum& fraction : array_elements(first[0].text, oid::kFloat8))
      values.push_back(of(rows, fraction));
    return Datum::of(store_array(values, static_cast<Oid>(first[1].integer)));
  }
  Datum of(const Rows& rows, const Datum& fraction) {
    if (fraction.null()) return {};
    const double p = fraction.as_real();
    if (!(p >= 0 && p <= 1)) {
      char text[32];
      std::snprintf(text, sizeof text, "%g", p);
      raise("22003", std::string("percentile value ") + text + " is not between 0 and 1");
    }
    return at(rows, p);
  }
};

class ContinuousPercentile final : public Percentile {
 public:
  explicit ContinuousPercentile(FunctionHost&) {}

 private:
  Datum at(const Rows& rows, double fraction) override {
    const double place = fraction * static_cast<double>(rows.size() - 1);
    const double low = rows[static_cast<std::size_t>(std::floor(place))]->back().as_real();
    const double high = rows[static_cast<std::size_t>(std::ceil(place))]->back().as_real();
    return Datum::of(low + (place - std::floor(place)) * (high - low));
  }
};

class DiscretePercentile final : public Percentile {
 public:
  explicit DiscretePercentile(FunctionHost&) {}

 private:
  Datum at(const Rows& rows, double fraction) override {
    const double place = std::ceil(fraction * static_cast<double>(rows.size()));
    return rows[place < 1 ? 0 : static_cast<std::size_t>(place) - 1]->back();
  }
};

// The first of the values that are there most often.
class Mode final : public OrderedSet {
 public:
  explicit Mode(FunctionHost&) {}

 private:
  Datum pick(const Rows& rows) override {
    const std::vector<Datum>* best = rows[0];
    std::size_t most = 0;
    for (std::size_t first = 0; first < rows.size();) {
      std::size_t end = first + 1;
      while (end < rows.size() && !before(*rows[first], *rows[end])) ++end;
      if (end - first > most) {
        most = end - first;
        best = rows[first];
      }
      first = end;
    }
    return best->back();
  }
};

class StringAggregate final : public Ordered {
 public:
  explicit StringAggregate(FunctionHost&) {}

 private:
  Datum finish(const std::vector<const std::vector<Datum>*>& rows) override {
    std::string out;
    bool any = false;
    for (const auto* row : rows) {
      if ((*row)[0].null()) continue;
      if (any) out += (*row)[1].text;
      out += (*row)[0].text;
      any = true;
    }
    return any ? Datum::of(std::move(out)) : Datum{};
  }
};

// (value, oid of its type)
class ArrayAggregate final : public Ordered {
 public:
  explicit ArrayAggregate(FunctionHost&) {}

 private:
  Datum finish(const std::vector<const std::vector<Datum>*>& rows) override {
    std::vector<Datum> values;
    for (const auto* row : rows) values.push_back((*row)[0]);
    return Datum::of(store_array(values, static_cast<Oid>((*rows[0])[1].integer)));
  }
};

template <bool kBinary>
class JsonArrayAggregate final : public Ordered {
 public:
  explicit JsonArrayAggregate(FunctionHost&) {}

 private:
  Datum finish(const std::vector<const std::vector<Datum>*>& rows) override {
    std::string out = "[";
    // Arrays and rows begin on lines of their own in json.
    const char* between = !kBinary && (*rows[0])[1].integer != 0 ? ", \n " : ", ";
    for (const auto* row : rows) out += (out.size() > 1 ? between : "") + (*row)[0].text;
    out += "]";
    return Datum::of(kBinary ? canonical_jsonb(out) : out);
  }
};

// (key as json, value as json)
template <bool kBinary>
class JsonObjectAggregate final : public Ordered {
 public:
  explicit JsonObjectAggregate(FunctionHost&) {}

 private:
  Datum finish(const std::vector<const std::vector<Datum>*>& rows) override {
    std::string out = "{";
    for (const auto* row : rows) {
      const Json key = Json::parse((*row)[0].text);
      if (key.kind == Json::Kind::kNull) raise("22004", "field name must not be null");
      const std::string name =
          json_quote(key.kind == Json::Kind::kString ? key.text : std::string(key.raw));
      out += (out.size() > 1 ? ", " : " ") + name + " : " + (*row)[1].text;
    }
    out += " }";
    return Datum::of(kBinary ? canonical_jsonb(out) : out);
  }
};

void add_sums(FunctionTable& t) {
  t.native("sum(int2) int8", "sum($1)").kind = Function::Kind::kAggregate;
  t.native("sum(int4) int8", "sum($1)").kind = Function::Kind::kAggregate;
  for (const char* type : {"int2", "int4", "int8", "numeric"}) {
    const std::string name = type;
    if (name == "int8" || name == "numeric")
      t.aggregate("sum(" + name + ") numeric", make<DecimalSum<false>>);
    t.aggregate("avg(" + name + ") numeric", make<DecimalSum<true>>);
    t.aggregate("variance(" + name + ") numeric", make<DecimalVariance<true, false>>);
    t.aggregate("var_samp(" + name + ") numeric", make<DecimalVariance<true, false>>);
    t.aggregate("var_pop(" + name + ") numeric", make<DecimalVariance<false, false>>);
    t.aggregate("stddev(" + name + ") numeric", make<DecimalVariance<true, true>>);
    t.aggregate("stddev_samp(" + name + ") numeric", make<DecimalVariance<true, true>>);
    t.aggregate("stddev_pop(" + name + ") numeric", make<DecimalVariance<false, true>>);
  }
  t.aggregate("sum(float4) float4", make<Reals<real_sum4>>);
  t.aggregate("sum(float8) float8", make<Reals<real_sum>>);
  for (const char* type : {"float4", "float8"}) {
    const std::string name = type;
    t.aggregate("avg(" + name + ") float8", make<Reals<real_average>>);
    t.aggregate("variance(" + name + ") float8", make<Reals<variance_sample>>);
    t.aggregate("var_samp(" + name + ") float8", make<Reals<variance_sample>>);
    t.aggregate("var_pop(" + name + ") float8", make<Reals<variance_population>>);
    t.aggregate("stddev(" + name + ") float8", make<Reals<deviation_sample>>);
    t.aggregate("stddev_samp(" + name + ") float8", make<Reals<deviation_sample>>);
    t.aggregate("stddev_pop(" + name + ") float8", make<Reals<deviation_population>>);
  }
  t.aggregate("sum(interval) interval", make<IntervalSum<false>>);
  t.aggregate("avg(interval) interval", make<IntervalSum<true>>);
}

}  // namespace

void add_aggregates(FunctionTable& t) {
  add_sums(t);
  t.native("count(any) int8", "count($1)").kind = Function::Kind::kAggregate;
  for (const char* name : {"bool_and", "every"})
    t.aggregate(std::string(name) + "(bool) bool", make<Fold<fold_and>>);
  t.aggregate("bool_or(bool) bool", make<Fold<fold_or>>);
  for (const char* type : {"int2", "int4", "int8"}) {
    const std::string signature = std::string("(") + type + ") " + type;
    t.aggregate("bit_and" + signature, make<Fold<fold_and>>);
    t.aggregate("bit_or" + signature, make<Fold<fold_or>>);
  }
  t.aggregate("string_agg(text,text) text", make<StringAggregate>).ordered = true;
  t.aggregate("percentile_cont(float8) float8", make<ContinuousPercentile>).ordered = true;
  t.aggregate("percentile_disc(float8) anyelement", make<DiscretePercentile>).ordered = true;
  t.aggregate("percentile_cont(float8[]) float8[]", make<ContinuousPercentile>).ordered = true;
  t.aggregate("percentile_disc(float8[]) anyarray", make<DiscretePercentile>).ordered = true;
  t.aggregate("mode() anyelement", make<Mode>).ordered = true;
  t.aggregate("array_agg(anynonarray) anyarray", make<ArrayAggregate>).ordered = true;
  t.aggregate("json_agg(any) json", make<JsonArrayAggregate<false>>).ordered = true;
  t.aggregate("jsonb_agg(any) jsonb", make<JsonArrayAggregate<true>>).ordered = true;
  t.aggregate("json_object_agg(any,any) json", make<JsonObjectAggregate<false>>).ordered = true;
  t.aggregate("jsonb_object_agg(any,any) jsonb", make<JsonObjectAggregate<true>>).ordered = true;
}

void add_window_functions(FunctionTable& t) {
  for (const char* name : {"row_number", "rank", "dense_rank"})
    t.window(std::string(name) + "() int8", std::string(name) + "()");
  for (const char* name : {"percent_rank", "cume_dist"})
    t.window(std::string(name) + "() float8", std::string(name) + "()");
  t.window("ntile(int4) int4", "ntile($1)");
  for (const char* name : {"lag", "lead"}) {
    const std::string function = name;
    t.window(function + "(anyelement) anyelement", function + "($1)");
    t.window(function + "(anyelement,int4) anyelement", function + "($1, $2)");
    t.window(function + "(anyelement,int4,anyelement) anyelement", function + "($1, $2, $3)");
  }
  t.window("first_value(anyelement) anyelement", "first_value($1)");
  t.window("last_value(anyelement) anyelement", "last_value($1)");
  t.window("nth_value(anyelement,int4) anyelement", "nth_value($1, $2)");
}

}  // namespace calf::sqlite
