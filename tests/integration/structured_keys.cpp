// Values that are made of others as keys: which are refused, and how a program's own key finds its row.
#include <chrono>
#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include <catch2/catch_test_macros.hpp>
#include <catch2/matchers/catch_matchers_string.hpp>

#include <btreemapped.hpp>

#include "support/database.hpp"
#include "support/event_log.hpp"
#include "support/replicator.hpp"

namespace structured_keys_test {
namespace {

using btreemapped::SqlMultirange;
using btreemapped::SqlRange;
using Catch::Matchers::ContainsSubstring;

/// What is said of a table that must not be copied.
template <class Row>
std::string complaint(test::Database& database) {
  test::Replicator replicator(database.options());
  static_cast<void>(replicator.template add_replica<Row, 1>("t"));
  replicator.start();
  try {
    test::wait_until_synced(replicator);
  } catch (const btreemapped::SchemaError& error) {
    return error.what();
  }
  FAIL("it started");
  return {};
}

struct Place {
  std::int32_t x;
  std::int32_t y;
};
struct Site {
  Place place;
  std::int32_t id;
};

struct Booking {
  std::int32_t room;
  SqlRange<std::int32_t> hours;
  SqlRange<std::int64_t> numbers;
  SqlRange<std::chrono::sys_days> days;
  std::int32_t id;
};

struct Floats {
  std::int32_t id;
  SqlRange<double> span;
};
struct Integers {
  std::int32_t id;
  SqlRange<std::int32_t> span;
};
struct Spans {
  std::int32_t id;
  SqlMultirange<std::int32_t> span;
};

std::chrono::sys_days day(unsigned number) {
  return std::chrono::year{2024} / std::chrono::February / std::chrono::day{number};
}

}  // namespace

TEST_CASE("a key's struct that leaves out attributes is refused before the copy", "[preflight]") {
  test::Database database;
  database.exec(
      "CREATE TYPE place AS (x int, y int, floor int); CREATE TABLE t (place place PRIMARY KEY, id int NOT NULL);"
      "INSERT INTO t VALUES ((1, 2, 0), 1), ((1, 2, 1), 2); CREATE PUBLICATION pub FOR TABLE t");
  const std::string message = complaint<Site>(database);
  CHECK_THAT(message, ContainsSubstring("public.t, column place"));
  CHECK_THAT(message, ContainsSubstring("leaves out the attribute floor"));
}

TEST_CASE("a key's struct whose type gets another attribute stops its table until that is gone", "[preflight]") {
  test::Database database;
  database.exec(
      "CREATE TYPE place AS (x int, y int); CREATE TABLE t (place place NOT NULL, id int PRIMARY KEY);"
      "CREATE UNIQUE INDEX by_place ON t (place); ALTER TABLE t REPLICA IDENTITY USING INDEX by_place;"
      "INSERT INTO t VALUES ((1, 2), 1); CREATE PUBLICATION pub FOR TABLE t");
  test::EventLog log;
  btreemapped::Options options = database.options();
  options.on_event = log.hook();
  options.catalog_watch_interval = std::chrono::milliseconds{50};
  test::Replicator replicator(options);
  const auto sites = replicator.add_replica<Site, 1>("t");
  test::start_and_sync(replicator);
  CHECK(sites.get(Place{1, 2})->id == 1);
  database.exec(
      "DROP INDEX by_place; ALTER TABLE t REPLICA IDENTITY FULL; ALTER TYPE place ADD ATTRIBUTE floor int;"
      "CREATE UNIQUE INDEX by_place ON t (place)");
  CHECK_THAT(log.wait_for(btreemapped::EventKind::table_failed).message,
             ContainsSubstring("leaves out the attribute floor"));
  database.exec(
      "DROP INDEX by_place; ALTER TYPE place DROP ATTRIBUTE floor; CREATE UNIQUE INDEX by_place ON t (place)");
  static_cast<void>(log.wait_for(btreemapped::EventKind::table_healed));
  CHECK(sites.get(Place{1, 2})->id == 1);
}

TEST_CASE("a range that the program makes finds the row that the server has made of it", "[values]") {
  test::Database database;
  database.exec(
      "CREATE TABLE t (room int, hours int4range, numbers int8range, days daterange, id int NOT NULL,"
      " PRIMARY KEY (room, hours, numbers, days)); CREATE PUBLICATION pub FOR TABLE t;"
      "INSERT INTO t VALUES (1, '[1,5]', '(0,9]', '[2024-02-28,2024-02-29]', 1), (1, '(4,5)', '[7,7)', '(,)', 2),"
      " (1, '(,2147483646]', '(-9223372036854775808,)', '(-infinity,infinity]', 3)");
  test::Replicator replicator(database.options());
  const auto bookings = replicator.add_replica<Booking, 4>("t");
  test::start_and_sync(replicator);
  using Hours = SqlRange<std::int32_t>;
  using Numbers = SqlRange<std::int64_t>;
  using Days = SqlRange<std::chrono::sys_days>;
  const auto id_of = [&](const Hours& hours, const Numbers& numbers, const Days& days) {
    const std::optional<Booking> found = bookings.get(1, hours, numbers, days);
    return found ? found->id : 0;
  };
  constexpr auto none = std::nullopt;
  CHECK(id_of(Hours(1, 5, true, true), Numbers(0, 9, false, true), Days(day(28), day(29), true, true)) == 1);
  CHECK(id_of(Hours(1, 6), Numbers(1, 10), Days(day(28), day(29) + std::chrono::days{1})) == 1);
  CHECK(id_of(Hours(4, 5, false), Numbers(7, 7), Days(none, none)) == 2);
  CHECK(id_of(Hours(none, 2147483646, true, true), Numbers(INT64_MIN, none, false),
              Days(std::chrono::sys_days::min(), std::chrono::sys_days::max(), false, true)) == 3);
  CHECK(id_of(Hours(1, 5), Numbers(1, 10), Days(none, none)) == 0);
}

TEST_CASE("a range type that keeps apart what SqlRange takes for one is refused", "[preflight]") {
  test::Database database;
  database.exec(
      "CREATE TYPE plain AS RANGE (subtype = int); CREATE TABLE t (id int PRIMARY KEY, span plain NOT NULL);"
      "INSERT INTO t VALUES (1, '[1,5]'), (2, '[1,6)'); CREATE PUBLICATION pub FOR TABLE t");
  CHECK_THAT(complaint<Integers>(database), ContainsSubstring("it has no canonical function"));
  database.exec("ALTER TABLE t ALTER span TYPE plain_multirange USING plain_multirange(span)");
  CHECK_THAT(complaint<Spans>(database), ContainsSubstring("it has no canonical function"));
}

TEST_CASE("a range type whose bounds descend is refused", "[preflight]") {
  test::Database database;
  database.exec(
      "CREATE FUNCTION down(float8, float8) RETURNS int IMMUTABLE LANGUAGE sql AS 'SELECT btfloat8cmp($2, $1)';"
      "CREATE OPERATOR CLASS downward FOR TYPE float8 USING btree AS OPERATOR 1 >, OPERATOR 2 >=, OPERATOR 3 =,"
      " OPERATOR 4 <=, OPERATOR 5 <, FUNCTION 1 down(float8, float8);"
      "CREATE TYPE span AS RANGE (subtype = float8, subtype_opclass = downward);"
      "CREATE TABLE t (id int PRIMARY KEY, span span NOT NULL); INSERT INTO t VALUES (1, '[5,1]');"
      "CREATE PUBLICATION pub FOR TABLE t");
  CHECK_THAT(complaint<Floats>(database), ContainsSubstring("another order than their type has by default"));
}

}  // namespace structured_keys_test
