#include <atomic>
#include <chrono>
#include <cstddef>
#include <cstdint>
#include <functional>
#include <latch>
#include <memory>
#include <stdexcept>
#include <string>
#include <thread>
#include <utility>
#include <vector>

#include <catch2/catch_test_macros.hpp>

#include <btreemapped/change.hpp>
#include <btreemapped/detail/store.hpp>
#include <btreemapped/lsn.hpp>
#include <btreemapped/replica.hpp>

#include <support/memory_table.hpp>
#include <support/threads.hpp>

namespace {

using namespace btreemapped;
using Clock = std::chrono::steady_clock;
using Waited = detail::Store::Waited;

struct Account {
  std::int64_t id;
  std::int64_t cents;
};

using Accounts = test::MemoryTable<Account, 1>;

constexpr std::int64_t total = 1'000;

const std::atomic<bool> never{false};

/// Two tables between which money moves; together they hold `total`.
struct Bank {
  test::MemoryStore store{};
  Accounts left = store.add_with<Account, 1>({{1, total}}, "left");
  Accounts right = store.add_with<Account, 1>({{1, 0}}, "right");

  /// A transaction that leaves this much on the left.
  [[nodiscard]] detail::Commit transfer(std::int64_t cents) {
    detail::Commit commit = store.next_commit();
    add(commit, left, cents);
    add(commit, right, total - cents);
    return commit;
  }

  /// The sum, read in a read of both or by nesting one in the other.
  void check_together() const {
    const std::int64_t sum = read(left.replica(), right.replica(),
                                  [](const auto& a, const auto& b) { return a.find(1)->cents + b.find(1)->cents; });
    if (sum != total) throw std::logic_error("the sum is broken in a read of both tables");
  }
  void check_nested() const {
    const auto other = right.replica();
    left.replica().for_each([&](const Account& account) {
      if (account.cents + other.get(1)->cents != total) throw std::logic_error("the sum is broken in nested reads");
    });
  }

 private:
  static void add(detail::Commit& commit, const Accounts& table, std::int64_t cents) {
    test::Changes changes = table.change();
    if (changes.update({1, cents}) || changes.seal()) throw std::logic_error("the test's transfer cannot be staged");
    commit.changes.push_back({&table.table(), changes.take()});
  }
};

/// A table and a commit that takes many slices.
struct LongCommit {
  static constexpr int rows = 3'000;

  LongCommit() {
    test::Changes changes = table.change();
    for (int id = 0; id < rows; ++id)
      if (changes.update({id, 7})) throw std::logic_error("the test's update cannot be staged");
    if (changes.seal()) throw std::logic_error("the test's updates cannot be sealed");
    commit.changes.push_back({&table.table(), changes.take()});
  }

  static std::vector<test::Cells> many_rows() {
    std::vector<test::Cells> all;
    for (int id = 0; id < rows; ++id) all.push_back({id, 1});
    return all;
  }

  [[nodiscard]] std::int64_t sum() const {
    std::int64_t all = 0;
    table.replica().for_each([&](const Account& account) { all += account.cents; });
    return all;
  }

  test::MemoryStore store{};
  Accounts table = store.add_with<Account, 1>(many_rows());
  detail::Commit commit = store.next_commit();
};

void publish(detail::Store& store, detail::Commit& commit) {
  if (!store.publish(commit, Clock::now() + test::patience, never)) throw std::logic_error("a commit got stuck");
}

Clock::time_point soon() { return Clock::now() + std::chrono::milliseconds{30}; }

}  // namespace

TEST_CASE("a commit over two tables is atomic to readers", "[store][threads]") {
  Bank bank;
  std::atomic<bool> done{false};
  const auto together = [&] {
    std::uint64_t last = 0;
    do {
      bank.check_together();
      const std::uint64_t sequence = bank.left.replica().sequence();
      if (sequence < last) throw std::logic_error("the sequence number went back");
      last = sequence;
    } while (!done.load());
  };
  const auto nested = [&] {
    do bank.check_nested();
    while (!done.load());
  };
  test::run_together({together, nested, nested, [&] {
                        for (int i = 0; i < 500; ++i) {
                          detail::Commit commit = bank.transfer(i % total);
                          publish(bank.store.store(), commit);
                        }
                        done = true;
                      }});
  CHECK(bank.left.replica().get(1)->cents == 499);
  CHECK(bank.left.replica().sequence() == 502);
}

TEST_CASE("what a guard shows does not change while it lives", "[store][threads]") {
  Bank bank;
  std::atomic<bool> done{false};
  const auto reader = [&] {
    do {
      const auto guard = bank.left.replica().read();
      const std::uint64_t sequence = guard.sequence();
      const std::int64_t cents = guard.find(1)->cents;
      for (int i = 0; i < 20; ++i) {
        if (bank.right.replica().get(1)->cents != total - cents || guard.find(1)->cents != cents ||
            bank.left.replica().sequence() != sequence)
          throw std::logic_error("a commit became visible inside a read");
      }
    } while (!done.load());
  };
  test::run_together({reader, reader, [&] {
                        for (int i = 0; i < 200; ++i) {
                          detail::Commit commit = bank.transfer(i);
                          publish(bank.store.store(), commit);
                        }
                        done = true;
                      }});
}

TEST_CASE("a fresh copy and a transaction become visible in one step", "[store][threads]") {
  Bank bank;
  std::atomic<bool> done{false};
  const auto reader = [&] {
    do bank.check_together();
    while (!done.load());
  };
  test::run_together({reader, reader, [&] {
                        for (int i = 0; i < 200; ++i) {
                          detail::Commit commit = bank.store.next_commit();
                          commit.changes.push_back({&bank.left.table(), bank.left.copy({{1, i}, {2, 0}})});
                          commit.changes.push_back({&bank.right.table(), bank.right.copy({{0, 0}, {1, total - i}})});
                          publish(bank.store.store(), commit);
                        }
                        done = true;
                      }});
  CHECK(bank.left.replica().size() == 2);
}

TEST_CASE("two Replicators' readers nest in opposite order while both appliers are busy", "[store][threads]") {
  Bank a;
  Bank b;
  std::atomic<int> appliers{2};
  const auto nest = [&](const Bank& outer, const Bank& inner) {
    do {
      outer.left.replica().for_each([&](const Account& account) {
        inner.check_together();
        if (outer.right.replica().get(1)->cents + account.cents != total)
          throw std::logic_error("the sum is broken in nested reads of two stores");
      });
    } while (appliers.load() != 0);
  };
  const auto apply = [&](Bank& bank) {
    for (int i = 0; i < 150; ++i) {
      detail::Commit commit = bank.transfer(i);
      publish(bank.store.store(), commit);
    }
    --appliers;
  };
  test::run_together({[&] { nest(a, b); }, [&] { nest(b, a); }, [&] { apply(a); }, [&] { apply(b); }});
  CHECK(a.left.replica().get(1)->cents == 149);
  CHECK(b.left.replica().get(1)->cents == 149);
}

TEST_CASE("four readers in tight loops do not starve the applier", "[store][threads]") {
  Bank bank;
  std::atomic<bool> done{false};
  const auto reader = [&] {
    do bank.check_together();
    while (!done.load());
  };
  test::run_together({reader, reader, reader, reader, [&] {
                        for (int i = 0; i < 100; ++i) {
                          detail::Commit commit = bank.transfer(i);
                          publish(bank.store.store(), commit);
                        }
                        done = true;
                      }});
  CHECK(bank.store.store().longest_wait() < test::patience);
}

TEST_CASE("a reader that stays lets a commit wait until its deadline, and nothing is seen of it", "[store][threads]") {
  Bank bank;
  detail::Commit commit = bank.transfer(250);
  const auto guard = bank.left.replica().read();
  test::run_together({[&] {
    const Clock::time_point deadline = soon();
    if (bank.store.store().publish(commit, deadline, never)) throw std::logic_error("the commit broke into a read");
    if (Clock::now() < deadline) throw std::logic_error("publish() gave up before its deadline");
    if (bank.store.store().publishing()) throw std::logic_error("a commit that waits has not been begun");
    bank.check_together();
    if (bank.left.replica().get(1)->cents != total) throw std::logic_error("a part of the commit is visible");
  }});
  CHECK(guard.find(1)->cents == total);
  CHECK(guard.sequence() == 2);
}

TEST_CASE("a commit whose deadline came first is published by another call", "[store][threads]") {
  Bank bank;
  detail::Commit commit = bank.transfer(250);
  {
    const auto guard = bank.left.replica().read();
    test::run_together({[&] {
      for (int i = 0; i < 3; ++i)
        if (bank.store.store().publish(commit, soon(), never)) throw std::logic_error("the commit broke into a read");
    }});
  }
  REQUIRE(bank.store.store().publish(commit, soon(), never));
  CHECK(bank.left.replica().get(1)->cents == 250);
  CHECK(bank.left.replica().lsn() == commit.end_lsn);
  CHECK(bank.store.store().longest_wait() >= std::chrono::milliseconds{90});
}

TEST_CASE("a commit that is given up does not make the next one's wait longer", "[store][threads]") {
  Bank bank;
  {
    const auto guard = bank.left.replica().read();
    test::run_together({[&] {
      detail::Commit lost = bank.transfer(100);
      if (bank.store.store().publish(lost, Clock::now(), never)) throw std::logic_error("the commit broke into a read");
      bank.store.store().abandon();
    }});
  }
  constexpr std::chrono::milliseconds outage{1000};
  for (const Clock::time_point end = Clock::now() + outage; Clock::now() < end;) std::this_thread::yield();
  detail::Commit commit = bank.transfer(250);
  REQUIRE(bank.store.store().publish(commit, soon(), never));
  CHECK(bank.store.store().longest_wait() < outage);
  CHECK(bank.left.replica().get(1)->cents == 250);
}

TEST_CASE("a reader that stays delays commits, never other readers", "[store][threads]") {
  Bank bank;
  detail::Commit commit = bank.transfer(250);
  std::latch stuck{1};
  std::atomic<bool> stop{false};
  std::atomic<bool> given_up{false};
  test::run_together({[&] {
                        const auto guard = bank.left.replica().read();
                        stuck.count_down();
                        given_up.wait(false);
                      },
                      [&] {
                        stuck.wait();
                        if (bank.store.store().publish(commit, Clock::now() + 10 * test::patience, stop))
                          throw std::logic_error("the commit broke into a read");
                        given_up = true;
                        given_up.notify_all();
                      },
                      [&] {
                        stuck.wait();
                        for (int i = 0; i < 50; ++i) bank.check_together();
                        stop = true;
                        bank.store.store().wake();
                      }});
  CHECK(bank.left.replica().get(1)->cents == total);
}

TEST_CASE("stop and wake() end the wait for readers at once", "[store][threads]") {
  Bank bank;
  detail::Commit commit = bank.transfer(250);
  std::latch stuck{1};
  std::atomic<bool> stop{false};
  std::atomic<bool> ended{false};
  test::run_together({[&] {
                        const auto guard = bank.left.replica().read();
                        stuck.count_down();
                        ended.wait(false);
                      },
                      [&] {
                        stuck.wait();
                        if (bank.store.store().publish(commit, Clock::now() + 10 * test::patience, stop))
                          throw std::logic_error("the commit broke into a read");
                        ended = true;
                        ended.notify_all();
                      },
                      [&] {
                        stuck.wait();
                        stop = true;
                        bank.store.store().wake();
                      }});
  CHECK(ended.load());
  bank.check_together();
}

TEST_CASE("a long commit is applied in slices, and readers see it whole", "[store][threads]") {
  LongCommit work;
  const Clock::time_point expired = Clock::now() - std::chrono::seconds{1};
  REQUIRE_FALSE(work.store.store().publish(work.commit, expired, never));
  CHECK(work.store.store().publishing());
  CHECK(work.store.store().sequence() == 1);
  std::latch begun{1};
  test::run_together({[&] {
                        begun.count_down();
                        if (work.sum() != 7 * LongCommit::rows) throw std::logic_error("a reader saw a slice");
                      },
                      [&] {
                        begun.wait();
                        while (!work.store.store().publish(work.commit, expired, never)) continue;
                      }});
  CHECK_FALSE(work.store.store().publishing());
  CHECK(work.store.store().sequence() == 2);
  CHECK(work.sum() == 7 * LongCommit::rows);
}

TEST_CASE("a commit that has begun is finished although it is told to stop", "[store]") {
  LongCommit work;
  const Clock::time_point expired = Clock::now() - std::chrono::seconds{1};
  REQUIRE_FALSE(work.store.store().publish(work.commit, expired, never));
  const std::atomic<bool> stop{true};
  int calls = 1;
  while (!work.store.store().publish(work.commit, expired, stop)) ++calls;
  CHECK(calls > 1);
  CHECK(work.sum() == 7 * LongCommit::rows);
}

TEST_CASE("a hundred threads read at once while commits are published", "[store][threads]") {
  constexpr int readers = 100;
  Bank bank;
  std::latch inside{readers};
  std::latch leave{1};
  std::atomic<bool> done{false};
  std::vector<std::function<void()>> functions;
  for (int i = 0; i < readers; ++i) {
    functions.emplace_back([&] {
      {
        const auto guard = bank.left.replica().read();
        inside.arrive_and_wait();
        bank.check_together();
        leave.wait();
        if (guard.find(1)->cents != total) throw std::logic_error("a commit broke into a read");
      }
      while (!done.load()) bank.check_together();
    });
  }
  functions.emplace_back([&] {
    inside.wait();
    detail::Commit commit = bank.transfer(100);
    if (bank.store.store().publish(commit, soon(), never)) throw std::logic_error("the commit broke into a read");
    leave.count_down();
    publish(bank.store.store(), commit);
    for (int i = 0; i < 20; ++i) {
      detail::Commit next = bank.transfer(i);
      publish(bank.store.store(), next);
    }
    done = true;
  });
  test::run_together(std::move(functions));
  CHECK(bank.left.replica().get(1)->cents == 19);
}

TEST_CASE("a thread knows whether it reads", "[store]") {
  Bank bank;
  Bank other;
  CHECK_FALSE(bank.store.store().this_thread_reads());
  bank.left.replica().for_each([&](const Account&) {
    CHECK(bank.store.store().this_thread_reads());
    CHECK(other.store.store().this_thread_reads());
  });
  CHECK_FALSE(bank.store.store().this_thread_reads());
  CHECK_FALSE(other.store.store().this_thread_reads());
}

TEST_CASE("a position that has been reached is not waited for", "[store]") {
  Bank bank;
  CHECK(bank.store.store().wait_for(Lsn{32}, Clock::now() + test::patience) == Waited::reached);
  CHECK(bank.store.store().wait_for(Lsn{1}, Clock::now() - std::chrono::seconds{1}) == Waited::reached);
}

TEST_CASE("a wait for a position ends at its deadline", "[store]") {
  Bank bank;
  const Clock::time_point deadline = soon();
  CHECK(bank.store.store().wait_for(Lsn{33}, deadline) == Waited::timeout);
  CHECK(Clock::now() >= deadline);
  CHECK(bank.store.store().wait_for(Lsn{33}, Clock::now() - std::chrono::seconds{1}) == Waited::timeout);
}

TEST_CASE("a wait for a position ends with the commit that reaches it, whose rows are visible then",
          "[store][threads]") {
  Bank bank;
  std::latch waiting{3};
  const auto wait = [&](std::int64_t i) {
    waiting.count_down();
    if (bank.store.store().wait_for(Lsn{32 + 16 * static_cast<std::uint64_t>(i)}, Clock::now() + test::patience) !=
        Waited::reached)
      throw std::logic_error("the position was not reached");
    if (bank.right.replica().get(1)->cents < i) throw std::logic_error("the commit is not visible yet");
  };
  test::run_together({[&] { wait(1); }, [&] { wait(50); }, [&] { wait(100); },
                      [&] {
                        waiting.wait();
                        for (std::int64_t i = 1; i <= 100; ++i) {
                          detail::Commit commit = bank.transfer(total - i);
                          publish(bank.store.store(), commit);
                        }
                      }});
}

TEST_CASE("a wait for a position ends when an idle stream passes it", "[store][threads]") {
  Bank bank;
  std::latch waiting{1};
  test::run_together({[&] {
                        waiting.count_down();
                        if (bank.store.store().wait_for(Lsn{1'000}, Clock::now() + test::patience) != Waited::reached)
                          throw std::logic_error("the position was not reached");
                      },
                      [&] {
                        waiting.wait();
                        bank.store.store().advance(Lsn{1'000});
                      }});
  CHECK(bank.left.replica().lsn() == Lsn{1'000});
}

TEST_CASE("closing ends the waits that can no longer succeed", "[store][threads]") {
  Bank bank;
  std::latch waiting{2};
  const auto wait = [&] {
    waiting.count_down();
    if (bank.store.store().wait_for(Lsn{1'000}, Clock::now() + test::patience) != Waited::closed)
      throw std::logic_error("the wait did not end by closing");
  };
  test::run_together({wait, wait, [&] {
                        waiting.wait();
                        bank.store.store().close();
                      }});
  CHECK(bank.store.store().wait_for(Lsn{1'000}, Clock::now() + test::patience) == Waited::closed);
  CHECK(bank.store.store().wait_for(Lsn{32}, Clock::now() + test::patience) == Waited::reached);
  CHECK(bank.left.replica().get(1)->cents == total);
}

TEST_CASE("a commit of nothing moves the position and the sequence number", "[store]") {
  Bank bank;
  detail::Commit commit = bank.store.next_commit();
  CHECK(commit.empty());
  publish(bank.store.store(), commit);
  CHECK(bank.store.store().lsn() == commit.end_lsn);
  CHECK(bank.store.store().sequence() == 3);
}

TEST_CASE("a replica never tells a position whose commits it does not show", "[store][threads]") {
  // Every commit of the source writes its number; every other one detaches the table, which misses it and rejoins with
  // the next.
  test::MemoryStore store;
  const auto table = store.add_with<Account, 1>({{1, 1}});
  const auto replica = table.replica();
  std::atomic<bool> done{false};
  const auto reader = [&] {
    do {
      const std::uint64_t told = replica.lsn().value();
      if (16 * static_cast<std::uint64_t>(replica.get(1)->cents) < told)
        throw std::logic_error("the replica told a position that it had not reached");
    } while (!done.load());
  };
  test::run_together({reader, reader, [&] {
                        for (std::int64_t i = 2; i <= 2'000; ++i) {
                          detail::Commit commit = store.next_commit();
                          if (i % 2 == 0) {
                            commit.detached.push_back({&table.table(), TableState::failed});
                          } else {
                            commit.changes.push_back({&table.table(), table.copy({{1, i}})});
                            commit.rejoined.push_back(&table.table());
                          }
                          publish(store.store(), commit);
                        }
                        done = true;
                      }});
  CHECK(replica.lsn() == Lsn{16 * 1'999});
  CHECK(replica.state() == TableState::failed);
}
