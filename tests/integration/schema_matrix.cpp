// G4: every kind of schema change at every moment ends with a replica that equals its table, while another table is
// followed all the time.

#include <chrono>
#include <cstddef>
#include <cstdint>
#include <future>
#include <optional>
#include <random>
#include <string>
#include <vector>

#include <catch2/catch_test_macros.hpp>

#include <btreemapped.hpp>

#include "support/database.hpp"
#include "support/event_log.hpp"
#include "support/eventually.hpp"
#include "support/load.hpp"
#include "support/proxy.hpp"
#include "support/replicator.hpp"
#include "support/sql.hpp"

namespace schema_matrix_test {

using btreemapped::EventKind;
using btreemapped::TableState;

struct Item {
  std::int32_t id;
  std::optional<std::string> name;
  std::int64_t amount;
  std::string mood;

  friend bool operator==(const Item&, const Item&) = default;
};

/// A partitioned table.
struct Part {
  std::int32_t region;
  std::int32_t id;
  std::string name;

  friend bool operator==(const Part&, const Part&) = default;
};

struct Steady {
  std::int32_t id;
  std::int64_t amount;

  friend bool operator==(const Steady&, const Steady&) = default;
};

struct Alteration {
  const char* what;
  const char* sql;  // one transaction
};

const Alteration alterations[] = {
    {"a wider type", "ALTER TABLE app.items ALTER amount TYPE bigint"},
    {"new values by USING, of the same type", "ALTER TABLE app.items ALTER amount TYPE int USING amount * 2 + 1"},
    {"columns that swap their names",
     "ALTER TABLE app.items RENAME name TO x; ALTER TABLE app.items RENAME unused TO name; ALTER TABLE app.items "
     "RENAME "
     "x TO unused"},
    {"a column dropped and added with another default",
     "ALTER TABLE app.items DROP amount, ADD amount int NOT NULL DEFAULT 77"},
    {"a new column with a default", "ALTER TABLE app.items ADD later text DEFAULT 'x'"},
    {"another default", "ALTER TABLE app.items ALTER amount SET DEFAULT 5"},
    {"another label of an enum", "ALTER TYPE app.mood RENAME VALUE 'good' TO 'fine'; SELECT 1"},
    {"a table dropped and created again",
     "DROP TABLE app.items; CREATE TABLE app.items (mood app.mood NOT NULL DEFAULT 'bad', amount int NOT NULL DEFAULT "
     "1, unused text, name text, id int PRIMARY KEY); INSERT INTO app.items (id) SELECT generate_series(500, 510)"},
    {"another table that takes the name",
     "ALTER TABLE app.items RENAME TO former; ALTER TABLE app.spare RENAME TO items"},
    {"another schema that takes the name", "ALTER SCHEMA app RENAME TO former; ALTER SCHEMA spare RENAME TO app"},
    {"a table renamed there and back, and changed meanwhile",
     "ALTER TABLE app.items RENAME TO away; UPDATE app.away SET amount = 9 WHERE id < 50; DELETE FROM app.away WHERE "
     "id "
     "> 100; ALTER TABLE app.away RENAME TO items"},
    {"a truncate", "TRUNCATE app.items; INSERT INTO app.items (id) VALUES (7)"},
    {"a partition attached", "ALTER TABLE app.parts ATTACH PARTITION app.third FOR VALUES FROM (20) TO (30)"},
    {"a partition detached", "ALTER TABLE app.parts DETACH PARTITION app.second"},
    {"a partition dropped", "DROP TABLE app.second"},
    {"a partition truncated", "TRUNCATE app.second"},
};

/// The tables, and who follows them.
class Scene {
 public:
  Scene() : proxy_(database.reader_dsn()) {
    database.exec(
        "CREATE SCHEMA app; CREATE SCHEMA spare;"
        "CREATE TYPE app.mood AS ENUM ('bad', 'good'); CREATE TYPE spare.mood AS ENUM ('bad', 'good');"
        "CREATE TABLE app.items (id int PRIMARY KEY, name text DEFAULT 'n', amount int NOT NULL DEFAULT 1, mood "
        "app.mood "
        "NOT NULL DEFAULT 'good', unused text DEFAULT 'u');"
        "CREATE TABLE app.spare (LIKE app.items INCLUDING ALL);"
        "CREATE TABLE app.parts (region int, id int, name text NOT NULL DEFAULT 'p', PRIMARY KEY (region, id)) "
        "PARTITION "
        "BY RANGE (region);"
        "CREATE TABLE app.first PARTITION OF app.parts FOR VALUES FROM (0) TO (10);"
        "CREATE TABLE app.second PARTITION OF app.parts FOR VALUES FROM (10) TO (20);"
        "CREATE TABLE app.third (LIKE app.parts INCLUDING ALL);"
        "CREATE TABLE steady (id int PRIMARY KEY, amount bigint NOT NULL);"
        "INSERT INTO app.items SELECT i, repeat('n', 100), i FROM generate_series(1, 200) i;"
        "INSERT INTO app.spare SELECT i, repeat('s', 100), i FROM generate_series(150, 300) i;"
        "INSERT INTO app.parts SELECT i % 20, i, repeat('p', 100) FROM generate_series(1, 200) i;"
        "INSERT INTO app.third SELECT 20 + i % 10, i FROM generate_series(1, 50) i;"
        "INSERT INTO steady SELECT i, 0 FROM generate_series(1, 10) i;"
        "CREATE TABLE spare.items (LIKE app.items INCLUDING ALL); INSERT INTO spare.items SELECT * FROM app.spare;"
        "CREATE TABLE spare.parts (region int, id int, name text NOT NULL DEFAULT 'q', PRIMARY KEY (region, id)) "
        "PARTITION BY RANGE (region);"
        "CREATE TABLE spare.all_parts PARTITION OF spare.parts DEFAULT; INSERT INTO spare.parts VALUES (1, 1), (2, 2);"
        "CREATE PUBLICATION pub FOR ALL TABLES WITH (publish_via_partition_root = true)");
    btreemapped::Options options = database.options();
    options.connection = proxy_.dsn();
    options.on_event = log.hook();
    options.catalog_watch_interval = std::chrono::milliseconds{20};
    replicator.emplace(options);
    items.emplace(replicator->add_replica<Item, 1>("app.items"));
    parts.emplace(replicator->add_replica<Part, 2>("app.parts"));
    steady.emplace(replicator->add_replica<Steady, 1>("steady"));
  }

  /// True once all replicas follow and equal their tables.
  [[nodiscard]] bool ends_equal() {
    return test::eventually([&] {
      for (const btreemapped::TableStatus& table : replicator->status().tables)
        if (table.state != TableState::live) return false;
      return items->to_vector() == table_items() && parts->to_vector() == table_parts() &&
             steady->to_vector() == table_steady();
    });
  }

  /// Runs the alteration on a session of its own, as it may have to wait for our locks.
  [[nodiscard]] std::future<void> alter(const Alteration& alteration) {
    return std::async(std::launch::async, [dsn = database.dsn(), sql = std::string(alteration.sql)] {
      test::Sql(dsn).exec("BEGIN; SET LOCAL lock_timeout = 0; " + sql + "; COMMIT");
    });
  }

  /// Waits until the alteration is done, or waits for a lock of ours.
  void wait_until_blocked_or_done(const std::future<void>& alteration) {
    REQUIRE(test::eventually([&] {
      return alteration.wait_for(std::chrono::seconds{0}) == std::future_status::ready ||
             database.rows(
                         "SELECT FROM pg_locks WHERE NOT granted AND database = (SELECT oid FROM pg_database WHERE "
                         "datname = current_database())")
                     .size() > 0;
    }));
  }

  /// The third table is followed at this very moment, whatever becomes of the others.
  void steady_goes_on() {
    database.exec("UPDATE steady SET amount = amount + 1; INSERT INTO steady SELECT max(id) + 1, 0 FROM steady");
    database.catch_up(*replicator);
    CHECK(steady->to_vector() == table_steady());
    CHECK(steady->state() == TableState::live);
  }

  /// The third table has been followed without a break, and nothing was copied but what had to be.
  void nobody_else_noticed() const {
    CHECK(replicator->status().reconnects == 0);
    CHECK(log.count(EventKind::stale) == 0);
    CHECK(log.count(EventKind::table_stale, "public.steady") == 0);
    CHECK(log.count(EventKind::table_failed, "public.steady") == 0);
    CHECK(log.count(EventKind::table_healed, "public.steady") == 0);
  }

  [[nodiscard]] test::Proxy& proxy() noexcept { return proxy_; }

  test::Database database;
  test::EventLog log;

 private:
  std::vector<Item> table_items() {
    std::vector<Item> out;
    for (const test::SqlRow& row : database.rows("SELECT id, name, amount, mood FROM app.items ORDER BY id"))
      out.push_back({std::stoi(*row[0]), row[1], std::stoll(*row[2]), *row[3]});
    return out;
  }
  std::vector<Part> table_parts() {
    std::vector<Part> out;
    for (const test::SqlRow& row : database.rows("SELECT region, id, name FROM app.parts ORDER BY region, id"))
      out.push_back({std::stoi(*row[0]), std::stoi(*row[1]), *row[2]});
    return out;
  }

  std::vector<Steady> table_steady() {
    std::vector<Steady> out;
    for (const test::SqlRow& row : database.rows("SELECT id, amount FROM steady ORDER BY id"))
      out.push_back({std::stoi(*row[0]), std::stoll(*row[1])});
    return out;
  }

  test::Proxy proxy_;

 public:
  std::optional<test::Replicator> replicator;
  std::optional<btreemapped::Replica<Item, 1>> items;
  std::optional<btreemapped::Replica<Part, 2>> parts;
  std::optional<btreemapped::Replica<Steady, 1>> steady;
};

/// Writers of all tables that get on with whatever is under these names.
std::string some_write(std::mt19937_64& random) {
  const std::string id = std::to_string(1 + random() % 250);
  switch (random() % 4) {
    case 0:
      return "INSERT INTO app.items (id, amount) VALUES (" + id +
             ", 0) ON CONFLICT (id) DO UPDATE SET amount = 5, name = 'written'";
    case 1: return "DELETE FROM app.items WHERE id = " + id;
    case 2:
      return "INSERT INTO app.parts (region, id) VALUES (" + std::to_string(random() % 10) + ", " + id +
             ") ON CONFLICT (region, id) DO UPDATE SET name = 'written'";
    default: return "UPDATE steady SET amount = amount + 1 WHERE id = 1 + " + id + " % 10";
  }
}

/// Lets the replicas be copied alone, without a difference in their rows.
constexpr const char* slight_change =
    "ALTER TABLE app.items ALTER name SET NOT NULL; ALTER TABLE app.parts ALTER name DROP NOT NULL";

TEST_CASE("a schema change of an idle table ends equal, and the others go on", "[G4][G2]") {
  for (const Alteration& alteration : alterations) {
    CAPTURE(alteration.what);
    Scene scene;
    test::start_and_sync(*scene.replicator);
    scene.alter(alteration).get();
    scene.steady_goes_on();
    CHECK(scene.ends_equal());
    scene.database.exec("UPDATE app.items SET amount = 3; UPDATE app.parts SET name = 'later'");
    CHECK(scene.ends_equal());
    scene.nobody_else_noticed();
  }
}

TEST_CASE("a schema change of a busy table ends equal, and the others go on", "[G4][G2]") {
  for (const Alteration& alteration : alterations) {
    CAPTURE(alteration.what);
    Scene scene;
    test::start_and_sync(*scene.replicator);
    test::Load load(scene.database.dsn(), 2, some_write);
    REQUIRE(load.go_on_for(50));
    scene.alter(alteration).get();
    REQUIRE(load.go_on_for(200));
    load.stop();
    CHECK(scene.ends_equal());
    scene.nobody_else_noticed();
  }
}

TEST_CASE("a schema change between slot and first copy ends equal", "[G4][G1]") {
  for (const Alteration& alteration : alterations) {
    CAPTURE(alteration.what);
    Scene scene;
    scene.proxy().hold("SET TRANSACTION SNAPSHOT");
    scene.replicator->start();
    scene.proxy().wait_until_held();
    scene.alter(alteration).get();
    scene.proxy().release();
    test::wait_until_synced(*scene.replicator);
    CHECK(scene.ends_equal());
  }
}

TEST_CASE("a schema change during the first copy ends equal", "[G4][G1]") {
  for (const Alteration& alteration : alterations) {
    CAPTURE(alteration.what);
    Scene scene;
    scene.proxy().hold_answer("COPY (", 2'000);
    scene.replicator->start();
    scene.proxy().wait_until_held();
    std::future<void> altered = scene.alter(alteration);
    scene.wait_until_blocked_or_done(altered);
    scene.proxy().release();
    test::wait_until_synced(*scene.replicator);
    altered.get();
    CHECK(scene.ends_equal());
  }
}

TEST_CASE("a schema change between slot and copy of tables that are copied alone ends equal", "[G4][G2]") {
  for (const Alteration& alteration : alterations) {
    CAPTURE(alteration.what);
    Scene scene;
    test::start_and_sync(*scene.replicator);
    scene.proxy().hold("SET TRANSACTION SNAPSHOT");
    scene.database.exec(slight_change);
    scene.proxy().wait_until_held();
    scene.alter(alteration).get();
    scene.steady_goes_on();
    scene.proxy().release();
    CHECK(scene.ends_equal());
    scene.nobody_else_noticed();
  }
}

TEST_CASE("a schema change during the copy of tables that are copied alone ends equal", "[G4][G2]") {
  for (const Alteration& alteration : alterations) {
    CAPTURE(alteration.what);
    Scene scene;
    test::start_and_sync(*scene.replicator);
    scene.proxy().hold_answer("COPY (", 2'000);
    scene.database.exec(slight_change);
    scene.proxy().wait_until_held();
    std::future<void> altered = scene.alter(alteration);
    scene.wait_until_blocked_or_done(altered);
    scene.steady_goes_on();
    scene.proxy().release();
    altered.get();
    CHECK(scene.ends_equal());
    scene.nobody_else_noticed();
  }
}

}  // namespace schema_matrix_test
