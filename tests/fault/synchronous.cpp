// A Replicator that commits of its server wait for: with its name in synchronous_standby_names a writer returns from
// COMMIT only when the map shows it, or is told that it does not.

#include <chrono>
#include <cstddef>
#include <cstdint>
#include <deque>
#include <future>
#include <optional>
#include <random>
#include <string>
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
#include "support/server.hpp"
#include "support/sql.hpp"
#include "support/synchronous_commits.hpp"

namespace synchronous_test {

using btreemapped::EventKind;
using btreemapped::Verdict;
using Catch::Matchers::ContainsSubstring;
using namespace std::chrono_literals;

struct Item {
  std::int32_t id;
  std::int32_t amount;

  friend bool operator==(const Item&, const Item&) = default;
};

/// A session whose commits wait until they are applied.
class Writer : public test::Sql {
 public:
  explicit Writer(const test::Database& database) : Sql(database.dsn()) {
    exec("SET synchronous_commit = remote_apply");
  }

  [[nodiscard]] std::future<void> start(std::string sql) {
    return std::async(std::launch::async, [this, sql = std::move(sql)] { exec(sql); });
  }
};

struct How {
  bool durable = true;
  std::string rights{};  ///< granted to the reader
};

/// Two tables of which one is published; commits wait for whoever is called "replica".
class Scene {
 public:
  explicit Scene(How how = {}) {
    server.start();
    database.emplace("", server.dsn());
    database->exec(
        "SET synchronous_commit = local; CREATE TABLE items (id int PRIMARY KEY, amount int NOT NULL);"
        "INSERT INTO items SELECT i, 0 FROM generate_series(1, 100) i; CREATE TABLE unpublished (t text);"
        "CREATE PUBLICATION pub FOR TABLE items");
    if (!how.rights.empty()) database->exec("GRANT " + how.rights + " TO " + database->name() + "_reader");
    proxy.emplace(test::with_parts(database->reader_dsn(), {{"application_name", "replica"}}));
    btreemapped::Options options = database->options();
    options.connection = proxy->dsn();
    options.on_event = log.hook();
    options.durable_slot = how.durable;
    options.slot_name = "synchronous_" + std::to_string(std::random_device{}());
    slot = options.slot_name;
    replicator.emplace(options);
    items.emplace(replicator->add_replica<Item, 1>("items"));
    test::start_and_sync(*replicator);
    commits.emplace(database->dsn(), "replica");
  }

  [[nodiscard]] int waiting() const {
    test::Sql sql(database->dsn());
    return std::stoi(sql.value("SELECT count(*) FROM pg_stat_activity WHERE wait_event = 'SyncRep' AND datname = '" +
                               database->name() + "'"));
  }

  Writer& writer() { return writers.emplace_back(*database); }

  /// Runs it meanwhile; what is still waiting at the end is let go.
  [[nodiscard]] std::shared_future<void> start(Writer& by, std::string sql) {
    return running.emplace_back(std::async(std::launch::async, [&by, sql = std::move(sql)] { by.exec(sql); }));
  }

  void wait_until_waiting(int number = 1) const {
    REQUIRE(test::eventually([&] { return waiting() == number; }));
  }

  void check_equal() {
    const auto report = replicator->verify(*items);
    CHECK(report.why.empty());
    CHECK(report.verdict == Verdict::equal);
  }

  test::Server server = test::Server::of_suite();
  std::optional<test::Database> database{};
  std::optional<test::Proxy> proxy{};
  test::EventLog log{};
  std::string slot{};
  std::optional<test::Replicator> replicator{};
  std::optional<btreemapped::Replica<Item, 1>> items{};
  std::deque<Writer> writers{};
  std::deque<std::shared_future<void>> running{};
  std::optional<test::SynchronousCommits> commits{};
};

TEST_CASE("a writer that returns from COMMIT with remote_apply finds here what it has written", "[synchronous]") {
  Scene scene;
  constexpr int rounds = 24;
  std::vector<std::future<int>> writers;
  for (int id = 1; id <= 4; ++id) {
    writers.push_back(std::async(std::launch::async, [&, id] {
      Writer writer(*scene.database);
      const std::string key = std::to_string(id);
      int late = 0;
      for (int round = 1; round <= rounds; ++round) {
        const std::string amount = std::to_string(round);
        const std::string update = "UPDATE items SET amount = " + amount + " WHERE id = " + key;
        switch (round % 6) {
          case 0:  // large
            writer.exec("BEGIN; DELETE FROM items WHERE id / 10000 = " + key + "; INSERT INTO items SELECT i, " +
                        amount + " FROM generate_series(" + key + "0000, " + key + "4999) i; " + update + "; COMMIT");
            late += scene.items->contains(id * 10000 + 4999) ? 0 : 1;
            break;
          case 1:
            writer.exec("BEGIN; " + update);
            writer.exec("PREPARE TRANSACTION 'a" + key + "_" + scene.slot + "'");
            writer.exec("COMMIT PREPARED 'a" + key + "_" + scene.slot + "'");
            break;
          case 2:
            writer.exec("BEGIN; SAVEPOINT a; " + update +
                        "; RELEASE a; SAVEPOINT b; DELETE FROM items WHERE id = " + key + "; ROLLBACK TO b; COMMIT");
            break;
          case 3:
            writer.exec("BEGIN; DELETE FROM items WHERE id = " + key + "; ROLLBACK");
            writer.exec(update);
            break;
          case 4: writer.exec("INSERT INTO unpublished VALUES ('x')"); [[fallthrough]];
          default: writer.exec(update);
        }
        late += scene.items->get(id)->amount == round ? 0 : 1;
      }
      return late;
    }));
  }
  for (auto& each : writers) CHECK(each.get() == 0);
  CHECK(scene.replicator->status().reconnects == 0);
  scene.check_equal();
}

TEST_CASE("a writer of what is not published waits for no timer", "[synchronous]") {
  Scene scene;
  Writer& writer = scene.writer();
  const auto begin = std::chrono::steady_clock::now();
  for (int i = 0; i < 50; ++i) {
    writer.exec("INSERT INTO unpublished VALUES ('x')");
    writer.exec("BEGIN; INSERT INTO unpublished VALUES ('y'); ROLLBACK");
    writer.exec("CREATE TABLE t" + std::to_string(i) + " (id int)");
  }
  CHECK(std::chrono::steady_clock::now() - begin < 10s);  // the timer's interval
}

TEST_CASE("a writer waits for the reads that hold its commit back", "[synchronous]") {
  Scene scene;
  Writer& writer = scene.writer();
  std::shared_future<void> done;
  {
    const auto guard = scene.items->read();
    done = scene.start(writer, "UPDATE items SET amount = 7 WHERE id = 7");
    REQUIRE(test::eventually([&] { return test::commit_waits(*scene.replicator); }));
    scene.wait_until_waiting();
    CHECK(guard.find(7)->amount == 0);
    CHECK(done.wait_for(0s) == std::future_status::timeout);
  }
  done.get();
  CHECK(scene.items->get(7)->amount == 7);
}

TEST_CASE("writers wait while the stream is lost, and go on when it is resumed", "[synchronous]") {
  Scene scene;
  for (std::size_t round = 1; round <= 3; ++round) {
    scene.proxy->hold("START_REPLICATION");
    CHECK(scene.database->end_sessions("backend_type = 'walsender'") == 1);
    scene.proxy->wait_until_held();
    std::vector<std::shared_future<void>> done;
    for (int id = 1; id <= 4; ++id) {
      done.push_back(
          scene.start(scene.writer(), "UPDATE items SET amount = amount + 1 WHERE id = " + std::to_string(id)));
    }
    scene.wait_until_waiting(4);
    CHECK(scene.items->get(1)->amount == static_cast<int>(round) - 1);
    scene.proxy->release();
    for (auto& each : done) each.get();
    for (int id = 1; id <= 4; ++id) CHECK(scene.items->get(id)->amount == static_cast<int>(round));
    static_cast<void>(scene.log.wait_for(EventKind::resumed, round));
  }
  CHECK(scene.log.count(EventKind::rebuilt) == 0);
  scene.check_equal();
}

TEST_CASE("an ALTER that waits for us does not keep the stream from being resumed", "[synchronous]") {
  Scene scene;
  scene.proxy->cut();
  static_cast<void>(scene.log.wait_for(EventKind::stale));
  Writer& writer = scene.writer();
  auto done = scene.start(
      writer, "BEGIN; ALTER TABLE items ADD COLUMN more int; UPDATE items SET amount = 9 WHERE id = 9; COMMIT");
  scene.wait_until_waiting();
  scene.proxy->mend();
  done.get();
  CHECK(test::eventually([&] { return scene.items->get(9)->amount == 9; }));
  static_cast<void>(scene.log.wait_for(EventKind::resumed));
}

/// Takes the slot away while a writer waits, so that a new one waits for it.
std::string message_of_deadlock(Scene& scene, std::shared_future<void>& done, Writer& writer) {
  scene.proxy->cut();
  static_cast<void>(scene.log.wait_for(EventKind::stale));
  done = scene.start(writer, "UPDATE items SET amount = 3 WHERE id = 3");
  scene.wait_until_waiting();
  REQUIRE(test::eventually([&] {
    test::Sql sql(scene.database->dsn());
    return sql.value("SELECT count(*) FROM pg_replication_slots WHERE active AND slot_name = '" + scene.slot + "'") ==
           "0";
  }));
  test::Sql sql(scene.database->dsn());
  sql.exec("SELECT pg_drop_replication_slot(slot_name) FROM pg_replication_slots WHERE slot_name = '" + scene.slot +
           "'");
  scene.proxy->mend();
  const btreemapped::Event event = scene.log.wait_for(EventKind::slot_waiting);
  CHECK(scene.replicator->status().last_error == event.message);
  CHECK(scene.replicator->status().state == btreemapped::ReplicatorState::creating_slot);
  CHECK(scene.items->get(3)->amount == 0);  // reads go on
  CHECK(done.wait_for(0s) == std::future_status::timeout);
  return event.message;
}

TEST_CASE("that a new slot and the writers wait for each other is told, and ends by what it says", "[synchronous]") {
  for (const std::string rights : {"", "pg_read_all_stats"}) {
    CAPTURE(rights);
    Scene scene({.rights = rights});
    Writer& writer = scene.writer();
    std::shared_future<void> done;
    const std::string message = message_of_deadlock(scene, done, writer);
    CHECK_THAT(message, ContainsSubstring(rights.empty() ? "its commit may be waiting for a synchronous standby"
                                                         : "its commit waits for a synchronous standby"));
    CHECK_THAT(message, ContainsSubstring("ALTER SYSTEM SET synchronous_standby_names = ''; SELECT pg_reload_conf();"));
    scene.commits->turn_off();
    done.get();
    static_cast<void>(scene.log.wait_for(EventKind::synced, 2));
    CHECK(scene.items->get(3)->amount == 3);
    CHECK(scene.replicator->status().last_error.empty());
    scene.commits->turn_on();
    writer.exec("UPDATE items SET amount = 4 WHERE id = 3");
    CHECK(scene.items->get(3)->amount == 4);
    scene.check_equal();
  }
}

TEST_CASE("a new slot comes when the waits of those who wait for us are ended", "[synchronous]") {
  Scene scene;
  Writer& writer = scene.writer();
  std::shared_future<void> done;
  const std::string message = message_of_deadlock(scene, done, writer);
  const std::string cancel = "SELECT pg_cancel_backend(pid) FROM pg_stat_activity WHERE wait_event = 'SyncRep'";
  CHECK_THAT(message, ContainsSubstring(cancel));
  test::Sql(scene.database->dsn()).exec(cancel);
  done.get();
  static_cast<void>(scene.log.wait_for(EventKind::synced, 2));
  writer.exec("UPDATE items SET amount = 4 WHERE id = 4");
  CHECK(scene.items->get(3)->amount == 3);
  CHECK(scene.items->get(4)->amount == 4);
}

TEST_CASE("a prepared transaction whose commit waits for us is told as well", "[synchronous]") {
  Scene scene;
  Writer& writer = scene.writer();
  const std::string name = "'p" + scene.slot + "'";
  writer.exec("BEGIN; UPDATE items SET amount = 5 WHERE id = 5");
  writer.exec("PREPARE TRANSACTION " + name);
  scene.proxy->cut();
  static_cast<void>(scene.log.wait_for(EventKind::stale));
  auto done = scene.start(writer, "COMMIT PREPARED " + name);
  scene.wait_until_waiting();
  test::Sql sql(scene.database->dsn());
  REQUIRE(test::eventually([&] {
    return sql.value("SELECT count(*) FROM pg_replication_slots WHERE active AND slot_name = '" + scene.slot + "'") ==
           "0";
  }));
  sql.exec("SELECT pg_drop_replication_slot('" + scene.slot + "')");
  scene.proxy->mend();
  const btreemapped::Event event = scene.log.wait_for(EventKind::slot_waiting);
  CHECK_THAT(event.message, ContainsSubstring("may be waiting for a synchronous standby"));
  scene.commits->turn_off();
  done.get();
  static_cast<void>(scene.log.wait_for(EventKind::synced, 2));
  CHECK(scene.items->get(5)->amount == 5);
}

TEST_CASE("with a temporary slot the doctor warns of commits that wait for us, and each lost stream is told",
          "[synchronous]") {
  Scene scene({.durable = false});
  Writer& writer = scene.writer();
  writer.exec("UPDATE items SET amount = 1 WHERE id = 1");
  CHECK(scene.items->get(1)->amount == 1);
  const btreemapped::Diagnosis diagnosis = scene.replicator->doctor();
  CHECK(diagnosis.can_follow());
  bool told = false;
  for (const btreemapped::Finding& each : diagnosis.findings)
    told = told || (each.what.find("synchronous_standby_names") != std::string::npos &&
                    each.severity == btreemapped::Finding::Severity::warning &&
                    each.remedy.find("durable_slot") != std::string::npos);
  CHECK(told);
  std::shared_future<void> done;
  const std::string message = message_of_deadlock(scene, done, writer);
  CHECK_THAT(message, ContainsSubstring("synchronous_standby_names"));
  CHECK(scene.log.count(EventKind::warning) == 1);
  scene.commits->turn_off();
  done.get();
  static_cast<void>(scene.log.wait_for(EventKind::synced, 2));
}

}  // namespace synchronous_test
