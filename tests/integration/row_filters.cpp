// Row filters: rows that come into a filter and leave it, with moved keys, NULLs and long values.

#include <chrono>
#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include <catch2/catch_test_macros.hpp>

#include <btreemapped.hpp>

#include "support/database.hpp"
#include "support/event_log.hpp"
#include "support/following.hpp"
#include "support/proxy.hpp"
#include "support/replicator.hpp"

namespace row_filters_test {

struct Item {
  std::int32_t id;
  std::string name;
  std::optional<std::int32_t> amount;

  friend bool operator==(const Item&, const Item&) = default;
};

using Items = std::vector<Item>;
using Following = test::Following<Item, 1>;

const std::string items =
    "CREATE TABLE items (id int PRIMARY KEY, name text NOT NULL, amount int); ALTER TABLE items REPLICA IDENTITY FULL;"
    "INSERT INTO items VALUES (1, 'a', 10), (2, 'b', 20), (3, 'c', NULL), (4, 'd', -4); ";
const std::string publish_positive = "CREATE PUBLICATION pub FOR TABLE items WHERE (amount > 0)";

TEST_CASE("the copy has the rows for which the filter is true, and none for which it is NULL", "[filter]") {
  test::Database database;
  Following following(database, items + publish_positive);
  CHECK(following.rows() == Items{{1, "a", 10}, {2, "b", 20}});
}

TEST_CASE("an update may bring a row into the filter, take it out, and move its key at the same time", "[filter]") {
  test::Database database;
  Following following(database, items + publish_positive);
  // in to in, in to out, out to in, out to out
  CHECK(
      following.rows_after("UPDATE items SET id = 5 WHERE id = 1; UPDATE items SET id = 6, amount = NULL WHERE id = 2;"
                           "UPDATE items SET id = 7, amount = 3 WHERE id = 3; UPDATE items SET id = 8 WHERE id = 4") ==
      Items{{5, "a", 10}, {7, "c", 3}});
  CHECK(following.rows_after("UPDATE items SET amount = NULL WHERE id = 5; UPDATE items SET amount = 1, id = 5 - id "
                             "WHERE id = 8; UPDATE items SET amount = 0 WHERE id = 7") == Items{{-3, "d", 1}});
}

TEST_CASE("rows outside the filter are inserted and deleted without a trace", "[filter]") {
  test::Database database;
  Following following(database, items + publish_positive);
  CHECK(following.rows_after("DELETE FROM items WHERE id >= 3; INSERT INTO items VALUES (3, 'x', NULL), (4, 'y', 0);"
                             "INSERT INTO items VALUES (5, 'z', 1)") == Items{{1, "a", 10}, {2, "b", 20}, {5, "z", 1}});
}

TEST_CASE("a row that leaves the filter and comes back in one transaction is there once", "[filter]") {
  test::Database database;
  Following following(database, items + publish_positive);
  CHECK(
      following.rows_after("BEGIN; UPDATE items SET amount = -1 WHERE id = 1; UPDATE items SET name = 'out' WHERE id = "
                           "1; UPDATE items SET amount = 11 WHERE id = 1; UPDATE items SET id = 9, amount = 0 WHERE id "
                           "= 2; INSERT INTO items VALUES (2, 'new', 2); UPDATE items SET amount = 9 WHERE id = 9;"
                           "COMMIT") == Items{{1, "out", 11}, {2, "new", 2}, {9, "b", 9}});
}

TEST_CASE("a filter of the default identity's columns follows moved keys", "[filter]") {
  test::Database database;
  Following following(database, items +
                                    "ALTER TABLE items REPLICA IDENTITY DEFAULT;"
                                    "CREATE PUBLICATION pub FOR TABLE items WHERE (id % 2 = 0)");
  CHECK(following.rows() == Items{{2, "b", 20}, {4, "d", -4}});
  CHECK(following.rows_after("UPDATE items SET id = 6 WHERE id = 1; UPDATE items SET id = 7 WHERE id = 2; UPDATE items "
                             "SET id = 8 WHERE id = 4; UPDATE items SET id = 5 WHERE id = 3; UPDATE items SET amount = "
                             "0; DELETE FROM items WHERE id > 6") == Items{{6, "a", 0}});
}

TEST_CASE("under REPLICA IDENTITY FULL a row that comes into the filter brings its long value", "[filter]") {
  test::Database database;
  const std::string body(5000, 'x');
  Following following(database, items + "ALTER TABLE items ALTER name SET STORAGE EXTERNAL; UPDATE items SET name = '" +
                                    body + "'; " + publish_positive);
  CHECK(following.log.count(btreemapped::EventKind::warning) == 0);
  CHECK(
      following.rows_after("UPDATE items SET amount = 30 WHERE id = 3; UPDATE items SET id = 44, amount = 4 WHERE id = "
                           "4; UPDATE items SET amount = amount + 1 WHERE id < 3") ==
      Items{{1, body, 11}, {2, body, 21}, {3, body, 30}, {44, body, 4}});
}

TEST_CASE("a partitioned table is filtered as a whole", "[filter]") {
  test::Database database;
  Following following(
      database,
      "CREATE TABLE items (id int PRIMARY KEY, name text NOT NULL, amount int) PARTITION BY RANGE (id); CREATE TABLE "
      "low "
      "(amount int, name text NOT NULL, id int PRIMARY KEY); ALTER TABLE items ATTACH PARTITION low FOR VALUES FROM "
      "(0) "
      "TO (10); CREATE TABLE high PARTITION OF items FOR VALUES FROM (10) TO (20); ALTER TABLE items REPLICA IDENTITY "
      "FULL; ALTER TABLE low REPLICA IDENTITY FULL; ALTER TABLE high REPLICA IDENTITY FULL; INSERT INTO items VALUES "
      "(1, "
      "'a', 1), (2, 'b', -2), (11, 'c', 3); " +
          publish_positive + " WITH (publish_via_partition_root = true)");
  CHECK(following.rows() == Items{{1, "a", 1}, {11, "c", 3}});
  CHECK(
      following.rows_after("UPDATE items SET id = id + 10 WHERE id < 3 AND amount < 0; UPDATE items SET amount = 5 "
                           "WHERE id = 12; UPDATE items SET id = 15, amount = 0 WHERE id = 1; UPDATE items SET id = 3 "
                           "WHERE id = 11") == Items{{3, "c", 3}, {12, "b", 5}});
}

/// Of a table with columns a and b, which only the filter knows.
struct Name {
  std::int32_t id;
  std::string name;

  friend bool operator==(const Name&, const Name&) = default;
};

const std::string names =
    "CREATE TABLE items (id int PRIMARY KEY, name text NOT NULL, a int, b int); ALTER TABLE items REPLICA IDENTITY "
    "FULL;"
    "INSERT INTO items VALUES (1, 'one', 1, -1), (2, 'two', -1, 1), (3, 'three', -1, -1);"
    "CREATE PUBLICATION pub FOR TABLE items WHERE (a > 0)";
const std::string swap_names =
    "ALTER TABLE items RENAME a TO x; ALTER TABLE items RENAME b TO a; "
    "ALTER TABLE items RENAME x TO b;";

/// Follows them through a proxy that holds the session that says `words`, and alters the table meanwhile.
std::vector<Name> rows_if_altered(test::Database& database, const std::string& words, const std::string& alter) {
  database.exec(names);
  test::Proxy proxy(database.reader_dsn());
  btreemapped::Options options = database.options();
  options.connection = proxy.dsn();
  test::Replicator replicator(options);
  const auto replica = replicator.add_replica<Name, 1>("items");
  proxy.hold(words);
  replicator.start();
  proxy.wait_until_held();
  database.exec(alter);
  proxy.release();
  test::wait_until_synced(replicator);
  database.exec("INSERT INTO items VALUES (4, 'four', 1, 1)");
  database.catch_up(replicator);
  return replica.to_vector();
}

TEST_CASE("a filter whose columns swap their names before the copy goes on meaning the same columns", "[filter]") {
  for (const char* const words : {"CREATE_REPLICATION_SLOT", "SET TRANSACTION SNAPSHOT"}) {
    CAPTURE(words);
    test::Database database;
    // The publication has the columns by number: it still publishes the row whose first one is positive.
    CHECK(rows_if_altered(database, words, swap_names) == std::vector<Name>{{1, "one"}, {4, "four"}});
  }
}

TEST_CASE("a column of a filter that is renamed before the copy is found by its new name", "[filter]") {
  for (const char* const words : {"CREATE_REPLICATION_SLOT", "SET TRANSACTION SNAPSHOT"}) {
    CAPTURE(words);
    test::Database database;
    CHECK(rows_if_altered(database, words, "ALTER TABLE items RENAME a TO z") ==
          std::vector<Name>{{1, "one"}, {4, "four"}});
  }
}

TEST_CASE("another expression of a generated column that a filter reads brings the rows that it lets in", "[filter]") {
  test::Database database;
  const int version = std::stoi(database.value("SHOW server_version_num"));
  const std::string definition =
      "CREATE TABLE items (id int PRIMARY KEY, name text NOT NULL, a int, g int GENERATED ALWAYS AS (a) STORED);"
      "ALTER TABLE items REPLICA IDENTITY FULL; INSERT INTO items VALUES (1, 'one', 1), (2, 'two', 2), (3, 'three', 3);"
      "CREATE PUBLICATION pub FOR TABLE items WHERE (g > 2)" +
      std::string(version < 180000 ? "" : " WITH (publish_generated_columns = stored)");
  test::Following<Name, 1> following(database, definition, "items", std::chrono::milliseconds{20});
  CHECK(following.rows() == std::vector<Name>{{3, "three"}});
  const std::string alter = "ALTER TABLE items ALTER g SET EXPRESSION AS (a + 1)";
  if (version < 170000) {
    CHECK_THROWS(database.exec(alter));
    return;
  }
  database.exec(alter);
  static_cast<void>(following.log.wait_for(btreemapped::EventKind::table_healed));
  CHECK(following.rows() == std::vector<Name>{{2, "two"}, {3, "three"}});
}

}  // namespace row_filters_test
