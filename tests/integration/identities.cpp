// Keys and replica identities: which row an update or delete means, and what it is when it is found.

#include <algorithm>
#include <chrono>
#include <cmath>
#include <cstddef>
#include <cstdint>
#include <numeric>
#include <optional>
#include <random>
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

namespace identities_test {

using btreemapped::EventKind;
using btreemapped::TableState;
using Catch::Matchers::ContainsSubstring;

struct Item {
  std::int32_t id;
  std::string name;
  std::optional<std::int32_t> amount;

  friend bool operator==(const Item&, const Item&) = default;
};

using Items = std::vector<Item>;
using Following = test::Following<Item, 1>;

struct Word {
  std::string word;
  std::int32_t id;

  friend bool operator==(const Word&, const Word&) = default;
};

using Words = std::vector<Word>;

const std::string items = "CREATE TABLE items (id int PRIMARY KEY, name text NOT NULL, amount int); ";
const std::string two_rows = "INSERT INTO items VALUES (1, 'a', 10), (2, 'b', NULL); ";
const std::string publish = "CREATE PUBLICATION pub FOR TABLE items";

TEST_CASE("the default identity, an index and the whole row lead to the same rows", "[identity]") {
  for (const std::string identity :
       {"DEFAULT", "FULL", "USING INDEX by_id", "USING INDEX by_name_and_id", "USING INDEX with_more"}) {
    CAPTURE(identity);
    test::Database database;
    Following following(database, items + two_rows +
                                      "CREATE UNIQUE INDEX by_id ON items (id); CREATE UNIQUE INDEX by_name_and_id ON "
                                      "items (name, id); CREATE UNIQUE INDEX with_more ON items (id) INCLUDE (amount);"
                                      "ALTER TABLE items REPLICA IDENTITY " +
                                      identity + "; " + publish);
    CHECK(following.rows_after("UPDATE items SET amount = 5 WHERE id = 2; UPDATE items SET name = 'A' WHERE id = 1") ==
          Items{{1, "A", 10}, {2, "b", 5}});
    CHECK(following.rows_after("UPDATE items SET id = id + 10, amount = NULL") ==
          Items{{11, "A", std::nullopt}, {12, "b", std::nullopt}});
    CHECK(following.rows_after("DELETE FROM items WHERE id = 11; INSERT INTO items VALUES (11, 'c', 1)") ==
          Items{{11, "c", 1}, {12, "b", std::nullopt}});
    CHECK(following.rows_after("BEGIN; UPDATE items SET id = 1 WHERE id = 11; UPDATE items SET id = 11 WHERE id = 12;"
                               "UPDATE items SET name = 'd' WHERE id = 1; DELETE FROM items WHERE id = 11; COMMIT") ==
          Items{{1, "d", 1}});
  }
}

TEST_CASE("updates that change nothing leave every row as it is", "[identity]") {
  for (const std::string identity : {"DEFAULT", "FULL"}) {
    CAPTURE(identity);
    test::Database database;
    Following following(database, items + two_rows + "ALTER TABLE items ALTER name SET STORAGE EXTERNAL;" +
                                      "UPDATE items SET name = repeat('n', 5000) WHERE id = 2;" +
                                      "ALTER TABLE items REPLICA IDENTITY " + identity + "; " + publish);
    const Items before = following.rows();
    CHECK(following.rows_after("UPDATE items SET name = name; UPDATE items SET id = id, amount = amount") == before);
  }
}

TEST_CASE("updates of columns that nobody mapped or published leave every row as it is", "[identity]") {
  test::Database database;
  Following following(database, items + two_rows + "ALTER TABLE items ADD unmapped int, ADD unpublished int;" +
                                    publish + " (id, name, amount, unmapped)");
  const Items before = following.rows();
  CHECK(following.rows_after("UPDATE items SET unmapped = id; UPDATE items SET unpublished = id") == before);
}

TEST_CASE("a key that is a part of the identity finds its row while the other part moves", "[identity]") {
  test::Database database;
  Following following(
      database,
      "CREATE TABLE items (amount int, id int NOT NULL UNIQUE, name text NOT NULL, PRIMARY KEY (amount, id));" +
          std::string("INSERT INTO items VALUES (10, 1, 'a'), (20, 2, 'b'); ") + publish);
  CHECK(following.rows_after("UPDATE items SET amount = 11 WHERE id = 1; UPDATE items SET id = 3 WHERE id = 2") ==
        Items{{1, "a", 11}, {3, "b", 20}});
  CHECK(following.rows_after("UPDATE items SET amount = 30 - amount, id = id + 5; DELETE FROM items WHERE id = 6") ==
        Items{{8, "b", 10}});
}

TEST_CASE("columns that a primary key only includes are not part of it", "[identity]") {
  test::Database database;
  Following following(
      database, "CREATE TABLE items (id int, name text NOT NULL, amount int, PRIMARY KEY (id) INCLUDE (amount));" +
                    two_rows + publish);
  CHECK(following.rows_after("UPDATE items SET amount = 7; UPDATE items SET id = 5 WHERE id = 1") ==
        Items{{2, "b", 7}, {5, "a", 7}});
}

TEST_CASE("shuffles of all keys under a deferrable constraint keep every row", "[identity]") {
  constexpr int count = 40;
  test::Database database;
  Following following(
      database,
      "CREATE TABLE items (id int PRIMARY KEY DEFERRABLE INITIALLY DEFERRED, name text NOT NULL, amount int);"
      "ALTER TABLE items REPLICA IDENTITY FULL; INSERT INTO items SELECT id, 'n' || id, 0 FROM generate_series(1, 40) "
      "id; " +
          publish);
  std::mt19937 random{7};
  std::vector<int> places(count);
  std::iota(places.begin(), places.end(), 1);
  for (int round = 1; round <= 10; ++round) {
    // Row by row, so that most keys hold two rows for a while; and every row is changed on its way.
    std::shuffle(places.begin(), places.end(), random);
    std::string moves = "BEGIN; ";
    for (int i = 0; i < count; ++i) {
      const std::string name = "'n" + std::to_string(i + 1) + "'";
      moves += "UPDATE items SET id = " + std::to_string(places[static_cast<std::size_t>(i)]) +
               " WHERE name = " + name + "; UPDATE items SET amount = amount + 1 WHERE name = " + name + "; ";
    }
    Items expected(count);
    for (int i = 0; i < count; ++i) {
      const int place = places[static_cast<std::size_t>(i)];
      expected[static_cast<std::size_t>(place) - 1] = {place, "n" + std::to_string(i + 1), round};
    }
    CHECK(following.rows_after(moves + "COMMIT") == expected);
  }
  CHECK(following
            .rows_after("UPDATE items SET id = id + 1; DELETE FROM items WHERE id > 3; UPDATE items SET id = 6 - "
                        "id")
            .size() == 2);
}

TEST_CASE("a primary key that is replaced by one on the same columns is followed", "[identity]") {
  test::Database database;
  Following following(database, items + two_rows + publish, "items", std::chrono::milliseconds{20});
  database.exec(
      "BEGIN; UPDATE items SET id = 3 WHERE id = 1; ALTER TABLE items DROP CONSTRAINT items_pkey, ADD CONSTRAINT anew "
      "PRIMARY KEY (id); UPDATE items SET id = 4 WHERE id = 2; COMMIT; DELETE FROM items WHERE id = 3");
  database.catch_up(*following.replicator);
  CHECK(following.rows() == Items{{4, "b", std::nullopt}});
  CHECK(following.log.count(EventKind::table_failed) == 0);
}

TEST_CASE("rows inserted while there is no primary key are there when there is one again", "[identity]") {
  test::Database database;
  Following following(database, items + two_rows + publish, "items", std::chrono::milliseconds{20});
  database.exec(
      "BEGIN; ALTER TABLE items DROP CONSTRAINT items_pkey; INSERT INTO items VALUES (9, 'without a key', 0); ALTER "
      "TABLE "
      "items ADD PRIMARY KEY (id); UPDATE items SET id = 4 WHERE id = 2; COMMIT; DELETE FROM items WHERE id = 1");
  CHECK(test::eventually([&] { return following.rows() == Items{{4, "b", std::nullopt}, {9, "without a key", 0}}; }));
}

TEST_CASE("a primary key that moves to other columns stops its table until it is back", "[identity]") {
  for (const std::string columns : {"name", "id, name"}) {
    CAPTURE(columns);
    test::Database database;
    Following following(database, items + two_rows + publish, "items", std::chrono::milliseconds{20});
    const Items before = following.rows();
    database.exec("ALTER TABLE items DROP CONSTRAINT items_pkey, ADD PRIMARY KEY (" + columns +
                  "); INSERT INTO items VALUES (2, 'second of its key', 0)");
    CHECK_THAT(following.log.wait_for(EventKind::table_failed).message, ContainsSubstring("public.items"));
    CHECK(following.rows() == before);
    database.exec(
        "DELETE FROM items WHERE amount = 0; ALTER TABLE items DROP CONSTRAINT items_pkey, ADD PRIMARY KEY (id);"
        "UPDATE items SET id = 7 WHERE id = 1");
    static_cast<void>(following.log.wait_for(EventKind::table_healed));
    database.catch_up(*following.replicator);
    CHECK(following.rows() == Items{{2, "b", std::nullopt}, {7, "a", 10}});
  }
}

TEST_CASE("identities that switch inside a transaction lose no row on the way", "[identity]") {
  test::Database database;
  Following following(database,
                      items +
                          "CREATE UNIQUE INDEX by_both ON items (name, id); INSERT INTO items SELECT id, 'n' || id, "
                          "id FROM generate_series(1, 6) id; " +
                          publish);
  const auto moves = [](const std::string& ids) {
    return "UPDATE items SET id = id + 10, amount = amount + 1 WHERE id IN (" + ids + "); ";
  };
  CHECK(following.rows_after(
            "BEGIN; " + moves("1") + "ALTER TABLE items REPLICA IDENTITY FULL; " + moves("2, 11") +
            "ALTER TABLE items REPLICA IDENTITY USING INDEX by_both; " + moves("3, 12") +
            "DELETE FROM items WHERE id = 4; SAVEPOINT s; ALTER TABLE items REPLICA IDENTITY FULL; DELETE FROM "
            "items; ROLLBACK TO s; UPDATE items SET name = 'five' WHERE id = 5; ALTER TABLE items REPLICA IDENTITY "
            "DEFAULT; " +
            moves("6, 13") + "COMMIT") ==
        Items{{5, "five", 5}, {16, "n6", 7}, {21, "n1", 3}, {22, "n2", 4}, {23, "n3", 5}});
}

TEST_CASE("keys that SQL takes for equal and that are spelled anew are one row", "[identity]") {
  struct Spelling {
    std::string type, first, second;
  };
  for (const Spelling& each : {Spelling{"citext", "Key", "kEY"},
                               {"text COLLATE blind", "Key", "kEY"},
                               {"varchar(5) COLLATE blind", "ä", "Ä"}}) {
    CAPTURE(each.type);
    test::Database database;
    test::Following<Word, 1> following(
        database,
        "CREATE EXTENSION citext; CREATE COLLATION blind (provider = icu, locale = 'und-u-ks-level2', deterministic = "
        "false); CREATE TABLE items (word " +
            each.type + " PRIMARY KEY, id int NOT NULL); INSERT INTO items VALUES ('" + each.first + "', 1); " +
            publish);
    CHECK(following.rows_after("UPDATE items SET word = '" + each.second + "'") == Words{{each.second, 1}});
    CHECK(following.rows_after("UPDATE items SET id = 2 WHERE word = '" + each.first + "'") == Words{{each.second, 2}});
    CHECK(following.rows_after("INSERT INTO items VALUES ('" + each.first +
                               "', 3) ON CONFLICT (word) DO UPDATE SET word = excluded.word, id = excluded.id") ==
          Words{{each.first, 3}});
    CHECK(following.rows_after("DELETE FROM items WHERE word = '" + each.second + "'").empty());
  }
}

TEST_CASE("a padded key stays padded, however it was written", "[identity]") {
  test::Database database;
  test::Following<Word, 1> following(
      database,
      "CREATE TABLE items (word char(5) PRIMARY KEY, id int NOT NULL); INSERT INTO items "
      "VALUES ('a', 1), ('b   ', 2); " +
          publish);
  CHECK(following.rows() == Words{{"a    ", 1}, {"b    ", 2}});
  CHECK(following.rows_after("UPDATE items SET word = 'a  ', id = 3 WHERE word = 'a'; DELETE FROM items WHERE word = "
                             "'b '; INSERT INTO items VALUES ('c', 4)") == Words{{"a    ", 3}, {"c    ", 4}});
}

struct Measure {
  double at;
  std::int32_t id;
};

TEST_CASE("minus zero and zero are one key, spelled as it was last", "[identity]") {
  test::Database database;
  test::Following<Measure, 1> following(
      database,
      "CREATE TABLE items (at float8 PRIMARY KEY, id int NOT NULL); INSERT INTO items VALUES (0, 1); " + publish);
  for (const std::string zero : {"-0", "0", "-0"}) {
    const std::vector<Measure> rows = following.rows_after("UPDATE items SET at = '" + zero + "', id = id + 1");
    REQUIRE(rows.size() == 1);
    CHECK(std::signbit(rows[0].at) == (zero == "-0"));
    CHECK(following.replica->contains(0.0));
    CHECK(following.replica->contains(-0.0));
  }
  CHECK(following.rows_after("DELETE FROM items WHERE at = 0").empty());
}

TEST_CASE("under REPLICA IDENTITY FULL a key that is stored out of line stays exact", "[identity]") {
  test::Database database;
  test::Following<Word, 1> following(
      database,
      "CREATE TABLE items (word text PRIMARY KEY, id int NOT NULL); ALTER TABLE items ALTER word SET STORAGE EXTERNAL, "
      "REPLICA IDENTITY FULL; ALTER TABLE items SET (toast_tuple_target = 128);"
      "INSERT INTO items VALUES (repeat('a', 2100), 1), (repeat('b', 2100), 2); " +
          publish);
  REQUIRE(database.value("SELECT pg_relation_size(reltoastrelid) > 0 FROM pg_class WHERE relname = 'items'") == "t");
  CHECK(following.rows_after("UPDATE items SET id = id + 1; UPDATE items SET word = repeat('c', 2100) WHERE id = 2;"
                             "DELETE FROM items WHERE id = 3") == Words{{std::string(2100, 'c'), 2}});
}

TEST_CASE("rows written by ON CONFLICT and MERGE arrive as what became of them", "[identity]") {
  test::Database database;
  Following following(database, items + two_rows + publish);
  CHECK(following.rows_after(
            "INSERT INTO items VALUES (1, 'x', 1), (3, 'c', 3) ON CONFLICT DO NOTHING;"
            "INSERT INTO items VALUES (2, 'y', 2), (4, 'd', 4) ON CONFLICT (id) DO UPDATE SET id = excluded.id + 10, "
            "name "
            "= excluded.name; MERGE INTO items i USING (VALUES (1, 'm'), (3, NULL), (5, 'e')) v (id, name) ON i.id = "
            "v.id "
            "WHEN MATCHED AND v.name IS NULL THEN DELETE WHEN MATCHED THEN UPDATE SET name = v.name WHEN NOT MATCHED "
            "THEN INSERT VALUES (v.id, v.name, 5)") ==
        Items{{1, "m", 10}, {4, "d", 4}, {5, "e", 5}, {12, "y", std::nullopt}});
}

/// Of a table whose primary key has one more column, which nobody mapped.
struct Part {
  std::int32_t id;
  std::string name;

  friend bool operator==(const Part&, const Part&) = default;
};

TEST_CASE("two rows that share a key since it is no longer unique are not taken for each other", "[identity]") {
  test::Database database;
  test::Following<Part, 1> following(database,
                                     "CREATE TABLE items (id int NOT NULL CONSTRAINT one UNIQUE, part int, name text "
                                     "NOT NULL, PRIMARY KEY (id, part));"
                                     "INSERT INTO items VALUES (1, 1, 'old'), (2, 1, 'other'); " +
                                         publish,
                                     "items", std::chrono::milliseconds{20});
  database.exec(
      "BEGIN; ALTER TABLE items DROP CONSTRAINT one; INSERT INTO items VALUES (1, 2, 'new'); DELETE FROM items WHERE "
      "id "
      "= 1 AND part = 1; COMMIT");
  const auto failed = following.log.wait_for(EventKind::table_failed);
  CHECK_THAT(failed.message, ContainsSubstring("several rows may have the same key"));
  database.exec("ALTER TABLE items ADD CONSTRAINT one UNIQUE (id)");
  static_cast<void>(following.log.wait_for(EventKind::table_healed));
  CHECK(following.rows() == std::vector<Part>{{1, "new"}, {2, "other"}});
}

TEST_CASE("a key whose constraint becomes deferrable while it is followed fails its table", "[identity]") {
  test::Database database;
  test::Following<Part, 1> following(database,
                                     "CREATE TABLE items (id int NOT NULL CONSTRAINT one UNIQUE, part int, name text "
                                     "NOT NULL, PRIMARY KEY (id, part));"
                                     "INSERT INTO items VALUES (1, 1, 'a'), (2, 2, 'b'); " +
                                         publish,
                                     "items", std::chrono::milliseconds{20});
  database.exec(
      "BEGIN; ALTER TABLE items DROP CONSTRAINT one, ADD CONSTRAINT one UNIQUE (id) DEFERRABLE; UPDATE items SET id = "
      "3 "
      "- id; COMMIT");
  CHECK_THAT(following.log.wait_for(EventKind::table_failed).message, ContainsSubstring("deferrable"));
  database.exec("ALTER TABLE items REPLICA IDENTITY FULL");
  static_cast<void>(following.log.wait_for(EventKind::table_healed));
  database.exec("UPDATE items SET id = 3 - id; UPDATE items SET name = 'c' WHERE id = 1");
  database.catch_up(*following.replicator);
  CHECK(following.rows() == std::vector<Part>{{1, "c"}, {2, "b"}});
}

struct Lease {
  std::string room;
  std::string during;
  std::int32_t id;

  friend bool operator==(const Lease&, const Lease&) = default;
};

TEST_CASE("a key without overlaps is followed where there is such a thing", "[identity]") {
  test::Database database;
  const std::string leases =
      "CREATE TABLE items (room int4range, during daterange, id int NOT NULL, PRIMARY KEY (room, during WITHOUT "
      "OVERLAPS)); INSERT INTO items VALUES ('[1,2)', '[2020-01-01,2020-02-01)', 1), ('[1,2)', '[2020-02-01,)', 2); ";
  if (std::stoi(database.value("SHOW server_version_num")) < 180000) {
    CHECK_THROWS(database.exec(leases));
    return;
  }
  test::Following<Lease, 2> following(database, leases + publish);
  CHECK(
      following.rows_after("UPDATE items SET during = '[2020-03-01,)' WHERE id = 2; UPDATE items SET id = 3 WHERE id = "
                           "1; INSERT INTO items VALUES ('[5,6)', '(,)', 4)") ==
      std::vector<Lease>{{"[1,2)", "[2020-01-01,2020-02-01)", 3}, {"[1,2)", "[2020-03-01,)", 2}, {"[5,6)", "(,)", 4}});
}

}  // namespace identities_test
