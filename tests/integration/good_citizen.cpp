// G7: our position keeps up, nothing is left behind, and stop() is prompt wherever the Replicator is blocked.

#include <atomic>
#include <chrono>
#include <csignal>
#include <cstddef>
#include <cstdint>
#include <future>
#include <memory>
#include <optional>
#include <string>
#include <thread>
#include <vector>

#include <catch2/catch_test_macros.hpp>
#include <catch2/matchers/catch_matchers.hpp>
#include <catch2/matchers/catch_matchers_string.hpp>

#include <btreemapped.hpp>

#include "support/child_process.hpp"
#include "support/conninfo.hpp"
#include "support/database.hpp"
#include "support/event_log.hpp"
#include "support/eventually.hpp"
#include "support/process.hpp"
#include "support/proxy.hpp"
#include "support/replicator.hpp"
#include "support/sql.hpp"
#include "support/threads.hpp"

namespace good_citizen_test {

using btreemapped::EventKind;
using btreemapped::Lsn;
using btreemapped::ReplicatorState;
using Catch::Matchers::ContainsSubstring;

struct Item {
  std::int32_t id;
  std::string name;

  friend bool operator==(const Item&, const Item&) = default;
};

/// Little beside what stop() breaks off, most of which would never end.
constexpr std::chrono::milliseconds prompt{test::sanitized ? 3'000 : 1'000};

std::chrono::milliseconds time_to_stop(btreemapped::Replicator& replicator) {
  const auto start = std::chrono::steady_clock::now();
  replicator.stop();
  return std::chrono::duration_cast<std::chrono::milliseconds>(std::chrono::steady_clock::now() - start);
}

void make_items(test::Database& database, int rows = 10) {
  database.exec(
      "CREATE TABLE items (id int PRIMARY KEY, name text NOT NULL); INSERT INTO items SELECT id, 'n' || id FROM "
      "generate_series(1, " +
      std::to_string(rows) + ") id; CREATE PUBLICATION pub FOR TABLE items");
}

Lsn confirmed(test::Database& database) {
  const std::vector<test::SqlRow> rows =
      database.rows("SELECT confirmed_flush_lsn FROM pg_replication_slots WHERE database = current_database()");
  return rows.empty() || !rows[0][0] ? Lsn{} : Lsn::parse(*rows[0][0]).value_or(Lsn{});
}

bool nothing_left(test::Database& database) {
  return database.value(
             "SELECT (SELECT count(*) FROM pg_replication_slots WHERE database = current_database()) +"
             " (SELECT count(*) FROM pg_stat_activity WHERE datname = current_database() AND pid <> "
             "pg_backend_pid())") == "0";
}

TEST_CASE("the confirmed position follows while only an unpublished table is written", "[G7]") {
  test::Database database;
  make_items(database);
  database.exec("CREATE TABLE busy (id int)");
  test::Replicator replicator(database.options());
  static_cast<void>(replicator.add_replica<Item, 1>("items"));
  test::start_and_sync(replicator);
  for (int round = 0; round < 3; ++round) {
    database.exec("INSERT INTO busy SELECT generate_series(1, 10000)");
    const Lsn written = database.position();
    REQUIRE(test::eventually([&] { return confirmed(database) >= written; }));
    CHECK(test::eventually([&] { return replicator.status().acknowledged >= written; }));
  }
}

TEST_CASE("the confirmed position follows while only another database is written", "[G7]") {
  test::Database database;
  make_items(database);
  test::Database busy;
  busy.exec("CREATE TABLE busy (id int)");
  test::Replicator replicator(database.options());
  static_cast<void>(replicator.add_replica<Item, 1>("items"));
  test::start_and_sync(replicator);
  busy.exec("INSERT INTO busy SELECT generate_series(1, 10000)");
  const Lsn written = busy.position();
  REQUIRE(test::eventually([&] { return confirmed(database) >= written; }));
}

TEST_CASE("a position is never confirmed before it is applied", "[G7][G3]") {
  test::Database database;
  make_items(database);
  test::Replicator replicator(database.options());
  const auto items = replicator.add_replica<Item, 1>("items");
  test::start_and_sync(replicator);
  Lsn end;
  {
    const auto guard = items.read();
    database.exec("UPDATE items SET name = 'x'");
    REQUIRE(test::eventually([&] { return test::commit_waits(replicator); }));
    end = replicator.status().received;
    CHECK(confirmed(database) < end);
    CHECK(replicator.status().applied < end);
  }
  database.catch_up(replicator);
  REQUIRE(test::eventually([&] { return confirmed(database) >= end; }));
}

TEST_CASE("the slot is temporary, and gone after stop() with all sessions", "[G7]") {
  test::Database database;
  make_items(database);
  test::Replicator replicator(database.options());
  static_cast<void>(replicator.add_replica<Item, 1>("items"));
  test::start_and_sync(replicator);
  CHECK(database.value("SELECT temporary AND active AND plugin = 'pgoutput' FROM pg_replication_slots WHERE database = "
                       "current_database()") == "t");
  CHECK_FALSE(nothing_left(database));
  replicator.prove();
  replicator.stop();
  CHECK(test::eventually([&] { return nothing_left(database); }));
}

TEST_CASE("a process that is killed leaves no slot and no session", "[G7]") {
  test::Database database;
  make_items(database);
  test::ChildProcess child(BTREEMAPPED_FOLLOWER, database.reader_dsn());
  REQUIRE(test::eventually([&] {
    return database.value(
               "SELECT count(*) FROM pg_stat_replication JOIN pg_replication_slots ON active_pid = pid WHERE state = "
               "'streaming'"
               " AND database = current_database()") == "1";
  }));
  child.end(SIGKILL);
  CHECK(test::eventually([&] { return nothing_left(database); }));
}

TEST_CASE("stop() is prompt while a server that never answers is connected to", "[G7]") {
  test::Database database;
  const test::Listener silent;
  btreemapped::Options options = database.options();
  options.connection = silent.instead_of(database.reader_dsn());
  test::Replicator replicator(options);
  static_cast<void>(replicator.add_replica<Item, 1>("items"));
  replicator.start();
  REQUIRE(test::eventually([&] { return replicator.status().state == ReplicatorState::connecting; }));
  CHECK(time_to_stop(replicator) < prompt);
  CHECK_THROWS_AS(replicator.synced().get(), btreemapped::StoppedError);
}

TEST_CASE("stop() is prompt while the second connection gets no answer", "[G7]") {
  test::Database database;
  make_items(database);
  test::Proxy proxy(database.reader_dsn());
  btreemapped::Options options = database.options();
  options.connection = test::with_parts(proxy.dsn(), {{"application_name", "stopped early"}});
  test::Replicator replicator(options);
  static_cast<void>(replicator.add_replica<Item, 1>("items"));
  proxy.hold("stopped early", 2);  // in what a session begins with
  replicator.start();
  proxy.wait_until_held();
  CHECK(time_to_stop(replicator) < prompt);
}

TEST_CASE("stop() is prompt while the preflight gets no answer", "[G7]") {
  test::Database database;
  make_items(database);
  test::Proxy proxy(database.reader_dsn());
  btreemapped::Options options = database.options();
  options.connection = proxy.dsn();
  test::Replicator replicator(options);
  static_cast<void>(replicator.add_replica<Item, 1>("items"));
  proxy.hold("pg_publication");
  replicator.start();
  proxy.wait_until_held();
  CHECK(replicator.status().state == ReplicatorState::preflight);
  CHECK(time_to_stop(replicator) < prompt);
}

TEST_CASE("creating the slot names whom it waits for, and stop() is prompt meanwhile", "[G7]") {
  test::Database database;
  make_items(database);
  database.exec("BEGIN; DELETE FROM items");
  const std::string pid = database.value("SELECT pg_backend_pid()");
  test::EventLog log;
  btreemapped::Options options = database.options();
  options.on_event = log.hook();
  test::Replicator replicator(options);
  static_cast<void>(replicator.add_replica<Item, 1>("items"));
  replicator.start();
  CHECK_THAT(log.wait_for(EventKind::slot_waiting).message, ContainsSubstring(pid));
  CHECK(replicator.status().state == ReplicatorState::creating_slot);
  CHECK(time_to_stop(replicator) < prompt);
  test::Sql observer(database.dsn());
  CHECK(test::eventually([&] {
    return observer.value("SELECT count(*) FROM pg_replication_slots WHERE database = current_database()") == "0";
  }));
}

TEST_CASE("creating the slot is given up after its timeout, and tried again", "[G7]") {
  test::Database database;
  make_items(database);
  database.exec("BEGIN; DELETE FROM items WHERE id = 1");
  test::EventLog log;
  btreemapped::Options options = database.options();
  options.on_event = log.hook();
  options.slot_timeout = std::chrono::milliseconds{500};
  test::Replicator replicator(options);
  const auto items = replicator.add_replica<Item, 1>("items");
  replicator.start();
  // Each attempt asks for the blocker once, half-way, and may be too busy to hear the answer in time.
  const std::string pid = "backend " + database.value("SELECT pg_backend_pid()");
  for (std::size_t nth = 1; log.wait_for(EventKind::retrying, nth).message.find(pid) == std::string::npos; ++nth)
    REQUIRE(nth < 100);
  CHECK_THAT(log.wait_for(EventKind::retrying).message, ContainsSubstring("55P03"));
  database.exec("COMMIT");
  test::wait_until_synced(replicator);
  CHECK(items.size() == 9);
}

TEST_CASE("a role that may not know whom the slot waits for waits all the same", "[G7]") {
  test::Database database;
  make_items(database);
  const std::string role = database.add_role();
  database.exec("GRANT SELECT ON items TO " + role + "; REVOKE SELECT ON pg_catalog.pg_prepared_xacts FROM public");
  database.exec("BEGIN; DELETE FROM items WHERE id = 1");
  test::EventLog log;
  btreemapped::Options options = database.options();
  options.connection = test::with_parts(database.dsn(), {{"user", role}});
  options.on_event = log.hook();
  test::Replicator replicator(options);
  const auto items = replicator.add_replica<Item, 1>("items");
  replicator.start();
  test::Sql observer(database.dsn());
  // It has asked, and has got its answer.
  REQUIRE(test::eventually([&] {
    return replicator.status().state == ReplicatorState::stopped ||
           observer.value("SELECT count(*) FROM pg_stat_activity WHERE usename = '" + role +
                          "' AND state = 'idle' AND query LIKE '%ROLLBACK%'") == "1";
  }));
  database.exec("COMMIT");
  test::wait_until_synced(replicator);
  CHECK(items.size() == 9);
  CHECK(log.count(EventKind::retrying) == 0);
}

TEST_CASE("stop() is prompt while the copy waits for a lock", "[G7]") {
  test::Database database;
  make_items(database);
  test::Proxy proxy(database.reader_dsn());
  btreemapped::Options options = database.options();
  options.connection = proxy.dsn();
  test::Replicator replicator(options);
  static_cast<void>(replicator.add_replica<Item, 1>("items"));
  proxy.hold("SET TRANSACTION SNAPSHOT");
  replicator.start();
  proxy.wait_until_held();
  database.exec("BEGIN; LOCK TABLE items IN ACCESS EXCLUSIVE MODE");
  proxy.release();
  test::Sql observer(database.dsn());
  REQUIRE(test::eventually([&] {
    return observer.value("SELECT count(*) FROM pg_locks WHERE NOT granted AND relation = 'items'::regclass") == "1";
  }));
  CHECK(time_to_stop(replicator) < prompt);
}

TEST_CASE("the copy gives a lock up after its timeout, and is tried again", "[G7]") {
  test::Database database;
  make_items(database);
  test::Proxy proxy(database.reader_dsn());
  test::EventLog log;
  btreemapped::Options options = database.options();
  options.connection = proxy.dsn();
  options.on_event = log.hook();
  options.lock_timeout = std::chrono::milliseconds{50};
  test::Replicator replicator(options);
  const auto items = replicator.add_replica<Item, 1>("items");
  proxy.hold("SET TRANSACTION SNAPSHOT");
  replicator.start();
  proxy.wait_until_held();
  database.exec("BEGIN; LOCK TABLE items IN ACCESS EXCLUSIVE MODE; DELETE FROM items WHERE id = 1");
  proxy.release();
  CHECK_THAT(log.wait_for(EventKind::retrying).message, ContainsSubstring("items"));
  database.exec("COMMIT");
  test::wait_until_synced(replicator);
  CHECK(items.size() == 9);
}

TEST_CASE("stop() is prompt in the middle of a copy", "[G7]") {
  test::Database database;
  make_items(database, 200'000);
  test::Proxy proxy(database.reader_dsn());
  test::EventLog log;
  btreemapped::Options options = database.options();
  options.connection = proxy.dsn();
  options.on_event = log.hook();
  test::Replicator replicator(options);
  const auto items = replicator.add_replica<Item, 1>("items");
  proxy.hold_answer("COPY ", 1'000'000);
  replicator.start();
  proxy.wait_until_held();
  const btreemapped::Event copying = log.wait_for(EventKind::copying);
  CHECK(copying.rows > 0);
  CHECK(copying.rows < 200'000);
  CHECK(copying.table == "public.items");
  CHECK(time_to_stop(replicator) < prompt);
  CHECK_THROWS_AS(items.size(), btreemapped::NotReadyError);
}

TEST_CASE("stop() is prompt while nothing happens in the stream", "[G7]") {
  test::Database database;
  make_items(database);
  test::Replicator replicator(database.options());
  const auto items = replicator.add_replica<Item, 1>("items");
  test::start_and_sync(replicator);
  replicator.prove();
  CHECK(time_to_stop(replicator) < prompt);
  CHECK(items.size() == 10);
  CHECK_NOTHROW(replicator.synced().get());
}

TEST_CASE("stop() is prompt while the network swallows everything", "[G7]") {
  test::Database database;
  make_items(database);
  test::Proxy proxy(database.reader_dsn());
  btreemapped::Options options = database.options();
  options.connection = proxy.dsn();
  test::Replicator replicator(options);
  static_cast<void>(replicator.add_replica<Item, 1>("items"));
  test::start_and_sync(replicator);
  replicator.prove();
  proxy.freeze();
  CHECK(time_to_stop(replicator) < prompt);
}

TEST_CASE("stop() is prompt in the middle of a large transaction", "[G7]") {
  test::Database database;
  make_items(database);
  test::Replicator replicator(database.options());
  const auto items = replicator.add_replica<Item, 1>("items");
  test::start_and_sync(replicator);
  const std::string bytes = "SELECT sent_lsn > '" + to_string(database.position()) +
                            "' FROM pg_stat_replication JOIN pg_replication_slots"
                            " ON active_pid = pid WHERE database = current_database()";
  database.exec("INSERT INTO items SELECT id, repeat('x', 100) FROM generate_series(100, 300000) id");
  REQUIRE(test::eventually([&] { return database.value(bytes) == "t"; }));
  replicator.ends_unproved("it is stopped before the last commit");
  CHECK(time_to_stop(replicator) < prompt);
  const std::size_t rows = items.size();
  CHECK((rows == 10 || rows == 10 + 299'901));
}

TEST_CASE("stop() is prompt between two attempts", "[G7]") {
  test::Database database;
  make_items(database);
  test::Proxy proxy(database.reader_dsn());
  proxy.cut();
  test::EventLog log;
  btreemapped::Options options = database.options();
  options.connection = proxy.dsn();
  options.on_event = log.hook();
  options.shortest_backoff = options.longest_backoff = std::chrono::hours{1};
  test::Replicator replicator(options);
  static_cast<void>(replicator.add_replica<Item, 1>("items"));
  replicator.start();
  static_cast<void>(log.wait_for(EventKind::retrying));
  REQUIRE(test::eventually([&] { return replicator.status().state == ReplicatorState::backing_off; }));
  CHECK(time_to_stop(replicator) < prompt);
}

TEST_CASE("stop() is prompt inside a read that the applier waits for", "[G7][G8]") {
  test::Database database;
  make_items(database);
  test::Replicator replicator(database.options());
  const auto items = replicator.add_replica<Item, 1>("items");
  test::start_and_sync(replicator);
  replicator.ends_unproved("it is stopped before the last commit");
  std::chrono::milliseconds took{};
  items.get_with(1, [&](const Item& item) {
    database.exec("UPDATE items SET name = 'x'");
    REQUIRE(test::eventually([&] { return test::commit_waits(replicator); }));
    took = time_to_stop(replicator);
    CHECK(item.name == "n1");
  });
  CHECK(took < prompt);
  CHECK(items.get(1)->name == "n1");
}

/// Follows the table items, and has lost its connection while the table changed. Once it is mended the new copy is not
/// what is served.
struct Outdated {
  explicit Outdated(test::Database& database) : proxy(database.reader_dsn()) {
    make_items(database);
    btreemapped::Options options = database.options();
    options.connection = proxy.dsn();
    options.on_event = log.hook();
    replicator.emplace(options);
    items.emplace(replicator->add_replica<Item, 1>("items"));
    test::start_and_sync(*replicator);
    proxy.cut();
    static_cast<void>(log.wait_for(EventKind::stale));
    database.exec("UPDATE items SET name = 'x'");
  }

  test::Proxy proxy;
  test::EventLog log;
  std::optional<test::Replicator> replicator;
  std::optional<btreemapped::Replica<Item, 1>> items;
};

TEST_CASE("stop() is prompt while a new copy waits for a reader", "[G7][G8]") {
  test::Database database;
  Outdated outdated(database);
  const auto guard = outdated.items->read();
  outdated.proxy.mend();
  static_cast<void>(outdated.log.wait_for(EventKind::copying, 2));
  outdated.replicator->ends_unproved("it is stopped before the new copy is shown");
  CHECK(time_to_stop(*outdated.replicator) < prompt);
  CHECK(guard.find(1)->name == "n1");
}

TEST_CASE("a new copy waits for a reader and is then published", "[G5][G8]") {
  test::Database database;
  Outdated outdated(database);
  {
    const auto guard = outdated.items->read();
    outdated.proxy.mend();
    static_cast<void>(outdated.log.wait_for(EventKind::copying, 2));
    CHECK(outdated.items->get(1)->name == "n1");
    CHECK(outdated.log.count(EventKind::synced) == 1);
  }
  static_cast<void>(outdated.log.wait_for(EventKind::synced, 2));
  CHECK(outdated.items->get(1)->name == "x");
}

TEST_CASE("a lost connection is noticed at once while a commit waits for a reader", "[G5][G8]") {
  test::Database database;
  make_items(database);
  // So that no feedback that fails is what tells.
  database.exec(
      "DO $$ BEGIN EXECUTE format('ALTER DATABASE %I SET wal_sender_timeout = 0', current_database()); END $$");
  test::EventLog log;
  btreemapped::Options options = database.options();
  options.on_event = log.hook();
  test::Replicator replicator(options);
  const auto items = replicator.add_replica<Item, 1>("items");
  test::start_and_sync(replicator);
  const auto guard = items.read();
  database.exec("UPDATE items SET name = 'x'");
  REQUIRE(test::eventually([&] { return test::commit_waits(replicator); }));
  const auto begin = std::chrono::steady_clock::now();
  database.end_sessions("backend_type = 'walsender'");
  static_cast<void>(log.wait_for(EventKind::stale));
  CHECK(std::chrono::steady_clock::now() - begin < std::chrono::seconds{5});  // feedback would come to it after 10 s
  CHECK(items.state() == btreemapped::TableState::stale);
}

TEST_CASE("a process that is killed in the middle of a copy leaves no slot and no session", "[G7]") {
  test::Database database;
  make_items(database);
  test::Proxy proxy(database.reader_dsn());
  proxy.hold("COPY ");
  test::ChildProcess child(BTREEMAPPED_FOLLOWER, proxy.dsn());
  proxy.wait_until_held();
  REQUIRE(database.value("SELECT count(*) FROM pg_replication_slots WHERE database = current_database()") == "1");
  child.end(SIGKILL);
  proxy.release();
  CHECK(test::eventually([&] { return nothing_left(database); }));
}

TEST_CASE("commits go on and stop() is prompt while the catalog watch gets no answer", "[G7]") {
  test::Database database;
  make_items(database);
  test::Proxy proxy(database.reader_dsn());
  btreemapped::Options options = database.options();
  options.connection = proxy.dsn();
  options.catalog_watch_interval = std::chrono::milliseconds{10};
  test::Replicator replicator(options);
  const auto items = replicator.add_replica<Item, 1>("items");
  test::start_and_sync(replicator);
  proxy.hold("pg_publication");
  proxy.wait_until_held();
  database.exec("UPDATE items SET name = 'x'");
  database.catch_up(replicator);
  CHECK(items.get(1)->name == "x");
  replicator.ends_unproved("it is stopped while the catalog cannot be read");
  CHECK(time_to_stop(replicator) < prompt);
}

TEST_CASE("stop() is prompt in the middle of a new copy, and reads go on with the old one", "[G7][G5]") {
  test::Database database;
  make_items(database);
  test::Proxy proxy(database.reader_dsn());
  btreemapped::Options options = database.options();
  options.connection = proxy.dsn();
  test::Replicator replicator(options);
  const auto items = replicator.add_replica<Item, 1>("items");
  test::start_and_sync(replicator);
  proxy.hold("COPY ");
  database.end_sessions("backend_type = 'walsender'");
  proxy.wait_until_held();
  database.exec("UPDATE items SET name = 'x'");
  CHECK(items.get(1)->name == "n1");
  replicator.ends_unproved("it is stopped before the new copy is shown");
  CHECK(time_to_stop(replicator) < prompt);
  CHECK(items.get(1)->name == "n1");
  CHECK(items.state() == btreemapped::TableState::stale);
}

TEST_CASE("stop() is prompt while a new copy is sorted, and leaves nothing on the server", "[G7]") {
  test::Database database;
  database.exec(  // in an order that has to be turned round
      "CREATE TABLE items (id int PRIMARY KEY, name text NOT NULL); INSERT INTO items SELECT id, '' FROM "
      "generate_series(1000000, 1, -1) id; CREATE PUBLICATION pub FOR TABLE items");
  test::Replicator replicator(database.options());
  const auto items = replicator.add_replica<Item, 1>("items");
  test::start_and_sync(replicator);
  replicator.prove();
  const std::string copied =
      "SELECT count(*) FROM pg_stat_activity WHERE datname = current_database() AND query LIKE 'COPY %' AND state = "
      "'idle in transaction'";
  REQUIRE(test::eventually([&] { return database.value(copied) == "0"; }));
  database.end_sessions("backend_type = 'walsender'");
  REQUIRE(test::eventually([&] { return database.value(copied) == "1"; }));
  CHECK(time_to_stop(replicator) < prompt);
  CHECK(test::eventually([&] { return nothing_left(database); }, std::chrono::milliseconds{300}));
  CHECK(items.size() == 1'000'000);
}

TEST_CASE("stop() is prompt while the slot of the name that was asked for is taken", "[G7]") {
  test::Database database;
  make_items(database);
  test::Sql other(database.dsn());
  other.exec("SELECT pg_create_logical_replication_slot('" + database.name() + "', 'pgoutput', true)");
  test::EventLog log;
  btreemapped::Options options = database.options();
  options.slot_name = database.name();
  options.on_event = log.hook();
  test::Replicator replicator(options);
  static_cast<void>(replicator.add_replica<Item, 1>("items"));
  replicator.start();
  CHECK_THAT(log.wait_for(EventKind::retrying).message, ContainsSubstring(database.name()));
  CHECK(time_to_stop(replicator) < prompt);
}

}  // namespace good_citizen_test
