#pragma once

#include <chrono>
#include <cstddef>
#include <cstdint>
#include <iterator>
#include <stdexcept>
#include <string>
#include <vector>

#include <pqxx/except>

#include <btreemapped/lsn.hpp>
#include <btreemapped/numeric.hpp>
#include <btreemapped/replicator.hpp>

#include "model/accounts.hpp"
#include "model/chance.hpp"
#include "model/positions.hpp"
#include "model/quotes.hpp"
#include "model/session.hpp"
#include "model/tables.hpp"

namespace model {

/// What has become of a session's transactions.
struct Tally {
  std::size_t committed = 0;
  std::size_t rolled_back = 0;  ///< on purpose
  std::size_t clashes = 0;      ///< deadlocks with other sessions, and serialization failures
  std::size_t taken_keys = 0;
  std::size_t savepoints_rolled_back = 0;
  std::size_t truncates = 0;
  std::size_t shifted_columns = 0;
  std::size_t own_writes = 0;  ///< read after they were committed

  Tally& operator+=(const Tally& other) {
    committed += other.committed;
    rolled_back += other.rolled_back;
    clashes += other.clashes;
    taken_keys += other.taken_keys;
    savepoints_rolled_back += other.savepoints_rolled_back;
    truncates += other.truncates;
    shifted_columns += other.shifted_columns;
    own_writes += other.own_writes;
    return *this;
  }
};

/// How many transactions truncate a table.
enum class Truncates : std::uint8_t { none, some, many };

/// Runs random transactions in a session: the same ones for the same seed, as far as other sessions let it.
class Writer {
 public:
  /// `number`: which of the sessions it is. `signatures`: what an earlier one of this number has come to.
  Writer(const std::string& dsn, std::uint64_t number, std::uint64_t seed, std::uint64_t signatures = 0)
      : session_(dsn, number, seed), signatures_(signatures) {}
  Writer(const Writer&) = delete;
  Writer& operator=(const Writer&) = delete;
  ~Writer() = default;

  /// Tries random transactions until one commits, or rolls back on purpose.
  void run_transaction(Truncates truncates) {
    truncates_ = truncates;
    for (int attempt = 0; !try_transaction(); ++attempt)
      if (attempt == 1000) throw std::runtime_error("no transaction gets through");
  }

  /// Commits a row of its own and looks for it, unless the replicas are being rebuilt and do not come so far soon.
  /// Throws: when the replicas have come so far without it.
  void read_own_write(const btreemapped::Replicator& replicator, const Replicas& replicas) {
    sign();
    const btreemapped::Lsn position = session_.position();
    if (!replicator.wait_for(position, std::chrono::milliseconds{100})) return;
    const auto guard = replicas.positions.read();
    if (guard.lsn() < position) return;  // it is being copied
    const Position* const seen = guard.find(session_.name(), signature);
    if (seen != nullptr && seen->cost != btreemapped::Numeric{signatures_})  // somebody may have truncated the table
      throw std::runtime_error(session_.name() + " does not see what it has committed");
    ++tally_.own_writes;
  }

  /// Holds up what it commits, by a read, and looks for how far the server has been told that it may forget its log.
  /// Throws: when that is further than what readers see.
  void check_acknowledged(const Replicas& replicas) {
    const auto guard = replicas.positions.read();
    sign();
    for (int look = 0; look < 20; ++look) {
      const auto acknowledged = btreemapped::Lsn::parse(session_.value(
          "SELECT max(confirmed_flush_lsn) FROM pg_replication_slots WHERE database = current_database()"));
      if (acknowledged.value() > replicas.positions.lsn())
        throw std::runtime_error(to_string(*acknowledged) + " was acknowledged before it was visible");
    }
  }

  [[nodiscard]] const Tally& tally() const noexcept { return tally_; }
  [[nodiscard]] std::uint64_t signatures() const noexcept { return signatures_; }

 private:
  /// What a session signs only ever grows, until somebody truncates the table.
  void sign() {
    const std::string statement =
        text("INSERT INTO position VALUES ('", session_.name(), "', '", signature, "', 0, ", ++signatures_,
             ", '') ON CONFLICT (owner, symbol) DO UPDATE SET cost = excluded.cost");
    while (true) {
      try {
        return session_.exec(statement);
      } catch (const pqxx::deadlock_detected&) {
        ++tally_.clashes;  // it stood in line with a TRUNCATE of several tables
      }
    }
  }

  bool try_transaction() {
    try {
      begin();
      run_steps(1 + session_.below(6), 0);
      settle();
      const bool commits = !session_.one_in(12);
      session_.exec(commits ? "COMMIT" : "ROLLBACK");
      ++(commits ? tally_.committed : tally_.rolled_back);
      return true;
    } catch (const pqxx::transaction_rollback&) {
      ++tally_.clashes;
      session_.exec("ROLLBACK");
    } catch (const pqxx::unique_violation&) {
      ++tally_.taken_keys;
      session_.exec("ROLLBACK");
    } catch (const pqxx::failure&) {
      session_.exec("ROLLBACK");  // the other sessions wait for its locks
      throw;
    }
    return false;
  }

  void begin() {
    session_.set_purse(0);
    // A snapshot that is older than the lock would not show all that TRUNCATE takes away.
    const bool sees_all = !session_.one_in(5);
    may_truncate_ = sees_all && truncates_ != Truncates::none;
    session_.exec(sees_all ? "BEGIN" : "BEGIN ISOLATION LEVEL REPEATABLE READ");
    if (session_.one_in(4)) session_.exec("SET LOCAL synchronous_commit = off");
  }

  void run_steps(std::uint64_t count, int depth) {
    for (; count > 0; --count) {
      if (depth < 2 && session_.one_in(6)) run_in_savepoint(1 + session_.below(3), depth + 1);
      else run_step();
    }
  }

  void run_in_savepoint(std::uint64_t steps, int depth) {
    const std::string name = text("depth_", depth);
    const std::int64_t purse = session_.purse();
    session_.exec("SAVEPOINT " + name);
    try {
      run_steps(steps, depth);
      if (session_.one_in(2)) return session_.exec("RELEASE " + name);
    } catch (const pqxx::unique_violation&) {
    }
    session_.exec("ROLLBACK TO " + name);
    session_.set_purse(purse);
    ++tally_.savepoints_rolled_back;
  }

  void run_step() {
    struct Kind {
      std::uint64_t weight;
      void (*run)(Writer&);
    };
    static constexpr Kind kinds[] = {
        {8, [](Writer& w) { w.accounts_.open(); }},
        {8, [](Writer& w) { w.accounts_.pay(); }},
        {3, [](Writer& w) { w.accounts_.levy(); }},
        {3, [](Writer& w) { w.accounts_.close(); }},
        {5, [](Writer& w) { w.accounts_.renumber(); }},
        {2, [](Writer& w) { w.accounts_.renumber_many(); }},
        {4, [](Writer& w) { w.accounts_.exchange(); }},
        {4, [](Writer& w) { w.accounts_.take_over(); }},
        {4, [](Writer& w) { w.accounts_.rework(); }},
        {5, [](Writer& w) { w.accounts_.write_notes(); }},
        {3, [](Writer& w) { w.accounts_.touch(); }},

        {15, [](Writer& w) { w.positions_.buy(); }},
        {6, [](Writer& w) { w.positions_.sell(); }},
        {3, [](Writer& w) { w.positions_.levy(); }},
        {3, [](Writer& w) { w.positions_.close(); }},
        {3, [](Writer& w) { w.positions_.reopen(); }},
        {5, [](Writer& w) { w.positions_.exchange_symbol(); }},
        {2, [](Writer& w) { w.positions_.hand_over(); }},
        {4, [](Writer& w) { w.positions_.exchange_owners(); }},
        {3, [](Writer& w) { w.positions_.take_over(); }},
        {5, [](Writer& w) { w.positions_.write_history(); }},
        {3, [](Writer& w) { w.positions_.touch(); }},

        {8, [](Writer& w) { w.quotes_.lay(); }},
        {3, [](Writer& w) { w.quotes_.drop(); }},
        {4, [](Writer& w) { w.quotes_.shift(); }},
        {4, [](Writer& w) { w.quotes_.close_gap(); }},
        {3, [](Writer& w) { w.quotes_.turn(); }},
        {4, [](Writer& w) { w.quotes_.swap_levels(); }},
        {3, [](Writer& w) { w.quotes_.swap_levels_by_and_by(); }},
        {2, [](Writer& w) { w.quotes_.rename(); }},
        {3, [](Writer& w) { w.quotes_.relocate(); }},
        {5, [](Writer& w) { w.quotes_.reprice(); }},
        {4, [](Writer& w) { w.quotes_.write_book(); }},
        {2, [](Writer& w) { w.quotes_.touch(); }},

        {4, [](Writer& w) { w.settle_a_part(); }},
        {2, [](Writer& w) { w.write_journal(); }},
        {1, [](Writer& w) { w.shift_columns(); }},
        {2, [](Writer& w) { w.truncate(); }},
    };
    if (truncates_ == Truncates::many && session_.one_in(12)) return truncate();
    std::uint64_t total = 0;
    for (const Kind& kind : kinds) total += kind.weight;
    std::uint64_t drawn = session_.below(total);
    const Kind* kind = std::begin(kinds);
    for (; drawn >= kind->weight; ++kind) drawn -= kind->weight;
    kind->run(*this);
  }

  void truncate() {
    if (!may_truncate_) return;
    switch (session_.below(8)) {
      case 0: accounts_.truncate(); break;
      case 1: positions_.truncate(); break;
      case 2:  // rows before, which go, and rows after, which stay
        positions_.buy();
        positions_.truncate();
        positions_.buy();
        break;
      case 3:
        quotes_.lay();
        quotes_.truncate();
        quotes_.lay();
        break;
      case 4: quotes_.truncate(); break;
      default:
        session_.exec("LOCK TABLE account, position");
        session_.gain_all("account", "balance");
        session_.gain_all("position", "amount");
        session_.exec("TRUNCATE position, account");
    }
    ++tally_.truncates;
  }

  void shift_columns() {
    if (session_.one_in(2)) accounts_.shift_columns();
    else quotes_.shift_columns();
    ++tally_.shifted_columns;
  }

  void write_journal() { session_.exec(text("INSERT INTO journal VALUES (", session_.ballast(), ")")); }

  void settle_a_part() { put_back(session_.purse() / 2); }
  void settle() { put_back(session_.purse()); }

  void put_back(std::int64_t amount) {
    if (amount == 0) return;
    if (session_.one_in(2)) positions_.put(amount);
    else accounts_.put(amount);
  }

  Session session_;
  Accounts accounts_{session_};
  Positions positions_{session_};
  Quotes quotes_{session_};
  bool may_truncate_ = false;
  Truncates truncates_ = Truncates::some;
  std::uint64_t signatures_;
  Tally tally_{};
};

}  // namespace model
