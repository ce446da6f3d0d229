// TRUNCATE empties exactly the tables that it names and reaches, at its place in the transaction.

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include <catch2/catch_test_macros.hpp>

#include <btreemapped.hpp>

#include "support/database.hpp"
#include "support/following.hpp"
#include "support/replicator.hpp"

namespace truncates_test {

struct Item {
  std::int32_t id;
  std::string name;

  friend bool operator==(const Item&, const Item&) = default;
};

using Items = std::vector<Item>;
using Following = test::Following<Item, 1>;

const std::string items =
    "CREATE TABLE items (id int PRIMARY KEY, name text NOT NULL); INSERT INTO items VALUES (1, 'a'), (2, 'b'); ";
const std::string publish = "CREATE PUBLICATION pub FOR TABLE items";

TEST_CASE("a TRUNCATE that is rolled back, whole or to a savepoint, empties nothing", "[truncate]") {
  test::Database database;
  Following following(database, items + publish);
  CHECK(following.rows_after("BEGIN; INSERT INTO items VALUES (3, 'c'); TRUNCATE items; ROLLBACK") ==
        Items{{1, "a"}, {2, "b"}});
  CHECK(
      following.rows_after("BEGIN; UPDATE items SET name = 'A' WHERE id = 1; SAVEPOINT s; TRUNCATE items; INSERT INTO "
                           "items VALUES (9, 'x'); ROLLBACK TO s; UPDATE items SET id = 4 WHERE id = 2; COMMIT") ==
      Items{{1, "A"}, {4, "b"}});
  CHECK(following.rows_after(
            "BEGIN; SAVEPOINT s; TRUNCATE items; RELEASE s; INSERT INTO items VALUES (5, 'e'); COMMIT") ==
        Items{{5, "e"}});
}

TEST_CASE("a table that is truncated again and again is emptied, and not taken for an altered one", "[truncate]") {
  test::Database database;
  Following following(database, items + publish);
  CHECK(following.rows_after("TRUNCATE items").empty());
  CHECK(following.rows_after("TRUNCATE items").empty());
  CHECK(following.rows_after("BEGIN; INSERT INTO items VALUES (1, 'c'), (2, 'd'); TRUNCATE items; INSERT INTO items "
                             "VALUES (2, 'e'); UPDATE items SET id = 3; TRUNCATE items RESTART IDENTITY; INSERT INTO "
                             "items VALUES (1, 'f'); UPDATE items SET name = 'g'; COMMIT") == Items{{1, "g"}});
}

TEST_CASE("TRUNCATE does not ask the row filter and the column list", "[truncate]") {
  test::Database database;
  Following following(database, items + "ALTER TABLE items ADD more int; " + publish + " (id, name) WHERE (id > 1)");
  CHECK(following.rows() == Items{{2, "b"}});
  CHECK(following.rows_after("TRUNCATE items; INSERT INTO items VALUES (1, 'c', 0), (7, 'd', 0)") == Items{{7, "d"}});
}

TEST_CASE("a table that a cascading TRUNCATE does not reach keeps its rows", "[truncate]") {
  test::Database database;
  database.exec(items +
                "CREATE TABLE near (id int PRIMARY KEY REFERENCES items, name text NOT NULL); CREATE TABLE far (id int "
                "PRIMARY KEY REFERENCES near, name text NOT NULL); CREATE TABLE apart (LIKE items INCLUDING ALL);"
                "INSERT INTO near TABLE items; INSERT INTO far TABLE items; INSERT INTO apart TABLE items;"
                "CREATE PUBLICATION pub FOR TABLE items, far, apart");
  test::Replicator replicator(database.options());
  const auto all = replicator.add_replica<Item, 1>("items");
  const auto far = replicator.add_replica<Item, 1>("far");
  const auto apart = replicator.add_replica<Item, 1>("apart");
  test::start_and_sync(replicator);
  database.exec("TRUNCATE near CASCADE");  // itself not published
  database.catch_up(replicator);
  CHECK(far.empty());
  CHECK(all.size() == 2);
  database.exec("TRUNCATE items CASCADE");
  database.catch_up(replicator);
  CHECK(all.empty());
  CHECK(apart.size() == 2);
  CHECK(replicator.status().reconnects == 0);
}

TEST_CASE("TRUNCATE of a parent empties its children, and ONLY spares them", "[truncate]") {
  test::Database database;
  database.exec(items + "CREATE TABLE child (PRIMARY KEY (id)) INHERITS (items); INSERT INTO child VALUES (1, 'c');" +
                publish);
  test::Replicator replicator(database.options());
  const auto parent = replicator.add_replica<Item, 1>("items");
  const auto child = replicator.add_replica<Item, 1>("child");
  test::start_and_sync(replicator);
  CHECK(parent.size() == 2);
  CHECK(child.to_vector() == Items{{1, "c"}});
  database.exec("TRUNCATE ONLY items; INSERT INTO items VALUES (3, 'p')");
  database.catch_up(replicator);
  CHECK(parent.to_vector() == Items{{3, "p"}});
  CHECK(child.size() == 1);
  database.exec("UPDATE items SET name = 'both'");  // reaches the child's row, too
  database.catch_up(replicator);
  CHECK(parent.to_vector() == Items{{3, "both"}});
  CHECK(child.to_vector() == Items{{1, "both"}});
  database.exec("TRUNCATE items");
  database.catch_up(replicator);
  CHECK(parent.empty());
  CHECK(child.empty());
}

TEST_CASE("where partitions are published by their own names, TRUNCATE of the table empties them all", "[truncate]") {
  test::Database database;
  database.exec(
      "CREATE TABLE items (id int PRIMARY KEY, name text NOT NULL) PARTITION BY RANGE (id); CREATE TABLE low PARTITION "
      "OF items FOR VALUES FROM (0) TO (10); CREATE TABLE high PARTITION OF items FOR VALUES FROM (10) TO (20); INSERT "
      "INTO items VALUES (1, 'a'), (11, 'b'); " +
      publish);
  test::Replicator replicator(database.options());
  const auto low = replicator.add_replica<Item, 1>("low");
  const auto high = replicator.add_replica<Item, 1>("high");
  test::start_and_sync(replicator);
  database.exec("TRUNCATE low");
  database.catch_up(replicator);
  CHECK(low.empty());
  CHECK(high.size() == 1);
  database.exec("INSERT INTO items VALUES (2, 'c'); TRUNCATE items; INSERT INTO items VALUES (12, 'd')");
  database.catch_up(replicator);
  CHECK(low.empty());
  CHECK(high.to_vector() == Items{{12, "d"}});
  CHECK(replicator.status().reconnects == 0);
}

}  // namespace truncates_test
