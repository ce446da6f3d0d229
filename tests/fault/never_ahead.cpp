// Options::never_ahead: nobody reads here what those who read the primary cannot see yet.

#include <chrono>
#include <cstdint>
#include <future>
#include <string>

#include <catch2/catch_test_macros.hpp>
#include <catch2/matchers/catch_matchers.hpp>
#include <catch2/matchers/catch_matchers_string.hpp>

#include <btreemapped.hpp>

#include "support/database.hpp"
#include "support/event_log.hpp"
#include "support/eventually.hpp"
#include "support/replicator.hpp"
#include "support/server.hpp"
#include "support/sql.hpp"
#include "support/synchronous_commits.hpp"

namespace never_ahead_test {

using Catch::Matchers::ContainsSubstring;
using namespace std::chrono_literals;

struct Item {
  std::int32_t id;
  std::int32_t amount;

  friend bool operator==(const Item&, const Item&) = default;
};

test::Server running_server() {
  test::Server server = test::Server::of_suite();
  server.start();
  return server;
}

void make_items(test::Database& database) {
  database.exec(
      "CREATE TABLE items (id int PRIMARY KEY, amount int NOT NULL); INSERT INTO items VALUES (1, 1);"
      "CREATE PUBLICATION pub FOR TABLE items");
}

TEST_CASE("with never_ahead a commit that waits for a standby is shown when the primary shows it", "[never_ahead]") {
  const test::Server server = running_server();
  test::Database database({}, server.dsn());
  make_items(database);
  btreemapped::Options options = database.options();
  test::Replicator ahead(options);
  const auto items_ahead = ahead.add_replica<Item, 1>("items");
  test::start_and_sync(ahead);
  options.never_ahead = true;
  test::Replicator replicator(options);
  const auto items = replicator.add_replica<Item, 1>("items");
  test::start_and_sync(replicator);

  std::future<void> writer;
  {
    const test::SynchronousCommits waiting(database.dsn(), "nobody");
    writer = std::async(std::launch::async, [&] {
      test::Sql sql(database.dsn());
      sql.exec("UPDATE items SET amount = 2");
    });
    // The stream has it, as the other one shows.
    REQUIRE(test::eventually([&] { return items_ahead.get(1)->amount == 2; }));
    REQUIRE(test::eventually([&] { return test::commit_waits(replicator); }));
    CHECK(items.get(1)->amount == 1);
    CHECK(items.state() == btreemapped::TableState::live);
    CHECK(writer.wait_for(0s) == std::future_status::timeout);
  }
  writer.get();
  CHECK(test::eventually([&] { return items.get(1)->amount == 2; }));
  CHECK(replicator.status().reconnects == 0);
}

TEST_CASE("with never_ahead a copy is shown when the primary shows all that is in it", "[never_ahead]") {
  const test::Server server = running_server();
  test::Database database({}, server.dsn());
  make_items(database);
  btreemapped::Options options = database.options();
  options.never_ahead = true;
  test::Replicator replicator(options);
  const auto items = replicator.add_replica<Item, 1>("items");
  // The slot waits for whoever writes when its creation begins, and once more for who does then. Who commits in between
  // is in its snapshot, whether the writer has been told or not; from 17.12 on its creation waits for that as well.
  const auto begin = [&](test::Sql& sql) {
    sql.exec("SET synchronous_commit = local; BEGIN");
    return sql.value("SELECT pg_current_xact_id()::xid");
  };
  const auto is_waited_for = [&](const std::string& xid) {
    return database.value(
               "SELECT count(*) FROM pg_locks WHERE locktype = 'transactionid' AND NOT granted AND transactionid = '" +
               xid + "'::xid") == "1";
  };
  const auto slot_waits_for = [&](const std::string& xid) {
    return test::eventually([&] { return is_waited_for(xid); });
  };
  test::Sql first(database.dsn());
  test::Sql second(database.dsn());
  const std::string first_xid = begin(first);
  replicator.start();
  REQUIRE(slot_waits_for(first_xid));
  const std::string second_xid = begin(second);
  first.exec("ROLLBACK");
  REQUIRE(slot_waits_for(second_xid));
  std::future<void> writer;
  {
    const test::SynchronousCommits waiting(database.dsn(), "nobody");
    writer = std::async(std::launch::async, [&] {
      test::Sql sql(database.dsn());
      sql.exec("UPDATE items SET amount = 2");
    });
    const auto in_activity = [&](const std::string& condition) {
      return database.rows("SELECT backend_xid FROM pg_stat_activity WHERE datname = current_database() AND " +
                           condition);
    };
    const std::string waits = "wait_event = 'SyncRep'";
    REQUIRE(test::eventually([&] { return !in_activity(waits).empty(); }));
    const std::string writer_xid = in_activity(waits).at(0)[0].value();
    second.exec("ROLLBACK");
    REQUIRE(test::eventually([&] {
      return is_waited_for(writer_xid) ||
             !in_activity("query LIKE '%pg_visible_in_snapshot(xid, copied)%' AND pid <> pg_backend_pid()").empty();
    }));
    CHECK(replicator.synced().wait_for(200ms) == std::future_status::timeout);
  }
  writer.get();
  test::wait_until_synced(replicator);
  CHECK(items.get(1)->amount == 2);
}

TEST_CASE("with never_ahead all commits arrive, in order, with aborted and nested transactions between",
          "[never_ahead]") {
  const test::Server server = running_server();
  test::Database database({}, server.dsn());
  make_items(database);
  btreemapped::Options options = database.options();
  options.never_ahead = true;
  test::Replicator replicator(options);
  const auto items = replicator.add_replica<Item, 1>("items");
  test::start_and_sync(replicator);
  for (int i = 2; i <= 50; ++i)
    database.exec("BEGIN; SAVEPOINT a; INSERT INTO items VALUES (" + std::to_string(i) +
                  ", 0); SAVEPOINT b; DELETE FROM items; ROLLBACK TO b; COMMIT");
  database.catch_up(replicator);
  CHECK(items.size() == 50);
}

TEST_CASE("never_ahead is refused where commits wait for this very Replicator", "[never_ahead]") {
  const test::Server server = running_server();
  test::Database database({}, server.dsn());
  make_items(database);
  const test::SynchronousCommits waiting(database.dsn(), "btreemapped");
  btreemapped::Options options = database.options();
  options.never_ahead = true;
  test::Replicator replicator(options);
  static_cast<void>(replicator.add_replica<Item, 1>("items"));
  replicator.start();
  CHECK_THROWS_WITH(test::wait_until_synced(replicator), ContainsSubstring("never_ahead"));
}

TEST_CASE("with never_ahead commits that begin to wait for this very Replicator are told, and end the wait for them",
          "[never_ahead]") {
  const test::Server server = running_server();
  test::Database database({}, server.dsn());
  make_items(database);
  test::EventLog log;
  btreemapped::Options options = database.options();
  options.never_ahead = true;
  options.on_event = log.hook();
  test::Replicator replicator(options);
  const auto items = replicator.add_replica<Item, 1>("items");
  test::start_and_sync(replicator);
  std::future<void> writer;
  {
    const test::SynchronousCommits waiting(database.dsn(), "btreemapped");
    writer = std::async(std::launch::async, [&] {
      test::Sql sql(database.dsn());
      sql.exec("UPDATE items SET amount = 2");
    });
    CHECK_THAT(log.wait_for(btreemapped::EventKind::stale).message,
               ContainsSubstring("synchronous_standby_names") && ContainsSubstring("never_ahead"));
    static_cast<void>(log.wait_for(btreemapped::EventKind::retrying));
    CHECK_THAT(replicator.status().last_error, ContainsSubstring("never_ahead"));
    CHECK(items.get(1)->amount == 1);
  }
  writer.get();
  static_cast<void>(log.wait_for(btreemapped::EventKind::synced, 2));
  CHECK(items.get(1)->amount == 2);
}

}  // namespace never_ahead_test
