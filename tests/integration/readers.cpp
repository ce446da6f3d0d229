// G8: reads are safe: nested, across Replicators, for long, and in hooks.

#include <algorithm>
#include <atomic>
#include <chrono>
#include <cstdint>
#include <functional>
#include <future>
#include <random>
#include <stdexcept>
#include <string>
#include <utility>
#include <vector>

#include <catch2/catch_test_macros.hpp>

#include <btreemapped.hpp>

#include "support/database.hpp"
#include "support/event_log.hpp"
#include "support/eventually.hpp"
#include "support/load.hpp"
#include "support/replicator.hpp"
#include "support/sql.hpp"
#include "support/threads.hpp"

namespace readers_test {

using btreemapped::EventKind;
using btreemapped::Lsn;

struct Item {
  std::int32_t id;
  std::int64_t amount;

  friend bool operator==(const Item&, const Item&) = default;
};

void make_tables(test::Database& database) {
  for (const std::string table : {"items", "others"})
    database.exec("CREATE TABLE " + table + " (id int PRIMARY KEY, amount bigint NOT NULL); INSERT INTO " + table +
                  " SELECT id, id FROM generate_series(0, 49) id");
  database.exec("CREATE PUBLICATION pub FOR TABLE items, others");
}

test::Load::Make changes() {
  return [](std::mt19937_64& random) {
    const std::string set = " SET amount = amount + 1 WHERE id = " + std::to_string(random() % 50);
    return "UPDATE items" + set + "; UPDATE others" + set;
  };
}

TEST_CASE("reads nested over two Replicators in opposite order make progress while both are busy", "[G8]") {
  test::Database database;
  make_tables(database);
  test::Replicator first(database.options());
  test::Replicator second(database.options());
  const auto items = first.add_replica<Item, 1>("items");
  const auto others = second.add_replica<Item, 1>("others");
  test::start_and_sync(first);
  test::start_and_sync(second);
  test::Load load(database.dsn(), 2, changes());
  const auto nest = [](const auto& outer, const auto& inner) {
    return [&] {
      for (int commits_seen = 0; commits_seen < 40;) {
        const std::uint64_t before = outer.sequence();
        outer.for_range1(btreemapped::half_open(0, 10),
                         [&](const Item& item) { static_cast<void>(inner.get(item.id)); });
        if (outer.sequence() != before) ++commits_seen;
      }
    };
  };
  test::run_together({nest(items, others), nest(others, items), nest(items, others), nest(others, items)});
  load.stop();
  database.catch_up(first);
  database.catch_up(second);
  CHECK(items.to_vector() == others.to_vector());
}

TEST_CASE("while a thread holds a read all that it reads of a Replicator is at the same commit", "[G8][G2]") {
  test::Database database;
  make_tables(database);
  test::Replicator replicator(database.options());
  const auto items = replicator.add_replica<Item, 1>("items");
  const auto others = replicator.add_replica<Item, 1>("others");
  test::start_and_sync(replicator);
  const auto guard = items.read();
  const std::uint64_t sequence = guard.sequence();
  database.exec("UPDATE items SET amount = -1; UPDATE others SET amount = -1");
  REQUIRE(test::eventually([&] { return test::commit_waits(replicator); }));
  CHECK(others.get(1)->amount == 1);
  CHECK(items.get(1)->amount == 1);
  CHECK(others.read().sequence() == sequence);
  CHECK(std::ranges::all_of(guard, [&](const Item& item) { return others.contains(item.id); }));
}

TEST_CASE("a read that stays for long delays neither other readers nor feedback", "[G8][G7]") {
  test::Database database;
  make_tables(database);
  database.exec("ALTER DATABASE " + database.name() + " SET wal_sender_timeout = '2s'");
  test::Replicator replicator(database.options());
  const auto items = replicator.add_replica<Item, 1>("items");
  const auto others = replicator.add_replica<Item, 1>("others");
  test::start_and_sync(replicator);
  const std::string walsender =
      "SELECT pid FROM pg_stat_activity WHERE backend_type = 'walsender' AND datname = current_database()";
  const std::string pid = database.value(walsender);
  std::promise<void> inside;
  std::promise<void> leave;
  test::run_together({[&] {
                        const auto guard = items.read();
                        inside.set_value();
                        leave.get_future().wait();
                      },
                      [&] {
                        inside.get_future().wait();
                        database.exec("UPDATE items SET amount = -1; UPDATE others SET amount = -1");
                        const std::string since = database.value("SELECT clock_timestamp()");
                        // The server hears from us long after it would have ended the connection without a word.
                        const bool heard = test::eventually([&] {
                          const auto other = others.get(7);  // as of before the update: nobody waits, nothing is torn
                          if (!other || other->amount != 7) return true;
                          return database.value("SELECT count(*) FILTER (WHERE reply_time > timestamptz '" + since +
                                                "' + interval '5 s') = count(*)" +
                                                " FROM pg_stat_replication WHERE pid = " + pid) == "t";
                        });
                        const bool old_rows = others.get(7)->amount == 7;
                        const std::string now = database.value(walsender);
                        leave.set_value();
                        CHECK(heard);
                        CHECK(old_rows);
                        CHECK(now == pid);
                      }});
  database.catch_up(replicator);
  CHECK(others.get(7)->amount == -1);
  CHECK(replicator.status().reconnects == 0);
  CHECK(replicator.status().longest_wait_for_readers > std::chrono::milliseconds{500});
}

TEST_CASE("wait_for() inside a read throws UsageError", "[G8]") {
  test::Database database;
  make_tables(database);
  test::Replicator replicator(database.options());
  const auto items = replicator.add_replica<Item, 1>("items");
  test::start_and_sync(replicator);
  const Lsn here = database.position();
  bool asked = false;
  items.get_with(1, [&](const Item&) {
    asked = true;
    CHECK_THROWS_AS(replicator.wait_for(here, std::chrono::seconds{1}), btreemapped::UsageError);
  });
  CHECK(asked);
  CHECK(replicator.wait_for(here, test::patience));
}

TEST_CASE("wait_for() inside a read of another Replicator throws UsageError, too", "[G8]") {
  test::Database database;
  make_tables(database);
  test::Replicator first(database.options());
  test::Replicator second(database.options());
  const auto items = first.add_replica<Item, 1>("items");
  static_cast<void>(second.add_replica<Item, 1>("others"));
  test::start_and_sync(first);
  test::start_and_sync(second);
  const Lsn here = database.position();
  {
    // Two threads that did this crosswise would wait for each other's readers.
    const auto guard = items.read();
    CHECK_THROWS_AS(second.wait_for(here, std::chrono::seconds{1}), btreemapped::UsageError);
  }
  CHECK(second.wait_for(here, test::patience));
}

TEST_CASE("a read may take a second read of the same replica while the applier waits", "[G8]") {
  test::Database database;
  make_tables(database);
  test::Replicator replicator(database.options());
  const auto items = replicator.add_replica<Item, 1>("items");
  test::start_and_sync(replicator);
  test::Load load(database.dsn(), 2, changes());
  const auto nest = [&] {
    for (int commits_seen = 0; commits_seen < 40;) {
      const std::uint64_t before = items.sequence();
      items.for_each([&](const Item& outer) {
        if (items.get(outer.id)->amount != outer.amount) throw std::runtime_error("two commits in one read");
      });
      if (items.sequence() != before) ++commits_seen;
    }
  };
  test::run_together({nest, nest, nest});
  load.stop();
}

TEST_CASE("many readers do not starve the applier", "[G8]") {
  test::Database database;
  make_tables(database);
  test::Replicator replicator(database.options());
  const auto items = replicator.add_replica<Item, 1>("items");
  test::start_and_sync(replicator);
  std::atomic<bool> done{false};
  const auto read = [&] {
    while (!done.load()) items.for_each([](const Item&) {});
  };
  test::run_together({read, read, read, read, [&] {
                        for (int i = 0; i < 50; ++i) {
                          database.exec("UPDATE items SET amount = amount + 1");
                          database.catch_up(replicator);
                        }
                        done.store(true);
                      }});
  CHECK(items.get(0)->amount == 50);
}

TEST_CASE("everything may be asked from any thread while commits come and connections go", "[G8][G5]") {
  test::Database database;
  make_tables(database);
  test::EventLog log;
  btreemapped::Options options = database.options();
  options.on_event = log.hook();
  test::Replicator replicator(options);
  const auto items = replicator.add_replica<Item, 1>("items");
  const auto others = replicator.add_replica<Item, 1>("others");
  test::start_and_sync(replicator);
  test::Load load(database.dsn(), 1, changes());
  std::atomic<bool> done{false};
  const auto until_done = [&](const auto& ask) {
    return [&done, ask] {
      while (!done.load()) ask();
    };
  };
  test::run_together({until_done([&] {
                        const btreemapped::Status status = replicator.status();
                        if (status.tables.size() != 2 || status.tables[0].rows != 50)
                          throw std::runtime_error("a torn status");
                      }),
                      until_done([&] {
                        const auto copy = items;
                        static_cast<void>(copy.state());
                        static_cast<void>(copy.stale_for());
                        if (copy.sequence() == 0 || !copy.lsn())
                          throw std::runtime_error("the replica has forgotten its commits");
                      }),
                      until_done([&] {
                        if (items.to_vector() != items.to_vector() && items.size() + others.size() != 100)
                          throw std::runtime_error("rows are missing");
                        static_cast<void>(replicator.wait_for(items.lsn(), std::chrono::milliseconds{1}));
                        replicator.synced().get();
                      }),
                      [&] {
                        for (std::size_t round = 1; round <= 3; ++round) {
                          static_cast<void>(load.go_on_for(50));
                          database.end_sessions("backend_type = 'walsender'");
                          static_cast<void>(log.wait_for(EventKind::synced, round + 1));
                        }
                        done.store(true);
                      }});
  load.stop();
  database.catch_up(replicator);
  CHECK(items.to_vector() == others.to_vector());
}

TEST_CASE("hooks may read, and a throwing hook is counted and ignored", "[G8]") {
  test::Database database;
  make_tables(database);
  btreemapped::Options options = database.options();
  std::promise<std::size_t> rows;
  const btreemapped::Replica<Item, 1>* replica = nullptr;
  options.on_event = [&](const btreemapped::Event& event) {
    if (event.kind == EventKind::synced) rows.set_value(replica->size());
    throw std::runtime_error("from a hook");
  };
  test::Replicator replicator(options);
  const auto items = replicator.add_replica<Item, 1>("items");
  replica = &items;
  test::start_and_sync(replicator);
  std::future<std::size_t> seen = rows.get_future();
  REQUIRE(seen.wait_for(test::patience) == std::future_status::ready);
  CHECK(seen.get() == 50);
  database.exec("UPDATE items SET amount = 0");
  database.catch_up(replicator);
  CHECK(items.get(3)->amount == 0);
  CHECK(test::eventually([&] { return replicator.status().hook_errors >= 2; }));
}

TEST_CASE("a hook that stops the Replicator only asks, and the Replicator ends", "[G8]") {
  test::Database database;
  make_tables(database);
  test::EventLog log;
  btreemapped::Options options = database.options();
  btreemapped::Replicator* running = nullptr;
  options.on_event = [&running, remember = log.hook()](const btreemapped::Event& event) {
    remember(event);
    if (event.kind == EventKind::synced) running->stop();
  };
  test::Replicator replicator(options);
  replicator.ends_unproved("it is stopped by its hook as soon as it has synced");
  running = &replicator;
  const auto items = replicator.add_replica<Item, 1>("items");
  test::start_and_sync(replicator);
  static_cast<void>(log.wait_for(EventKind::stopped));
  replicator.stop();
  CHECK(items.size() == 50);
  CHECK(replicator.status().state == btreemapped::ReplicatorState::stopped);
}

TEST_CASE("a hook that takes its time holds back no commit", "[G8]") {
  test::Database database;
  make_tables(database);
  btreemapped::Options options = database.options();
  std::promise<void> inside;
  std::promise<void> leave;
  std::shared_future<void> left = leave.get_future().share();
  options.on_event = [&, first = true](const btreemapped::Event& event) mutable {
    if (event.kind != EventKind::synced || !std::exchange(first, false)) return;
    inside.set_value();
    left.wait();
  };
  test::Replicator replicator(options);
  const auto items = replicator.add_replica<Item, 1>("items");
  test::start_and_sync(replicator);
  inside.get_future().wait();
  database.exec("UPDATE items SET amount = -5");
  database.catch_up(replicator);
  CHECK(items.get(3)->amount == -5);
  leave.set_value();
}

TEST_CASE("on_thread_start is called on each of the library's threads before anything else", "[G8]") {
  test::Database database;
  make_tables(database);
  btreemapped::Options options = database.options();
  std::atomic<int> started{0};
  std::atomic<bool> first{true};
  options.on_thread_start = [&] { ++started; };
  options.on_event = [&](const btreemapped::Event&) {
    if (started == 0) first = false;
  };
  test::Replicator replicator(options);
  static_cast<void>(replicator.add_replica<Item, 1>("items"));
  test::start_and_sync(replicator);
  CHECK(started >= 2);
  CHECK(first);
}

}  // namespace readers_test
