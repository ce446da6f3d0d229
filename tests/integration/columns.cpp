// Columns that are generated, listed, left out, or very many.

#include <chrono>
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
#include "support/following.hpp"
#include "support/replicator.hpp"

namespace columns_test {

using btreemapped::EventKind;
using Catch::Matchers::ContainsSubstring;

struct Item {
  std::int32_t id;
  std::string name;

  friend bool operator==(const Item&, const Item&) = default;
};

/// With a column that is computed.
struct Doubled {
  std::int32_t id;
  std::optional<std::int32_t> twice;

  friend bool operator==(const Doubled&, const Doubled&) = default;
};

struct ByTwice {
  std::int32_t twice;
  std::int32_t id;

  friend bool operator==(const ByTwice&, const ByTwice&) = default;
};

template <class Row>
std::string complaint(const btreemapped::Options& options) {
  test::Replicator replicator(options);
  static_cast<void>(replicator.template add_replica<Row, 1>("items"));
  replicator.start();
  try {
    test::wait_until_synced(replicator);
  } catch (const btreemapped::SchemaError& error) {
    return error.what();
  }
  return {};
}

int version_of(test::Database& database) { return std::stoi(database.value("SHOW server_version_num")); }

const std::string stored = "CREATE TABLE items (id int PRIMARY KEY, twice int GENERATED ALWAYS AS (id * 2) STORED); ";

TEST_CASE("a stored generated column is followed where the publication says so, and refused where it cannot",
          "[columns]") {
  test::Database database;
  database.exec(stored + "INSERT INTO items VALUES (1), (2); CREATE PUBLICATION pub FOR TABLE items");
  CHECK_THAT(complaint<Doubled>(database.options()),
             ContainsSubstring("public.items, column twice: it is a generated column"));
  if (version_of(database) < 180000) return;
  for (const std::string how :
       {"ALTER PUBLICATION pub SET (publish_generated_columns = stored)",
        "ALTER PUBLICATION pub SET (publish_generated_columns = none); ALTER PUBLICATION pub SET "
        "TABLE items (twice, id)"}) {
    CAPTURE(how);
    database.exec(how + "; TRUNCATE items; INSERT INTO items VALUES (1), (2)");
    test::Replicator replicator(database.options());
    const auto items = replicator.add_replica<Doubled, 1>("items");
    test::start_and_sync(replicator);
    CHECK(items.to_vector() == std::vector<Doubled>{{1, 2}, {2, 4}});
    database.exec("UPDATE items SET id = id + 10; INSERT INTO items VALUES (0); DELETE FROM items WHERE id = 12");
    database.catch_up(replicator);
    CHECK(items.to_vector() == std::vector<Doubled>{{0, 0}, {11, 22}});
    database.exec("ALTER TABLE items ALTER twice SET EXPRESSION AS (id * -2)");
    CHECK(test::eventually([&] { return items.to_vector() == std::vector<Doubled>{{0, 0}, {11, -22}}; }));
    database.exec("ALTER TABLE items ALTER twice SET EXPRESSION AS (id * 2)");
    CHECK(test::eventually([&] { return items.to_vector() == std::vector<Doubled>{{0, 0}, {11, 22}}; }));
  }
}

TEST_CASE("a generated column may be the key where it is published", "[columns]") {
  test::Database database;
  database.exec(
      "CREATE TABLE items (id int NOT NULL, twice int GENERATED ALWAYS AS (id * 2) STORED PRIMARY KEY);"
      "INSERT INTO items VALUES (1), (2); CREATE PUBLICATION pub FOR TABLE items");
  CHECK_THAT(complaint<ByTwice>(database.options()), ContainsSubstring("public.items, column twice"));
  if (version_of(database) < 180000) return;
  database.exec("ALTER PUBLICATION pub SET (publish_generated_columns = stored)");
  test::Replicator replicator(database.options());
  const auto items = replicator.add_replica<ByTwice, 1>("items");
  test::start_and_sync(replicator);
  database.exec("UPDATE items SET id = 7 WHERE id = 1; DELETE FROM items WHERE id = 2");
  database.catch_up(replicator);
  CHECK(items.to_vector() == std::vector<ByTwice>{{14, 7}});
}

TEST_CASE("a virtual generated column is refused", "[columns]") {
  test::Database database;
  if (version_of(database) < 180000) {
    CHECK_THROWS(database.exec("CREATE TABLE items (id int PRIMARY KEY, twice int GENERATED ALWAYS AS (id) VIRTUAL)"));
    return;
  }
  database.exec(
      "CREATE TABLE items (id int PRIMARY KEY, twice int GENERATED ALWAYS AS (id * 2) VIRTUAL);"
      "CREATE PUBLICATION pub FOR TABLE items WITH (publish_generated_columns = stored)");
  CHECK_THAT(complaint<Doubled>(database.options()),
             ContainsSubstring("public.items, column twice: it is a virtual generated column"));
}

TEST_CASE("generated columns that nobody mapped do no harm", "[columns]") {
  test::Database database;
  test::Following<Item, 1> following(
      database,
      "CREATE TABLE items (before text GENERATED ALWAYS AS (name || 'x') STORED, id int PRIMARY KEY, between int "
      "GENERATED "
      "ALWAYS AS (id + 1) STORED, name text NOT NULL);"
      "INSERT INTO items VALUES (DEFAULT, 1, DEFAULT, 'a'); CREATE PUBLICATION pub FOR TABLE items");
  CHECK(following.rows_after("INSERT INTO items (id, name) VALUES (2, 'b'); UPDATE items SET id = id + 5") ==
        std::vector<Item>{{6, "a"}, {7, "b"}});
}

TEST_CASE("a whole old row with a generated column is followed, or refused where the server refuses its updates",
          "[columns]") {
  test::Database database;
  database.exec(
      "CREATE TABLE items (id int PRIMARY KEY, name text NOT NULL, more int GENERATED ALWAYS AS (id + 1) STORED);"
      "ALTER TABLE items REPLICA IDENTITY FULL; INSERT INTO items VALUES (1, 'a'); CREATE PUBLICATION pub FOR TABLE "
      "items");
  if (version_of(database) >= 180000) {
    CHECK_THROWS(database.exec("UPDATE items SET id = 2"));
    const std::string message = complaint<Item>(database.options());
    CHECK_THAT(message, ContainsSubstring("public.items: its replica identity holds generated columns"));
    const std::size_t remedy = message.find("remedy: ");
    database.exec(message.substr(remedy + 8, message.find('\n', remedy) - remedy - 8));
  }
  test::Replicator replicator(database.options());
  const auto items = replicator.add_replica<Item, 1>("items");
  test::start_and_sync(replicator);
  database.exec("UPDATE items SET id = 2; INSERT INTO items VALUES (1, 'b'); DELETE FROM items WHERE name = 'b'");
  database.catch_up(replicator);
  CHECK(items.to_vector() == std::vector<Item>{{2, "a"}});
}

TEST_CASE("no publication is created that would make the updates of generated columns fail", "[columns]") {
  test::Database database;
  if (version_of(database) < 180000) {
    CHECK_THROWS(database.exec("CREATE PUBLICATION pub WITH (publish_generated_columns = none)"));
    return;
  }
  database.exec(
      "CREATE TABLE items (id int PRIMARY KEY, name text NOT NULL, more int GENERATED ALWAYS AS (id + 1) VIRTUAL);"
      "ALTER TABLE items REPLICA IDENTITY FULL; INSERT INTO items VALUES (1, 'a')");
  btreemapped::Options options = database.options();
  options.connection = database.dsn();  // of the owner
  options.create_publication = true;
  const std::string message = complaint<Item>(options);
  CHECK_THAT(message, ContainsSubstring("REPLICA IDENTITY DEFAULT"));
  CHECK(database.value("SELECT count(*) FROM pg_publication") == "0");
  database.exec("UPDATE items SET id = 2; ALTER TABLE items REPLICA IDENTITY DEFAULT");
  CHECK(complaint<Item>(options) == "");
}

TEST_CASE("a column list that changes around the mapped columns is followed", "[columns]") {
  test::Database database;
  test::Following<Item, 1> following(
      database,
      "CREATE TABLE items (id int PRIMARY KEY, name text NOT NULL, more text, rest text);"
      "INSERT INTO items VALUES (1, 'a'); CREATE PUBLICATION pub FOR TABLE items",
      "items", std::chrono::milliseconds{20});
  std::vector<Item> expected{{1, "a"}};
  for (const std::string list : {"(name, id)", "(rest, name, id, more)", "(id, more, name)"}) {
    CAPTURE(list);
    const int next = expected.back().id + 1;
    database.exec("BEGIN; UPDATE items SET more = 'm'; ALTER PUBLICATION pub SET TABLE items " + list +
                  "; INSERT INTO items VALUES (" + std::to_string(next) +
                  ", 'n', 'm', 'r'); COMMIT; UPDATE items SET "
                  "rest = 'changed'");
    expected.push_back({next, "n"});
    database.catch_up(*following.replicator);
    CHECK(following.rows() == expected);
  }
  CHECK(following.log.count(EventKind::table_failed) == 0);
}

TEST_CASE("a long value that was outside the column list for a moment is not lost", "[columns]") {
  test::Database database;
  test::Following<Item, 1> following(
      database,
      "CREATE TABLE items (id int PRIMARY KEY, name text NOT NULL, more int); ALTER TABLE items ALTER name SET STORAGE "
      "EXTERNAL; INSERT INTO items VALUES (1, repeat('a', 5000)); CREATE PUBLICATION pub FOR TABLE items",
      "items", std::chrono::hours{1});
  // Nothing is sent of the new value: it came while the column was not published, and stays as it is afterwards.
  database.exec("ALTER PUBLICATION pub SET TABLE items (id, more); UPDATE items SET name = repeat('b', 5000)");
  database.exec("ALTER PUBLICATION pub SET TABLE items; UPDATE items SET more = 1");
  CHECK(test::eventually([&] { return following.rows() == std::vector<Item>{{1, std::string(5000, 'b')}}; }));
}

/// The first column, one in the middle and the last of very many.
struct Wide {
  std::int32_t c1;
  std::int32_t c800;
  std::optional<std::int32_t> c1600;

  friend bool operator==(const Wide&, const Wide&) = default;
};

TEST_CASE("a table of 1,600 columns is followed", "[columns]") {
  test::Database database;
  test::Following<Wide, 1> following(
      database,
      "DO $$ BEGIN EXECUTE 'CREATE TABLE items (' || (SELECT string_agg('c' || i || CASE i WHEN 1 THEN ' int PRIMARY "
      "KEY' "
      "WHEN 800 THEN ' int NOT NULL' ELSE ' int' END, ', ') FROM generate_series(1, 1600) i) || ')'; END $$;"
      "INSERT INTO items (c1, c800, c1600) VALUES (1, 2, 3); CREATE PUBLICATION pub FOR TABLE items");
  CHECK(following.rows() == std::vector<Wide>{{1, 2, 3}});
  CHECK(
      following.rows_after("UPDATE items SET c1600 = NULL, c799 = 5; INSERT INTO items (c1, c800, c1600) VALUES (7, 8, "
                           "9); UPDATE items SET c1 = 0, c801 = 1 WHERE c1 = 1") ==
      std::vector<Wide>{{0, 2, std::nullopt}, {7, 8, 9}});
  CHECK(following.rows_after("ALTER TABLE items REPLICA IDENTITY DEFAULT; DELETE FROM items WHERE c1 = 0") ==
        std::vector<Wide>{{7, 8, 9}});
}

}  // namespace columns_test
