// Publications: what they may leave out, and what happens when they change in mid-stream.

#include <chrono>
#include <cstddef>
#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include <catch2/catch_test_macros.hpp>
#include <catch2/generators/catch_generators.hpp>
#include <catch2/matchers/catch_matchers.hpp>
#include <catch2/matchers/catch_matchers_string.hpp>

#include <btreemapped.hpp>

#include "support/database.hpp"
#include "support/event_log.hpp"
#include "support/eventually.hpp"
#include "support/replicator.hpp"
#include "support/sql.hpp"

namespace publications_test {

using btreemapped::EventKind;
using btreemapped::TableState;
using Catch::Matchers::ContainsSubstring;

struct Item {
  std::int32_t id;
  std::string name;

  friend bool operator==(const Item&, const Item&) = default;
};

/// Follows the tables items and others of a publication, and looks for changes of it all the time.
struct Follower {
  explicit Follower(test::Database& db, const std::string& publication = "FOR TABLE items, others",
                    std::chrono::milliseconds watch = std::chrono::milliseconds{20})
      : database(db) {
    database.exec(
        "CREATE TABLE items (id int PRIMARY KEY, secret text, name text NOT NULL); CREATE TABLE others (LIKE items "
        "INCLUDING ALL);"
        "CREATE TABLE spare (LIKE items INCLUDING ALL); INSERT INTO items VALUES (1, 's', 'a'), (2, 's', 'b');"
        "CREATE PUBLICATION pub " +
        publication);
    btreemapped::Options options = database.options();
    options.on_event = log.hook();
    options.catalog_watch_interval = watch;
    replicator.emplace(options);
    items.emplace(replicator->add_replica<Item, 1>("items"));
    others.emplace(replicator->add_replica<Item, 1>("others"));
    test::start_and_sync(*replicator);
  }

  [[nodiscard]] std::vector<Item> table(const std::string& condition = "true") {
    std::vector<Item> out;
    for (const test::SqlRow& row : database.rows("SELECT id, name FROM items WHERE " + condition + " ORDER BY id"))
      out.push_back({std::stoi(*row[0]), *row[1]});
    return out;
  }

  test::Database& database;
  test::EventLog log;
  std::optional<test::Replicator> replicator;
  std::optional<btreemapped::Replica<Item, 1>> items;
  std::optional<btreemapped::Replica<Item, 1>> others;
};

TEST_CASE("a column list that holds the mapped columns is enough", "[publications]") {
  test::Database database;
  Follower follower(database, "FOR TABLE items (name, id), others (id, name)");
  database.exec("INSERT INTO items VALUES (3, NULL, 'c'); UPDATE items SET secret = 'changed'");
  database.exec("UPDATE items SET id = 9, secret = 'x' WHERE id = 1; DELETE FROM items WHERE id = 2");
  database.catch_up(*follower.replicator);
  CHECK(follower.items->to_vector() == std::vector<Item>{{3, "c"}, {9, "a"}});
  CHECK(follower.replicator->status().reconnects == 0);
}

TEST_CASE("tables that are published with their schema are followed", "[publications]") {
  test::Database database;
  Follower follower(database, "FOR TABLES IN SCHEMA public");
  database.exec(
      "INSERT INTO items VALUES (3, NULL, 'c'); INSERT INTO others VALUES (1, NULL, 'o'); CREATE TABLE late (id int "
      "PRIMARY KEY);"
      "INSERT INTO late VALUES (1)");
  database.catch_up(*follower.replicator);
  CHECK(follower.items->size() == 3);
  CHECK(follower.others->to_vector() == std::vector<Item>{{1, "o"}});
  CHECK(follower.replicator->status().reconnects == 0);
}

TEST_CASE("a table that is added to the publication for others disturbs nobody", "[publications]") {
  test::Database database;
  Follower follower(database);
  database.exec("ALTER PUBLICATION pub ADD TABLE spare; INSERT INTO spare VALUES (1, 's', 'x')");
  database.exec("INSERT INTO items VALUES (3, NULL, 'c'); ALTER PUBLICATION pub DROP TABLE spare");
  database.exec("INSERT INTO items VALUES (4, NULL, 'd')");
  database.catch_up(*follower.replicator);
  CHECK(follower.items->to_vector() == follower.table());
  CHECK(follower.replicator->status().reconnects == 0);
}

TEST_CASE("a row filter that comes and goes in mid-stream is followed", "[G4]") {
  test::Database database;
  Follower follower(database);
  database.exec("ALTER PUBLICATION pub SET TABLE items WHERE (id > 1), others");
  REQUIRE(test::eventually([&] { return follower.items->to_vector() == follower.table("id > 1"); }));
  database.exec("INSERT INTO items VALUES (0, NULL, 'z'), (3, NULL, 'c')");
  database.catch_up(*follower.replicator);
  CHECK(follower.items->to_vector() == std::vector<Item>{{2, "b"}, {3, "c"}});
  database.exec("ALTER PUBLICATION pub SET TABLE items, others");
  REQUIRE(test::eventually([&] { return follower.items->to_vector() == follower.table(); }));
}

TEST_CASE("a mapped column that leaves the column list stops its table, and heals when it is back", "[G4]") {
  test::Database database;
  Follower follower(database);
  const std::vector<Item> before = follower.table();
  database.exec("ALTER PUBLICATION pub SET TABLE items (id, secret), others; INSERT INTO items VALUES (3, NULL, 'c')");
  CHECK_THAT(follower.log.wait_for(EventKind::table_failed, 1, "public.items").message, ContainsSubstring("name"));
  database.exec("INSERT INTO others VALUES (1, NULL, 'o')");
  REQUIRE(test::eventually([&] { return follower.others->size() == 1; }));
  CHECK(follower.items->to_vector() == before);
  CHECK(follower.items->state() == TableState::failed);
  database.exec("ALTER PUBLICATION pub SET TABLE items, others");
  static_cast<void>(follower.log.wait_for(EventKind::table_healed, 1, "public.items"));
  CHECK(follower.items->to_vector() == follower.table());
}

TEST_CASE("operations that leave the publication stop its tables, and heal when they are back", "[G4]") {
  test::Database database;
  Follower follower(database);
  const std::vector<Item> before = follower.table();
  database.exec("ALTER PUBLICATION pub SET (publish = 'insert')");
  REQUIRE(test::eventually([&] { return follower.items->state() != TableState::live; }));
  database.exec("DELETE FROM items WHERE id = 1");
  static_cast<void>(follower.log.wait_for(EventKind::table_failed, 1, "public.items"));
  CHECK(follower.items->to_vector() == before);
  CHECK_THAT(follower.replicator->status().tables.at(0).last_error, ContainsSubstring("pub"));
  database.exec("ALTER PUBLICATION pub SET (publish = 'insert, update, delete, truncate')");
  REQUIRE(test::eventually([&] { return follower.items->state() == TableState::live; }));
  CHECK(follower.items->to_vector() == follower.table());
}

// In the eyes of PostgreSQL 18 there are no changes while a publication is missing; older ones end the stream.
TEST_CASE("a publication that is dropped and made again before anybody looks loses no change", "[G3][G4]") {
  test::Database database;
  Follower follower(database);
  database.exec(
      "BEGIN; DROP PUBLICATION pub; UPDATE items SET name = 'unseen'; DELETE FROM items WHERE id = 1;"
      "CREATE PUBLICATION pub FOR TABLE items, others; COMMIT");
  REQUIRE(test::eventually([&] { return follower.items->to_vector() == follower.table(); }));
  CHECK(follower.table() == std::vector<Item>{{2, "unseen"}});
  REQUIRE(test::eventually([&] { return follower.items->state() == TableState::live; }));
  database.exec("INSERT INTO items VALUES (3, NULL, 'c')");
  REQUIRE(test::eventually([&] { return follower.items->to_vector() == follower.table(); }));
}

TEST_CASE("a replica identity of nothing in mid-stream stops its table, and heals when it is back", "[G4]") {
  test::Database database;
  Follower follower(database);
  database.exec("ALTER TABLE items REPLICA IDENTITY NOTHING");
  static_cast<void>(follower.log.wait_for(EventKind::table_failed, 1, "public.items"));
  database.exec("INSERT INTO items VALUES (3, NULL, 'c'); INSERT INTO others VALUES (1, NULL, 'o')");
  REQUIRE(test::eventually([&] { return follower.others->size() == 1; }));
  CHECK(follower.items->size() == 2);
  database.exec("ALTER TABLE items REPLICA IDENTITY DEFAULT");
  static_cast<void>(follower.log.wait_for(EventKind::table_healed, 1, "public.items"));
  CHECK(follower.items->to_vector() == follower.table());
}

TEST_CASE("a table that leaves the publication and returns, between two looks at the catalog, is copied afresh",
          "[G4]") {
  for (const std::string there_and_back :
       {"ALTER PUBLICATION pub DROP TABLE items; DELETE FROM items WHERE id = 1; ALTER PUBLICATION pub ADD TABLE items",
        "ALTER PUBLICATION pub SET (publish = 'insert'); DELETE FROM items WHERE id = 1; ALTER PUBLICATION pub SET "
        "(publish = 'insert, update, delete, truncate')",
        "ALTER PUBLICATION pub SET TABLE items WHERE (id > 9), others; DELETE FROM items WHERE id = 1; ALTER "
        "PUBLICATION "
        "pub SET TABLE items, others"}) {
    CAPTURE(there_and_back);
    test::Database database;
    Follower follower(database, "FOR TABLE items, others", std::chrono::hours{1});
    database.exec(there_and_back);
    database.exec("INSERT INTO items VALUES (3, 's', 'c')");  // what makes us look
    CHECK(test::eventually([&] { return follower.items->to_vector() == follower.table(); }));
  }
}

TEST_CASE("a transaction that is open while the publication is altered loses no change", "[G4][G3]") {
  struct Alteration {
    std::string there, back;
  };
  const bool within = GENERATE(false, true);
  for (const Alteration& each :
       {Alteration{"DROP TABLE items", "ADD TABLE items"},
        Alteration{"SET (publish = 'insert')", "SET (publish = 'insert, update, delete, truncate')"},
        Alteration{"SET TABLE items WHERE (id > 9), others", "SET TABLE items, others"}}) {
    CAPTURE(within, each.there);
    test::Database database;
    Follower follower(database);
    const auto ends_equal = [&](const std::string& condition = "true") {
      return test::eventually([&] {
        return follower.items->state() == TableState::live && follower.items->to_vector() == follower.table(condition);
      });
    };
    test::Sql open(database.dsn());
    open.exec("BEGIN; INSERT INTO items VALUES (3, 's', 'c'); UPDATE items SET name = 'before' WHERE id = 2");
    database.exec("ALTER PUBLICATION pub " + each.there);
    open.exec(
        "DELETE FROM items WHERE id = 1; UPDATE items SET id = 14 WHERE id = 3; INSERT INTO others VALUES (1, 's', "
        "'o')");
    if (!within) {
      open.exec("COMMIT");
      const bool filtered = each.there.find("WHERE") != std::string::npos;
      if (filtered) CHECK(ends_equal("id > 9"));
      else static_cast<void>(follower.log.wait_for(EventKind::table_failed, 1, "public.items"));
      database.exec("UPDATE items SET name = 'later' WHERE id = 14");
    }
    database.exec("ALTER PUBLICATION pub " + each.back);
    if (within) open.exec("UPDATE items SET name = 'last' WHERE id = 14; COMMIT");
    CHECK(ends_equal());
    database.exec("UPDATE items SET name = name || '+'");
    CHECK(ends_equal());
    CHECK(follower.others->to_vector() == std::vector<Item>{{1, "o"}});
    CHECK(follower.replicator->status().reconnects == 0);
  }
}

}  // namespace publications_test
