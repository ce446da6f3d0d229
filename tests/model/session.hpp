#pragma once

#include <cstddef>
#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include <btreemapped/lsn.hpp>

#include "model/chance.hpp"
#include "support/sql.hpp"

namespace model {

/// A session of the server, one of several (`place`), with its own chance, and what it holds between its statements.
///
/// What it takes out of a row of account or position it carries in its purse, and before it commits it puts the purse
/// into some row. So the sum over both tables is the same at every commit, and hardly ever inside a transaction.
class Session : public Chance {
 public:
  Session(const std::string& dsn, std::uint64_t place, std::uint64_t seed)
      : Chance(seed), place_(place), name_(text("session ", place)), sql_(dsn) {
    // A deadlock is found at once, and nothing is waited for as long as the test itself waits.
    exec("SET client_min_messages = error; SET deadlock_timeout = '10ms'; SET statement_timeout = '30s'");
  }

  [[nodiscard]] std::uint64_t place() const noexcept { return place_; }
  [[nodiscard]] const std::string& name() const noexcept { return name_; }

  void exec(const std::string& sql) { sql_.exec(sql); }
  std::vector<test::SqlRow> rows(const std::string& sql) { return sql_.rows(sql); }
  std::string value(const std::string& sql) { return sql_.value(sql); }
  btreemapped::Lsn position() { return sql_.position(); }

  [[nodiscard]] std::int64_t purse() const noexcept { return purse_; }
  void set_purse(std::int64_t purse) noexcept { purse_ = purse; }

  /// Runs a statement that changes rows, and puts into the purse what an expression adds up to over them.
  template <class Expression>
  void gain(const std::string& statement, const Expression& expression) {
    purse_ += total(statement, expression);
  }
  /// As gain(), out of the purse.
  template <class Expression>
  void spend(const std::string& statement, const Expression& expression) {
    purse_ -= total(statement, expression);
  }
  /// How many rows a statement has changed.
  std::int64_t changed(const std::string& statement) { return total(statement, 1); }

  /// What a whole table holds goes into the purse.
  void gain_all(std::string_view table, std::string_view column) {
    purse_ += std::stoll(value(text("SELECT coalesce(sum(", column, "), 0) FROM ", table)));
  }

 private:
  template <class Expression>
  std::int64_t total(const std::string& statement, const Expression& expression) {
    return std::stoll(value(text("WITH changed AS (", statement, " RETURNING ", expression,
                                 " AS value) SELECT coalesce(sum(value), 0) FROM changed")));
  }

  const std::uint64_t place_;
  const std::string name_;
  test::Sql sql_;
  std::int64_t purse_ = 0;
};

}  // namespace model
