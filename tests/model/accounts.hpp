#pragma once

#include <cstdint>
#include <string>

#include "model/chance.hpp"
#include "model/session.hpp"

namespace model {

/// What a session does to accounts: one key field, the primary key is the identity, now and then the whole row.
class Accounts {
 public:
  explicit Accounts(Session& session) : session_(session) {}

  void open() {
    const std::int64_t first = session_.id();
    const std::int64_t last = first + session_.number(0, 5);
    session_.spend(
        text("INSERT INTO account (id, owner, balance, note) SELECT id, ", session_.owner(), ", ", session_.money(),
             ", ", session_.note(), " FROM generate_series(", first, ", ", last, ") AS id", session_.unless_taken()),
        "balance");
  }

  void put(std::int64_t amount) {
    session_.exec(text("INSERT INTO account (id, owner, balance) VALUES (", session_.id(), ", ", session_.owner(), ", ",
                       amount, ") ON CONFLICT (id) DO UPDATE SET balance = account.balance + excluded.balance"));
    session_.set_purse(session_.purse() - amount);
  }

  void pay() { pay_from(session_.id()); }

  void levy() { session_.gain(text("UPDATE account SET balance = balance - 3 WHERE id % 7 = ", session_.below(7)), 3); }

  void close() {
    const std::int64_t first = session_.id();
    session_.gain(text("DELETE FROM account WHERE id BETWEEN ", first, " AND ", first + session_.number(0, 4)),
                  "balance");
  }

  void renumber() {
    const std::int64_t amount = session_.one_in(2) ? 0 : session_.money();
    const char* const more = session_.one_in(4) ? ", note = 'renumbered'" : "";
    session_.gain(text("UPDATE account SET id = ", session_.id(), ", balance = balance - ", amount, more,
                       " WHERE id = ", session_.id()),
                  amount);
  }

  void renumber_many() {
    session_.exec(text("UPDATE account SET id = CASE WHEN id < 250 THEN id + 500 ELSE id - 500 END WHERE id % 16 = ",
                       session_.below(16)));
  }

  /// Two rows, or one, change places: each moves to the key that the other has left.
  void exchange() {
    const std::int64_t one = session_.id();
    const std::int64_t other = session_.id();
    const auto spare = static_cast<std::int64_t>(1000 + session_.place());
    move(one, spare);
    move(other, one);
    if (session_.one_in(3)) pay_from(one);
    move(spare, other);
  }

  /// A row moves to the key of one that is closed, and often a new one comes where it was.
  void take_over() {
    const std::int64_t from = session_.id();
    const std::int64_t to = session_.id();
    session_.gain(text("DELETE FROM account WHERE id = ", to), "balance");
    move(from, to);
    if (session_.one_in(3)) return;
    session_.spend(text("INSERT INTO account (id, owner, balance, note) VALUES (", from, ", ", session_.owner(), ", ",
                        session_.money(), ", ", session_.note(), ") ON CONFLICT DO NOTHING"),
                   "balance");
  }

  /// Many changes of one row in one transaction.
  void rework() {
    std::int64_t id = session_.id();
    for (std::int64_t changes = session_.number(2, 5); changes > 0; --changes) {
      switch (session_.below(6)) {
        case 0: pay_from(id); break;
        case 1: session_.exec(text("UPDATE account SET touched = touched + 1 WHERE id = ", id)); break;
        case 2: session_.exec(text("UPDATE account SET note = ", session_.note(), " WHERE id = ", id)); break;
        case 3: session_.gain(text("DELETE FROM account WHERE id = ", id), "balance"); break;
        case 4:
          session_.spend(text("INSERT INTO account (id, owner, balance, note) VALUES (", id, ", ", session_.owner(),
                              ", 5, ", session_.note(), ") ON CONFLICT DO NOTHING"),
                         "balance");
          break;
        default: {
          const std::int64_t to = session_.id();
          if (move(id, to)) id = to;
        }
      }
    }
  }

  void write_notes() {
    const std::int64_t first = session_.id();
    session_.exec(text("UPDATE account SET note = ", session_.note(), " WHERE id BETWEEN ", first, " AND ",
                       first + session_.number(0, 3)));
  }

  void touch() {
    const char* const change =
        session_.pick({"touched = touched + 1", "balance = balance", "open = NOT open", "note = note"});
    session_.exec(text("UPDATE account SET ", change, " WHERE id % 5 = ", session_.below(5)));
  }

  /// A column that is no field leaves its place and comes back at the end: the others stand elsewhere from now on.
  void shift_columns() {
    session_.exec("ALTER TABLE account DROP COLUMN touched, ADD COLUMN touched bigint NOT NULL DEFAULT 0");
  }

  void truncate() {
    session_.exec("LOCK TABLE account");
    session_.gain_all("account", "balance");
    session_.exec("TRUNCATE account");
    if (session_.one_in(2)) open();
  }

 private:
  void pay_from(std::int64_t id) {
    const std::int64_t amount = session_.money();
    session_.gain(text("UPDATE account SET balance = balance - ", amount, " WHERE id = ", id), amount);
  }

  /// False when nothing moves, because there is no such row or the place is taken.
  bool move(std::int64_t from, std::int64_t to) {
    return session_.changed(text("UPDATE account SET id = ", to, " WHERE id = ", from,
                                 " AND NOT EXISTS (SELECT FROM account other WHERE other.id = ", to, ")")) != 0;
  }

  Session& session_;
};

}  // namespace model
