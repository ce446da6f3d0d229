// What comes and goes between two looks at the catalog, here within one transaction: the changes that the stream has
// shown or hidden meanwhile are there to stay, so the table must be copied afresh.

#include <chrono>
#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include <catch2/catch_test_macros.hpp>

#include <btreemapped.hpp>

#include "support/database.hpp"
#include "support/eventually.hpp"
#include "support/following.hpp"

namespace between_looks_test {

struct Item {
  std::int32_t id;
  std::optional<std::string> note;

  friend bool operator==(const Item&, const Item&) = default;
};

constexpr std::chrono::milliseconds soon{20};
constexpr std::chrono::seconds long_enough{10};

const std::string plain =
    "CREATE TABLE items (id int PRIMARY KEY, note text);"
    "INSERT INTO items SELECT id, 'old' FROM generate_series(1, 20) id;";

/// The replica is what `query` gives, soon after one transaction of these statements.
void must_follow(const std::string& definition, const std::string& transaction,
                 const std::string& query = "SELECT id, note FROM items ORDER BY id") {
  test::Database database;
  test::Following<Item, 1> follower(database, definition, "items", soon);
  database.exec("BEGIN; " + transaction + "; COMMIT");
  database.catch_up(*follower.replicator);
  std::vector<Item> expected;
  for (const test::SqlRow& row : database.rows(query)) expected.push_back({std::stoi(*row[0]), row[1]});
  CHECK(test::eventually([&] { return follower.rows() == expected; }, long_enough));
}

TEST_CASE("what was written while a table was unlogged for a moment is noticed", "[G4]") {
  must_follow(plain + "CREATE PUBLICATION pub FOR ALL TABLES",
              "ALTER TABLE items SET UNLOGGED; UPDATE items SET note = 'new' WHERE id < 5;"
              "INSERT INTO items VALUES (150, 'x'); ALTER TABLE items SET LOGGED");
}

struct Point {
  std::optional<std::int32_t> x;
};

struct Place {
  std::int32_t id;
  std::optional<Point> at;
};

const std::string places =
    "CREATE TYPE point2 AS (x int, y int);"
    "CREATE TABLE items (id int PRIMARY KEY, at point2); INSERT INTO items VALUES (1, '(1,2)');"
    "CREATE PUBLICATION pub FOR TABLE items;";

/// README: an attribute of a composite type comes or goes: copied afresh.
void must_be_copied_afresh(const std::string& change, const std::string& row) {
  test::Database database;
  test::Following<Place, 1> follower(database, places, "items", std::chrono::milliseconds{500});
  database.exec(change);
  database.exec("INSERT INTO items VALUES (2, '" + row + "')");
  CHECK(test::eventually([&] { return follower.replica->contains(2); }, long_enough));
  CHECK(follower.replica->state() == btreemapped::TableState::live);
  CHECK(follower.log.count(btreemapped::EventKind::table_failed) == 0);
}

TEST_CASE(
    "a row with a new attribute of its composite type that comes before the next look at the catalog fails nothing",
    "[G4]") {
  must_be_copied_afresh("ALTER TYPE point2 ADD ATTRIBUTE z int", "(3,4,5)");
}

TEST_CASE("a row without a dropped attribute of its composite type that comes before the next look fails nothing",
          "[G4]") {
  must_be_copied_afresh("ALTER TYPE point2 DROP ATTRIBUTE y", "(3)");
}

}  // namespace between_looks_test
