// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstdint>
#include <filesystem>
#include <memory>
#include <optional>
#include <string>
#include <string_view>

#include "base/result.h"

struct sqlite3;
struct sqlite3_stmt;

namespace kernelwright::archive {

// A prepared statement. Bind in order with `<<`, then step() through the rows.
class Statement {
 public:
  Statement& operator<<(std::string_view text);
  Statement& operator<<(const std::string& text) { return *this << std::string_view(text); }
  Statement& operator<<(const char* text) { return *this << std::string_view(text); }
  Statement& operator<<(int64_t value);
  Statement& operator<<(int value) { return *this << static_cast<int64_t>(value); }
  Statement& operator<<(double value);
  Statement& operator<<(const std::optional<double>& value);

  // True: a row is there; false: done. kEnvironment on a full disk or a lock, kInternal otherwise.
  Result<bool> step();
  // Steps to the end, dropping rows.
  Status run();

  std::string text(int column) const;
  int64_t integer(int column) const;
  double real(int column) const;
  bool is_null(int column) const;

 private:
  friend class Database;
  struct Finalize {
    void operator()(sqlite3_stmt* statement) const;
  };
  Statement(sqlite3* database, sqlite3_stmt* statement)
      : database_(database), statement_(statement) {}

  sqlite3* database_;
  std::unique_ptr<sqlite3_stmt, Finalize> statement_;
  int next_ = 1;
};

// A SQLite database in WAL mode: a write that returned survives the death of the process.
class Database {
 public:
  static Result<Database> open(const std::filesystem::path& path);

  Result<Statement> prepare(std::string_view sql);
  // Runs several statements without results.
  Status execute(const std::string& sql);

  // Runs `body` in one transaction; rolls back when it fails.
  template <class Body>
  Status transaction(Body&& body) {
    KW_CHECK_OK(execute("BEGIN IMMEDIATE"));
    Status done = body();
    if (done) done = execute("COMMIT");
    if (!done) (void)execute("ROLLBACK");
    return done;
  }

 private:
  struct Close {
    void operator()(sqlite3* database) const;
  };
  explicit Database(sqlite3* database) : database_(database) {}

  std::unique_ptr<sqlite3, Close> database_;
};

}  // namespace kernelwright::archive
