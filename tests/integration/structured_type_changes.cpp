// G4 for arrays, enums, composite types, ranges and hstore: what does not fit is refused at the start or stops the
// table, and a change of what a type is made of is noticed.

#include <chrono>
#include <cstddef>
#include <cstdint>
#include <map>
#include <optional>
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
#include "support/replicator.hpp"

namespace structured_type_changes_test {

enum class Mood { sad, ok, later };

struct Item {
  std::string name;
  std::int32_t amount;
};

struct Row {
  std::int32_t id;
  std::vector<std::int32_t> numbers;
  Mood mood;
  std::vector<std::optional<Item>> items;
  std::optional<btreemapped::SqlRange<Mood>> span;
};

struct Other {
  std::int32_t id;
};

}  // namespace structured_type_changes_test

template <>
struct btreemapped::enum_labels<structured_type_changes_test::Mood> {
  using Mood = structured_type_changes_test::Mood;
  static constexpr EnumLabel<Mood> list[] = {{"sad", Mood::sad}, {"ok", Mood::ok}, {"later", Mood::later}};
};

namespace structured_type_changes_test {

using btreemapped::EventKind;
using btreemapped::TableState;
using Catch::Matchers::ContainsSubstring;
using Catch::Matchers::MessageMatches;

/// Follows the tables rows and others.
struct Follower {
  explicit Follower(std::chrono::milliseconds watch) {
    database.exec(
        "CREATE TYPE mood AS ENUM ('sad', 'ok'); CREATE DOMAIN feeling AS mood; CREATE TYPE span AS RANGE (subtype = "
        "mood);"
        "CREATE TYPE item AS (name text, extra int, amount int); CREATE DOMAIN thing AS item;"
        "CREATE TABLE rows (id int PRIMARY KEY, numbers int[] NOT NULL, mood feeling NOT NULL, items thing[] NOT NULL,"
        " span span, unused int); ALTER TABLE rows ALTER numbers SET STORAGE EXTERNAL, ALTER items SET STORAGE "
        "EXTERNAL;"
        "INSERT INTO rows VALUES (1, '{1,2}', 'sad', ARRAY[ROW('a', 7, 70), NULL]::item[]::thing[], '[sad,ok]');"
        "CREATE TABLE others (id int PRIMARY KEY); CREATE PUBLICATION pub FOR TABLE rows, others");
    btreemapped::Options options = database.options();
    options.on_event = log.hook();
    options.catalog_watch_interval = watch;
    replicator.emplace(options);
    rows.emplace(replicator->add_replica<Row, 1>("rows"));
    others.emplace(replicator->add_replica<Other, 1>("others"));
    test::start_and_sync(*replicator);
  }

  /// The table stops by this change of it, and the other one goes on.
  void must_fail_by(const std::string& sql, const std::string& column, const std::string& why) {
    database.exec(sql + "; INSERT INTO others VALUES (1)");
    const btreemapped::Event failed = log.wait_for(EventKind::table_failed, 1, "public.rows");
    CHECK_THAT(failed.message, ContainsSubstring("public.rows, column " + column));
    CHECK_THAT(failed.message, ContainsSubstring(why));
    database.catch_up(*replicator);
    CHECK(rows->state() == TableState::failed);
    REQUIRE(rows->size() == 1);
    CHECK(rows->get(1)->items.at(0)->amount == 70);
    CHECK(others->contains(1));
  }

  void must_fail_for_good_by(const std::string& sql, const std::string& column, const std::string& why) {
    must_fail_by(sql, column, why);
    replicator->ends_unproved("a table does not fit its rows");
  }

  void must_heal_by(const std::string& sql) {
    database.exec(sql);
    static_cast<void>(log.wait_for(EventKind::table_healed, 1, "public.rows"));
    CHECK(rows->state() == TableState::live);
  }

  test::Database database;
  test::EventLog log;
  std::optional<test::Replicator> replicator;
  std::optional<btreemapped::Replica<Row, 1>> rows;
  std::optional<btreemapped::Replica<Other, 1>> others;
};

constexpr std::chrono::milliseconds soon{20};
constexpr std::chrono::hours never{1};

TEST_CASE("an array of another number of dimensions than the field stops its table", "[G4]") {
  Follower(never).must_fail_for_good_by("INSERT INTO rows VALUES (2, '{{1,2},{3,4}}', 'ok', '{}')", "numbers",
                                        "does not fit");
}

TEST_CASE("an array with a lower bound other than 1 stops its table", "[G4]") {
  Follower(never).must_fail_for_good_by("INSERT INTO rows VALUES (2, '[0:1]={1,2}', 'ok', '{}')", "numbers",
                                        "does not fit");
}

TEST_CASE("NULL among elements that are not optional stops its table", "[G4]") {
  Follower(never).must_fail_for_good_by("UPDATE rows SET numbers = '{1,NULL}'", "numbers", "NULL");
}

TEST_CASE("NULL for an attribute whose field is not optional stops its table", "[G4]") {
  Follower(never).must_fail_for_good_by("UPDATE rows SET items = ARRAY[ROW('a', NULL, NULL)]::item[]::thing[]", "items",
                                        "NULL");
}

TEST_CASE("a label that is added later and not listed stops its table when it arrives", "[G4]") {
  Follower follower(never);
  follower.database.exec("ALTER TYPE mood ADD VALUE 'blue'");
  follower.must_fail_for_good_by("UPDATE rows SET mood = 'blue'", "mood", "does not fit");
}

TEST_CASE("arrays that an update leaves alone and the stream leaves out are kept", "[G4]") {
  Follower follower(never);
  follower.database.exec(
      "UPDATE rows SET numbers = array_fill(5, ARRAY[20000]),"
      " items = array_fill(ROW(repeat('x', 100), 1, 2)::item, ARRAY[500])::thing[]");
  follower.database.exec("UPDATE rows SET mood = 'ok', span = NULL");
  follower.database.exec("UPDATE rows SET id = 2");
  follower.database.catch_up(*follower.replicator);
  const std::optional<Row> row = follower.rows->get(2);
  REQUIRE(row.has_value());
  CHECK(row->mood == Mood::ok);
  CHECK_FALSE(row->span.has_value());
  CHECK(row->numbers == std::vector<std::int32_t>(20'000, 5));
  REQUIRE(row->items.size() == 500);
  CHECK(row->items.back()->name == std::string(100, 'x'));
}

TEST_CASE("a label that is added and not listed is noticed before it arrives, and calling it a listed one heals",
          "[G4]") {
  Follower follower(soon);
  follower.must_fail_by("ALTER TYPE mood ADD VALUE 'blue'", "mood", "enum_labels does not list 'blue'");
  follower.must_heal_by("ALTER TYPE mood RENAME VALUE 'blue' TO 'later'");
}

TEST_CASE("a label that is renamed to one that is not listed stops its table, and renaming it back heals", "[G4]") {
  Follower follower(soon);
  follower.must_fail_by("ALTER TYPE mood RENAME VALUE 'sad' TO 'blue'", "mood", "enum_labels does not list 'blue'");
  follower.must_heal_by("ALTER TYPE mood RENAME VALUE 'blue' TO 'sad'");
}

TEST_CASE("labels that swap their names swap the rows' values", "[G4]") {
  Follower follower(soon);
  follower.database.exec(
      "ALTER TYPE mood RENAME VALUE 'sad' TO 'x'; ALTER TYPE mood RENAME VALUE 'ok' TO 'sad';"
      "ALTER TYPE mood RENAME VALUE 'x' TO 'ok'");
  REQUIRE(test::eventually([&] { return follower.rows->get(1)->mood == Mood::ok; }));
  CHECK(follower.rows->get(1)->span == btreemapped::SqlRange<Mood>(Mood::ok, Mood::sad, true, true));
}

TEST_CASE("an attribute that is added to a composite type is noticed", "[G4]") {
  Follower follower(soon);
  follower.database.exec("ALTER TYPE item ADD ATTRIBUTE more text");
  static_cast<void>(follower.log.wait_for(EventKind::table_healed, 1, "public.rows"));
  follower.database.exec("INSERT INTO rows VALUES (2, '{}', 'ok', ARRAY[ROW('b', 1, 2, 'x')]::item[]::thing[])");
  follower.database.catch_up(*follower.replicator);
  CHECK(follower.rows->get(1)->items.at(0)->amount == 70);
  CHECK(follower.rows->get(2)->items.at(0)->amount == 2);
  CHECK(follower.rows->state() == TableState::live);
}

TEST_CASE("an attribute that the struct does not name may go", "[G4]") {
  Follower follower(soon);
  follower.database.exec("ALTER TYPE item DROP ATTRIBUTE extra");
  static_cast<void>(follower.log.wait_for(EventKind::table_healed, 1, "public.rows"));
  follower.database.exec("INSERT INTO rows VALUES (2, '{}', 'ok', ARRAY[ROW('b', 2)]::item[]::thing[])");
  follower.database.catch_up(*follower.replicator);
  CHECK(follower.rows->get(1)->items.at(0)->amount == 70);
  CHECK(follower.rows->get(2)->items.at(0)->amount == 2);
}

TEST_CASE("attributes that swap their names swap the rows' values", "[G4]") {
  Follower follower(soon);
  follower.database.exec(
      "ALTER TYPE item RENAME ATTRIBUTE extra TO x; ALTER TYPE item RENAME ATTRIBUTE amount TO extra;"
      "ALTER TYPE item RENAME ATTRIBUTE x TO amount");
  CHECK(test::eventually([&] { return follower.rows->get(1)->items.at(0)->amount == 7; }));
}

TEST_CASE("an attribute that is renamed stops its table, and renaming it back heals", "[G4]") {
  Follower follower(soon);
  follower.must_fail_by("ALTER TYPE item RENAME ATTRIBUTE amount TO total", "items", "it has no attribute amount");
  follower.must_heal_by("ALTER TYPE item RENAME ATTRIBUTE total TO amount");
}

TEST_CASE("an attribute that comes back with a type that the field cannot hold stops its table", "[G4]") {
  Follower follower(soon);
  follower.must_fail_for_good_by("ALTER TYPE item DROP ATTRIBUTE amount, ADD ATTRIBUTE amount numeric", "items",
                                 "its attribute amount is numeric");
}

// ---- refused at the start -------------------------------------------------------------------------------------------

TEST_CASE("a table whose types are made of something else is refused with all that does not fit", "[G4]") {
  struct Strict {
    std::int32_t id;
    std::vector<std::int32_t> numbers;
    Mood mood;
    std::optional<std::vector<Item>> items;
    std::map<std::string, std::optional<std::string>> pairs;
    btreemapped::SqlRange<std::int32_t> range;
    btreemapped::SqlMultirange<std::int32_t> ranges;
    std::vector<std::int32_t> vector;
    Item item;
  };
  test::Database database;
  database.exec(
      "CREATE TYPE mood AS ENUM ('sad', 'blue', 'it''s'); CREATE TYPE item AS (name text, amount numeric(8, 2));"
      "CREATE TYPE hstore AS (key text, value text);"
      "CREATE TABLE t (id int PRIMARY KEY, numbers bigint[] NOT NULL, mood mood NOT NULL, items item[], pairs hstore "
      "NOT NULL, range numrange NOT NULL, ranges int8multirange NOT NULL, vector int2vector NOT NULL, item text NOT "
      "NULL); CREATE PUBLICATION pub FOR TABLE t");
  test::Replicator replicator(database.options());
  static_cast<void>(replicator.add_replica<Strict, 1>("t"));
  replicator.start();
  CHECK_THROWS_MATCHES(
      test::wait_until_synced(replicator), btreemapped::SchemaError,
      MessageMatches(
          ContainsSubstring("column numbers: the column is bigint[], of which the field (array of integer or smallint) "
                            "cannot hold every value: its elements are bigint, of which") &&
          ContainsSubstring(
              "column mood: the column is public.mood, of which the field (enum with listed labels) cannot "
              "hold every value: enum_labels does not list 'blue', 'it's'") &&
          ContainsSubstring(
              "column items: the column is public.item[], of which the field (array of composite type) "
              "cannot hold every value: its elements are public.item, of which the field (composite type) "
              "cannot hold every value: its attribute amount is numeric(8,2), of which the field "
              "(integer or smallint) cannot hold every value") &&
          ContainsSubstring("column pairs: the column is public.hstore, of which the field (hstore) cannot") &&
          ContainsSubstring("column range: the column is numrange, of which the field (range of integer or smallint) "
                            "cannot hold every value: its bounds are numeric, of which") &&
          ContainsSubstring("column ranges: the column is int8multirange, of which the field (multirange of integer or "
                            "smallint) cannot hold every value: its bounds are bigint, of which") &&
          ContainsSubstring(
              "column vector: the column is int2vector, of which the field (array of integer or smallint) "
              "cannot hold every value") &&
          ContainsSubstring("column item: the column is text, of which the field (composite type) cannot")));
}

}  // namespace structured_type_changes_test
