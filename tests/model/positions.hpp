#pragma once

#include <cstdint>
#include <string>

#include "model/chance.hpp"
#include "model/session.hpp"

namespace model {

/// What a session does to positions: two key fields, a unique index is the identity, now and then the whole row.
class Positions {
 public:
  explicit Positions(Session& session) : session_(session) {}

  void buy() { put(session_.money()); }

  void put(std::int64_t amount) {
    session_.exec(text("INSERT INTO position VALUES (", session_.owner(), ", ", session_.symbol(), ", ", amount, ", ",
                       session_.cost(), ", ", session_.ballast(),
                       ") ON CONFLICT (owner, symbol) DO UPDATE SET amount = position.amount + excluded.amount"));
    session_.set_purse(session_.purse() - amount);
  }

  void sell() {
    const std::int64_t amount = session_.money();
    session_.gain(text("UPDATE position SET amount = amount - ", amount, " WHERE ", any()), amount);
  }

  void levy() {
    session_.gain(text("UPDATE position SET amount = amount - 2, cost = ", session_.cost(),
                       " WHERE symbol = ", session_.symbol()),
                  2);
  }

  void close() {
    const std::string which = session_.one_in(4) ? "owner = " + session_.owner() : any();
    session_.gain("DELETE FROM position WHERE " + which, "amount");
  }

  void reopen() {
    const std::string owner = session_.owner();
    const std::string symbol = session_.symbol();
    session_.gain("DELETE FROM position WHERE " + key(owner, symbol), "amount");
    session_.spend(text("INSERT INTO position VALUES (", owner, ", ", symbol, ", ", session_.money(), ", NULL, 'anew')",
                        session_.unless_taken()),
                   "amount");
  }

  void exchange_symbol() {
    const std::int64_t amount = session_.one_in(2) ? 0 : session_.money();
    const std::string more = session_.one_in(2) ? "" : ", owner = " + session_.owner();
    session_.gain(text("UPDATE position SET symbol = ", session_.symbol(), more, ", amount = amount - ", amount,
                       " WHERE ", any()),
                  amount);
  }

  void hand_over() {
    const std::string heir = session_.owner();
    session_.exec(text("UPDATE position SET owner = ", heir, " WHERE owner = ", session_.owner(),
                       " AND NOT EXISTS (SELECT FROM position other WHERE other.owner = ", heir,
                       " AND other.symbol = position.symbol)"));
  }

  /// Two owners change places in what they hold of one symbol: each row moves to the key that the other has left.
  void exchange_owners() {
    const std::string symbol = session_.symbol();
    const std::string one = session_.owner();
    const std::string other = session_.owner();
    const std::string spare = text("'", session_.name(), "'");
    move(symbol, one, spare);
    move(symbol, other, one);
    if (session_.one_in(3)) session_.exec("UPDATE position SET cost = 1.00 WHERE " + key(one, symbol));
    move(symbol, spare, other);
  }

  /// A row moves to the key of one that is closed, and back if it is free.
  void take_over() {
    const std::string symbol = session_.symbol();
    const std::string from = session_.owner();
    const std::string to = session_.owner();
    session_.gain("DELETE FROM position WHERE " + key(to, symbol), "amount");
    move(symbol, from, to);
    if (session_.one_in(2)) move(symbol, to, from);
  }

  void write_history() { session_.exec(text("UPDATE position SET history = ", session_.ballast(), " WHERE ", any())); }

  void touch() {
    session_.exec(text("UPDATE position SET ", session_.pick({"amount = amount", "history = history", "cost = NULL"}),
                       " WHERE symbol = ", session_.symbol()));
  }

  void truncate() {
    session_.exec("LOCK TABLE position");
    session_.gain_all("position", "amount");
    session_.exec("TRUNCATE position");
  }

 private:
  static std::string key(const std::string& owner, const std::string& symbol) {
    return text("owner = ", owner, " AND symbol = ", symbol);
  }
  std::string any() {
    const std::string owner = session_.owner();
    return key(owner, session_.symbol());
  }

  void move(const std::string& symbol, const std::string& from, const std::string& to) {
    session_.exec(text("UPDATE position SET owner = ", to, " WHERE ", key(from, symbol),
                       " AND NOT EXISTS (SELECT FROM position other WHERE other.owner = ", to,
                       " AND other.symbol = ", symbol, ")"));
  }

  Session& session_;
};

}  // namespace model
