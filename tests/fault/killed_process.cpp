// Options::durable_slot when the process that follows is killed: the next one of its name takes over. G7.

#include <chrono>
#include <csignal>
#include <cstdint>
#include <optional>
#include <random>
#include <string>

#include <catch2/catch_test_macros.hpp>
#include <catch2/matchers/catch_matchers.hpp>
#include <catch2/matchers/catch_matchers_string.hpp>

#include <btreemapped.hpp>

#include "support/child_process.hpp"
#include "support/database.hpp"
#include "support/event_log.hpp"
#include "support/eventually.hpp"
#include "support/proxy.hpp"
#include "support/replicator.hpp"
#include "support/server.hpp"

namespace killed_process_test {

using btreemapped::EventKind;
using Catch::Matchers::ContainsSubstring;

struct Item {
  std::int64_t id;
  std::string name;
};

/// A table that two processes follow one after the other, by durable slots of one name.
struct Scene {
  Scene() {
    database.exec(
        "CREATE TABLE items (id bigint PRIMARY KEY, name text NOT NULL); INSERT INTO items SELECT id, 'first' FROM "
        "generate_series(1, 1000) id; CREATE PUBLICATION pub FOR TABLE items");
    second_proxy.count("CREATE_REPLICATION_SLOT \"" + slot + "\"");
  }

  Scene(const Scene&) = delete;
  Scene& operator=(const Scene&) = delete;
  /// That stop() drops the slot is best effort.
  ~Scene() {
    static_cast<void>(test::eventually([&] { return slots("active") == "0"; }));
    database.exec(
        "SELECT pg_drop_replication_slot(slot_name) FROM pg_replication_slots WHERE NOT active AND database = "
        "current_database()");
  }

  [[nodiscard]] test::ChildProcess process(const test::Proxy& proxy) const {
    return test::ChildProcess{BTREEMAPPED_FOLLOWER, proxy.dsn(), std::string{"pub"}, slot};
  }

  /// As another process does.
  [[nodiscard]] btreemapped::Options options() const {
    btreemapped::Options out = database.options();
    out.connection = second_proxy.dsn();
    out.durable_slot = true;
    out.slot_name = slot;
    out.on_event = log.hook();
    return out;
  }

  /// Commits what the slot of before would still have.
  void change() {
    database.exec("UPDATE items SET name = 'second' WHERE id % 2 = 0; DELETE FROM items WHERE id > 900");
  }

  [[nodiscard]] std::string count(const std::string& what) { return database.value("SELECT count(*) FROM " + what); }
  [[nodiscard]] std::string slots(const std::string& condition = "true") {
    return count("pg_replication_slots WHERE database = current_database() AND " + condition);
  }
  [[nodiscard]] std::string walsender() {
    return database.value("SELECT active_pid FROM pg_replication_slots WHERE slot_name = '" + slot + "'");
  }
  [[nodiscard]] bool all_sessions_have_ended() {
    return test::eventually([&] {
      return count("pg_stat_activity WHERE datname = current_database() AND application_name = 'btreemapped'") == "0";
    });
  }

  /// Of the second one: the slot is its own, and the only one.
  void check_made_anew() {
    CHECK(second_proxy.sent() == 1);
    CHECK(slots() == "1");
    CHECK(slots("active AND NOT temporary AND slot_name = '" + slot + "'") == "1");
  }

  const test::Server server = [] {
    test::Server out = test::Server::of_suite();
    out.start();
    return out;
  }();
  test::Database database{std::string{}, server.dsn()};
  test::Proxy first_proxy{database.reader_dsn()};
  test::Proxy second_proxy{database.reader_dsn()};
  const std::string slot = "durable_" + std::to_string(std::random_device{}());
  test::EventLog log{};
};

TEST_CASE("the durable slot of a process that was killed is made anew by the next one", "[G7]") {
  Scene scene;
  test::ChildProcess first = scene.process(scene.first_proxy);
  REQUIRE(first.ask("equal?") == "equal");
  first.end(SIGKILL);
  REQUIRE(scene.all_sessions_have_ended());
  REQUIRE(scene.slots("NOT active") == "1");
  scene.change();
  test::ChildProcess second = scene.process(scene.second_proxy);
  CHECK(second.ask("equal?") == "equal");
  scene.check_made_anew();
  scene.change();
  CHECK(second.ask("equal?") == "equal");
  CHECK(second.finish() == 0);
}

TEST_CASE("the next process takes over the durable slot of one that was killed just now", "[G7]") {
  Scene scene;
  test::ChildProcess first = scene.process(scene.first_proxy);
  REQUIRE(first.ask("equal?") == "equal");
  scene.change();
  first.end(SIGKILL);
  test::ChildProcess second = scene.process(scene.second_proxy);
  CHECK(second.ask("equal?") == "equal");
  scene.check_made_anew();
  CHECK(second.finish() == 0);
}

TEST_CASE("the next process waits until the server has missed the walsender of one that was killed", "[G7]") {
  Scene scene;
  test::ChildProcess first = scene.process(scene.first_proxy);
  REQUIRE(first.ask("equal?") == "equal");
  const std::string pid = scene.walsender();
  scene.first_proxy.half_open(test::Proxy::Kind::stream);
  first.end(SIGKILL);
  scene.change();
  std::optional<test::Replicator> second(scene.options());
  const auto items = second->add_replica<Item, 1>("items");
  second->start();
  CHECK_THAT(scene.log.wait_for(EventKind::slot_waiting).message, ContainsSubstring("in use by pid " + pid));
  CHECK(scene.walsender() == pid);
  test::wait_until_synced(*second);
  CHECK(second->verify(items).verdict == btreemapped::Verdict::equal);
  scene.check_made_anew();
  second.reset();
}

TEST_CASE("the next process waits until the server has missed the session that locks the slot", "[G7]") {
  Scene scene;
  test::ChildProcess first = scene.process(scene.first_proxy);
  REQUIRE(first.ask("equal?") == "equal");
  scene.first_proxy.half_open(test::Proxy::Kind::control);
  first.end(SIGKILL);
  REQUIRE(test::eventually([&] { return scene.slots("active") == "0"; }));
  scene.change();
  std::optional<test::Replicator> second(scene.options());
  const auto items = second->add_replica<Item, 1>("items");
  second->start();
  CHECK_THAT(scene.log.wait_for(EventKind::slot_waiting).message, ContainsSubstring("which holds its lock"));
  CHECK(items.state() != btreemapped::TableState::live);
  scene.first_proxy.drop_half_open();
  test::wait_until_synced(*second);
  CHECK(second->verify(items).verdict == btreemapped::Verdict::equal);
  scene.check_made_anew();
  second.reset();
}

}  // namespace killed_process_test
