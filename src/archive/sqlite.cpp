// SPDX-License-Identifier: Apache-2.0
#include "archive/sqlite.h"

#include <fmt/core.h>
#include <sqlite3.h>

#include "base/check.h"

namespace kernelwright::archive {
namespace {

Error database_error(sqlite3* database, std::string_view doing) {
  const int code = database ? sqlite3_errcode(database) : SQLITE_NOMEM;
  const bool surroundings = code == SQLITE_FULL || code == SQLITE_BUSY || code == SQLITE_READONLY ||
                            code == SQLITE_CANTOPEN || code == SQLITE_IOERR ||
                            code == SQLITE_NOTADB || code == SQLITE_CORRUPT;
  Error error{surroundings ? ErrorKind::kEnvironment : ErrorKind::kInternal, "", {}};
  error.message =
      fmt::format("archive: {}: {}", doing, database ? sqlite3_errmsg(database) : "out of memory");
  const char* path = database ? sqlite3_db_filename(database, "main") : nullptr;
  if (path != nullptr && *path != '\0') error.with("file", path);
  return error;
}

}  // namespace

void Statement::Finalize::operator()(sqlite3_stmt* statement) const {
  sqlite3_finalize(statement);
}
void Database::Close::operator()(sqlite3* database) const {
  sqlite3_close_v2(database);
}

Statement& Statement::operator<<(std::string_view text) {
  KW_INVARIANT(sqlite3_bind_text(statement_.get(), next_++, text.data(),
                                 static_cast<int>(text.size()), SQLITE_TRANSIENT) == SQLITE_OK,
               "archive: bind");
  return *this;
}
Statement& Statement::operator<<(int64_t value) {
  KW_INVARIANT(sqlite3_bind_int64(statement_.get(), next_++, value) == SQLITE_OK, "archive: bind");
  return *this;
}
Statement& Statement::operator<<(double value) {
  KW_INVARIANT(sqlite3_bind_double(statement_.get(), next_++, value) == SQLITE_OK, "archive: bind");
  return *this;
}
Statement& Statement::operator<<(const std::optional<double>& value) {
  if (value) return *this << *value;
  KW_INVARIANT(sqlite3_bind_null(statement_.get(), next_++) == SQLITE_OK, "archive: bind");
  return *this;
}

Result<bool> Statement::step() {
  const int code = sqlite3_step(statement_.get());
  if (code == SQLITE_ROW) return true;
  if (code == SQLITE_DONE) return false;
  return fail(database_error(database_, "step"));
}

Status Statement::run() {
  while (true) {
    KW_TRY(bool more, step());
    if (!more) return {};
  }
}

std::string Statement::text(int column) const {
  const auto* bytes = static_cast<const char*>(sqlite3_column_blob(statement_.get(), column));
  const auto size = static_cast<size_t>(sqlite3_column_bytes(statement_.get(), column));
  return bytes ? std::string(bytes, size) : std::string();
}
int64_t Statement::integer(int column) const {
  return sqlite3_column_int64(statement_.get(), column);
}
double Statement::real(int column) const {
  return sqlite3_column_double(statement_.get(), column);
}
bool Statement::is_null(int column) const {
  return sqlite3_column_type(statement_.get(), column) == SQLITE_NULL;
}

Result<Database> Database::open(const std::filesystem::path& path) {
  sqlite3* raw = nullptr;
  const int code =
      sqlite3_open_v2(path.c_str(), &raw, SQLITE_OPEN_READWRITE | SQLITE_OPEN_CREATE, nullptr);
  Database database(raw);
  if (code != SQLITE_OK) return fail(database_error(raw, "open " + path.string()));
  sqlite3_extended_result_codes(raw, 0);
  sqlite3_busy_timeout(raw, 10'000);
  KW_CHECK_OK(database.execute(
      "PRAGMA journal_mode=WAL; PRAGMA synchronous=NORMAL; PRAGMA foreign_keys=ON;"));
  return database;
}

Result<Statement> Database::prepare(std::string_view sql) {
  sqlite3_stmt* statement = nullptr;
  if (sqlite3_prepare_v2(database_.get(), sql.data(), static_cast<int>(sql.size()), &statement,
                         nullptr) != SQLITE_OK)
    return fail(database_error(database_.get(), "prepare"));
  return Statement(database_.get(), statement);
}

Status Database::execute(const std::string& sql) {
  if (sqlite3_exec(database_.get(), sql.c_str(), nullptr, nullptr, nullptr) != SQLITE_OK)
    return fail(database_error(database_.get(), "execute"));
  return {};
}

}  // namespace kernelwright::archive
