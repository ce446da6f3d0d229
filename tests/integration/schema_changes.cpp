// G4: a schema change in mid-stream never makes a replica wrong: the table fails or is copied afresh.

#include <chrono>
#include <cstddef>
#include <cstdint>
#include <optional>
#include <random>
#include <string>
#include <vector>

#include <catch2/catch_test_macros.hpp>
#include <catch2/matchers/catch_matchers.hpp>
#include <catch2/matchers/catch_matchers_exception.hpp>
#include <catch2/matchers/catch_matchers_string.hpp>

#include <btreemapped.hpp>

#include "support/database.hpp"
#include "support/event_log.hpp"
#include "support/eventually.hpp"
#include "support/following.hpp"
#include "support/load.hpp"
#include "support/proxy.hpp"
#include "support/replicator.hpp"

namespace schema_changes_test {

using btreemapped::EventKind;
using btreemapped::TableState;
using Catch::Matchers::ContainsSubstring;

struct Item {
  std::int32_t id;
  std::string name;
  std::int32_t amount;

  friend bool operator==(const Item&, const Item&) = default;
};

struct Other {
  std::int32_t id;

  friend bool operator==(const Other&, const Other&) = default;
};

/// Follows the tables items and others, and looks for schema changes all the time.
struct Follower {
  explicit Follower(test::Database& db, const std::string& more = {},
                    std::chrono::milliseconds watch = std::chrono::milliseconds{20})
      : database(db) {
    database.exec(
        "CREATE TABLE items (id int PRIMARY KEY, name text NOT NULL, amount int NOT NULL, unused text);"
        "INSERT INTO items VALUES (1, 'a', 10), (2, 'b', 20); CREATE TABLE others (id int PRIMARY KEY); " +
        (more.empty() ? "CREATE PUBLICATION pub FOR TABLE items, others" : more));
    btreemapped::Options options = database.options();
    options.on_event = log.hook();
    options.catalog_watch_interval = watch;
    replicator.emplace(options);
    items.emplace(replicator->add_replica<Item, 1>("items"));
    others.emplace(replicator->add_replica<Other, 1>("others"));
    test::start_and_sync(*replicator);
  }

  /// Returns when it has copied the table once more.
  void wait_for_copy() { static_cast<void>(log.wait_for(EventKind::table_healed, ++copies, "public.items")); }

  /// Returns when somebody has looked at the catalog since.
  void look_at_the_catalog() {
    database.exec("ALTER TABLE others ALTER id TYPE int USING id");
    static_cast<void>(log.wait_for(EventKind::table_healed, ++looks, "public.others"));
  }

  /// The table has been followed without a new copy, as the catalog stands.
  void must_not_have_been_copied() {
    look_at_the_catalog();
    for (const EventKind kind : {EventKind::table_stale, EventKind::table_failed, EventKind::table_healed})
      CHECK(log.count(kind, "public.items") == 0);
    CHECK(replicator->status().reconnects == 0);
  }

  [[nodiscard]] std::vector<Item> rows() const { return items->to_vector(); }
  [[nodiscard]] std::vector<Item> table() {
    std::vector<Item> out;
    for (const test::SqlRow& row : database.rows("SELECT id, name, amount FROM items ORDER BY id"))
      out.push_back({std::stoi(*row[0]), *row[1], std::stoi(*row[2])});
    return out;
  }

  test::Database& database;
  test::EventLog log;
  std::size_t copies = 0;
  std::size_t looks = 0;
  std::optional<test::Replicator> replicator;
  std::optional<btreemapped::Replica<Item, 1>> items;
  std::optional<btreemapped::Replica<Other, 1>> others;
};

TEST_CASE("a dropped column stops its table alone, and adding it again heals", "[G4]") {
  test::Database database;
  Follower follower(database);
  const std::vector<Item> before = follower.rows();
  database.exec("ALTER TABLE items DROP COLUMN amount");
  const btreemapped::Event failed = follower.log.wait_for(EventKind::table_failed);
  CHECK(failed.table == "public.items");
  CHECK_THAT(failed.message, ContainsSubstring("amount"));
  database.exec("INSERT INTO items VALUES (3, 'c'); INSERT INTO others VALUES (7)");
  database.catch_up(*follower.replicator);
  CHECK(follower.rows() == before);
  CHECK(follower.items->state() == TableState::failed);
  CHECK_THAT(follower.replicator->status().tables.at(0).last_error, ContainsSubstring("amount"));
  CHECK(follower.others->to_vector() == std::vector<Other>{{7}});
  CHECK(follower.others->state() == TableState::live);

  database.exec("ALTER TABLE items ADD COLUMN amount int NOT NULL DEFAULT 5");
  static_cast<void>(follower.log.wait_for(EventKind::table_healed));
  database.catch_up(*follower.replicator);
  CHECK(follower.rows() == follower.table());
  CHECK(follower.items->state() == TableState::live);
  CHECK(follower.replicator->status().tables.at(0).last_error.empty());
}

TEST_CASE("a dropped column is noticed by the next change, without the catalog watch", "[G4]") {
  test::Database database;
  Follower follower(database, {}, std::chrono::hours{1});
  const std::vector<Item> before = follower.rows();
  database.exec("ALTER TABLE items DROP COLUMN amount; UPDATE items SET name = 'x'");
  const btreemapped::Event failed = follower.log.wait_for(EventKind::table_failed, 1, "public.items");
  CHECK_THAT(failed.message, ContainsSubstring("amount"));
  CHECK(follower.rows() == before);
  follower.replicator->ends_unproved("a table lacks a column of its rows");
}

TEST_CASE("a renamed column stops its table, and renaming it back heals", "[G4]") {
  test::Database database;
  Follower follower(database);
  const std::vector<Item> before = follower.rows();
  database.exec("ALTER TABLE items RENAME COLUMN name TO title; INSERT INTO items VALUES (3, 'c', 30)");
  const btreemapped::Event failed = follower.log.wait_for(EventKind::table_failed, 1, "public.items");
  CHECK_THAT(failed.message, ContainsSubstring("name"));
  CHECK(follower.rows() == before);
  database.exec("ALTER TABLE items RENAME COLUMN title TO name");
  static_cast<void>(follower.log.wait_for(EventKind::table_healed));
  CHECK(follower.rows() == follower.table());
}

TEST_CASE("columns that swap their names swap their values", "[G4]") {
  test::Database database;
  Follower follower(database);
  database.exec("UPDATE items SET unused = 'other ' || id; ALTER TABLE items ALTER unused SET NOT NULL");
  database.exec(
      "ALTER TABLE items RENAME name TO x; ALTER TABLE items RENAME unused TO name; ALTER TABLE items RENAME x TO "
      "unused");
  REQUIRE(test::eventually([&] { return follower.rows() == follower.table(); }));
  CHECK(follower.rows() == std::vector<Item>{{1, "other 1", 10}, {2, "other 2", 20}});
}

TEST_CASE("a column of a type that the field cannot hold stops its table, and narrowing it again heals", "[G4]") {
  test::Database database;
  Follower follower(database);
  const std::vector<Item> before = follower.rows();
  database.exec("ALTER TABLE items ALTER amount TYPE bigint; UPDATE items SET amount = 5000000000 WHERE id = 1");
  const btreemapped::Event failed = follower.log.wait_for(EventKind::table_failed, 1, "public.items");
  CHECK_THAT(failed.message, ContainsSubstring("amount"));
  CHECK(follower.rows() == before);
  database.exec("UPDATE items SET amount = 5; ALTER TABLE items ALTER amount TYPE int");
  static_cast<void>(follower.log.wait_for(EventKind::table_healed));
  CHECK(follower.rows() == follower.table());
}

TEST_CASE("new values by ALTER TYPE USING, which the stream does not show, are noticed", "[G4]") {
  test::Database database;
  Follower follower(database);
  database.exec("ALTER TABLE items ALTER amount TYPE int USING amount * 2");
  follower.wait_for_copy();
  CHECK(follower.rows() == std::vector<Item>{{1, "a", 20}, {2, "b", 40}});
}

TEST_CASE("a column of another length is noticed by the next change, without the catalog watch", "[G4]") {
  test::Database database;
  Follower follower(database,
                    "ALTER TABLE items ALTER name TYPE char(3); CREATE PUBLICATION pub FOR TABLE items, others",
                    std::chrono::hours{1});
  const std::vector<Item> before{{1, "a  ", 10}, {2, "b  ", 20}};
  CHECK(follower.rows() == before);
  database.exec("ALTER TABLE items ALTER name TYPE char(5); UPDATE items SET amount = 11 WHERE id = 1");
  const btreemapped::Event stale = follower.log.wait_for(EventKind::table_stale, 1, "public.items");
  CHECK_THAT(stale.message, ContainsSubstring("name"));
  static_cast<void>(follower.log.wait_for(EventKind::table_healed));
  CHECK(follower.rows() == std::vector<Item>{{1, "a    ", 11}, {2, "b    ", 20}});
}

TEST_CASE("a column that is dropped and added again with another default is noticed", "[G4]") {
  test::Database database;
  Follower follower(database);
  database.exec("ALTER TABLE items DROP COLUMN amount, ADD COLUMN amount int NOT NULL DEFAULT 77");
  REQUIRE(test::eventually([&] { return follower.rows() == follower.table(); }));
  CHECK(follower.rows() == std::vector<Item>{{1, "a", 77}, {2, "b", 77}});
}

TEST_CASE("columns that nobody mapped come and go without a new copy", "[G4]") {
  test::Database database;
  Follower follower(database);
  database.exec(
      "ALTER TABLE items DROP COLUMN unused, ADD COLUMN later int DEFAULT 5; INSERT INTO items VALUES (3, 'c', 30, 1)");
  database.exec("UPDATE items SET name = 'z', later = 9 WHERE id = 1; DELETE FROM items WHERE id = 2");
  database.catch_up(*follower.replicator);
  CHECK(follower.rows() == std::vector<Item>{{1, "z", 10}, {3, "c", 30}});
  database.exec("ALTER TABLE items ALTER later SET DEFAULT 6");
  follower.must_not_have_been_copied();
}

TEST_CASE("another default, setting or privilege of a mapped column makes its table be copied afresh", "[G4]") {
  test::Database database;
  Follower follower(database);
  for (const std::string change : {"SET DEFAULT 5", "SET STATISTICS 50"}) {
    CAPTURE(change);
    database.exec("ALTER TABLE items ALTER amount " + change);
    follower.wait_for_copy();
    CHECK(follower.rows() == follower.table());
  }
  database.exec("GRANT SELECT (amount) ON items TO public");
  follower.wait_for_copy();
  CHECK(follower.rows() == follower.table());
  CHECK(follower.log.count(EventKind::table_failed) == 0);
}

TEST_CASE("a table that no longer fits in several ways names them all, and heals once all are mended", "[G4]") {
  test::Database database;
  Follower follower(database);
  const std::vector<Item> before = follower.rows();
  database.exec("ALTER TABLE items DROP COLUMN amount, ALTER id TYPE bigint; ALTER TABLE items RENAME name TO title");
  const std::string why = follower.log.wait_for(EventKind::table_failed, 1, "public.items").message;
  CHECK_THAT(why, ContainsSubstring("column id: ") && ContainsSubstring("column name: ") &&
                      ContainsSubstring("column amount: "));
  CHECK(follower.replicator->status().tables.at(0).last_error == why);
  CHECK(follower.rows() == before);
  database.exec("ALTER TABLE items ADD amount int NOT NULL DEFAULT 3; ALTER TABLE items RENAME title TO name");
  follower.look_at_the_catalog();
  CHECK(follower.items->state() == TableState::failed);
  database.exec("ALTER TABLE items ALTER id TYPE int");
  follower.wait_for_copy();
  CHECK(follower.rows() == follower.table());
}

TEST_CASE("a table in the middle of a transaction that alters it stays exact", "[G4]") {
  test::Database database;
  Follower follower(database);
  database.exec(
      "BEGIN; INSERT INTO items VALUES (3, 'c', 30); ALTER TABLE items DROP COLUMN unused; UPDATE items SET name = 'm' "
      "WHERE id = 1;"
      "ALTER TABLE items ADD COLUMN early int; INSERT INTO items VALUES (4, 'd', 40, 0); COMMIT");
  database.catch_up(*follower.replicator);
  CHECK(follower.rows() == std::vector<Item>{{1, "m", 10}, {2, "b", 20}, {3, "c", 30}, {4, "d", 40}});
}

TEST_CASE("an ALTER that is rolled back leaves no trace", "[G4]") {
  test::Database database;
  Follower follower(database);
  database.exec(
      "BEGIN; INSERT INTO items VALUES (3, 'c', 30); SAVEPOINT s; ALTER TABLE items DROP COLUMN amount;"
      "UPDATE items SET name = 'gone'; ROLLBACK TO s; INSERT INTO items VALUES (4, 'd', 40); COMMIT");
  database.catch_up(*follower.replicator);
  CHECK(follower.rows() == std::vector<Item>{{1, "a", 10}, {2, "b", 20}, {3, "c", 30}, {4, "d", 40}});
  CHECK(follower.items->state() == TableState::live);
}

TEST_CASE("a table that is dropped and created again is copied afresh", "[G4]") {
  test::Database database;
  Follower follower(database, "CREATE PUBLICATION pub FOR ALL TABLES");
  database.exec(
      "DROP TABLE items; CREATE TABLE items (amount int NOT NULL, name text NOT NULL, id int PRIMARY KEY);"
      "INSERT INTO items VALUES (90, 'new', 9)");
  REQUIRE(test::eventually([&] { return follower.rows() == follower.table(); }));
  CHECK(follower.rows() == std::vector<Item>{{9, "new", 90}});
}

TEST_CASE("a dropped table keeps its last rows, and the others go on", "[G4]") {
  test::Database database;
  Follower follower(database);
  const std::vector<Item> before = follower.rows();
  database.exec("DROP TABLE items");
  static_cast<void>(follower.log.wait_for(EventKind::table_failed, 1, "public.items"));
  database.exec("INSERT INTO others VALUES (1)");
  database.catch_up(*follower.replicator);
  CHECK(follower.rows() == before);
  CHECK(follower.items->state() == TableState::failed);
  CHECK(follower.others->size() == 1);
  follower.replicator->ends_unproved("a table is gone");
}

TEST_CASE("a table that is dropped before its first copy is said to be missing", "[G1][G4]") {
  test::Database database;
  database.exec(
      "CREATE TABLE items (id int PRIMARY KEY, name text NOT NULL, amount int NOT NULL); CREATE PUBLICATION pub FOR "
      "TABLE items");
  test::Proxy proxy(database.reader_dsn());
  btreemapped::Options options = database.options();
  options.connection = proxy.dsn();
  test::Replicator replicator(options);
  static_cast<void>(replicator.add_replica<Item, 1>("items"));
  proxy.hold("SET TRANSACTION SNAPSHOT");
  replicator.start();
  proxy.wait_until_held();
  database.exec("DROP TABLE items");
  proxy.release();
  CHECK_THROWS_MATCHES(test::wait_until_synced(replicator), btreemapped::SchemaError,
                       Catch::Matchers::MessageMatches(ContainsSubstring("there is no such table")));
}

TEST_CASE("a table that is dropped and created again before its first copy is copied as it is then", "[G1][G4]") {
  test::Database database;
  database.exec(
      "CREATE TABLE items (id int PRIMARY KEY, name text NOT NULL, amount int NOT NULL); CREATE PUBLICATION pub FOR "
      "TABLES IN SCHEMA public");
  test::Proxy proxy(database.reader_dsn());
  btreemapped::Options options = database.options();
  options.connection = proxy.dsn();
  test::Replicator replicator(options);
  const auto items = replicator.add_replica<Item, 1>("items");
  proxy.hold("SET TRANSACTION SNAPSHOT");
  replicator.start();
  proxy.wait_until_held();
  database.exec(
      "DROP TABLE items; CREATE TABLE items (id int PRIMARY KEY, name text NOT NULL, amount int NOT NULL); INSERT INTO "
      "items VALUES (1, "
      "'new', 2)");
  proxy.release();
  test::wait_until_synced(replicator);
  CHECK(items.to_vector() == std::vector<Item>{{1, "new", 2}});
}

TEST_CASE("another table that takes the name is copied afresh", "[G4]") {
  test::Database database;
  Follower follower(database, "CREATE PUBLICATION pub FOR ALL TABLES");
  database.exec(
      "CREATE TABLE spare (id int PRIMARY KEY, name text NOT NULL, amount int NOT NULL); INSERT INTO spare VALUES (5, "
      "'e', 50);"
      "ALTER TABLE items RENAME TO former; ALTER TABLE spare RENAME TO items");
  database.exec("UPDATE former SET name = 'wrong'; INSERT INTO items VALUES (6, 'f', 60)");
  REQUIRE(test::eventually([&] { return follower.rows() == follower.table(); }));
  CHECK(follower.rows() == std::vector<Item>{{5, "e", 50}, {6, "f", 60}});
}

TEST_CASE("a table taken out of the publication fails, and heals when it is back", "[G4]") {
  test::Database database;
  Follower follower(database);
  database.exec("ALTER PUBLICATION pub DROP TABLE items; UPDATE items SET amount = 0");
  static_cast<void>(follower.log.wait_for(EventKind::table_failed, 1, "public.items"));
  CHECK(follower.items->state() == TableState::failed);
  database.exec("ALTER PUBLICATION pub ADD TABLE items");
  static_cast<void>(follower.log.wait_for(EventKind::table_healed));
  CHECK(follower.rows() == follower.table());
}

TEST_CASE("a renamed value of an enum, which the stream does not show, is noticed", "[G4]") {
  test::Database database;
  database.exec("CREATE TYPE mood AS ENUM ('bad', 'good')");
  Follower follower(database);
  database.exec("ALTER TABLE items DROP name, ADD name mood NOT NULL DEFAULT 'good'");
  REQUIRE(test::eventually([&] { return follower.rows() == follower.table(); }));
  database.exec("ALTER TYPE mood RENAME VALUE 'good' TO 'fine'");
  REQUIRE(test::eventually([&] { return follower.rows() == follower.table(); }));
  CHECK(follower.rows().at(0).name == "fine");
}

TEST_CASE("a primary key that is dropped stops its table, and adding it again heals", "[G4]") {
  test::Database database;
  Follower follower(database);
  database.exec("ALTER TABLE items DROP CONSTRAINT items_pkey; INSERT INTO items VALUES (3, 'c', 30)");
  static_cast<void>(follower.log.wait_for(EventKind::table_failed, 1, "public.items"));
  database.exec("ALTER TABLE items ADD PRIMARY KEY (id)");
  static_cast<void>(follower.log.wait_for(EventKind::table_healed));
  CHECK(follower.rows() == follower.table());
}

TEST_CASE("a primary key that is dropped stops its table also where whole rows identify it, and adding it again heals",
          "[G4]") {
  test::Database database;
  Follower follower(database,
                    "ALTER TABLE items REPLICA IDENTITY FULL; CREATE PUBLICATION pub FOR TABLE items, others");
  const std::vector<Item> before = follower.rows();
  database.exec("ALTER TABLE items DROP CONSTRAINT items_pkey");
  CHECK_THAT(follower.log.wait_for(EventKind::table_failed, 1, "public.items").message, ContainsSubstring("unique"));
  CHECK(follower.rows() == before);
  database.exec("INSERT INTO items VALUES (3, 'c', 30); ALTER TABLE items ADD PRIMARY KEY (id)");
  static_cast<void>(follower.log.wait_for(EventKind::table_healed, 1, "public.items"));
  CHECK(follower.rows() == follower.table());
}

TEST_CASE("a replica identity that changes in mid-stream is followed", "[G4]") {
  test::Database database;
  Follower follower(database);
  database.exec("ALTER TABLE items REPLICA IDENTITY FULL; UPDATE items SET id = 5 WHERE id = 1");
  database.exec(
      "BEGIN; ALTER TABLE items REPLICA IDENTITY DEFAULT; UPDATE items SET id = 6, name = 'q' WHERE id = 5;"
      "ALTER TABLE items REPLICA IDENTITY FULL; DELETE FROM items WHERE id = 2; COMMIT");
  REQUIRE(test::eventually([&] { return follower.rows() == follower.table(); }));
  CHECK(follower.rows() == std::vector<Item>{{6, "q", 10}});
  database.catch_up(*follower.replicator);
  CHECK(follower.rows() == std::vector<Item>{{6, "q", 10}});
}

TEST_CASE("ALTER TABLE again and again under load ends equal", "[G4][G3]") {
  test::Database database;
  Follower follower(database);
  test::Load load(database.dsn(), 1, [](std::mt19937_64& random) {
    const std::string id = std::to_string(random() % 50);
    return "INSERT INTO items VALUES (" + id +
           ", 'n', 1) ON CONFLICT (id) DO UPDATE SET amount = items.amount + 1, name = 'u'";
  });
  for (int round = 0; round < 5; ++round) {
    REQUIRE(load.go_on_for(20));
    database.exec("ALTER TABLE items ALTER amount TYPE int USING amount + 1000");
    follower.wait_for_copy();
  }
  load.stop();
  REQUIRE(test::eventually([&] { return follower.rows() == follower.table(); }));
  database.catch_up(*follower.replicator);
  CHECK(follower.rows() == follower.table());
}

TEST_CASE("upkeep of a table is not taken for a change of it", "[G4]") {
  test::Database database;
  Follower follower(database);
  for (const std::string upkeep :
       {"VACUUM FULL items", "CLUSTER items USING items_pkey", "REINDEX TABLE items",
        "REINDEX TABLE CONCURRENTLY items", "ANALYZE items", "VACUUM (FREEZE) items",
        "CREATE INDEX later ON items (name)", "CREATE UNIQUE INDEX last ON items (name)", "DROP INDEX later",
        "ALTER TABLE items SET (fillfactor = 50)", "ALTER TABLE items ADD CHECK (id < 1000)",
        "COMMENT ON TABLE items IS 'x'", "GRANT SELECT ON items TO public"}) {
    CAPTURE(upkeep);
    database.exec(upkeep);
    database.exec("UPDATE items SET amount = amount + 1");
    database.catch_up(*follower.replicator);
    CHECK(follower.rows() == follower.table());
  }
  follower.must_not_have_been_copied();
}

TEST_CASE("a table that is renamed away fails, and heals when it is back", "[G4]") {
  test::Database database;
  Follower follower(database);
  const std::vector<Item> before = follower.rows();
  database.exec("ALTER TABLE items RENAME TO away; UPDATE away SET amount = 0; INSERT INTO others VALUES (1)");
  CHECK_THAT(follower.log.wait_for(EventKind::table_failed, 1, "public.items").message,
             ContainsSubstring("there is no such table"));
  database.catch_up(*follower.replicator);
  CHECK(follower.rows() == before);
  CHECK(follower.items->state() == TableState::failed);
  CHECK(follower.others->to_vector() == std::vector<Other>{{1}});
  database.exec("ALTER TABLE away RENAME TO items");
  follower.wait_for_copy();
  CHECK(follower.rows() == follower.table());
}

TEST_CASE("a schema that is renamed takes its tables away, and they heal when it is back", "[G4]") {
  test::Database database;
  Follower follower(database);
  const std::vector<Item> before = follower.rows();
  database.exec("ALTER SCHEMA public RENAME TO former; UPDATE former.items SET amount = 0");
  static_cast<void>(follower.log.wait_for(EventKind::table_failed, 1, "public.items"));
  static_cast<void>(follower.log.wait_for(EventKind::table_failed, 1, "public.others"));
  CHECK(follower.rows() == before);
  database.exec("ALTER SCHEMA former RENAME TO public");
  follower.wait_for_copy();
  static_cast<void>(follower.log.wait_for(EventKind::table_healed, 1, "public.others"));
  CHECK(follower.rows() == follower.table());
}

TEST_CASE("a table that moves to another schema fails, and heals when it is back", "[G4]") {
  test::Database database;
  Follower follower(database);
  const std::vector<Item> before = follower.rows();
  database.exec(
      "CREATE SCHEMA elsewhere; ALTER TABLE items SET SCHEMA elsewhere; UPDATE elsewhere.items SET amount = 0");
  static_cast<void>(follower.log.wait_for(EventKind::table_failed, 1, "public.items"));
  CHECK(follower.rows() == before);
  database.exec("ALTER TABLE elsewhere.items SET SCHEMA public");
  static_cast<void>(follower.log.wait_for(EventKind::table_healed, 1, "public.items"));
  CHECK(follower.rows() == follower.table());
}

TEST_CASE("a column that becomes nullable is followed until a NULL comes", "[G4]") {
  test::Database database;
  Follower follower(database);
  database.exec("ALTER TABLE items ALTER name DROP NOT NULL; UPDATE items SET name = 'x' WHERE id = 1");
  REQUIRE(test::eventually([&] { return follower.rows() == follower.table(); }));
  const std::vector<Item> before = follower.rows();
  database.exec("UPDATE items SET name = NULL WHERE id = 2");
  CHECK_THAT(follower.log.wait_for(EventKind::table_failed, 1, "public.items").message, ContainsSubstring("name"));
  CHECK(follower.rows() == before);
  follower.replicator->ends_unproved("a table holds what its rows cannot");
}

TEST_CASE("a new column of constant default, read from rows that do not have it yet, is exact", "[G4]") {
  test::Database database;
  database.exec(
      "CREATE TABLE items (id int PRIMARY KEY, name text NOT NULL); INSERT INTO items VALUES (1, 'a'), (2, "
      "'b'); ALTER TABLE items ADD amount int NOT NULL DEFAULT 7; ALTER TABLE items REPLICA IDENTITY FULL;"
      "CREATE PUBLICATION pub FOR TABLE items");
  test::Replicator replicator(database.options());
  const auto items = replicator.add_replica<Item, 1>("items");
  test::start_and_sync(replicator);
  CHECK(items.to_vector() == std::vector<Item>{{1, "a", 7}, {2, "b", 7}});
  database.exec("UPDATE items SET name = 'c' WHERE id = 1; UPDATE items SET id = 3 WHERE id = 2");
  database.catch_up(replicator);
  CHECK(items.to_vector() == std::vector<Item>{{1, "c", 7}, {3, "b", 7}});
}

TEST_CASE("the constant default of a column that an old row does not have yet tells it from another row of its key",
          "[G4]") {
  test::Database database;
  test::Following<Item, 1> following(
      database,
      "CREATE TABLE items (id int PRIMARY KEY DEFERRABLE INITIALLY DEFERRED, name text NOT NULL); INSERT INTO items "
      "VALUES (1, 'a'), (3, 'a'); ALTER TABLE items ADD amount int NOT NULL DEFAULT 7; ALTER TABLE items ALTER amount "
      "SET DEFAULT 8; INSERT INTO items VALUES (2, 'a', 8), (4, 'a', 8); ALTER TABLE items REPLICA IDENTITY FULL;"
      "CREATE PUBLICATION pub FOR TABLE items");
  // While two rows share a key, the one whose amount is nowhere but in the catalog moves away, or stays.
  CHECK(following.rows_after("BEGIN; UPDATE items SET id = 1 WHERE id = 2; UPDATE items SET id = 2 WHERE id = 1 AND "
                             "amount = 7; UPDATE items SET id = 3 WHERE id = 4; DELETE FROM items WHERE id = 3 AND "
                             "amount = 8; COMMIT") == std::vector<Item>{{1, "a", 8}, {2, "a", 7}, {3, "a", 7}});
}

}  // namespace schema_changes_test
