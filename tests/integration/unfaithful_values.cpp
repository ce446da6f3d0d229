// G4: what cannot be represented faithfully stops its table, and says why; the others go on.

#include <chrono>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include <catch2/catch_test_macros.hpp>
#include <catch2/matchers/catch_matchers.hpp>
#include <catch2/matchers/catch_matchers_string.hpp>

#include <btreemapped.hpp>

#include "support/database.hpp"
#include "support/event_log.hpp"
#include "support/eventually.hpp"
#include "support/refusal.hpp"
#include "support/replicator.hpp"

namespace unfaithful_values_test {

enum class Mood { bad, good };

struct Item {
  std::int32_t id;
  std::string name;

  friend bool operator==(const Item&, const Item&) = default;
};

struct Moment {
  std::int32_t id;
  std::chrono::sys_time<std::chrono::microseconds> at;

  friend bool operator==(const Moment&, const Moment&) = default;
};

struct Person {
  std::int32_t id;
  Mood mood;

  friend bool operator==(const Person&, const Person&) = default;
};

/// What a composite type holds, but for NULL.
struct Home {
  std::string street;
  std::int32_t house;
};

template <class T>
struct Holder {
  std::int32_t id;
  T value;
};

enum class Light { off, on };

/// A key that takes texts which differ for one.
struct Initial {
  char letter;

  friend auto operator<=>(const Initial&, const Initial&) = default;
};
struct Named {
  Initial name;
};

}  // namespace unfaithful_values_test

template <>
struct btreemapped::codec<unfaithful_values_test::Mood> {
  static Errc decode(std::string_view text, unfaithful_values_test::Mood& out) {
    using unfaithful_values_test::Mood;
    if (text != "bad" && text != "good") return Errc::invalid_text;
    out = text == "bad" ? Mood::bad : Mood::good;
    return Errc::ok;
  }
};

template <>
struct btreemapped::codec<unfaithful_values_test::Initial> {
  static Errc decode(std::string_view text, unfaithful_values_test::Initial& out) {
    out.letter = text.empty() ? ' ' : text.front();
    return Errc::ok;
  }
};

template <>
struct btreemapped::enum_labels<unfaithful_values_test::Light> {
  using Light = unfaithful_values_test::Light;
  static constexpr EnumLabel<Light> list[] = {{"off", Light::off}, {"on", Light::on}};
};

namespace unfaithful_values_test {

using btreemapped::EventKind;
using btreemapped::Lsn;
using btreemapped::TableState;
using Catch::Matchers::ContainsSubstring;

/// Follows a table of Row called items, and the table others.
template <class Row>
struct Follower {
  Follower(test::Database& db, const std::string& definition) : database(db) {
    database.exec(definition +
                  "; CREATE TABLE others (id int PRIMARY KEY, name text NOT NULL); CREATE PUBLICATION pub FOR TABLE "
                  "items, others");
    btreemapped::Options options = database.options();
    options.on_event = log.hook();
    replicator.emplace(options);
    items.emplace(replicator->template add_replica<Row, 1>("items"));
    others.emplace(replicator->template add_replica<Item, 1>("others"));
    test::start_and_sync(*replicator);
  }

  /// A transaction over both tables, the first of which must fail by it at this column while the second goes on.
  void must_fail_by(const std::string& sql, const std::string& column) {
    const std::vector<Row> before = items->to_vector();
    const Lsn start = database.position();
    database.exec(sql + "; INSERT INTO others VALUES (1, 'same transaction')");
    const Lsn end = database.position();
    database.exec("INSERT INTO others VALUES (2, 'later'); DELETE FROM items");
    database.catch_up(*replicator);

    const btreemapped::Event event = log.wait_for(EventKind::table_failed);
    CHECK(event.table == "public.items");
    CHECK_THAT(event.message, ContainsSubstring("public.items, column " + column));
    CHECK(event.lsn >= start);
    CHECK(event.lsn < end);
    CHECK_THAT(event.message, ContainsSubstring(to_string(event.lsn)));
    const btreemapped::TableStatus status = replicator->status().tables.at(0);
    CHECK(status.state == TableState::failed);
    CHECK(status.stale_for > std::chrono::nanoseconds{0});
    CHECK_THAT(status.last_error, ContainsSubstring("public.items, column " + column));
    CHECK_THAT(status.last_error, ContainsSubstring(to_string(event.lsn)));

    CHECK(items->to_vector() == before);
    CHECK(items->state() == TableState::failed);
    CHECK(items->lsn() <= event.lsn);
    CHECK(others->to_vector() == std::vector<Item>{{1, "same transaction"}, {2, "later"}});
    CHECK(others->state() == TableState::live);
    CHECK(replicator->status().reconnects == 0);
    database.end_sessions("backend_type = 'walsender'");  // a new copy, without what was at fault
  }

  test::Database& database;
  test::EventLog log;
  std::optional<test::Replicator> replicator;
  std::optional<btreemapped::Replica<Row, 1>> items;
  std::optional<btreemapped::Replica<Item, 1>> others;
};

TEST_CASE("NULL for a field that is not optional stops its table alone", "[G4]") {
  test::Database database;
  Follower<Item> follower(database,
                          "CREATE TABLE items (id int PRIMARY KEY, name text); INSERT INTO items VALUES (1, 'a')");
  follower.must_fail_by("INSERT INTO items VALUES (2, 'b'), (3, NULL)", "name");
}

TEST_CASE("an update to NULL for a field that is not optional stops its table alone", "[G4]") {
  test::Database database;
  Follower<Item> follower(database,
                          "CREATE TABLE items (id int PRIMARY KEY, name text); INSERT INTO items VALUES (1, 'a')");
  follower.must_fail_by("UPDATE items SET name = NULL", "name");
}

TEST_CASE("a moment beyond what the clock can count stops its table alone", "[G4]") {
  test::Database database;
  Follower<Moment> follower(
      database,
      "CREATE TABLE items (id int PRIMARY KEY, at timestamptz NOT NULL); INSERT INTO items VALUES (1, 'epoch')");
  follower.must_fail_by("INSERT INTO items VALUES (2, '294276-12-31 00:00:00Z')", "at");
}

TEST_CASE("bytes that the server cannot send as UTF-8 stop their table alone until they are gone", "[G4][G5]") {
  test::Database database("ENCODING 'SQL_ASCII' LOCALE 'C'");
  Follower<Item> follower(
      database, "CREATE TABLE items (id int PRIMARY KEY, name text NOT NULL); INSERT INTO items VALUES (1, 'a')");
  database.exec("INSERT INTO items VALUES (2, E'\\xE4')");
  // The stream breaks at them, and so does every copy of this table.
  CHECK_THAT(follower.log.wait_for(EventKind::stale).message, ContainsSubstring("22021"));
  CHECK_THAT(follower.log.wait_for(EventKind::table_failed).message, ContainsSubstring("22021"));
  static_cast<void>(follower.log.wait_for(EventKind::synced, 2));
  database.exec("INSERT INTO others VALUES (1, 'goes on')");
  database.catch_up(*follower.replicator);
  CHECK(follower.others->to_vector() == std::vector<Item>{{1, "goes on"}});
  CHECK(follower.items->to_vector() == std::vector<Item>{{1, "a"}});
  CHECK(follower.items->state() == TableState::failed);
  CHECK_THAT(follower.replicator->status().tables.at(0).last_error, ContainsSubstring("22021"));

  database.exec("UPDATE items SET name = 'b' WHERE id = 2");
  database.end_sessions("backend_type = 'walsender'");
  static_cast<void>(follower.log.wait_for(EventKind::table_healed));
  CHECK(follower.items->to_vector() == std::vector<Item>{{1, "a"}, {2, "b"}});
}

TEST_CASE("bytes that the server cannot send as UTF-8 fail the first copy", "[G4][G1]") {
  test::Database database("ENCODING 'SQL_ASCII' LOCALE 'C'");
  database.exec(
      "CREATE TABLE items (id int PRIMARY KEY, name text NOT NULL); INSERT INTO items VALUES (2, E'\\xE4');"
      "CREATE TABLE more AS TABLE items; ALTER TABLE more ADD PRIMARY KEY (id), ALTER name SET NOT NULL;"
      "CREATE PUBLICATION pub FOR TABLE items, more");
  test::Replicator replicator(database.options());
  static_cast<void>(replicator.add_replica<Item, 1>("items"));
  static_cast<void>(replicator.add_replica<Item, 1>("more"));
  try {
    test::start_and_sync(replicator);
    FAIL("bytes that are not text were copied");
  } catch (const btreemapped::Error& error) {
    CHECK(error.sqlstate() == "22021");
    CHECK_THAT(error.what(), ContainsSubstring("items"));
    CHECK_THAT(error.what(), ContainsSubstring("public.more"));
  }
}

TEST_CASE("a table that the server itself cannot print stops alone", "[G4][G5]") {
  test::Database database;
  Follower<Item> follower(
      database,
      "CREATE TYPE span AS RANGE (subtype = int);"
      "CREATE TABLE items (id int PRIMARY KEY, name span NOT NULL); INSERT INTO items VALUES (1, '[1,2)')");
  database.exec("DELETE FROM pg_range WHERE rngtypid = 'span'::regtype");
  database.end_sessions("backend_type = 'walsender'");
  CHECK_THAT(follower.log.wait_for(EventKind::table_failed).message, ContainsSubstring("XX000"));
  static_cast<void>(follower.log.wait_for(EventKind::synced, 2));
  database.exec("INSERT INTO others VALUES (1, 'goes on')");
  database.catch_up(*follower.replicator);
  CHECK(follower.others->to_vector() == std::vector<Item>{{1, "goes on"}});
  CHECK(follower.items->to_vector() == std::vector<Item>{{1, "[1,2)"}});
  CHECK(follower.items->state() == TableState::failed);
  follower.replicator->ends_unproved("the server cannot print a table");
}

TEST_CASE("a table that the server itself cannot print fails the first copy by name", "[G4][G1]") {
  test::Database database;
  database.exec(
      "CREATE TYPE span AS RANGE (subtype = int);"
      "CREATE TABLE items (id int PRIMARY KEY, name span NOT NULL); INSERT INTO items VALUES (1, '[1,2)');"
      "CREATE PUBLICATION pub FOR TABLE items; DELETE FROM pg_range WHERE rngtypid = 'span'::regtype");
  test::Replicator replicator(database.options());
  static_cast<void>(replicator.add_replica<Item, 1>("items"));
  try {
    test::start_and_sync(replicator);
    FAIL("a value was copied that cannot be printed");
  } catch (const btreemapped::SchemaError& error) {
    CHECK(error.sqlstate() == "XX000");
    CHECK(error.table() == "public.items");
  }
}

TEST_CASE("a value that the user's codec refuses stops its table alone", "[G4]") {
  test::Database database;
  Follower<Person> follower(
      database,
      "CREATE TYPE mood AS ENUM ('bad', 'good'); CREATE TABLE items (id int PRIMARY KEY, mood mood NOT NULL);"
      "INSERT INTO items VALUES (1, 'good')");
  database.exec("ALTER TYPE mood ADD VALUE 'odd'");
  follower.must_fail_by("UPDATE items SET mood = 'odd'", "mood");
}

TEST_CASE("a table that failed by a value heals with the next copy after the value is gone", "[G4]") {
  test::Database database;
  Follower<Item> follower(database,
                          "CREATE TABLE items (id int PRIMARY KEY, name text); INSERT INTO items VALUES (1, 'a')");
  database.exec("INSERT INTO items VALUES (2, NULL)");
  static_cast<void>(follower.log.wait_for(EventKind::table_failed));

  // While the value is there a new copy does not help, and harms nobody.
  database.end_sessions("backend_type = 'walsender'");
  static_cast<void>(follower.log.wait_for(EventKind::synced, 2));
  database.exec("INSERT INTO others VALUES (5, 'e')");
  database.catch_up(*follower.replicator);
  CHECK(follower.items->to_vector() == std::vector<Item>{{1, "a"}});
  CHECK(follower.items->state() == TableState::failed);
  CHECK_THAT(follower.replicator->status().tables.at(0).last_error, ContainsSubstring("column name"));
  CHECK(follower.others->size() == 1);

  database.exec("UPDATE items SET name = 'b' WHERE id = 2");
  database.end_sessions("backend_type = 'walsender'");
  static_cast<void>(follower.log.wait_for(EventKind::table_healed));
  CHECK(follower.items->to_vector() == std::vector<Item>{{1, "a"}, {2, "b"}});
  CHECK(follower.items->state() == TableState::live);
  CHECK(follower.items->stale_for() == std::chrono::nanoseconds{0});
  CHECK(follower.replicator->status().tables.at(0).last_error.empty());
}

// The one slow test: README says that it is tried again after 30 s.
TEST_CASE("a table that failed by a value heals by itself within 45 s after the value is gone", "[G4]") {
  test::Database database;
  Follower<Item> follower(database,
                          "CREATE TABLE items (id int PRIMARY KEY, name text); INSERT INTO items VALUES (1, 'a')");
  database.exec("INSERT INTO items VALUES (2, NULL)");
  static_cast<void>(follower.log.wait_for(EventKind::table_failed, 1, "public.items"));
  database.exec("UPDATE items SET name = 'b' WHERE id = 2; INSERT INTO others VALUES (1, 'goes on')");
  database.catch_up(*follower.replicator);
  CHECK(follower.items->state() == TableState::failed);
  REQUIRE(test::eventually([&] { return follower.items->state() == TableState::live; }, std::chrono::seconds{45}));
  CHECK(follower.items->to_vector() == std::vector<Item>{{1, "a"}, {2, "b"}});
  static_cast<void>(follower.log.wait_for(EventKind::table_healed, 1, "public.items"));
  CHECK(follower.log.count(EventKind::table_failed) == 1);
  CHECK(follower.log.count(EventKind::stale) == 0);
  CHECK(follower.replicator->status().reconnects == 0);
  CHECK(follower.others->to_vector() == std::vector<Item>{{1, "goes on"}});
}

/// Of a row that is refused, which has 27182818 for its key, this must not be told either.
template <class Row>
void is_not_told(const std::string& secret, const std::string& definition, const std::string& write,
                 const std::string& clauses = {}) {
  CAPTURE(definition, write);
  test::Database database(clauses);
  const std::string told = test::told_of_refusal<Row>(database, definition, write);
  CHECK_THAT(told, ContainsSubstring("public.items"));
  CHECK_THAT(told, !ContainsSubstring(secret));
  CHECK_THAT(told, !ContainsSubstring("27182818"));
}

/// The value's column is of this type.
template <class T>
void value_is_not_told(const std::string& secret, const std::string& type, const std::string& value) {
  is_not_told<Holder<T>>(secret, "CREATE TABLE items (id int PRIMARY KEY, value " + type + ")",
                         "INSERT INTO items VALUES (27182818, " + value + ")");
}

TEST_CASE("no message about a value that is refused holds it, or another one of its row", "[G4]") {
  using std::chrono::microseconds;
  const std::string after_all = "294276-12-31 23:59:58.987654";
  SECTION("NULL") { value_is_not_told<std::string>("27182818", "text", "NULL"); }
  SECTION("a moment") {
    value_is_not_told<std::chrono::sys_time<microseconds>>("294276", "timestamptz", "'" + after_all + "Z'");
  }
  SECTION("a local moment") {
    value_is_not_told<std::chrono::local_time<microseconds>>("294276", "timestamp", "'" + after_all + "'");
  }
  SECTION("an array of another depth, from another place, or with NULL") {
    value_is_not_told<std::vector<std::int32_t>>("31415926", "int[]", "'{{31415926},{1}}'");
    value_is_not_told<std::vector<std::int32_t>>("31415926", "int[]", "'[7:7]={31415926}'");
    value_is_not_told<std::vector<std::string>>("secret", "text[]", "'{secret,NULL}'");
  }
  SECTION("a range") {
    value_is_not_told<btreemapped::SqlRange<std::chrono::sys_time<microseconds>>>(
        "29427", "tstzrange", "'[294275-01-01Z," + after_all + "Z)'");
  }
  SECTION("a composite value") {
    is_not_told<Holder<Home>>("secret",
                              "CREATE TYPE home AS (street text, house int); CREATE TABLE items (id int PRIMARY KEY, "
                              "value home NOT NULL)",
                              "INSERT INTO items VALUES (27182818, ROW('secret street', NULL))");
  }
  SECTION("a label of an enum that is not listed, by whose name the enum is told") {
    is_not_told<Holder<Light>>(
        "27182818", "CREATE TYPE light AS ENUM ('off', 'on'); CREATE TABLE items (id int PRIMARY KEY, value light)",
        "BEGIN; ALTER TYPE light ADD VALUE 'odd'; COMMIT; INSERT INTO items VALUES (27182818, 'odd')");
  }
  SECTION("what the user's codec refuses") { value_is_not_told<Mood>("secret", "text", "'secret'"); }
  SECTION("two keys that the user's codec takes for one") {
    is_not_told<Named>("ecret", "CREATE TABLE items (name text PRIMARY KEY); INSERT INTO items VALUES ('secret')",
                       "INSERT INTO items VALUES ('sicret secret')");
  }
}

TEST_CASE("no message about a value that the server cannot send holds a byte of it", "[G4]") {
  is_not_told<Item>("0xe4", "CREATE TABLE items (id int PRIMARY KEY, name text NOT NULL)",
                    "INSERT INTO items VALUES (27182818, E'\\xE4secret')", "ENCODING 'SQL_ASCII' LOCALE 'C'");
}

TEST_CASE("two tables that fail by one transaction fail alone, each with its reason", "[G4][G2]") {
  test::Database database;
  database.exec(
      "CREATE TABLE others (id int PRIMARY KEY, name text); CREATE TABLE third (LIKE others INCLUDING ALL);"
      "CREATE TABLE items (LIKE others INCLUDING ALL); CREATE PUBLICATION pub FOR ALL TABLES");
  test::EventLog log;
  btreemapped::Options options = database.options();
  options.on_event = log.hook();
  test::Replicator replicator(options);
  const auto items = replicator.add_replica<Item, 1>("items");
  const auto others = replicator.add_replica<Item, 1>("others");
  const auto third = replicator.add_replica<Item, 1>("third");
  test::start_and_sync(replicator);
  database.exec(
      "INSERT INTO items VALUES (1, NULL); INSERT INTO third VALUES (1, 'c'); INSERT INTO others VALUES (1, "
      "NULL)");
  database.catch_up(replicator);
  static_cast<void>(log.wait_for(EventKind::table_failed, 1, "public.items"));
  static_cast<void>(log.wait_for(EventKind::table_failed, 1, "public.others"));
  CHECK(items.empty());
  CHECK(others.empty());
  CHECK(third.to_vector() == std::vector<Item>{{1, "c"}});
  // They stopped at the same commit, so they may still be read together.
  CHECK(btreemapped::read(items, others, [](const auto& a, const auto& b) { return a.size() + b.size(); }) == 0);
  CHECK_THROWS_AS(btreemapped::read(items, third, [](const auto&, const auto&) {}), btreemapped::StaleError);
  replicator.ends_unproved("two tables hold what their rows cannot");
}

}  // namespace unfaithful_values_test
