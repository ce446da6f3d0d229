#pragma once

#include <cstddef>
#include <cstdint>
#include <functional>
#include <map>
#include <mutex>
#include <random>
#include <stdexcept>
#include <string>
#include <type_traits>
#include <typeindex>
#include <typeinfo>
#include <utility>
#include <vector>

#include <btreemapped/error.hpp>
#include <btreemapped/lsn.hpp>
#include <btreemapped/numeric.hpp>
#include <btreemapped/range.hpp>
#include <btreemapped/read_guard.hpp>
#include <btreemapped/replica.hpp>
#include <btreemapped/row.hpp>

#include "model/tables.hpp"
#include "support/random.hpp"

namespace model {

/// What the auditors have seen at each commit: it must be the same for all of them.
class Sightings {
 public:
  void add(std::uint64_t sequence, std::size_t digest) {
    const std::lock_guard lock(mutex_);
    if (digests_.try_emplace(sequence, digest).first->second != digest)
      throw std::runtime_error("two readers saw different rows at commit " + std::to_string(sequence));
    while (digests_.size() > 1000) digests_.erase(digests_.begin());
  }

 private:
  std::mutex mutex_;
  std::map<std::uint64_t, std::size_t> digests_;
};

/// A thread that reads while others write, and throws when it sees what must never be seen.
class Auditor {
 public:
  Auditor(const Replicas& replicas, Sightings& sightings, std::uint64_t seed)
      : replicas_(replicas), sightings_(sightings), random_(seed) {}

  void audit() {
    check_progress(replicas_.accounts);
    switch (test::below(random_, 5)) {
      case 0: check_ranges_of_accounts(); break;
      case 1: check_ranges_of_positions(); break;
      case 2: check_ranges_of_quotes(); break;
      default: check_commit(); break;
    }
    ++audits_;
  }

  [[nodiscard]] std::size_t audits() const noexcept { return audits_; }
  /// How many different commits they have fallen on.
  [[nodiscard]] std::size_t commits() const noexcept { return commits_; }
  /// How often tables were not at one commit, so that only some of them could be read together.
  [[nodiscard]] std::size_t stale_reads() const noexcept { return stale_reads_; }

 private:
  static void require(bool condition, const std::string& otherwise) {
    if (!condition) throw std::runtime_error("a reader saw that " + otherwise);
  }

  /// Of a replica, or of a guard.
  template <class Place>
  void check_progress(const Place& place) {
    const std::uint64_t sequence = place.sequence();
    const btreemapped::Lsn lsn = place.lsn();
    require(sequence >= last_sequence_, "sequence() went back");
    btreemapped::Lsn& last_lsn = last_lsns_[typeid(Place)];
    require(lsn >= last_lsn, "lsn() went back from " + to_string(last_lsn) + " to " + to_string(lsn));
    last_sequence_ = sequence;
    last_lsn = lsn;
  }

  /// What must hold when one of the replicas is being copied: over two that are not, and each by itself.
  void check_two() {
    try {
      btreemapped::read(replicas_.accounts, replicas_.positions, [this](const auto& accounts, const auto& positions) {
        count_commit(accounts.sequence());
        check_sum(accounts, positions);
      });
    } catch (const btreemapped::StaleError&) {
      ++stale_reads_;
      check_nested(replicas_.quotes.read(), replicas_.quotes);
    }
  }

  void count_commit(std::uint64_t sequence) {
    if (std::exchange(last_audited_, sequence) != sequence) ++commits_;
  }

  /// What must hold over all replicas at one commit.
  void check_commit() {
    const auto check = [this](const auto& accounts, const auto& positions, const auto& quotes) {
      check_progress(accounts);
      const std::uint64_t sequence = last_sequence_;
      count_commit(sequence);
      check_sum(accounts, positions);
      check_signatures(positions);
      sightings_.add(sequence, digest_of(accounts, positions, quotes));
      check_nested(accounts, replicas_.accounts);
      check_nested(positions, replicas_.positions);
      check_nested(quotes, replicas_.quotes);
      check_progress(accounts);
      require(last_sequence_ == sequence, "a commit was published during a read");
    };
    try {
      btreemapped::read(replicas_.accounts, replicas_.positions, replicas_.quotes, check);
    } catch (const btreemapped::StaleError&) {
      ++stale_reads_;
      check_two();
    }
  }

  template <class Accounts, class Positions>
  void check_sum(const Accounts& accounts, const Positions& positions) {
    std::int64_t sum = 0;
    for (const Account& row : accounts) sum += row.balance;
    for (const Position& row : positions) sum += row.amount;
    require(sum == wealth,
            "accounts and positions hold " + std::to_string(sum) + " at commit " + std::to_string(accounts.sequence()));
  }

  /// Of a session's commits a later one is never seen before an earlier one.
  template <class Positions>
  void check_signatures(const Positions& positions) {
    for (const Position& row : positions) {
      if (row.symbol != signature) continue;
      const auto [last, first_seen] = last_signatures_.try_emplace(row.owner, row.cost.value());
      require(first_seen || row.cost >= last->second, "a commit of " + row.owner + " was undone");
      last->second = row.cost.value();
    }
  }

  template <class Accounts, class Positions, class Quotes>
  static std::size_t digest_of(const Accounts& accounts, const Positions& positions, const Quotes& quotes) {
    std::size_t digest = 0;
    const auto mix = [&digest](const auto&... values) {
      ((digest = digest * 31 + std::hash<std::remove_cvref_t<decltype(values)>>{}(values)), ...);
    };
    for (const Account& row : accounts)
      mix(row.id, row.owner, row.balance, row.open, row.note ? row.note->size() + 1 : 0);
    for (const Position& row : positions) mix(row.owner, row.symbol, row.amount, row.history.size());
    for (const Quote& row : quotes)
      mix(row.venue, row.symbol, row.level, row.token, row.price, row.book ? row.book->size() + 1 : 0);
    return digest;
  }

  /// Reads inside a read are at its commit.
  template <class Guard, class Replica>
  static void check_nested(const Guard& guard, const Replica& replica) {
    require(replica.size() == guard.size(), "a read inside a read has another size");
    auto expected = guard.begin();
    replica.for_each([&](const auto& row) {
      require(&row == &*expected, "a read inside a read has other rows");
      ++expected;
    });
  }

  void check_ranges_of_accounts() {
    const auto guard = replicas_.accounts.read();
    const auto rows = all_rows<1>(guard);
    const std::int64_t low = some(rows, 0, &Account::id);
    check_ranges(rows, low, some(rows, 0, &Account::id), [&](const auto& range, const auto& holds) {
      return Expected{guard.range1(range), [&](const Account& row) { return holds(row.id); }};
    });
  }

  void check_ranges_of_positions() {
    const auto guard = replicas_.positions.read();
    const auto rows = all_rows<2>(guard);
    const std::string owner = some(rows, "Bob", &Position::owner);
    check_ranges(rows, owner, some(rows, "Eve", &Position::owner), [&](const auto& range, const auto& holds) {
      return Expected{guard.range1(range), [&](const Position& row) { return holds(row.owner); }};
    });
    const std::string symbol = some(rows, "A", &Position::symbol);
    check_ranges(rows, symbol, some(rows, "C", &Position::symbol), [&](const auto& range, const auto& holds) {
      return Expected{guard.range2(owner, range),
                      [&](const Position& row) { return row.owner == owner && holds(row.symbol); }};
    });
  }

  void check_ranges_of_quotes() {
    const auto guard = replicas_.quotes.read();
    const auto rows = all_rows<3>(guard);
    const std::string venue = some(rows, "Oslo", &Quote::venue);
    const std::string symbol = some(rows, "BB", &Quote::symbol);
    check_ranges(rows, symbol, some(rows, "D", &Quote::symbol), [&](const auto& range, const auto& holds) {
      return Expected{guard.range2(venue, range),
                      [&](const Quote& row) { return row.venue == venue && holds(row.symbol); }};
    });
    const btreemapped::Numeric level = some(rows, 1, &Quote::level);
    check_ranges(rows, level, some(rows, 4, &Quote::level), [&](const auto& range, const auto& holds) {
      return Expected{guard.range3(venue, symbol, range),
                      [&](const Quote& row) { return row.venue == venue && row.symbol == symbol && holds(row.level); }};
    });
  }

  template <class Rows, class Holds>
  struct Expected {
    Rows rows;
    Holds holds;
  };
  template <class Rows, class Holds>
  Expected(Rows, Holds) -> Expected<Rows, Holds>;

  /// The rows of a guard, which must be in the order of their keys.
  template <std::size_t Arity, class Row>
  std::vector<const Row*> all_rows(const btreemapped::ReadGuard<Row, Arity>& guard) {
    check_progress(guard);
    std::vector<const Row*> rows;
    for (const Row& row : guard) {
      require(rows.empty() || btreemapped::key_of<Arity>(*rows.back()) < btreemapped::key_of<Arity>(row),
              "keys are not in order");
      rows.push_back(&row);
    }
    require(rows.size() == guard.size(), "size() is not the number of rows");
    return rows;
  }

  /// A field of any of the rows, or something else when there is none.
  template <class Row, class Field, class Otherwise>
  Field some(const std::vector<const Row*>& rows, const Otherwise& otherwise, Field Row::* field) {
    const std::size_t place = test::below(random_, rows.size() + 1);
    return place == rows.size() ? Field(otherwise) : rows[place]->*field;
  }

  /// Every kind of range from `low` to `high`, even if they are the wrong way round, against a look at all rows.
  template <class Row, class Value, class Expect>
  void check_ranges(const std::vector<const Row*>& all, const Value& low, const Value& high, const Expect& expect) {
    const auto check = [&](const auto& range, const auto& holds) {
      const auto expected = expect(range, holds);
      auto found = expected.rows.begin();
      for (const Row* const row : all) {
        if (!expected.holds(*row)) continue;
        require(found != expected.rows.end() && &*found == row, "a range leaves out a row");
        ++found;
      }
      require(found == expected.rows.end(), "a range holds a row too many");
    };
    check(btreemapped::half_open(low, high), [&](const Value& value) { return low <= value && value < high; });
    check(btreemapped::closed(low, high), [&](const Value& value) { return low <= value && value <= high; });
    check(btreemapped::open(low, high), [&](const Value& value) { return low < value && value < high; });
    check(btreemapped::open_closed(low, high), [&](const Value& value) { return low < value && value <= high; });
    check(btreemapped::at_least(low), [&](const Value& value) { return low <= value; });
    check(btreemapped::greater_than(low), [&](const Value& value) { return low < value; });
    check(btreemapped::less_than(high), [&](const Value& value) { return value < high; });
    check(btreemapped::at_most(high), [&](const Value& value) { return value <= high; });
    check(btreemapped::all, [](const Value&) { return true; });
    check(low, [&](const Value& value) { return value == low; });
  }

  const Replicas replicas_;
  Sightings& sightings_;
  std::mt19937_64 random_;
  std::uint64_t last_sequence_ = 0;
  std::map<std::type_index, btreemapped::Lsn> last_lsns_{};  // of each kind of place
  std::map<std::string, btreemapped::Numeric> last_signatures_{};
  std::uint64_t last_audited_ = 0;
  std::size_t audits_ = 0;
  std::size_t commits_ = 0;
  std::size_t stale_reads_ = 0;
};

}  // namespace model
