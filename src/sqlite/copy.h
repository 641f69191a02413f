// COPY between a client and a table: text and CSV.
#pragma once

#include "sqlite/session.h"

namespace calf::sqlite {

class Copy {
 public:
  explicit Copy(Session& session) : session_(session) {}
  void run(const PgQuery__CopyStmt& stmt, Portal& portal);

 private:
  struct Options {
    bool csv = false;
    bool header = false;
    char delimiter = '\t';
    std::string null = "\\N";
    char quote = '"';
    char escape = '"';
  };
  static Options read_options(const PgQuery__CopyStmt& stmt);
  void out(const PgQuery__CopyStmt& stmt, const Options& options, Portal& portal);
  void in(const PgQuery__CopyStmt& stmt, const Options& options, Portal& portal);

  Session& session_;
};

}  // namespace calf::sqlite
