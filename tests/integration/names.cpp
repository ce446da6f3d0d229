// Names of all kinds: of schemas, tables, columns, publications and slots.

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include <catch2/catch_test_macros.hpp>
#include <catch2/matchers/catch_matchers.hpp>
#include <catch2/matchers/catch_matchers_string.hpp>

#include <btreemapped.hpp>

#include "support/database.hpp"
#include "support/replicator.hpp"

namespace names_test {

struct Item {
  std::int32_t id;
  std::string name;

  friend bool operator==(const Item&, const Item&) = default;
};

/// A table and columns that no identifier of C++ could name.
struct Odd {
  std::int32_t id;
  std::string name;

  friend bool operator==(const Odd&, const Odd&) = default;
};

/// All declared in the struct.
struct Declared {
  std::string name;
  std::int32_t id;

  static constexpr auto key = btreemapped::key<&Declared::id>;
  static constexpr std::string_view schema = "Garage";
  static constexpr std::string_view table = "Cars";
  static constexpr std::string_view column_name(std::string_view field) { return field == "id" ? "Id" : field; }

  friend bool operator==(const Declared&, const Declared&) = default;
};

/// The key has other columns' order than the table and the constraint.
struct Reordered {
  std::int32_t c;
  std::string b;
  std::int32_t a;

  friend bool operator==(const Reordered&, const Reordered&) = default;
};

struct Reserved {
  std::int32_t select;
  std::string from;
  std::string order;

  friend bool operator==(const Reserved&, const Reserved&) = default;
};

}  // namespace names_test

template <>
struct btreemapped::table_traits<names_test::Odd> {
  static constexpr std::string_view schema = "Odd Schema";
  static constexpr std::string_view table = "\"we.ird\"";
  static constexpr std::string_view column_name(std::string_view field) {
    return field == "id" ? "the \"id\" column" : "имя\\'; --";
  }
  static constexpr std::size_t arity = 1;
};

namespace names_test {

TEST_CASE("names with blanks, dots, quotes, backslashes and letters of all alphabets are followed", "[names]") {
  test::Database database;
  database.exec(
      R"(CREATE SCHEMA "Odd Schema"; CREATE TABLE "Odd Schema"."we.ird" ("the ""id"" column" int PRIMARY KEY, "имя\'; --" text NOT NULL);)"
      R"(INSERT INTO "Odd Schema"."we.ird" VALUES (1, 'a'); CREATE PUBLICATION "Pub, ""with"" '\quotes" FOR TABLE "Odd Schema"."we.ird")");
  btreemapped::Options options = database.options();
  options.publication = "Pub, \"with\" '\\quotes";
  options.slot_name = database.name();
  test::Replicator replicator(options);
  const auto declared = replicator.add_replica<Odd>();
  const auto named = replicator.add_replica<Odd>("\"Odd Schema\".\"we.ird\"");
  test::start_and_sync(replicator);
  database.exec(
      R"(INSERT INTO "Odd Schema"."we.ird" VALUES (2, 'b'); UPDATE "Odd Schema"."we.ird" SET "the ""id"" column" = 7 WHERE "имя\'; --" = 'a')");
  database.catch_up(replicator);
  CHECK(declared.to_vector() == std::vector<Odd>{{2, "b"}, {7, "a"}});
  CHECK(named.to_vector() == declared.to_vector());
  CHECK(replicator.status().tables.at(0).table == replicator.status().tables.at(1).table);
}

TEST_CASE("a table, schema, column and key declared by the struct are followed", "[names]") {
  test::Database database;
  database.exec(R"(CREATE SCHEMA "Garage"; CREATE TABLE "Garage"."Cars" (name text NOT NULL, "Id" int PRIMARY KEY);)"
                R"(INSERT INTO "Garage"."Cars" VALUES ('a', 1); CREATE PUBLICATION pub FOR ALL TABLES)");
  test::Replicator replicator(database.options());
  const btreemapped::Replica<Declared> cars = replicator.add_replica<Declared>();
  test::start_and_sync(replicator);
  database.exec(R"(INSERT INTO "Garage"."Cars" VALUES ('b', 0))");
  database.catch_up(replicator);
  CHECK(cars.to_vector() == std::vector<Declared>{{"b", 0}, {"a", 1}});
  CHECK(replicator.status().tables.at(0).table == "Garage.Cars");
}

TEST_CASE("tables of one name in two schemas are told apart", "[names]") {
  test::Database database;
  database.exec(
      "CREATE TABLE items (id int PRIMARY KEY, name text NOT NULL); CREATE SCHEMA other;"
      "CREATE TABLE other.items (name text NOT NULL, id int PRIMARY KEY); INSERT INTO items VALUES (1, 'public');"
      "INSERT INTO other.items VALUES ('other', 1); CREATE PUBLICATION pub FOR ALL TABLES;"
      "ALTER DATABASE " +
      database.name() + " SET search_path = other, public");
  test::Replicator replicator(database.options());
  const auto items = replicator.add_replica<Item, 1>("items");
  const auto others = replicator.add_replica<Item, 1>("other.items");
  test::start_and_sync(replicator);
  database.exec("UPDATE public.items SET id = 2; UPDATE other.items SET id = 3");
  database.catch_up(replicator);
  CHECK(items.to_vector() == std::vector<Item>{{2, "public"}});
  CHECK(others.to_vector() == std::vector<Item>{{3, "other"}});
}

TEST_CASE("key columns in another order than the table's are followed", "[names]") {
  test::Database database;
  database.exec(
      "CREATE TABLE items (unused int, a int NOT NULL, b text NOT NULL, c int NOT NULL, PRIMARY KEY (b, c));"
      "ALTER TABLE items DROP COLUMN unused; INSERT INTO items VALUES (1, 'x', 2); CREATE PUBLICATION pub FOR ALL "
      "TABLES");
  test::Replicator replicator(database.options());
  const auto items = replicator.add_replica<Reordered, 2>("items");
  test::start_and_sync(replicator);
  database.exec(
      "INSERT INTO items VALUES (5, 'a', 9), (6, 'z', 1); UPDATE items SET c = 3, a = 7 WHERE b = 'x'; DELETE FROM "
      "items WHERE b = 'a'");
  database.catch_up(replicator);
  CHECK(items.to_vector() == std::vector<Reordered>{{1, "z", 6}, {3, "x", 7}});
  CHECK(items.contains(3, "x"));
}

TEST_CASE("columns named by reserved words of SQL are followed", "[names]") {
  test::Database database;
  database.exec(R"(CREATE TABLE "table" ("select" int PRIMARY KEY, "from" text NOT NULL, "order" text NOT NULL);)"
                R"(INSERT INTO "table" VALUES (1, 'a', 'b'); CREATE PUBLICATION "all" FOR ALL TABLES)");
  btreemapped::Options options = database.options();
  options.publication = "all";
  test::Replicator replicator(options);
  const auto rows = replicator.add_replica<Reserved, 1>("table");
  test::start_and_sync(replicator);
  database.exec(R"(INSERT INTO "table" VALUES (2, 'c', 'd'))");
  database.catch_up(replicator);
  CHECK(rows.to_vector() == std::vector<Reserved>{{1, "a", "b"}, {2, "c", "d"}});
}

TEST_CASE("functions of the user that shadow the catalog's are not called", "[names]") {
  test::Database database;
  database.exec(
      "CREATE TABLE items (id int PRIMARY KEY, name text NOT NULL); INSERT INTO items VALUES (1, 'a');"
      "CREATE SCHEMA evil; CREATE TABLE evil.pg_class (oid int); CREATE TABLE evil.pg_publication (oid int);"
      "CREATE FUNCTION evil.pg_backend_pid() RETURNS int LANGUAGE sql AS 'SELECT 1 / 0';"
      "CREATE PUBLICATION pub FOR TABLE items; ALTER DATABASE " +
      database.name() + " SET search_path = evil, pg_catalog, public");
  test::Replicator replicator(database.options());
  const auto items = replicator.add_replica<Item, 1>("items");
  test::start_and_sync(replicator);
  database.exec("INSERT INTO items VALUES (2, 'b')");
  database.catch_up(replicator);
  CHECK(items.size() == 2);
}

/// Columns whose types have the names of built-in ones.
struct Shadowed {
  std::int32_t id;
  std::string mood;
  std::int32_t number;

  friend bool operator==(const Shadowed&, const Shadowed&) = default;
};

struct Mistaken {
  std::int32_t id;
  std::int32_t mood;
};

TEST_CASE("types of the user that have the names of built-in ones are told apart from them", "[names]") {
  test::Database database;
  database.exec(
      "CREATE TYPE public.int4 AS ENUM ('7', 'eight'); CREATE DOMAIN public.text AS pg_catalog.int8 CHECK (VALUE < "
      "100);"
      "CREATE DOMAIN public.bool AS pg_catalog.int4; CREATE TABLE items (id pg_catalog.int4 PRIMARY KEY, mood "
      "public.int4 "
      "NOT NULL, number public.bool NOT NULL, large public.text); INSERT INTO items VALUES (1, '7', 5);"
      "CREATE PUBLICATION pub FOR TABLE items; ALTER DATABASE " +
      database.name() + " SET search_path = public, pg_catalog");
  test::Replicator refused(database.options());
  static_cast<void>(refused.add_replica<Mistaken, 1>("items"));
  refused.start();
  CHECK_THROWS_WITH(test::wait_until_synced(refused),
                    Catch::Matchers::ContainsSubstring("public.items, column mood: the column is public.int4"));
  test::Replicator replicator(database.options());
  const auto items = replicator.add_replica<Shadowed, 1>("items");
  test::start_and_sync(replicator);
  database.exec("INSERT INTO items VALUES (2, 'eight', 6); UPDATE items SET id = 3, mood = 'eight' WHERE id = 1");
  database.catch_up(replicator);
  CHECK(items.to_vector() == std::vector<Shadowed>{{2, "eight", 6}, {3, "eight", 5}});
}

TEST_CASE("names in upper case and of the greatest length are followed, and longer ones are not cut", "[names]") {
  test::Database database;
  const std::string longest(63, 'N');
  database.exec("CREATE SCHEMA \"S\"; CREATE TABLE \"S\".\"" + longest +
                "\" (id int PRIMARY KEY, name text NOT NULL); CREATE TABLE \"S\".\"" + std::string(63, 'n') +
                "\" (LIKE \"S\".\"" + longest + "\" INCLUDING ALL); INSERT INTO \"S\".\"" + longest +
                "\" VALUES (1, 'upper'); CREATE PUBLICATION \"" + longest + "\" FOR TABLES IN SCHEMA \"S\"");
  btreemapped::Options options = database.options();
  options.publication = longest;
  test::Replicator refused(options);
  static_cast<void>(refused.add_replica<Item, 1>("S." + longest + "N"));
  refused.start();
  CHECK_THROWS_WITH(test::wait_until_synced(refused), Catch::Matchers::ContainsSubstring("no such table"));
  test::Replicator replicator(options);
  const auto items = replicator.add_replica<Item, 1>("S." + longest);
  test::start_and_sync(replicator);
  database.exec("UPDATE \"S\".\"" + longest + "\" SET id = 2");
  database.catch_up(replicator);
  CHECK(items.to_vector() == std::vector<Item>{{2, "upper"}});
}

}  // namespace names_test
