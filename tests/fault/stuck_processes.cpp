// G3, G4 and G7 while a process of the server, or a connection, is stuck and TCP knows nothing of it.

#include <chrono>
#include <cstddef>
#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include <catch2/catch_test_macros.hpp>
#include <catch2/matchers/catch_matchers.hpp>
#include <catch2/matchers/catch_matchers_string.hpp>

#include <btreemapped.hpp>

#include "support/database.hpp"
#include "support/event_log.hpp"
#include "support/eventually.hpp"
#include "support/proxy.hpp"
#include "support/replicator.hpp"
#include "support/server.hpp"

namespace stuck_processes_test {

using btreemapped::EventKind;
using btreemapped::TableState;
using Catch::Matchers::ContainsSubstring;
using namespace std::chrono_literals;

struct Item {
  std::int32_t id;
  std::int64_t amount;

  friend bool operator==(const Item&, const Item&) = default;
};

/// A table that is followed through a proxy, and a server whose processes can be stopped.
struct Scene {
  Scene() {
    database.emplace(std::string{}, server.dsn());
    database->exec(
        "CREATE TABLE items (id int PRIMARY KEY, amount bigint NOT NULL); INSERT INTO items SELECT i, i FROM "
        "generate_series(1, 1000) i; CREATE PUBLICATION pub FOR TABLE items");
    database->exec("ALTER DATABASE " + database->name() + " SET wal_sender_timeout = '1s'");
    proxy.emplace(database->reader_dsn());
    btreemapped::Options options = database->options();
    options.connection = proxy->dsn();
    options.on_event = log.hook();
    options.catalog_watch_interval = 100ms;
    options.answer_timeout = 500ms;
    replicator.emplace(options);
    items.emplace(replicator->add_replica<Item, 1>("items"));
  }
  ~Scene() {
    for (const std::string& pid : stopped) server.signal("CONT", pid);
  }

  void stop_process(const std::string& condition) {
    stopped.push_back(
        database->value("SELECT pid FROM pg_stat_activity WHERE datname = current_database() AND application_name = "
                        "'btreemapped' AND " +
                        condition));
    server.signal("STOP", stopped.back());
  }

  void ends_equal() {
    REQUIRE(test::eventually([&] { return items->state() == TableState::live; }));
    database->catch_up(*replicator);
    std::vector<Item> rows;
    for (const test::SqlRow& row : database->rows("SELECT id, amount FROM items ORDER BY id"))
      rows.push_back({std::stoi(*row[0]), std::stoll(*row[1])});
    CHECK(items->to_vector() == rows);
    CHECK(replicator->verify()[0].verdict == btreemapped::Verdict::equal);
  }

  const test::Server server = [] {
    test::Server out = test::Server::of_suite();
    out.start();
    return out;
  }();
  std::optional<test::Database> database{};
  std::optional<test::Proxy> proxy{};
  test::EventLog log{};
  std::optional<test::Replicator> replicator{};
  std::optional<btreemapped::Replica<Item, 1>> items{};
  std::vector<std::string> stopped{};
};

TEST_CASE("a schema change is noticed although the process that answers for the catalog is stuck", "[G4]") {
  Scene scene;
  test::start_and_sync(*scene.replicator);
  scene.stop_process("backend_type = 'client backend'");
  // What no message shows.
  scene.database->exec("ALTER TABLE items ALTER amount TYPE bigint USING amount + 1");
  CHECK_THAT(scene.log.wait_for(EventKind::stale).message, ContainsSubstring("answer_timeout"));
  static_cast<void>(scene.log.wait_for(EventKind::synced, 2));
  scene.ends_equal();
  CHECK(scene.items->get(7)->amount == 8);
}

TEST_CASE("a schema change is noticed although the connection to the catalog is half open", "[G4]") {
  Scene scene;
  test::start_and_sync(*scene.replicator);
  scene.proxy->half_open(test::Proxy::Kind::control);
  scene.database->exec("ALTER TABLE items ALTER amount TYPE bigint USING amount + 1");
  static_cast<void>(scene.log.wait_for(EventKind::synced, 2));
  scene.ends_equal();
  CHECK(scene.items->get(7)->amount == 8);
}

TEST_CASE("a walsender that is stuck is given up, and another one followed", "[G3]") {
  Scene scene;
  test::start_and_sync(*scene.replicator);
  scene.stop_process("backend_type = 'walsender'");
  scene.database->exec("UPDATE items SET amount = -1 WHERE id = 1");
  CHECK_THAT(scene.log.wait_for(EventKind::stale).message, ContainsSubstring("has not answered"));
  scene.ends_equal();
}

TEST_CASE("a preflight that gets no answer is given up, and made again", "[G3]") {
  Scene scene;
  scene.proxy->hold("pg_publication");
  scene.replicator->start();
  scene.proxy->wait_until_held();
  scene.proxy->half_open(test::Proxy::Kind::control);
  scene.proxy->release();
  CHECK_THAT(scene.log.wait_for(EventKind::retrying).message, ContainsSubstring("answer_timeout"));
  test::wait_until_synced(*scene.replicator);
  scene.ends_equal();
}

TEST_CASE("a table that is copied afresh alone is not stale for ever for want of an answer", "[G4]") {
  Scene scene;
  test::start_and_sync(*scene.replicator);
  for (const char* const statement : {"CREATE_REPLICATION_SLOT", "COPY "}) {
    CAPTURE(statement);
    scene.proxy->hold(statement);
    scene.database->exec("ALTER TABLE items ALTER amount TYPE bigint USING amount + 1");
    scene.proxy->wait_until_held();
    const std::size_t healed = scene.log.count(EventKind::table_healed);
    // The control session of the copy, not the one of the stream: the guard, and the last look, are its questions.
    scene.stop_process("backend_type = 'client backend' AND backend_xmin IS NULL ORDER BY backend_start DESC LIMIT 1");
    scene.proxy->release();
    static_cast<void>(scene.log.wait_for(EventKind::table_healed, healed + 1, "public.items"));
    scene.ends_equal();
  }
  CHECK(scene.replicator->status().reconnects == 0);
  CHECK(scene.items->get(7)->amount == 9);
}

}  // namespace stuck_processes_test
