#pragma once

#include <chrono>
#include <cstddef>
#include <cstdint>
#include <iterator>
#include <stdexcept>
#include <string>
#include <string_view>

#include <pqxx/except>

#include <btreemapped/numeric.hpp>
#include <btreemapped/replicator.hpp>

#include "model/chance.hpp"
#include "model/tables.hpp"
#include "support/sql.hpp"

namespace model {

/// What has become of a session's transactions.
struct Tally {
  std::size_t committed = 0;
  std::size_t rolled_back = 0;  ///< on purpose
  std::size_t refused = 0;      ///< deadlocks, serialization failures and keys that others had taken
  std::size_t savepoints_rolled_back = 0;
  std::size_t truncates = 0;
  std::size_t own_writes = 0;  ///< read after they were committed

  Tally& operator+=(const Tally& other) {
    committed += other.committed;
    rolled_back += other.rolled_back;
    refused += other.refused;
    savepoints_rolled_back += other.savepoints_rolled_back;
    truncates += other.truncates;
    own_writes += other.own_writes;
    return *this;
  }
};

/// A session that runs random transactions: the same ones for the same seed, as far as other sessions let it.
///
/// What it takes out of a row of account or position it carries in its purse, and before it commits it puts the purse
/// into some row. So the sum over both tables is the same at every commit, and hardly ever inside a transaction.
class Writer : private Chance {
 public:
  /// `number`: which of the sessions it is.
  Writer(const std::string& dsn, std::uint64_t number, std::uint64_t seed)
      : Chance(seed), sql_(dsn), name_(text("session ", number)) {
    // A deadlock is found at once, and nothing is waited for as long as the test itself waits.
    sql_.exec("SET client_min_messages = error; SET deadlock_timeout = '10ms'; SET statement_timeout = '30s'");
  }

  /// Tries random transactions until one commits, or rolls back on purpose. TRUNCATE is rare, unless asked for.
  void run_transaction(bool truncates_are_frequent) {
    truncates_are_frequent_ = truncates_are_frequent;
    for (int attempt = 0; !try_transaction(); ++attempt)
      if (attempt == 1000) throw std::runtime_error("no transaction gets through");
  }

  /// Commits a row of its own and looks for it, unless the replicas are being rebuilt and do not come so far soon.
  /// Throws: when the replicas have come so far without it.
  void read_own_write(const btreemapped::Replicator& replicator, const Replicas& replicas) {
    sql_.exec(text("INSERT INTO position VALUES ('", name_, "', 'signature', 0, ", ++signatures_,
                   ", '') ON CONFLICT (owner, symbol) DO UPDATE SET cost = excluded.cost"));
    if (!replicator.wait_for(sql_.position(), std::chrono::milliseconds{100})) return;
    const btreemapped::Numeric written{signatures_};
    const auto seen =
        replicas.positions.get_with(name_, "signature", [&](const Position& row) { return row.cost == written; });
    if (!seen.value_or(true))  // somebody may have truncated the table since
      throw std::runtime_error(name_ + " does not see what it has committed");
    ++tally_.own_writes;
  }

  [[nodiscard]] const Tally& tally() const noexcept { return tally_; }

 private:
  bool try_transaction() {
    try {
      begin();
      run_steps(1 + below(6), 0);
      settle();
      const bool commits = !one_in(12);
      sql_.exec(commits ? "COMMIT" : "ROLLBACK");
      ++(commits ? tally_.committed : tally_.rolled_back);
      return true;
    } catch (const pqxx::transaction_rollback&) {
      sql_.exec("ROLLBACK");
    } catch (const pqxx::unique_violation&) {
      sql_.exec("ROLLBACK");
    } catch (const pqxx::failure&) {
      sql_.exec("ROLLBACK");  // the other sessions wait for its locks
      throw;
    }
    ++tally_.refused;
    return false;
  }

  void begin() {
    purse_ = 0;
    // A snapshot that is older than the lock would not show all that TRUNCATE takes away.
    may_truncate_ = !one_in(5);
    sql_.exec(may_truncate_ ? "BEGIN" : "BEGIN ISOLATION LEVEL REPEATABLE READ");
    if (one_in(4)) sql_.exec("SET LOCAL synchronous_commit = off");
  }

  void run_steps(std::uint64_t count, int depth) {
    for (; count > 0; --count) {
      if (depth < 2 && one_in(6)) run_in_savepoint(1 + below(3), depth + 1);
      else run_step();
    }
  }

  void run_in_savepoint(std::uint64_t steps, int depth) {
    const std::string name = text("depth_", depth);
    const std::int64_t purse = purse_;
    sql_.exec("SAVEPOINT " + name);
    try {
      run_steps(steps, depth);
      if (one_in(2)) return sql_.exec("RELEASE " + name);
    } catch (const pqxx::unique_violation&) {
    }
    sql_.exec("ROLLBACK TO " + name);
    purse_ = purse;
    ++tally_.savepoints_rolled_back;
  }

  void run_step() {
    struct Kind {
      std::uint64_t weight;
      void (Writer::*step)();
    };
    static constexpr Kind kinds[] = {
        {8, &Writer::open_accounts},
        {8, &Writer::pay},
        {3, &Writer::levy_on_accounts},
        {3, &Writer::close_accounts},
        {5, &Writer::renumber_account},
        {2, &Writer::renumber_accounts},
        {5, &Writer::write_notes},
        {3, &Writer::touch_accounts},

        {15, &Writer::buy},
        {6, &Writer::sell},
        {3, &Writer::levy_on_positions},
        {3, &Writer::close_positions},
        {3, &Writer::reopen_position},
        {5, &Writer::exchange_symbol},
        {2, &Writer::hand_over_positions},
        {5, &Writer::write_history},
        {3, &Writer::touch_positions},

        {8, &Writer::lay_ladder},
        {3, &Writer::drop_ladder},
        {4, &Writer::shift_ladder},
        {4, &Writer::close_gap},
        {3, &Writer::turn_ladder},
        {4, &Writer::swap_levels},
        {3, &Writer::swap_levels_by_and_by},
        {2, &Writer::rename_ladder},
        {5, &Writer::reprice},
        {4, &Writer::write_book},
        {2, &Writer::touch_quotes},

        {4, &Writer::settle_a_part},
        {2, &Writer::write_journal},
        {1, &Writer::truncate},
    };
    if (truncates_are_frequent_ && one_in(12)) return truncate();
    std::uint64_t total = 0;
    for (const Kind& kind : kinds) total += kind.weight;
    std::uint64_t drawn = below(total);
    const Kind* kind = std::begin(kinds);
    for (; drawn >= kind->weight; ++kind) drawn -= kind->weight;
    (this->*kind->step)();
  }

  // ---- accounts: one key field, the primary key is the identity ----

  void open_accounts() {
    const std::int64_t first = id();
    const std::int64_t last = first + number(0, 5);
    purse_ -= total(text("INSERT INTO account (id, owner, balance, note) SELECT id, ", owner(), ", ", money(), ", ",
                         note(), " FROM generate_series(", first, ", ", last, ") AS id", unless_taken()),
                    "balance");
  }

  void pay() {
    const std::int64_t amount = money();
    purse_ += total(text("UPDATE account SET balance = balance - ", amount, " WHERE id = ", id()), amount);
  }

  void levy_on_accounts() {
    purse_ += total(text("UPDATE account SET balance = balance - 3 WHERE id % 7 = ", below(7)), 3);
  }

  void close_accounts() {
    const std::int64_t first = id();
    purse_ += total(text("DELETE FROM account WHERE id BETWEEN ", first, " AND ", first + number(0, 4)), "balance");
  }

  void renumber_account() {
    const std::int64_t amount = one_in(2) ? 0 : money();
    const char* const more = one_in(4) ? ", note = 'renumbered'" : "";
    purse_ += total(
        text("UPDATE account SET id = ", id(), ", balance = balance - ", amount, more, " WHERE id = ", id()), amount);
  }

  void renumber_accounts() {
    sql_.exec(
        text("UPDATE account SET id = CASE WHEN id < 250 THEN id + 500 ELSE id - 500 END WHERE id % 16 = ", below(16)));
  }

  void write_notes() {
    const std::int64_t first = id();
    sql_.exec(text("UPDATE account SET note = ", note(), " WHERE id BETWEEN ", first, " AND ", first + number(0, 3)));
  }

  void touch_accounts() {
    const char* const change = pick({"touched = touched + 1", "balance = balance", "open = NOT open", "note = note"});
    sql_.exec(text("UPDATE account SET ", change, " WHERE id % 5 = ", below(5)));
  }

  // ---- positions: two key fields, a unique index is the identity ----

  void buy() { put_into_position(money()); }

  void put_into_position(std::int64_t amount) {
    sql_.exec(text("INSERT INTO position VALUES (", owner(), ", ", symbol(), ", ", amount, ", ", cost(), ", ",
                   ballast(),
                   ") ON CONFLICT (owner, symbol) DO UPDATE SET amount = position.amount + excluded.amount"));
    purse_ -= amount;
  }

  void sell() {
    const std::int64_t amount = money();
    purse_ += total(text("UPDATE position SET amount = amount - ", amount, this_position()), amount);
  }

  void levy_on_positions() {
    purse_ += total(text("UPDATE position SET amount = amount - 2, cost = ", cost(), " WHERE symbol = ", symbol()), 2);
  }

  void close_positions() {
    purse_ +=
        total(text("DELETE FROM position", one_in(4) ? text(" WHERE owner = ", owner()) : this_position()), "amount");
  }

  void reopen_position() {
    const std::string name = owner();
    const std::string of = symbol();
    purse_ += total(text("DELETE FROM position WHERE owner = ", name, " AND symbol = ", of), "amount");
    purse_ -=
        total(text("INSERT INTO position VALUES (", name, ", ", of, ", ", money(), ", NULL, 'anew')", unless_taken()),
              "amount");
  }

  void exchange_symbol() {
    const std::int64_t amount = one_in(2) ? 0 : money();
    const std::string more = one_in(2) ? "" : ", owner = " + owner();
    purse_ += total(
        text("UPDATE position SET symbol = ", symbol(), more, ", amount = amount - ", amount, this_position()), amount);
  }

  void hand_over_positions() {
    const std::string heir = owner();
    sql_.exec(text("UPDATE position SET owner = ", heir, " WHERE owner = ", owner(),
                   " AND NOT EXISTS (SELECT FROM position other WHERE other.owner = ", heir,
                   " AND other.symbol = position.symbol)"));
  }

  void write_history() { sql_.exec(text("UPDATE position SET history = ", ballast(), this_position())); }

  void touch_positions() {
    sql_.exec(text("UPDATE position SET ", pick({"amount = amount", "history = history", "cost = NULL"}),
                   " WHERE symbol = ", symbol()));
  }

  // ---- quotes: three key fields, the whole row is the identity, and the key is checked only at the commit ----

  void lay_ladder() {
    const std::int64_t first = number(1, 6);
    sql_.exec(text("INSERT INTO quote (venue, symbol, level, token, price, book) SELECT venue, symbol, level, ",
                   below(1'000'000'000), " + level, ", price(), ", ", note(), " FROM (VALUES (", venue(), ", ",
                   symbol(), ")) AS ladder (venue, symbol), generate_series(", first, ", ", first + number(0, 7),
                   ") AS level WHERE NOT EXISTS (SELECT FROM quote WHERE (quote.venue, quote.symbol, quote.level) = "
                   "(ladder.venue, ladder.symbol, level.level))"));
  }

  void drop_ladder() { sql_.exec(text("DELETE FROM quote", this_ladder())); }

  void shift_ladder() {
    const char* const more = one_in(2) ? "" : ", price = price + 1";
    sql_.exec(text("UPDATE quote SET level = level + ", one_in(2) ? 1 : -1, more, this_ladder()));
  }

  void close_gap() {
    const std::string ladder = this_ladder();
    const std::int64_t level = number(1, 6);
    sql_.exec(text("DELETE FROM quote", ladder, " AND level = ", level));
    sql_.exec(text("UPDATE quote SET level = level - 1", ladder, " AND level > ", level));
  }

  void turn_ladder() {
    const std::string ladder = this_ladder();
    sql_.exec(text(
        "UPDATE quote SET level = turned.level FROM (SELECT token, lead(level, 1, min_level) OVER (ORDER BY level) "
        "AS level FROM (SELECT *, min(level) OVER () AS min_level FROM quote",
        ladder, ") AS ladder) AS turned", ladder, " AND quote.token = turned.token"));
  }

  void swap_levels() {
    const std::int64_t low = number(1, 6);
    const std::int64_t high = low + number(1, 3);
    sql_.exec(text("UPDATE quote SET level = ", low + high, " - level", this_ladder(), " AND level IN (", low, ", ",
                   high, ")"));
  }

  /// Statements between which two rows have one key, and one of them is changed.
  void swap_levels_by_and_by() {
    const std::string ladder = this_ladder();
    const auto rows = sql_.rows(text("SELECT level, token FROM quote", ladder, " ORDER BY level LIMIT 2 FOR UPDATE"));
    if (rows.size() < 2) return;
    const auto change = [&](const std::string& what, const test::SqlRow& row) {
      sql_.exec(text("UPDATE quote SET ", what, ladder, " AND token = ", row[1].value()));
    };
    change("level = " + rows[1][0].value(), rows[0]);
    change("price = " + price(), rows[one_in(2) ? 0 : 1]);
    change("level = " + rows[0][0].value(), rows[1]);
  }

  void rename_ladder() {
    const std::string to = symbol();
    sql_.exec(text("UPDATE quote SET symbol = ", to, this_ladder(),
                   " AND NOT EXISTS (SELECT FROM quote other WHERE other.venue = quote.venue AND other.symbol = ", to,
                   ")"));
  }

  void reprice() { sql_.exec(text("UPDATE quote SET price = ", price(), this_ladder(), " AND level <= ", below(10))); }

  void write_book() {
    sql_.exec(text("UPDATE quote SET book = ", note(), this_ladder(), " AND level = ", number(1, 6)));
  }

  void touch_quotes() {
    sql_.exec(text("UPDATE quote SET ", pick({"touched = touched + 1", "book = book", "level = level"}),
                   " WHERE venue = ", venue()));
  }

  // ---- all of them ----

  void truncate() {
    if (!may_truncate_) return;
    ++tally_.truncates;
    switch (below(6)) {
      case 0: return truncate_accounts();
      case 1: return truncate_positions();
      case 2:  // rows before, which go, and rows after, which stay
        buy();
        truncate_positions();
        return buy();
      case 3:
        lay_ladder();
        truncate_quotes();
        return lay_ladder();
      case 4: return truncate_quotes();
      default:
        sql_.exec("LOCK TABLE account, position");
        purse_ += std::stoll(sql_.value(
            text("SELECT (SELECT ", sum("balance"), " FROM account) + (SELECT ", sum("amount"), " FROM position)")));
        return sql_.exec("TRUNCATE position, account");
    }
  }

  void truncate_accounts() {
    sql_.exec("LOCK TABLE account");
    purse_ += std::stoll(sql_.value(text("SELECT ", sum("balance"), " FROM account")));
    sql_.exec("TRUNCATE account");
    if (one_in(2)) open_accounts();
  }

  void truncate_positions() {
    sql_.exec("LOCK TABLE position");
    purse_ += std::stoll(sql_.value(text("SELECT ", sum("amount"), " FROM position")));
    sql_.exec("TRUNCATE position");
  }

  void truncate_quotes() {
    // Keys that are still to be checked would forbid it.
    sql_.exec("SET CONSTRAINTS ALL IMMEDIATE; TRUNCATE quote; SET CONSTRAINTS ALL DEFERRED");
  }

  void write_journal() { sql_.exec(text("INSERT INTO journal VALUES (", ballast(), ")")); }

  void settle_a_part() { put_back(purse_ / 2); }
  void settle() { put_back(purse_); }

  void put_back(std::int64_t amount) {
    if (amount == 0) return;
    if (one_in(2)) return put_into_position(amount);
    sql_.exec(text("INSERT INTO account (id, owner, balance) VALUES (", id(), ", ", owner(), ", ", amount,
                   ") ON CONFLICT (id) DO UPDATE SET balance = account.balance + excluded.balance"));
    purse_ -= amount;
  }

  // ---- what adds up ----

  static std::string sum(std::string_view expression) { return text("coalesce(sum(", expression, "), 0)"); }

  /// Runs a statement and adds up an expression over the rows that it has changed.
  template <class Expression>
  std::int64_t total(const std::string& statement, const Expression& expression) {
    return std::stoll(sql_.value(text("WITH changed AS (", statement, " RETURNING ", expression, " AS value) SELECT ",
                                      sum("value"), " FROM changed")));
  }

  test::Sql sql_;
  const std::string name_;
  std::int64_t purse_ = 0;
  bool may_truncate_ = false;
  bool truncates_are_frequent_ = false;
  std::uint64_t signatures_ = 0;
  Tally tally_{};
};

}  // namespace model
