// What preflight complains of is mended by the SQL that it prints, in one go; and publications of all kinds are followed.

#include <cstddef>
#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include <catch2/catch_test_macros.hpp>
#include <catch2/matchers/catch_matchers.hpp>
#include <catch2/matchers/catch_matchers_string.hpp>

#include <btreemapped.hpp>

#include "support/conninfo.hpp"
#include "support/database.hpp"
#include "support/replicator.hpp"

namespace remedies_test {

using Catch::Matchers::ContainsSubstring;

struct Item {
  std::int32_t id;
  std::string name;

  friend bool operator==(const Item&, const Item&) = default;
};

struct Pair {
  std::int32_t a;
  std::int32_t b;
  std::optional<std::string> name;

  friend bool operator==(const Pair&, const Pair&) = default;
};

/// The whole message of a SchemaError; empty when it follows.
template <class Row, std::size_t Arity>
std::string complaint(const btreemapped::Options& options, const std::string& table) {
  test::Replicator replicator(options);
  static_cast<void>(replicator.add_replica<Row, Arity>(table));
  replicator.start();
  try {
    test::wait_until_synced(replicator);
  } catch (const btreemapped::SchemaError& error) {
    return error.what();
  }
  return {};
}

/// The statements behind "remedy: ".
std::vector<std::string> remedies(const std::string& message) {
  const std::string mark = "remedy: ";
  std::vector<std::string> out;
  for (std::size_t place = 0; (place = message.find(mark, place)) != std::string::npos;) {
    place += mark.size();
    out.push_back(message.substr(place, message.find('\n', place) - place));
  }
  return out;
}

/// There is a complaint; what it says is done; there is none.
template <class Row = Item, std::size_t Arity = 1>
void must_mend_itself(const std::string& definition, const std::string& table = "items",
                      std::size_t expected_steps = 1) {
  INFO(definition);
  test::Database database;
  database.exec(definition);
  const std::string message = complaint<Row, Arity>(database.options(), table);
  INFO(message);
  const std::vector<std::string> steps = remedies(message);
  REQUIRE(steps.size() == expected_steps);
  for (const std::string& sql : steps) {
    INFO(sql);
    REQUIRE_NOTHROW(database.exec(sql));
  }
  CHECK(complaint<Row, Arity>(database.options(), table) == "");
}

const std::string item_columns = "(id int PRIMARY KEY, name text NOT NULL)";
const std::string publish_it = "; CREATE PUBLICATION pub FOR TABLE items";

TEST_CASE("the SQL for a missing or unfit publication mends it", "[preflight]") {
  const std::string items = "CREATE TABLE items " + item_columns;
  must_mend_itself(items);
  must_mend_itself(items + "; CREATE PUBLICATION pub");
  must_mend_itself(items + publish_it + " (id)");
  must_mend_itself(items + publish_it + " (id) WHERE (id > 5)");
  must_mend_itself(items + publish_it + " WITH (publish = 'insert')");
  must_mend_itself(items + "; CREATE PUBLICATION pub FOR ALL TABLES WITH (publish = 'insert, update')");
}

TEST_CASE("the SQL for a missing or unfit publication of a partitioned table mends it", "[preflight]") {
  const std::string items = "CREATE TABLE items " + item_columns +
                            " PARTITION BY RANGE (id); CREATE TABLE low PARTITION OF items FOR VALUES FROM (0) TO (10)";
  must_mend_itself(items);
  must_mend_itself(items + "; CREATE PUBLICATION pub");
  must_mend_itself(items + publish_it);
  must_mend_itself(items + "; CREATE PUBLICATION pub FOR ALL TABLES");
  must_mend_itself(items + "; CREATE PUBLICATION pub FOR TABLES IN SCHEMA public");
  must_mend_itself(items + publish_it + " (id) WITH (publish_via_partition_root = true)");
}

TEST_CASE("the SQL for a partitioned table of which only a partition is published mends it", "[preflight]") {
  const std::string items = "CREATE TABLE items " + item_columns +
                            " PARTITION BY RANGE (id); CREATE TABLE low PARTITION OF items FOR VALUES FROM (0) TO (10);"
                            "CREATE PUBLICATION pub FOR TABLE low";
  must_mend_itself(items);
  must_mend_itself(items + " WITH (publish_via_partition_root = true)");
}

TEST_CASE("the SQL for a key that does not tell rows apart mends it", "[preflight]") {
  must_mend_itself("CREATE TABLE items (id int, name text NOT NULL)" + publish_it);
  must_mend_itself("CREATE TABLE items (id int UNIQUE, name text NOT NULL)" + publish_it, "items", 2);
  must_mend_itself("CREATE TABLE items (id int PRIMARY KEY DEFERRABLE, name text NOT NULL)" + publish_it);
  must_mend_itself("CREATE TABLE items (id int NOT NULL, name text PRIMARY KEY)" + publish_it, "items", 2);
  must_mend_itself("CREATE TABLE items " + item_columns + publish_it + "; ALTER TABLE items REPLICA IDENTITY NOTHING");
  must_mend_itself("CREATE TABLE items (id int PRIMARY KEY, name text NOT NULL UNIQUE)" + publish_it +
                   "; ALTER TABLE items REPLICA IDENTITY USING INDEX items_name_key");
  must_mend_itself("CREATE TABLE items (id int NOT NULL UNIQUE, name text NOT NULL)" + publish_it);
  must_mend_itself(
      "CREATE TABLE items (id int, name text NOT NULL)" + publish_it + "; ALTER TABLE items REPLICA IDENTITY NOTHING",
      "items", 2);
  must_mend_itself<Pair, 2>("CREATE TABLE items (a int, b int, name text, PRIMARY KEY (a, b, name))" + publish_it);
}

TEST_CASE("the SQL for partitions that carry less than their table mends them", "[preflight]") {
  const std::string items =
      "CREATE TABLE items " + item_columns +
      " PARTITION BY RANGE (id); CREATE TABLE low PARTITION OF items FOR VALUES FROM (0) TO (10)" + publish_it +
      " WITH (publish_via_partition_root = true)";
  must_mend_itself(items + "; ALTER TABLE low REPLICA IDENTITY NOTHING");
  must_mend_itself(items + "; ALTER TABLE items REPLICA IDENTITY NOTHING");
  must_mend_itself(items + "; ALTER TABLE low SET UNLOGGED");
}

TEST_CASE("the SQL for an unlogged table mends it, however it is published", "[preflight]") {
  const std::string items = "CREATE UNLOGGED TABLE items " + item_columns;
  must_mend_itself(items, "items", 2);
  must_mend_itself(items + "; CREATE PUBLICATION pub", "items", 2);
  must_mend_itself(items + "; CREATE PUBLICATION pub FOR ALL TABLES");
  must_mend_itself(items + "; CREATE PUBLICATION pub FOR TABLES IN SCHEMA public", "items", 2);
}

TEST_CASE("the SQL for a generated column mends it", "[preflight]") {
  must_mend_itself("CREATE TABLE items (id int PRIMARY KEY, name text NOT NULL GENERATED ALWAYS AS ('n') STORED)" +
                   publish_it);
}

TEST_CASE("the SQL of complaints about odd names mends them", "[preflight]") {
  const std::string table = "\"O'd, d\\\"\"\xC3\xA4\"";
  must_mend_itself<Item, 1>("CREATE SCHEMA \"My, \"\"Schema\"\"\"; CREATE TABLE \"My, \"\"Schema\"\"\"." + table +
                                " (id int NOT NULL, name text NOT NULL); CREATE PUBLICATION pub",
                            "\"My, \"\"Schema\"\"\"." + table, 2);
}

TEST_CASE("the SQL for missing rights grants them", "[preflight]") {
  test::Database database;
  const std::string role = database.add_role("LOGIN REPLICATION", "_\"Reader, é\"");
  database.exec("CREATE SCHEMA own; CREATE TABLE own.items " + item_columns +
                "; CREATE PUBLICATION pub FOR TABLE own.items; ALTER TABLE own.items ENABLE ROW LEVEL SECURITY");
  btreemapped::Options options = database.options();
  options.connection = test::with_parts(database.dsn(), {{"user", role}});
  const std::string message = complaint<Item, 1>(options, "own.items");
  INFO(message);
  const std::vector<std::string> steps = remedies(message);
  CHECK(steps.size() == 3);
  for (const std::string& sql : steps) database.exec(sql);
  CHECK(complaint<Item, 1>(options, "own.items") == "");
}

TEST_CASE("publications of all tables and of a schema's tables are followed", "[publications]") {
  for (const std::string what :
       {"ALL TABLES", "TABLES IN SCHEMA public", "TABLES IN SCHEMA public, TABLE own.others"}) {
    INFO(what);
    test::Database database;
    database.exec("CREATE SCHEMA own; CREATE TABLE own.others (id int PRIMARY KEY); CREATE TABLE items " +
                  item_columns + "; INSERT INTO items VALUES (1, 'a'); CREATE PUBLICATION pub FOR " + what);
    test::Replicator replicator(database.options());
    const auto items = replicator.add_replica<Item, 1>("items");
    test::start_and_sync(replicator);
    database.exec(
        "CREATE TABLE later (id int PRIMARY KEY); INSERT INTO later VALUES (1); INSERT INTO own.others VALUES (1);"
        "INSERT INTO items VALUES (2, 'b'); TRUNCATE later; UPDATE items SET id = 3 WHERE id = 1");
    database.catch_up(replicator);
    CHECK(items.to_vector() == std::vector<Item>{{2, "b"}, {3, "a"}});
    CHECK(replicator.status().reconnects == 0);
  }
}

TEST_CASE("a partition is followed under its own name where its table is not published by its root", "[publications]") {
  test::Database database;
  database.exec(
      "CREATE TABLE items " + item_columns +
      " PARTITION BY RANGE (id); CREATE TABLE low PARTITION OF items FOR VALUES FROM (0) TO (10);"
      "CREATE TABLE high (name text NOT NULL, id int PRIMARY KEY);"
      "ALTER TABLE items ATTACH PARTITION high FOR VALUES FROM (10) TO (20); INSERT INTO items VALUES (1, 'a');"
      "CREATE PUBLICATION pub FOR TABLE items");
  test::Replicator replicator(database.options());
  const auto low = replicator.add_replica<Item, 1>("low");
  const auto high = replicator.add_replica<Item, 1>("high");
  test::start_and_sync(replicator);
  database.exec("UPDATE items SET id = 11; INSERT INTO items VALUES (2, 'b')");
  database.catch_up(replicator);
  CHECK(low.to_vector() == std::vector<Item>{{2, "b"}});
  CHECK(high.to_vector() == std::vector<Item>{{11, "a"}});
}

}  // namespace remedies_test
