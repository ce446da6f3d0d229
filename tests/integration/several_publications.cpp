// Several publications at once: what they publish of a table adds up, as the server adds it up.

#include <chrono>
#include <cstdint>
#include <string>
#include <vector>

#include <catch2/catch_test_macros.hpp>
#include <catch2/matchers/catch_matchers.hpp>
#include <catch2/matchers/catch_matchers_string.hpp>

#include <btreemapped.hpp>

#include "support/database.hpp"
#include "support/event_log.hpp"
#include "support/replicator.hpp"

namespace several_publications_test {

using btreemapped::UsageError;
using Catch::Matchers::ContainsSubstring;

struct Item {
  std::int32_t id;
  std::string name;

  friend bool operator==(const Item&, const Item&) = default;
};

const std::string two_tables =
    "CREATE TABLE items (id int PRIMARY KEY, name text NOT NULL); CREATE TABLE others (LIKE items INCLUDING ALL);"
    "ALTER TABLE items REPLICA IDENTITY FULL; INSERT INTO items SELECT id, 'n' FROM generate_series(1, 9) id;"
    "INSERT INTO others VALUES (1, 'o'); ";

btreemapped::Options options_for(const test::Database& database, const std::vector<std::string>& publications) {
  btreemapped::Options options = database.options();
  options.publication.clear();
  options.publications = publications;
  return options;
}

std::vector<Item> items_of(test::Database& database, const std::string& condition) {
  std::vector<Item> out;
  for (const test::SqlRow& row : database.rows("SELECT id, name FROM items WHERE " + condition + " ORDER BY id"))
    out.push_back({std::stoi(*row[0]), *row[1]});
  return out;
}

/// What is said of a Replicator that must not start.
std::string complaint(const btreemapped::Options& options) {
  test::Replicator replicator(options);
  static_cast<void>(replicator.add_replica<Item, 1>("items"));
  replicator.start();
  try {
    test::wait_until_synced(replicator);
  } catch (const btreemapped::SchemaError& error) {
    return error.what();
  }
  return {};
}

TEST_CASE("tables of two publications are followed together", "[publications]") {
  test::Database database;
  database.exec(two_tables +
                "CREATE PUBLICATION \"One, pub\" FOR TABLE items; CREATE PUBLICATION two FOR TABLE others");
  test::Replicator replicator(options_for(database, {"One, pub", "two"}));
  const auto items = replicator.add_replica<Item, 1>("items");
  const auto others = replicator.add_replica<Item, 1>("others");
  test::start_and_sync(replicator);
  const std::uint64_t before = items.sequence();
  database.exec("BEGIN; DELETE FROM items WHERE id > 1; UPDATE others SET id = 5; COMMIT");
  database.catch_up(replicator);
  CHECK(items.to_vector() == std::vector<Item>{{1, "n"}});
  CHECK(others.to_vector() == std::vector<Item>{{5, "o"}});
  CHECK(items.sequence() == before + 1);
}

TEST_CASE("a table whose publication is mended after a lost connection is followed again", "[publications][G4]") {
  test::Database database;
  database.exec(two_tables + "CREATE PUBLICATION one FOR TABLE items; CREATE PUBLICATION two FOR TABLE others");
  const test::EventLog log;
  btreemapped::Options options = options_for(database, {"one", "two"});
  options.on_event = log.hook();
  options.catalog_watch_interval = std::chrono::milliseconds{20};
  test::Replicator replicator(options);
  const auto items = replicator.add_replica<Item, 1>("items");
  const auto others = replicator.add_replica<Item, 1>("others");
  test::start_and_sync(replicator);
  database.exec("ALTER PUBLICATION two SET (publish = 'insert')");
  static_cast<void>(log.wait_for(btreemapped::EventKind::table_failed, 1, "public.others"));
  database.end_sessions("backend_type = 'walsender'");
  static_cast<void>(log.wait_for(btreemapped::EventKind::synced, 2));
  CHECK(others.state() == btreemapped::TableState::failed);
  CHECK(items.state() == btreemapped::TableState::live);
  database.exec("DELETE FROM others; ALTER PUBLICATION two SET (publish = 'insert, update, delete, truncate')");
  static_cast<void>(log.wait_for(btreemapped::EventKind::table_healed, 1, "public.others"));
  CHECK(others.empty());
}

TEST_CASE("a table that two publications filter has the rows of both", "[publications]") {
  test::Database database;
  database.exec(two_tables +
                "CREATE PUBLICATION low FOR TABLE items WHERE (id < 3); CREATE PUBLICATION high FOR TABLE items WHERE "
                "(id > 7)");
  test::Replicator replicator(options_for(database, {"low", "high"}));
  const auto items = replicator.add_replica<Item, 1>("items");
  test::start_and_sync(replicator);
  CHECK(items.to_vector() == items_of(database, "id < 3 OR id > 7"));
  database.exec(
      "UPDATE items SET id = 20 WHERE id = 1; UPDATE items SET id = 0 WHERE id = 5; UPDATE items SET id = 5 WHERE id = "
      "9; INSERT INTO items VALUES (10, 'h'), (-1, 'l'); DELETE FROM items WHERE id IN (2, 4)");
  database.catch_up(replicator);
  CHECK(items.to_vector() == items_of(database, "id < 3 OR id > 7"));
  CHECK(replicator.status().reconnects == 0);
}

TEST_CASE("a publication without a filter lifts the filter of another", "[publications]") {
  test::Database database;
  database.exec(two_tables +
                "CREATE PUBLICATION low FOR TABLE items WHERE (id < 3); CREATE PUBLICATION pub FOR TABLES IN SCHEMA "
                "public");
  test::Replicator replicator(options_for(database, {"low", "pub"}));
  const auto items = replicator.add_replica<Item, 1>("items");
  test::start_and_sync(replicator);
  CHECK(items.size() == 9);
  database.exec("UPDATE items SET id = id + 10 WHERE id < 5; INSERT INTO items VALUES (7000, 'h')");
  database.catch_up(replicator);
  CHECK(items.to_vector() == items_of(database, "true"));
}

TEST_CASE("different column lists for one table are refused before the server stumbles over them", "[publications]") {
  test::Database database;
  database.exec(
      "CREATE TABLE items (id int PRIMARY KEY, name text NOT NULL, more int);"
      "CREATE PUBLICATION one FOR TABLE items (id, name); CREATE PUBLICATION two FOR TABLE items");
  const std::string message = complaint(options_for(database, {"one", "two"}));
  CHECK_THAT(message, ContainsSubstring("public.items"));
  CHECK_THAT(message, ContainsSubstring("different column lists"));
  CHECK(database.value("SELECT count(*) FROM pg_replication_slots WHERE database = current_database()") == "0");
}

TEST_CASE("a list of all columns and no list are the same", "[publications]") {
  test::Database database;
  database.exec(
      "CREATE TABLE items (id int PRIMARY KEY, name text NOT NULL); INSERT INTO items VALUES (1, 'a'); CREATE "
      "PUBLICATION one FOR TABLE items (name, id); CREATE PUBLICATION two "
      "FOR "
      "ALL TABLES");
  test::Replicator replicator(options_for(database, {"one", "two"}));
  const auto items = replicator.add_replica<Item, 1>("items");
  test::start_and_sync(replicator);
  database.exec("UPDATE items SET id = 2; INSERT INTO items VALUES (3, 'b')");
  database.catch_up(replicator);
  CHECK(items.to_vector() == std::vector<Item>{{2, "a"}, {3, "b"}});
  CHECK(replicator.status().reconnects == 0);
}

TEST_CASE("a list of all columns and no list are told apart where the server tells them apart", "[publications]") {
  for (const std::string more : {"gone int", "twice int GENERATED ALWAYS AS (id * 2) STORED"}) {
    CAPTURE(more);
    test::Database database;
    database.exec("CREATE TABLE items (id int PRIMARY KEY, name text NOT NULL, " + more +
                  "); ALTER TABLE items DROP COLUMN IF EXISTS gone;"
                  "CREATE PUBLICATION one FOR TABLE items (name, id); CREATE PUBLICATION two FOR ALL TABLES");
    const btreemapped::Options options = options_for(database, {"one", "two"});
    if (std::stoi(database.value("SHOW server_version_num")) < 160000) {
      CHECK_THAT(complaint(options), ContainsSubstring("different column lists"));
      continue;
    }
    test::Replicator replicator(options);
    const auto items = replicator.add_replica<Item, 1>("items");
    test::start_and_sync(replicator);
    database.exec("INSERT INTO items VALUES (3, 'b')");
    database.catch_up(replicator);
    CHECK(items.to_vector() == std::vector<Item>{{3, "b"}});
    CHECK(replicator.status().reconnects == 0);
  }
}

TEST_CASE("publications that filter inserts and deletes differently are refused, with the SQL that mends it",
          "[publications]") {
  test::Database database;
  database.exec(two_tables +
                "CREATE PUBLICATION one FOR TABLE items WHERE (id < 3) WITH (publish = 'insert');"
                "CREATE PUBLICATION two FOR TABLE items WITH (publish = 'update, delete, truncate')");
  const btreemapped::Options options = options_for(database, {"one", "two"});
  const std::string message = complaint(options);
  CHECK_THAT(message, ContainsSubstring("public.items: the publications filter"));
  const std::size_t remedy = message.find("remedy: ");
  REQUIRE(remedy != std::string::npos);
  database.exec(message.substr(remedy + 8, message.find('\n', remedy) - remedy - 8));
  CHECK(complaint(options) == "");
}

TEST_CASE("operations that two publications share out are all followed", "[publications]") {
  test::Database database;
  database.exec(two_tables +
                "CREATE PUBLICATION one FOR TABLE items WITH (publish = 'insert, truncate');"
                "CREATE PUBLICATION two FOR TABLE items WITH (publish = 'update, delete')");
  test::Replicator replicator(options_for(database, {"one", "two"}));
  const auto items = replicator.add_replica<Item, 1>("items");
  test::start_and_sync(replicator);
  database.exec(
      "INSERT INTO items VALUES (10, 'a'); UPDATE items SET id = 11 WHERE id = 10; DELETE FROM items WHERE "
      "id < 9");
  database.catch_up(replicator);
  CHECK(items.to_vector() == std::vector<Item>{{9, "n"}, {11, "a"}});
  database.exec("TRUNCATE items; INSERT INTO items VALUES (1, 'b')");
  database.catch_up(replicator);
  CHECK(items.to_vector() == std::vector<Item>{{1, "b"}});
}

TEST_CASE("the missing ones of several publications are named", "[publications]") {
  test::Database database;
  database.exec(two_tables + "CREATE PUBLICATION one FOR TABLE items");
  const std::string message = complaint(options_for(database, {"one", "two", "three"}));
  CHECK_THAT(message, ContainsSubstring("there is no publication two"));
  CHECK_THAT(message, ContainsSubstring("there is no publication three"));
  CHECK_THAT(message, !ContainsSubstring("there is no publication one"));
}

TEST_CASE("a table that none of several publications publishes is refused", "[publications]") {
  test::Database database;
  database.exec(two_tables + "CREATE PUBLICATION one FOR TABLE others; CREATE PUBLICATION two");
  CHECK_THAT(complaint(options_for(database, {"one", "two"})),
             ContainsSubstring("public.items: publication one, two does not publish it"));
}

TEST_CASE("publications named in a way that cannot work are refused at the start", "[publications]") {
  const auto start = [](btreemapped::Options options) {
    options.connection = "host=localhost";
    test::Replicator replicator(options);
    static_cast<void>(replicator.add_replica<Item, 1>("items"));
    replicator.start();
  };
  CHECK_THROWS_WITH(start({.publication = "a", .publications = {"b"}}), ContainsSubstring("both set"));
  CHECK_THROWS_WITH(start({.publications = {"a", "b", "a"}}), ContainsSubstring("publication a twice"));
  CHECK_THROWS_AS(start({.publications = {"a", ""}}), UsageError);
  CHECK_THROWS_WITH(start({.publications = {"a", "b"}, .create_publication = true}), ContainsSubstring("one"));
}

}  // namespace several_publications_test
