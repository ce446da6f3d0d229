// What status() and events say of a Replicator is what is so.

#include <algorithm>
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

namespace status_test {

using btreemapped::EventKind;
using btreemapped::LossCause;
using btreemapped::ReplicatorState;
using btreemapped::Status;
using namespace std::chrono_literals;

struct Item {
  std::int32_t id;
  std::string text;

  friend bool operator==(const Item&, const Item&) = default;
};

/// One table that is followed through a proxy; the server is asked all the time how far it is.
class Scene {
 public:
  explicit Scene(const std::string& definition =
                     "CREATE TABLE items (id int PRIMARY KEY, text text NOT NULL);"
                     "INSERT INTO items SELECT id, 'text' FROM generate_series(1, 1000) id; ANALYZE items;")
      : proxy(database.reader_dsn()) {
    database.exec(definition + "CREATE PUBLICATION pub FOR TABLE items WITH (publish_via_partition_root)");
    options.emplace(database.options());
    options->connection = proxy.dsn();
    options->on_event = log.hook();
    options->catalog_watch_interval = 20ms;
  }

  void follow() {
    replicator.emplace(*options);
    items.emplace(replicator->add_replica<Item, 1>("items"));
    test::start_and_sync(*replicator);
  }

  [[nodiscard]] Status status() const { return replicator->status(); }

  /// The copies' progress, as it was told.
  [[nodiscard]] std::vector<btreemapped::Event> progress() const {
    static_cast<void>(log.wait_for(EventKind::synced));
    std::vector<btreemapped::Event> out = log.all();
    std::erase_if(out, [](const auto& event) { return event.kind != EventKind::copying; });
    return out;
  }

  test::Database database{};
  test::EventLog log{};
  test::Proxy proxy;
  std::optional<btreemapped::Options> options{};
  std::optional<test::Replicator> replicator{};
  std::optional<btreemapped::Replica<Item, 1>> items{};
};

TEST_CASE("progress of a copy tells rows, bytes and how many rows the server expects", "[G5]") {
  Scene scene(
      "CREATE TABLE items (id int PRIMARY KEY, text text NOT NULL);"
      "INSERT INTO items SELECT id, repeat('x', 100) FROM generate_series(1, 50000) id; ANALYZE items;");
  scene.follow();
  const std::vector<btreemapped::Event> progress = scene.progress();
  REQUIRE_FALSE(progress.empty());
  CHECK(std::ranges::is_sorted(progress, {}, &btreemapped::Event::bytes));
  for (const btreemapped::Event& each : progress) {
    CHECK(each.expected_rows == 50'000);
    CHECK(each.bytes >= 100 * each.rows);
  }
  CHECK(progress.back().rows == 50'000);
  const btreemapped::TableStatus table = scene.status().tables.at(0);
  CHECK(table.copied_rows == 50'000);
  CHECK(table.expected_rows == 50'000);
  CHECK(table.copied_bytes == progress.back().bytes);
  CHECK(table.copies == 1);
}

TEST_CASE("of a partitioned table the rows of its partitions are expected, and of one never analyzed none", "[G5]") {
  Scene scene(
      "CREATE TABLE items (id int PRIMARY KEY, text text NOT NULL) PARTITION BY RANGE (id);"
      "CREATE TABLE low PARTITION OF items FOR VALUES FROM (0) TO (1000);"
      "CREATE TABLE high PARTITION OF items FOR VALUES FROM (1000) TO (2000) PARTITION BY RANGE (id);"
      "CREATE TABLE higher PARTITION OF high FOR VALUES FROM (1000) TO (1500);"
      "CREATE TABLE rest PARTITION OF high DEFAULT;"
      "INSERT INTO items SELECT id, 'x' FROM generate_series(900, 1599) id; ANALYZE low; ANALYZE higher;");
  scene.follow();
  CHECK(scene.status().tables.at(0).expected_rows == 600);
  CHECK(scene.status().tables.at(0).rows == 700);
}

TEST_CASE("the lag grows while the stream stands still, and goes back to nothing", "[G5]") {
  Scene scene;
  scene.options->connection += " options='-c wal_sender_timeout=1min'";
  scene.proxy.hold_answer("START_REPLICATION", 1);
  scene.follow();
  scene.proxy.wait_until_held();
  scene.database.exec("INSERT INTO items SELECT id, repeat('x', 1000) FROM generate_series(1001, 3000) id");
  REQUIRE(test::eventually([&] { return scene.status().lag_bytes > 2'000'000; }));
  const Status first = scene.status();
  CHECK(first.lag > 0ns);
  CHECK(first.server.value() - first.applied.value() == first.lag_bytes);
  REQUIRE(test::eventually([&] { return scene.status().lag > first.lag + 50ms; }));
  scene.database.exec("DELETE FROM items WHERE id > 1500");
  REQUIRE(test::eventually([&] { return scene.status().lag_bytes > first.lag_bytes; }));

  scene.proxy.release();
  scene.database.catch_up(*scene.replicator);
  REQUIRE(test::eventually([&] {
    const Status status = scene.status();
    return status.lag_bytes == 0 && status.lag == 0ns;
  }));
  CHECK(scene.status().server >= first.server);
  CHECK(scene.items->size() == 1'500);
}

TEST_CASE("the clocks of two processes of one machine are the same", "[G5]") {
  Scene scene;
  scene.follow();
  scene.database.exec("INSERT INTO items VALUES (1001, 'x')");
  scene.database.catch_up(*scene.replicator);
  REQUIRE(test::eventually([&] { return scene.status().clock_offset != 0ns; }));
  CHECK(std::chrono::abs(scene.status().clock_offset) < 10s);
}

TEST_CASE("a stale Replicator says since when and why, and that it follows again", "[G5]") {
  Scene scene;
  scene.follow();
  const Status live = scene.status();
  CHECK(live.state == ReplicatorState::streaming);
  CHECK(live.state_since <= std::chrono::system_clock::now());
  CHECK(live.stale_for == 0ns);
  CHECK(live.stale_reason.empty());
  scene.proxy.cut();
  static_cast<void>(scene.log.wait_for(EventKind::retrying));
  const Status stale = scene.status();
  CHECK(stale.stale_for > 0ns);
  CHECK(stale.stale_reason == scene.log.wait_for(EventKind::stale).message);
  CHECK(stale.lag > 0ns);
  REQUIRE(test::eventually([&] { return scene.status().stale_for > stale.stale_for; }));
  CHECK(scene.status().stale_reason == stale.stale_reason);
  scene.proxy.mend();
  static_cast<void>(scene.log.wait_for(EventKind::synced, 2));
  CHECK(scene.status().stale_for == 0ns);
  CHECK(scene.status().stale_reason.empty());
  CHECK(scene.status().state_since > live.state_since);
}

TEST_CASE("a rebuild tells how many rows were not as they were shown", "[G6]") {
  Scene scene;
  scene.follow();
  const auto lose_and_find = [&](std::size_t nth, const std::string& meanwhile) {
    scene.proxy.cut();
    static_cast<void>(scene.log.wait_for(EventKind::stale, nth));
    scene.database.exec(meanwhile);
    scene.proxy.mend();
    static_cast<void>(scene.log.wait_for(EventKind::synced, nth + 1));
    return scene.log.wait_for(EventKind::rebuilt, nth).rows;
  };
  CHECK(scene.log.count(EventKind::rebuilt) == 0);
  CHECK(lose_and_find(1, "SELECT") == 0);
  CHECK(lose_and_find(2,
                      "UPDATE items SET text = 'other' WHERE id <= 10; DELETE FROM items WHERE id > 995;"
                      "INSERT INTO items VALUES (2000, 'x'), (2001, 'y'); UPDATE items SET text = text") == 17);
  CHECK(lose_and_find(3, "TRUNCATE items") == 997);
  CHECK(scene.status().rebuilds == 3);
  CHECK(scene.status().tables.at(0).copies == 4);
}

TEST_CASE("lost streams and rebuilds are told apart by their causes", "[G5]") {
  Scene scene;
  scene.follow();
  scene.database.end_sessions("backend_type = 'walsender'");
  static_cast<void>(scene.log.wait_for(EventKind::synced, 2));
  scene.proxy.cut();
  static_cast<void>(scene.log.wait_for(EventKind::stale, 2));
  scene.proxy.mend();
  static_cast<void>(scene.log.wait_for(EventKind::synced, 3));
  const Status status = scene.status();
  CHECK(status.reconnects == 2);
  CHECK(status.reconnects_by_cause[LossCause::server_ended] == 1);
  CHECK(status.reconnects_by_cause[LossCause::connection_lost] == 1);
  CHECK(status.rebuilds == 2);
  CHECK(status.rebuilds_by_cause.counts == status.reconnects_by_cause.counts);
}

}  // namespace status_test
