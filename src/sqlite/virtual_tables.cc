#include "sqlite/virtual_tables.h"

#include <sqlite3.h>

#include <map>
#include <unordered_map>

#include "base/assert.h"
#include "sqlite/catalog.h"
#include "sqlite/sql_error.h"
#include "sqlite/table_module.h"

namespace calf::sqlite {
namespace {

constexpr int kMaxOutputs = 5;
constexpr int kOrdinality = kMaxOutputs;
constexpr int kSignature = kMaxOutputs + 1;  // then the arguments

struct Shared {
  FunctionHost* host;
  std::exception_ptr* pending;
  SystemRows system_rows;
};

struct ModuleData {
  std::shared_ptr<Shared> shared;
  const Relation* relation;  // nullptr: calf_rows
};

struct Table : sqlite3_vtab {
  const ModuleData* data = nullptr;
};

// The rows of a system relation as they were when a statement first looked, found by the value of a
// column: the catalog queries of tools join a dozen of these.
class Snapshot {
 public:
  explicit Snapshot(RowSource& source) {
    for (std::vector<Datum> row; source.next(row);) rows_.push_back(std::move(row));
  }
  [[nodiscard]] const std::vector<std::vector<Datum>>& rows() const { return rows_; }
  // The numbers of the rows whose column has this value; nullptr: look at all of them.
  const std::vector<std::size_t>* find(std::size_t column, const Datum& value) {
    static const std::vector<std::size_t> kNone;
    if (value.kind != Datum::Kind::kInteger && value.kind != Datum::Kind::kText) return nullptr;
    auto& index = indexes_[column];
    if (index.empty()) {
      for (std::size_t i = 0; i < rows_.size(); ++i) {
        if (column < rows_[i].size()) index[key_of(rows_[i][column])].push_back(i);
      }
    }
    const auto found = index.find(key_of(value));
    return found == index.end() ? &kNone : &found->second;
  }

 private:
  static std::string key_of(const Datum& value) {
    return value.kind == Datum::Kind::kInteger ? "i" + std::to_string(value.integer)
           : value.kind == Datum::Kind::kText  ? "t" + value.text
                                               : "";
  }
  std::vector<std::vector<Datum>> rows_;
  std::map<std::size_t, std::unordered_map<std::string, std::vector<std::size_t>>> indexes_;
};

// What a lookup gives, one at a time.
class SnapshotRows final : public RowSource {
 public:
  SnapshotRows(const Snapshot& snapshot, const std::vector<std::size_t>* chosen)
      : snapshot_(snapshot), chosen_(chosen) {}
  bool next(std::vector<Datum>& row) override {
    const std::size_t count = chosen_ == nullptr ? snapshot_.rows().size() : chosen_->size();
    if (at_ == count) return false;
    row = snapshot_.rows()[chosen_ == nullptr ? at_ : (*chosen_)[at_]];
    ++at_;
    return true;
  }

 private:
  const Snapshot& snapshot_;
  const std::vector<std::size_t>* chosen_;
  std::size_t at_ = 0;
};

struct Cursor : sqlite3_vtab_cursor {
  std::unique_ptr<Snapshot> snapshot{};  // of a system relation
  std::unique_ptr<RowSource> source{};
  std::vector<Datum> row{};
  std::vector<Datum> arguments{};
  std::int64_t number = 0;
  bool ended = true;
};

using Module = TableModule<Table, Cursor>;

template <typename Body>
int guarded(Table& table, Body body) {
  try {
    body();
    return SQLITE_OK;
  } catch (const SqlError& error) {
    *table.data->shared->pending = std::current_exception();
    sqlite3_free(table.zErrMsg);
    table.zErrMsg = sqlite3_mprintf("%s", error.report.message.c_str());
  } catch (...) {
    *table.data->shared->pending = std::current_exception();
  }
  return SQLITE_ERROR;
}

std::string declaration(const Relation* relation) {
  std::string columns;
  if (relation == nullptr) {
    for (int i = 1; i <= kMaxOutputs; ++i) columns += "c" + std::to_string(i) + ", ";
    return "CREATE TABLE x(" + columns +
           "ord, f HIDDEN, a1 HIDDEN, a2 HIDDEN, a3 HIDDEN, a4 HIDDEN, a5 HIDDEN)";
  }
  for (const Column& column : relation->columns)
    columns += (columns.empty() ? "" : ", ") + quote_name(column.name);
  return "CREATE TABLE x(" + columns + ")";
}

int connect(sqlite3* db, void* data, int, const char* const*, sqlite3_vtab** out, char**) {
  const auto* module = static_cast<const ModuleData*>(data);
  int code = SQLITE_OK;
  auto* table = Module::declare(db, declaration(module->relation).c_str(), out, code);
  if (table != nullptr) table->data = module;
  return code;
}

// A system relation is looked up by a column; the hidden columns of calf_rows must all be given:
// they are the call.
int best_index(sqlite3_vtab* vtab, sqlite3_index_info* info) {
  const auto* table = static_cast<Table*>(vtab);
  info->estimatedCost = 1000;
  info->estimatedRows = 1000;
  if (table->data->relation != nullptr) {
    for (int i = 0; i < info->nConstraint && info->idxNum == 0; ++i) {
      const auto& constraint = info->aConstraint[i];
      if (constraint.usable == 0 || constraint.op != SQLITE_INDEX_CONSTRAINT_EQ ||
          constraint.iColumn < 0)
        continue;
      info->idxNum = constraint.iColumn + 1;
      info->aConstraintUsage[i].argvIndex = 1;
      info->estimatedCost = 10;
      info->estimatedRows = 5;
    }
    return SQLITE_OK;
  }
  int arguments = 0;
  for (int i = 0; i < info->nConstraint; ++i) {
    const auto& constraint = info->aConstraint[i];
    if (constraint.iColumn < kSignature) continue;
    if (constraint.op != SQLITE_INDEX_CONSTRAINT_EQ) continue;
    if (constraint.usable == 0) return SQLITE_CONSTRAINT;
    info->aConstraintUsage[i].argvIndex = constraint.iColumn - kSignature + 1;
    info->aConstraintUsage[i].omit = 1;
    ++arguments;
  }
  info->idxNum = arguments;
  return arguments > 0 ? SQLITE_OK : SQLITE_CONSTRAINT;
}

int next(sqlite3_vtab_cursor* base) {
  auto& cursor = *static_cast<Cursor*>(base);
  return guarded(*static_cast<Table*>(cursor.pVtab), [&] {
    cursor.ended = cursor.source == nullptr || !cursor.source->next(cursor.row);
    ++cursor.number;
  });
}

const Function& function_of(const std::string& internal) {
  for (const Function* function :
       FunctionTable::get().named(internal.substr(0, internal.find('(', 1)))) {
    if (function->internal == internal) return *function;
  }
  raise("XX000", "no function " + internal);
}

int filter(sqlite3_vtab_cursor* base, int indexed, const char*, int count, sqlite3_value** values) {
  auto& cursor = *static_cast<Cursor*>(base);
  auto& table = *static_cast<Table*>(cursor.pVtab);
  const int made = guarded(table, [&] {
    const Shared& shared = *table.data->shared;
    cursor.number = 0;
    cursor.source.reset();
    if (table.data->relation != nullptr) {
      if (cursor.snapshot == nullptr)
        cursor.snapshot = std::make_unique<Snapshot>(*shared.system_rows(*table.data->relation));
      const auto* chosen =
          indexed == 0
              ? nullptr
              : cursor.snapshot->find(static_cast<std::size_t>(indexed - 1), Datum::of(values[0]));
      cursor.source = std::make_unique<SnapshotRows>(*cursor.snapshot, chosen);
      return;
    }
    cursor.arguments.clear();
    for (int i = 1; i < count; ++i) {
      cursor.arguments.push_back(Datum::of(values[i]));
      if (cursor.arguments.back().null()) return;  // strict: no rows
    }
    const Function& function = function_of(Datum::of(values[0]).text);
    cursor.source = function.rows({cursor.arguments, *shared.host});
  });
  return made != SQLITE_OK ? made : next(base);
}

int column(sqlite3_vtab_cursor* base, sqlite3_context* context, int index) {
  const auto& cursor = *static_cast<Cursor*>(base);
  auto& table = *static_cast<Table*>(cursor.pVtab);
  return guarded(table, [&] {
    if (table.data->relation == nullptr && index == kOrdinality)
      return sqlite3_result_int64(context, cursor.number);
    if (static_cast<std::size_t>(index) < cursor.row.size())
      cursor.row[static_cast<std::size_t>(index)].result(context);
  });
}

class Rows final : public RowSource {
 public:
  explicit Rows(std::vector<std::vector<Datum>> rows) : rows_(std::move(rows)) {}
  bool next(std::vector<Datum>& row) override {
    if (at_ == rows_.size()) return false;
    row = std::move(rows_[at_++]);
    return true;
  }

 private:
  std::vector<std::vector<Datum>> rows_;
  std::size_t at_ = 0;
};

}  // namespace

void install_virtual_tables(sqlite3* connection, FunctionHost& host, std::exception_ptr& pending,
                            SystemRows system_rows) {
  static const sqlite3_module kMethods = Module::with(connect, best_index, filter, next, column);
  const auto shared = std::make_shared<Shared>(Shared{&host, &pending, std::move(system_rows)});
  const auto install = [&](const std::string& name, const Relation* relation) {
    const int made = sqlite3_create_module_v2(
        connection, name.c_str(), &kMethods, new ModuleData{shared, relation},
        [](void* data) { delete static_cast<ModuleData*>(data); });
    ASSERT(made == SQLITE_OK);
  };
  install("calf_rows", nullptr);
  for (const Relation& relation : system_relations()) {
    if (relation.view_text.empty()) install(relation.schema + "." + relation.name, &relation);
  }
}

std::unique_ptr<RowSource> make_rows(std::vector<std::vector<Datum>> rows) {
  return std::make_unique<Rows>(std::move(rows));
}

}  // namespace calf::sqlite
