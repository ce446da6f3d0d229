#pragma once

#include <cstdint>
#include <string>

#include "model/chance.hpp"
#include "model/session.hpp"
#include "support/sql.hpp"

namespace model {

/// What a session does to quotes: three key fields, the whole row is the identity, and the key is checked only at the
/// commit.
class Quotes {
 public:
  explicit Quotes(Session& session) : session_(session) {}

  void lay() {
    const std::int64_t first = session_.number(1, 6);
    session_.exec(
        text("INSERT INTO quote (venue, symbol, level, token, price, book) SELECT venue, symbol, level, ",
             session_.below(1'000'000'000), " + level, ", session_.price(), ", ", session_.note(), " FROM (VALUES (",
             session_.venue(), ", ", session_.symbol(), ")) AS ladder (venue, symbol), generate_series(", first, ", ",
             first + session_.number(0, 7),
             ") AS level WHERE NOT EXISTS (SELECT FROM quote WHERE (quote.venue, quote.symbol, quote.level) = "
             "(ladder.venue, ladder.symbol, level.level))"));
  }

  void drop() { session_.exec(text("DELETE FROM quote", this_ladder())); }

  void shift() {
    const char* const more = session_.one_in(2) ? "" : ", price = price + 1";
    session_.exec(text("UPDATE quote SET level = level + ", session_.pick({"1", "1.0", "-1"}), more, this_ladder()));
  }

  void close_gap() {
    const std::string ladder = this_ladder();
    const std::int64_t level = session_.number(1, 6);
    session_.exec(text("DELETE FROM quote", ladder, " AND level = ", level));
    session_.exec(text("UPDATE quote SET level = level - 1", ladder, " AND level > ", level));
  }

  void turn() {
    const std::string ladder = this_ladder();
    session_.exec(text(
        "UPDATE quote SET level = turned.level FROM (SELECT token, lead(level, 1, min_level) OVER (ORDER BY level) "
        "AS level FROM (SELECT *, min(level) OVER () AS min_level FROM quote",
        ladder, ") AS ladder) AS turned", ladder, " AND quote.token = turned.token"));
  }

  void swap_levels() {
    const std::int64_t low = session_.number(1, 6);
    const std::int64_t high = low + session_.number(1, 3);
    session_.exec(text("UPDATE quote SET level = ", low + high, " - level", this_ladder(), " AND level IN (", low, ", ",
                       high, ")"));
  }

  /// Statements between which two rows have one key, and one of them is changed.
  void swap_levels_by_and_by() {
    const std::string ladder = this_ladder();
    const auto rows =
        session_.rows(text("SELECT level, token FROM quote", ladder, " ORDER BY level LIMIT 2 FOR UPDATE"));
    if (rows.size() < 2) return;
    const auto change = [&](const std::string& what, const test::SqlRow& row) {
      session_.exec(text("UPDATE quote SET ", what, ladder, " AND token = ", row[1].value()));
    };
    change("level = " + rows[1][0].value(), rows[0]);
    change("price = " + session_.price(), rows[session_.one_in(2) ? 0 : 1]);
    change("level = " + rows[0][0].value(), rows[1]);
  }

  void rename() {
    const std::string to = session_.symbol();
    session_.exec(
        text("UPDATE quote SET symbol = ", to, this_ladder(),
             " AND NOT EXISTS (SELECT FROM quote other WHERE other.venue = quote.venue AND other.symbol = ", to, ")"));
  }

  /// From one partition to the other, where the place is free.
  void relocate() {
    const std::string to = session_.venue();
    session_.exec(text("UPDATE quote SET venue = ", to, this_ladder(),
                       " AND NOT EXISTS (SELECT FROM quote other WHERE (other.venue, other.symbol) = (", to,
                       ", quote.symbol))"));
  }

  void reprice() {
    session_.exec(
        text("UPDATE quote SET price = ", session_.price(), this_ladder(), " AND level <= ", session_.below(10)));
  }

  void write_book() {
    session_.exec(
        text("UPDATE quote SET book = ", session_.note(), this_ladder(), " AND level = ", session_.number(1, 6)));
  }

  void touch() {
    session_.exec(text("UPDATE quote SET ",
                       session_.pick({"touched = touched + 1", "book = book", "level = level", "level = level * 1.0",
                                      "level = trim_scale(level)"}),
                       " WHERE venue = ", session_.venue()));
  }

  /// As Accounts::shift_columns().
  void shift_columns() { alter("ALTER TABLE quote DROP COLUMN touched, ADD COLUMN touched bigint NOT NULL DEFAULT 0"); }

  void truncate() { alter("TRUNCATE quote"); }

 private:
  std::string this_ladder() {
    const std::string venue = session_.venue();
    return text(" WHERE quote.venue = ", venue, " AND quote.symbol = ", session_.symbol());
  }

  /// Keys that are still to be checked would forbid it.
  void alter(const std::string& statement) {
    session_.exec("SET CONSTRAINTS ALL IMMEDIATE; " + statement + "; SET CONSTRAINTS ALL DEFERRED");
  }

  Session& session_;
};

}  // namespace model
