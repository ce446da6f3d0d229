// What may be called when, and what a Replicator that ends tells those who wait for it.

#include <algorithm>
#include <atomic>
#include <chrono>
#include <cstdint>
#include <exception>
#include <functional>
#include <future>
#include <memory>
#include <optional>
#include <stdexcept>
#include <stop_token>
#include <string>
#include <thread>
#include <utility>
#include <vector>

#include <catch2/catch_test_macros.hpp>
#include <catch2/matchers/catch_matchers.hpp>
#include <catch2/matchers/catch_matchers_string.hpp>

#include <btreemapped.hpp>

#include "support/conninfo.hpp"
#include "support/database.hpp"
#include "support/event_log.hpp"
#include "support/eventually.hpp"
#include "support/proxy.hpp"
#include "support/replicator.hpp"
#include "support/threads.hpp"

namespace life_cycle_test {

using btreemapped::EventKind;
using btreemapped::Lsn;
using btreemapped::ReplicatorState;
using btreemapped::StoppedError;
using btreemapped::UsageError;
using Catch::Matchers::ContainsSubstring;

struct Item {
  std::int32_t id;
  std::string name;

  friend bool operator==(const Item&, const Item&) = default;
};

void make_items(test::Database& database) {
  database.exec(
      "CREATE TABLE items (id int PRIMARY KEY, name text NOT NULL); INSERT INTO items VALUES (1, 'a'), (2, 'b');"
      "CREATE PUBLICATION pub FOR TABLE items");
}

TEST_CASE("a replica cannot be added after the start", "[api]") {
  test::Database database;
  make_items(database);
  test::Replicator replicator(database.options());
  static_cast<void>(replicator.add_replica<Item, 1>("items"));
  replicator.start();
  CHECK_THROWS_AS((replicator.add_replica<Item, 1>("items")), UsageError);
  test::wait_until_synced(replicator);
  CHECK_THROWS_AS((replicator.add_replica<Item, 1>("items")), UsageError);
  replicator.prove();
  replicator.stop();
  CHECK_THROWS_AS((replicator.add_replica<Item, 1>("items")), UsageError);
}

TEST_CASE("a Replicator starts once", "[api]") {
  test::Database database;
  make_items(database);
  test::Replicator replicator(database.options());
  static_cast<void>(replicator.add_replica<Item, 1>("items"));
  replicator.start();
  CHECK_THROWS_AS(replicator.start(), UsageError);
  CHECK_THROWS_AS(replicator.run(), UsageError);
  test::wait_until_synced(replicator);
  replicator.prove();
  replicator.stop();
  CHECK_THROWS_AS(replicator.start(), UsageError);
  CHECK_THROWS_AS(replicator.run(), UsageError);
}

TEST_CASE("a Replicator that was stopped before its start does not start", "[api]") {
  test::Database database;
  make_items(database);
  test::Replicator replicator(database.options());
  static_cast<void>(replicator.add_replica<Item, 1>("items"));
  const std::shared_future<void> synced = replicator.synced();
  replicator.stop();
  CHECK_THROWS_AS(synced.get(), StoppedError);
  CHECK_THROWS_AS(replicator.start(), UsageError);
  CHECK(replicator.status().state == ReplicatorState::stopped);
}

TEST_CASE("options that cannot work are refused at the start", "[api]") {
  test::Database database;
  make_items(database);
  const auto start = [&](const btreemapped::Options& options, bool add) {
    test::Replicator replicator(options);
    if (add) static_cast<void>(replicator.add_replica<Item, 1>("items"));
    replicator.start();
  };
  btreemapped::Options options = database.options();
  CHECK_THROWS_AS(start(options, false), UsageError);
  options.publication.clear();
  CHECK_THROWS_AS(start(options, true), UsageError);
  options = database.options();
  options.slot_name = "Not a slot's name";
  CHECK_THROWS_AS(start(options, true), UsageError);
  options = database.options();
  options.connection = "host=127.0.0.1 nonsense";
  CHECK_THROWS_AS(start(options, true), UsageError);
  options = database.options();
  options.lock_timeout = std::chrono::milliseconds{0};
  CHECK_THROWS_AS(start(options, true), UsageError);
}

TEST_CASE("a start that was refused may be mended and made", "[api]") {
  test::Database database;
  make_items(database);
  test::Replicator replicator(database.options());
  CHECK_THROWS_AS(replicator.start(), UsageError);
  const auto items = replicator.add_replica<Item, 1>("items");
  test::start_and_sync(replicator);
  CHECK(items.size() == 2);
}

TEST_CASE("replicas may be added by many threads while others ask for the status", "[api]") {
  test::Database database;
  make_items(database);
  test::Replicator replicator(database.options());
  const auto add = [&] {
    for (int i = 0; i < 20; ++i) static_cast<void>(replicator.add_replica<Item, 1>("items"));
  };
  const auto ask = [&] {
    while (replicator.status().tables.size() < 40) continue;
  };
  test::run_together({add, add, ask});
  test::start_and_sync(replicator);
  for (const btreemapped::TableStatus& each : replicator.status().tables) CHECK(each.rows == 2);
}

TEST_CASE("stop() is idempotent, from many threads at once", "[api]") {
  test::Database database;
  make_items(database);
  test::Replicator replicator(database.options());
  const auto items = replicator.add_replica<Item, 1>("items");
  test::start_and_sync(replicator);
  replicator.prove();
  const auto stop = [&] { replicator.stop(); };
  test::run_together({stop, stop, stop, stop});
  replicator.stop();
  CHECK(replicator.status().state == ReplicatorState::stopped);
  CHECK(items.size() == 2);
  CHECK(items.state() == btreemapped::TableState::stale);
}

TEST_CASE("start() and stop() from two threads end in a stopped Replicator", "[api]") {
  test::Database database;
  make_items(database);
  for (int round = 0; round < 20; ++round) {
    test::Replicator replicator(database.options());
    static_cast<void>(replicator.add_replica<Item, 1>("items"));
    const auto start = [&] {
      try {
        replicator.start();
      } catch (const UsageError&) {  // when the stop came first
      }
    };
    replicator.ends_unproved("it is stopped before its first copy, or just after it");
    test::run_together({start, [&] { replicator.stop(); }});
    CHECK(replicator.synced().wait_for(test::patience) == std::future_status::ready);
  }
}

TEST_CASE("synced() may be asked for before the start, and by many", "[api]") {
  test::Database database;
  make_items(database);
  test::Replicator replicator(database.options());
  const auto items = replicator.add_replica<Item, 1>("items");
  const std::shared_future<void> synced = replicator.synced();
  const auto wait = [&items, synced] {
    synced.get();
    if (items.size() != 2) throw std::runtime_error("not synced");
  };
  test::run_together({wait, wait, wait, [&] { replicator.start(); }});
}

TEST_CASE("synced() stays fulfilled after a stop, and outlives its Replicator", "[api]") {
  test::Database database;
  make_items(database);
  std::shared_future<void> synced;
  {
    test::Replicator replicator(database.options());
    static_cast<void>(replicator.add_replica<Item, 1>("items"));
    synced = replicator.synced();
    test::start_and_sync(replicator);
  }
  CHECK_NOTHROW(synced.get());
}

TEST_CASE("synced() of a Replicator that is never started fails with StoppedError", "[api]") {
  test::Database database;
  std::shared_future<void> synced;
  {
    test::Replicator replicator(database.options());
    static_cast<void>(replicator.add_replica<Item, 1>("items"));
    synced = replicator.synced();
  }
  CHECK_THROWS_AS(synced.get(), StoppedError);
}

TEST_CASE("who waits when the Replicator is stopped gets StoppedError", "[api]") {
  test::Database database;
  make_items(database);
  test::Replicator replicator(database.options());
  static_cast<void>(replicator.add_replica<Item, 1>("items"));
  test::start_and_sync(replicator);
  replicator.prove();
  const Lsn never{std::uint64_t{1} << 60U};
  std::promise<void> waiting;
  std::atomic<bool> stopped_error{false};
  test::run_together({[&] {
                        waiting.set_value();
                        try {
                          static_cast<void>(replicator.wait_for(never, test::patience));
                        } catch (const StoppedError&) {
                          stopped_error = true;
                        }
                      },
                      [&] {
                        waiting.get_future().wait();
                        replicator.stop();
                      }});
  CHECK(stopped_error);
  CHECK_THROWS_AS(replicator.wait_for(never, std::chrono::milliseconds{1}), StoppedError);
}

TEST_CASE("wait_for() gives up when the timeout comes first", "[api]") {
  test::Database database;
  make_items(database);
  test::Replicator replicator(database.options());
  static_cast<void>(replicator.add_replica<Item, 1>("items"));
  test::start_and_sync(replicator);
  const Lsn never{std::uint64_t{1} << 60U};
  CHECK_FALSE(replicator.wait_for(never, std::chrono::milliseconds{10}));
  CHECK_FALSE(replicator.wait_for(never, std::chrono::milliseconds{0}));
  CHECK_FALSE(replicator.wait_for(never, std::chrono::milliseconds{-5}));
}

TEST_CASE("wait_for() takes the longest timeout that there is", "[api]") {
  test::Database database;
  make_items(database);
  test::Replicator replicator(database.options());
  const auto items = replicator.add_replica<Item, 1>("items");
  test::start_and_sync(replicator);
  database.exec("INSERT INTO items VALUES (3, 'c')");
  CHECK(replicator.wait_for(database.position(), std::chrono::milliseconds::max()));
  CHECK(items.size() == 3);
}

TEST_CASE("durations beyond all measure are the longest or the shortest that can be", "[api]") {
  test::Database database;
  make_items(database);
  for (const auto extreme : {std::chrono::milliseconds::max(), std::chrono::milliseconds{1}}) {
    test::EventLog log;
    btreemapped::Options options = database.options();
    options.on_event = log.hook();
    options.longest_backoff = options.catalog_watch_interval = extreme;
    options.slot_timeout = options.lock_timeout = std::max(extreme, std::chrono::milliseconds{10'000});
    options.shortest_backoff = std::chrono::milliseconds{1};
    test::Replicator replicator(options);
    const auto items = replicator.add_replica<Item, 1>("items");
    test::start_and_sync(replicator);
    database.end_sessions("backend_type = 'walsender'");
    static_cast<void>(log.wait_for(EventKind::synced, 2));
    CHECK(items.size() == 2);
  }
}

TEST_CASE("wait_for() before the start waits for the start", "[api]") {
  test::Database database;
  make_items(database);
  test::Replicator replicator(database.options());
  const auto items = replicator.add_replica<Item, 1>("items");
  const Lsn here = database.position();
  CHECK_FALSE(replicator.wait_for(here, std::chrono::milliseconds{1}));
  std::atomic<bool> reached{false};
  test::run_together(
      {[&] { reached = replicator.wait_for(here, test::patience).reached; }, [&] { replicator.start(); }});
  CHECK(reached);
  CHECK(items.size() == 2);
}

TEST_CASE("run() follows on the caller's thread until its stop token", "[api]") {
  test::Database database;
  make_items(database);
  test::Replicator replicator(database.options());
  const auto items = replicator.add_replica<Item, 1>("items");
  std::stop_source stop;
  test::run_together({[&] { replicator.run(stop.get_token()); },
                      [&] {
                        test::wait_until_synced(replicator);
                        database.exec("INSERT INTO items VALUES (3, 'c')");
                        database.catch_up(replicator);
                        replicator.prove();
                        stop.request_stop();
                      }});
  CHECK(items.size() == 3);
  CHECK(replicator.status().state == ReplicatorState::stopped);
}

TEST_CASE("run() returns at once when its token was stopped before", "[api]") {
  test::Database database;
  make_items(database);
  test::Replicator replicator(database.options());
  static_cast<void>(replicator.add_replica<Item, 1>("items"));
  std::stop_source stop;
  stop.request_stop();
  CHECK_NOTHROW(replicator.run(stop.get_token()));
  CHECK_THROWS_AS(replicator.synced().get(), StoppedError);
}

TEST_CASE("run() returns when stop() is called by another thread, or by a hook", "[api]") {
  test::Database database;
  make_items(database);
  for (const bool by_hook : {false, true}) {
    btreemapped::Options options = database.options();
    btreemapped::Replicator* running = nullptr;
    options.on_event = [&](const btreemapped::Event& event) {
      if (by_hook && event.kind == EventKind::synced) running->stop();
    };
    test::Replicator replicator(options);
    replicator.ends_unproved("it is stopped as soon as it has synced");
    running = &replicator;
    static_cast<void>(replicator.add_replica<Item, 1>("items"));
    test::run_together({[&] { replicator.run(); },
                        [&] {
                          test::wait_until_synced(replicator);
                          if (!by_hook) replicator.stop();
                        }});
    CHECK(replicator.status().state == ReplicatorState::stopped);
  }
}

TEST_CASE("run() throws what made it end", "[api]") {
  test::Database database;
  test::Replicator replicator(database.options());
  static_cast<void>(replicator.add_replica<Item, 1>("items"));
  CHECK_THROWS_AS(replicator.run(), btreemapped::SchemaError);
  CHECK_THROWS_AS(replicator.synced().get(), btreemapped::SchemaError);
  CHECK_THROWS_AS(replicator.run(), UsageError);
}

TEST_CASE("after an error that ends it status() and the last event tell why", "[api]") {
  test::Database database;
  test::EventLog log;
  btreemapped::Options options = database.options();
  options.on_event = log.hook();
  test::Replicator replicator(options);
  const auto items = replicator.add_replica<Item, 1>("items");
  replicator.start();
  CHECK_THROWS_AS(test::wait_until_synced(replicator), btreemapped::SchemaError);
  CHECK_THAT(log.wait_for(EventKind::stopped).message, ContainsSubstring("items"));
  CHECK(replicator.status().state == ReplicatorState::stopped);
  CHECK_THAT(replicator.status().last_error, ContainsSubstring("items"));
  CHECK(items.state() == btreemapped::TableState::failed);
  CHECK_THROWS_AS(items.size(), btreemapped::NotReadyError);
  CHECK_NOTHROW(replicator.stop());
}

TEST_CASE("several Replicators live in one process, with the same table and with others", "[api]") {
  test::Database database;
  make_items(database);
  test::Database second_database;
  make_items(second_database);
  test::Replicator first(database.options());
  test::Replicator second(database.options());
  test::Replicator third(second_database.options());
  const auto items1 = first.add_replica<Item, 1>("items");
  const auto items2 = second.add_replica<Item, 1>("items");
  const auto items3 = third.add_replica<Item, 1>("items");
  for (btreemapped::Replicator* each : {&first, &second, &third}) each->start();
  for (btreemapped::Replicator* each : {&first, &second, &third}) test::wait_until_synced(*each);
  database.exec("INSERT INTO items VALUES (3, 'c')");
  second_database.exec("DELETE FROM items");
  database.catch_up(first);
  database.catch_up(second);
  second_database.catch_up(third);
  CHECK(items1.size() == 3);
  CHECK(items2.size() == 3);
  CHECK(items3.empty());
  first.prove();
  first.stop();
  database.exec("INSERT INTO items VALUES (4, 'd')");
  database.catch_up(second);
  CHECK(items1.size() == 3);
  CHECK(items2.size() == 4);
}

TEST_CASE("the same table may be added twice", "[api]") {
  test::Database database;
  make_items(database);
  test::Replicator replicator(database.options());
  const auto first = replicator.add_replica<Item, 1>("items");
  const auto second = replicator.add_replica<Item, 1>("public.items");
  test::start_and_sync(replicator);
  database.exec("UPDATE items SET name = 'z' WHERE id = 1");
  database.catch_up(replicator);
  CHECK(first.to_vector() == second.to_vector());
  CHECK(second.get(1)->name == "z");
}

TEST_CASE("events come in order: connected, copying, synced, stopped", "[api]") {
  test::Database database;
  make_items(database);
  test::EventLog log;
  btreemapped::Options options = database.options();
  options.on_event = log.hook();
  {
    test::Replicator replicator(options);
    static_cast<void>(replicator.add_replica<Item, 1>("items"));
    test::start_and_sync(replicator);
    replicator.prove();
    replicator.stop();
  }
  std::vector<EventKind> kinds;
  for (const btreemapped::Event& event : log.all()) kinds.push_back(event.kind);
  CHECK(kinds ==
        std::vector<EventKind>{EventKind::connected, EventKind::copying, EventKind::synced, EventKind::stopped});
  CHECK(log.all().at(1).table == "public.items");
  CHECK(log.all().at(1).rows == 2);
}

TEST_CASE("status() counts what happens", "[api]") {
  test::Database database;
  make_items(database);
  test::Replicator replicator(database.options());
  const auto items = replicator.add_replica<Item, 1>("items");
  CHECK(replicator.status().state == ReplicatorState::idle);
  CHECK(replicator.status().tables.at(0).state == btreemapped::TableState::pending);
  test::start_and_sync(replicator);
  database.exec("INSERT INTO items VALUES (3, 'c')");
  database.exec("INSERT INTO items VALUES (4, 'd')");
  database.catch_up(replicator);
  const btreemapped::Status status = replicator.status();
  CHECK(status.state == ReplicatorState::streaming);
  CHECK(status.commits == 3);
  CHECK(items.sequence() == 3);
  CHECK(status.applied == items.lsn());
  CHECK(status.received >= status.applied);
  CHECK(status.applied >= status.acknowledged);
  CHECK(status.reconnects == 0);
  CHECK(status.last_error.empty());
  REQUIRE(status.tables.size() == 1);
  CHECK(status.tables[0].table == "public.items");
  CHECK(status.tables[0].state == btreemapped::TableState::live);
  CHECK(status.tables[0].rows == 4);
  CHECK(status.tables[0].copied_rows == 2);
}

TEST_CASE("a Replicator may be destroyed by its own hook", "[api][G8]") {
  test::Database database;
  make_items(database);
  std::unique_ptr<test::Replicator> replicator;
  std::promise<void> destroyed;
  btreemapped::Options options = database.options();
  options.on_event = [&](const btreemapped::Event& event) {
    if (event.kind != EventKind::synced) return;
    replicator.reset();
    destroyed.set_value();
  };
  replicator = std::make_unique<test::Replicator>(options);
  const auto items = replicator->add_replica<Item, 1>("items");
  replicator->start();
  const std::future_status status = destroyed.get_future().wait_for(test::patience);
  REQUIRE(status == std::future_status::ready);
  CHECK(items.size() == 2);
  CHECK(test::eventually([&] { return items.state() == btreemapped::TableState::stale; }));
}

TEST_CASE("a Replicator may be destroyed by its own hook while another thread runs it", "[api][G8]") {
  test::Database database;
  make_items(database);
  std::unique_ptr<test::Replicator> replicator;
  btreemapped::Options options = database.options();
  options.on_event = [&](const btreemapped::Event& event) {
    if (event.kind == EventKind::synced) replicator.reset();
  };
  replicator = std::make_unique<test::Replicator>(options);
  const auto items = replicator->add_replica<Item, 1>("items");
  replicator->run();
  CHECK(replicator == nullptr);
  CHECK(items.size() == 2);
  CHECK(items.state() == btreemapped::TableState::stale);
}

TEST_CASE("run() inside a read throws UsageError", "[api][G8]") {
  test::Database database;
  make_items(database);
  btreemapped::Options options = database.options();
  options.empty_until_synced = true;
  test::Replicator replicator(options);
  const auto items = replicator.add_replica<Item, 1>("items");
  {
    const auto guard = items.read();
    CHECK_THROWS_AS(replicator.run(), UsageError);
  }
  test::start_and_sync(replicator);
  CHECK(items.size() == 2);
}

TEST_CASE("a hook may wait for a position, and is let go when the Replicator stops", "[api][G8]") {
  test::Database database;
  make_items(database);
  std::promise<btreemapped::Replicator*> made;
  std::promise<void> waits;
  btreemapped::Options options = database.options();
  options.on_event = [&, replicator = made.get_future().share()](const btreemapped::Event& event) {
    if (event.kind != EventKind::synced) return;
    waits.set_value();
    static_cast<void>(replicator.get()->wait_for(Lsn{0xFFFF'FFFF'FFFF'0000}, std::chrono::hours{1}));
  };
  test::Replicator replicator(options);
  made.set_value(&replicator);
  static_cast<void>(replicator.add_replica<Item, 1>("items"));
  test::start_and_sync(replicator);
  waits.get_future().wait();
  replicator.prove();
  replicator.stop();
  CHECK(replicator.status().hook_errors == 1);
}

TEST_CASE("a connection string that asks for replication itself is followed all the same", "[api]") {
  test::Database database;
  make_items(database);
  btreemapped::Options options = database.options();
  options.connection = test::with_parts(database.reader_dsn(), {{"replication", "database"}});
  test::Replicator replicator(options);
  const auto items = replicator.add_replica<Item, 1>("items");
  test::start_and_sync(replicator);
  CHECK(database.value("SELECT count(*) FROM pg_stat_activity WHERE datname = current_database() AND backend_type = "
                       "'walsender'") == "1");
  CHECK(items.size() == 2);
}

TEST_CASE("a connection string may be a URI", "[api]") {
  test::Database database;
  make_items(database);
  const auto parts = test::parse_conninfo(database.reader_dsn());
  const auto part = [&](const std::string& keyword) {
    return parts.contains(keyword) ? parts.at(keyword) : std::string{};
  };
  std::string host;
  for (const char each : part("host")) host += each == '/' ? std::string{"%2F"} : std::string(1, each);
  btreemapped::Options options = database.options();
  options.connection = "postgresql://" + part("user") + "@" + host + ":" + part("port") + "/" + database.name() +
                       "?application_name=by%20URI&options=-c%20work_mem%3D1MB";
  test::Replicator replicator(options);
  const auto items = replicator.add_replica<Item, 1>("items");
  test::start_and_sync(replicator);
  CHECK(items.size() == 2);
  CHECK(database.value("SELECT application_name FROM pg_stat_replication JOIN pg_replication_slots ON active_pid = pid"
                       " WHERE database = current_database()") == "by URI");
}

TEST_CASE("of several hosts the first that answers is taken, and kept for all connections", "[api]") {
  test::Database database;
  make_items(database);
  test::Proxy dead(database.reader_dsn());
  dead.cut();
  const auto parts = test::parse_conninfo(database.reader_dsn());
  const auto dead_parts = test::parse_conninfo(dead.dsn());
  btreemapped::Options options = database.options();
  options.connection =
      test::with_parts(database.reader_dsn(), {{"host", dead_parts.at("host") + "," + parts.at("host")},
                                               {"port", dead_parts.at("port") + "," + parts.at("port")}});
  test::Replicator replicator(options);
  const auto items = replicator.add_replica<Item, 1>("items");
  test::start_and_sync(replicator);
  CHECK(items.size() == 2);
}

TEST_CASE("no message holds the password", "[api]") {
  test::Database database;
  make_items(database);
  const std::string password = "s3cret-w0rd";
  const test::Listener closed_listener;
  const auto messages_of = [&](std::string btreemapped::Options::* option, const std::string& connection) {
    test::EventLog log;
    btreemapped::Options options = database.options();
    options.*option = connection;
    options.on_event = log.hook();
    std::string all;
    try {
      test::Replicator replicator(options);
      replicator.ends_unproved("it is stopped as soon as it has said something");
      static_cast<void>(replicator.add_replica<Item, 1>("items"));
      replicator.start();
      const std::shared_future<void> synced = replicator.synced();
      REQUIRE(test::eventually([&] {
        return log.count(EventKind::retrying) + log.count(EventKind::stopped) > 0 ||
               synced.wait_for(std::chrono::seconds{0}) == std::future_status::ready;
      }));
      all += replicator.status().last_error;
      replicator.stop();
      synced.get();
    } catch (const std::exception& error) {
      all += error.what();
    }
    for (const btreemapped::Event& event : log.all()) all += event.message;
    try {
      for (const btreemapped::Finding& each : btreemapped::doctor(options).findings) all += to_string(each);
    } catch (const UsageError& error) {
      all += error.what();
    }
    return all;
  };
  const std::string port = test::parse_conninfo(database.reader_dsn()).at("port");
  for (const std::string& connection :
       {test::with_parts(database.reader_dsn(), {{"password", password}, {"user", "nobody knows"}}),
        test::with_parts(database.reader_dsn(), {{"password", password}, {"dbname", "no_such_database"}}),
        test::with_parts(database.reader_dsn(), {{"password", password}, {"port", "1"}}),
        "password=" + password + " host=127.0.0.1 oops", "password='" + password, "nonsense=1 password=" + password,
        "postgresql://user:" + password + "@127.0.0.1:notaport/db",
        "postgresql://user:" + password + "@127.0.0.1:" + port + "/db?nonsense=1"}) {
    for (const auto option : {&btreemapped::Options::connection, &btreemapped::Options::primary_connection}) {
      const std::string messages = messages_of(option, connection);
      CHECK_FALSE(messages.empty());
      CHECK_THAT(messages, !ContainsSubstring(password));
    }
  }
}

TEST_CASE("a connection string that is none is refused at once", "[api]") {
  test::Database database;
  btreemapped::Options options = database.options();
  options.connection = "host=127.0.0.1 nonsense";
  test::Replicator replicator(options);
  static_cast<void>(replicator.add_replica<Item, 1>("items"));
  const auto start_and_wait = [&] { test::start_and_sync(replicator); };
  CHECK_THROWS_AS(start_and_wait(), UsageError);
}

TEST_CASE("create_publication creates it for just the added tables", "[api]") {
  test::Database database;
  database.exec(
      "CREATE TABLE items (id int PRIMARY KEY, name text NOT NULL); CREATE TABLE more (id int PRIMARY KEY, name text "
      "NOT NULL);"
      "CREATE TABLE others (id int PRIMARY KEY, name text NOT NULL); INSERT INTO items VALUES (1, 'a')");
  btreemapped::Options options = database.options();
  options.connection = database.dsn();  // of the owner
  options.publication = "Just These";
  options.create_publication = true;
  {
    test::Replicator replicator(options);
    const auto items = replicator.add_replica<Item, 1>("items");
    const auto more = replicator.add_replica<Item, 1>("more");
    static_cast<void>(replicator.add_replica<Item, 1>("items"));
    test::start_and_sync(replicator);
    database.exec("INSERT INTO more VALUES (7, 'g'); UPDATE items SET name = 'b'");
    database.catch_up(replicator);
    CHECK(items.to_vector() == std::vector<Item>{{1, "b"}});
    CHECK(more.to_vector() == std::vector<Item>{{7, "g"}});
  }
  CHECK(database.value("SELECT string_agg(tablename, ',' ORDER BY tablename) FROM pg_publication_tables WHERE pubname "
                       "= 'Just These'") == "items,more");

  // The second time it is there.
  test::Replicator again(options);
  const auto items = again.add_replica<Item, 1>("items");
  test::start_and_sync(again);
  CHECK(items.size() == 1);
}

TEST_CASE("create_publication leaves a publication that is there as it is", "[api]") {
  test::Database database;
  make_items(database);
  database.exec("CREATE TABLE others (id int PRIMARY KEY, name text NOT NULL)");
  btreemapped::Options options = database.options();
  options.create_publication = true;
  test::Replicator replicator(options);
  static_cast<void>(replicator.add_replica<Item, 1>("items"));
  static_cast<void>(replicator.add_replica<Item, 1>("others"));
  CHECK_THROWS_AS(test::start_and_sync(replicator), btreemapped::SchemaError);
  CHECK(database.value("SELECT string_agg(tablename, ',') FROM pg_publication_tables WHERE pubname = 'pub'") ==
        "items");
}

TEST_CASE("create_publication works for a role whose transactions are read-only by default", "[api]") {
  test::Database database;
  database.exec("CREATE TABLE items (id int PRIMARY KEY, name text NOT NULL); ALTER DATABASE " + database.name() +
                " SET default_transaction_read_only = on");
  btreemapped::Options options = database.options();
  options.connection = database.dsn();  // of the owner
  options.create_publication = true;
  test::Replicator replicator(options);
  const auto items = replicator.add_replica<Item, 1>("items");
  test::start_and_sync(replicator);
  CHECK(items.empty());
}

TEST_CASE("a role that may only replicate and read is enough", "[api]") {
  test::Database database;
  make_items(database);
  const std::string role = database.add_role();
  database.exec("GRANT SELECT (id, name) ON items TO " + role);
  btreemapped::Options options = database.options();
  options.connection = test::with_parts(database.dsn(), {{"user", role}});
  test::Replicator replicator(options);
  const auto items = replicator.add_replica<Item, 1>("items");
  test::start_and_sync(replicator);
  database.exec("INSERT INTO items VALUES (3, 'c')");
  database.catch_up(replicator);
  CHECK(items.size() == 3);
}

}  // namespace life_cycle_test
