#pragma once

#include <optional>
#include <stdexcept>
#include <string>
#include <vector>

#include <pqxx/connection>
#include <pqxx/nontransaction>
#include <pqxx/result>

#include <btreemapped/lsn.hpp>

namespace test {

/// One row of a result; NULL is empty.
using SqlRow = std::vector<std::optional<std::string>>;

/// A session of a user of the database, for one thread at a time.
class Sql {
 public:
  explicit Sql(const std::string& dsn) : connection_(dsn) { exec("SET client_min_messages = warning"); }

  /// Runs the statements. Several are one transaction, unless they begin and end their own.
  std::vector<SqlRow> rows(const std::string& sql) {
    pqxx::nontransaction work{connection_};
    const pqxx::result result = work.exec(sql);
    std::vector<SqlRow> out;
    for (auto row = 0 * result.size(); row < result.size(); ++row) {
      SqlRow& cells = out.emplace_back();
      for (auto column = 0 * result.columns(); column < result.columns(); ++column) {
        const auto field = result[row][column];
        if (field.is_null()) {
          cells.emplace_back();
        } else {
          cells.emplace_back(field.c_str());
        }
      }
    }
    return out;
  }

  void exec(const std::string& sql) { rows(sql); }

  /// The first column of the first row, which must be there and not NULL.
  std::string value(const std::string& sql) {
    const std::vector<SqlRow> found = rows(sql);
    if (found.empty() || found[0].empty() || !found[0][0]) throw std::runtime_error("no value from: " + sql);
    return *found[0][0];
  }

  /// An identifier as SQL reads it.
  std::string quoted(const std::string& identifier) { return connection_.quote_name(identifier); }

  /// Every commit so far ends before it.
  btreemapped::Lsn position() {
    const auto lsn = btreemapped::Lsn::parse(value("SELECT pg_catalog.pg_current_wal_insert_lsn()"));
    if (!lsn) throw std::runtime_error("the server's position cannot be read");
    return *lsn;
  }

 private:
  pqxx::connection connection_;
};

}  // namespace test
