#pragma once

#include <cstddef>
#include <cstdint>
#include <optional>
#include <random>
#include <string>

#include <btreemapped.hpp>

#include "support/database.hpp"
#include "support/event_log.hpp"
#include "support/proxy.hpp"
#include "support/replicator.hpp"

namespace test {

/// A database of which two of three published tables are followed through a proxy.
namespace slot_scene {

struct Item {
  std::int32_t id;
  std::int64_t amount;

  friend bool operator==(const Item&, const Item&) = default;
};

struct Scene {
  explicit Scene(bool durable = false) {
    database.exec(
        "CREATE TABLE items (id int PRIMARY KEY, amount bigint NOT NULL); INSERT INTO items SELECT i, i FROM "
        "generate_series(1, 100) i; CREATE TABLE others (LIKE items INCLUDING ALL); CREATE TABLE third (LIKE items "
        "INCLUDING ALL); CREATE PUBLICATION pub FOR TABLE items, others, third WHERE (id > 0)");
    options = database.options();
    options.connection = proxy.dsn();
    options.on_event = log.hook();
    options.durable_slot = durable;
    if (durable) options.slot_name = slot;
  }
  ~Scene() {
    replicator.reset();
    if (options.durable_slot && !left_slot().empty()) database.exec("SELECT pg_drop_replication_slot('" + slot + "')");
  }
  void start() {
    replicator.emplace(options);
    items.emplace(replicator->add_replica<Item, 1>("items"));
    others.emplace(replicator->add_replica<Item, 1>("others"));
    replicator->start();
  }
  std::string left_slot() {
    return database.rows("SELECT slot_name FROM pg_replication_slots WHERE slot_name = '" + slot + "'").empty() ? ""
                                                                                                                : slot;
  }
  void cut() {
    const std::size_t lost = log.count(btreemapped::EventKind::stale);
    proxy.cut();
    static_cast<void>(log.wait_for(btreemapped::EventKind::stale, lost + 1));
  }

  Database database{};
  Proxy proxy{database.reader_dsn()};
  const std::string slot = "slot_scene_" + std::to_string(std::random_device{}());
  EventLog log{};
  btreemapped::Options options{};
  std::optional<test::Replicator> replicator{};
  std::optional<btreemapped::Replica<Item, 1>> items{};
  std::optional<btreemapped::Replica<Item, 1>> others{};
};

}  // namespace slot_scene
}  // namespace test
