// Values of every type arrive as they are, through the copy and through the stream, whatever the database's defaults
// for showing them.

#include <chrono>
#include <cmath>
#include <cstddef>
#include <cstdint>
#include <limits>
#include <optional>
#include <string>
#include <type_traits>
#include <utility>
#include <vector>

#include <catch2/catch_test_macros.hpp>

#include <btreemapped.hpp>

#include "support/conninfo.hpp"
#include "support/database.hpp"
#include "support/replicator.hpp"

namespace values_test {

using namespace std::chrono;
using btreemapped::Numeric;
using btreemapped::Uuid;

template <class T>
struct Value {
  std::int32_t id;
  T value;
  std::optional<T> maybe;
  std::optional<T> none;
};

template <class T>
struct Keyed {
  T value;
  std::int32_t id;
};

/// As the database stores them: 1.0 is not 1.00 here, and -0 is not 0.
template <class T>
bool identical(const T& a, const T& b) {
  if constexpr (std::is_floating_point_v<T>) {
    return (std::isnan(a) && std::isnan(b)) || (a == b && std::signbit(a) == std::signbit(b));
  } else if constexpr (std::is_same_v<T, Numeric>) {
    return a.text() == b.text();
  } else {
    return a == b;
  }
}

/// A literal of SQL and what it must be.
template <class T>
using Case = std::pair<std::string, T>;

/// A database whose defaults show most types in another way than ours.
struct UnfriendlyDatabase : test::Database {
  UnfriendlyDatabase() {
    for (const std::string setting :
         {"datestyle = 'SQL, DMY'", "timezone = 'Asia/Kathmandu'", "bytea_output = 'escape'",
          "extra_float_digits = -15", "intervalstyle = 'iso_8601'", "client_encoding = 'LATIN1'",
          "standard_conforming_strings = off", "statement_timeout = '10s'",
          "default_transaction_isolation = 'serializable'", "array_nulls = off", "search_path = 'nowhere'",
          "quote_all_identifiers = on", "default_transaction_read_only = on"})
      exec("ALTER DATABASE " + name() + " SET " + setting);
  }
};

template <class T>
void round_trip(test::Database& database, const std::string& type, const std::vector<Case<T>>& cases) {
  database.exec(
      "DROP TABLE IF EXISTS copied, streamed; DROP PUBLICATION IF EXISTS pub;"
      "CREATE TABLE copied (id int PRIMARY KEY, value " +
      type + " NOT NULL, maybe " + type + ", none " + type +
      "); CREATE TABLE streamed (LIKE copied INCLUDING ALL); CREATE PUBLICATION pub FOR TABLE copied, streamed");
  std::string rows;
  for (std::size_t i = 0; i < cases.size(); ++i) {
    const std::string literal = "(" + cases[i].first + ")::" + type;
    rows += (i == 0 ? " (" : ", (") + std::to_string(i) + ", " + literal + ", " + literal + ", NULL)";
  }
  database.exec("INSERT INTO copied VALUES" + rows);
  test::Replicator replicator(database.options());
  const auto copied = replicator.add_replica<Value<T>, 1>("copied");
  const auto streamed = replicator.add_replica<Value<T>, 1>("streamed");
  test::start_and_sync(replicator);
  database.exec("INSERT INTO streamed VALUES" + rows);
  database.catch_up(replicator);
  for (const auto& replica : {copied, streamed}) {
    CHECK(replica.state() == btreemapped::TableState::live);
    REQUIRE(replica.size() == cases.size());
    for (std::size_t i = 0; i < cases.size(); ++i) {
      CAPTURE(type, cases[i].first);
      const std::optional<Value<T>> row = replica.get(i);
      REQUIRE(row.has_value());
      CHECK(identical(row->value, cases[i].second));
      REQUIRE(row->maybe.has_value());
      CHECK(identical(*row->maybe, cases[i].second));
      CHECK_FALSE(row->none.has_value());
    }
  }
}

template <class T>
std::vector<Case<T>> limits() {
  std::vector<Case<T>> out{{"0", T{0}}, {"1", T{1}}};
  out.emplace_back("'" + std::to_string(std::numeric_limits<T>::max()) + "'", std::numeric_limits<T>::max());
  out.emplace_back("'" + std::to_string(std::numeric_limits<T>::min()) + "'", std::numeric_limits<T>::min());
  return out;
}

std::vector<std::byte> bytes(const std::vector<int>& values) {
  std::vector<std::byte> out;
  for (const int value : values) out.push_back(static_cast<std::byte>(value));
  return out;
}

TEST_CASE("bool values arrive unchanged", "[values]") {
  UnfriendlyDatabase database;
  round_trip<bool>(database, "bool", {{"true", true}, {"false", false}});
}

TEST_CASE("integers arrive unchanged to their limits", "[values]") {
  UnfriendlyDatabase database;
  round_trip(database, "smallint", limits<std::int16_t>());
  round_trip(database, "integer", limits<std::int32_t>());
  round_trip(database, "bigint", limits<std::int64_t>());
  round_trip(database, "bigint", limits<long long>());
}

TEST_CASE("integers fit into wider fields", "[values]") {
  UnfriendlyDatabase database;
  round_trip<std::int64_t>(database, "smallint", {{"'-32768'", -32768}, {"32767", 32767}});
  round_trip<long>(database, "integer", {{"'-2147483648'", -2147483648L}});
}

TEST_CASE("object ids arrive unchanged", "[values]") {
  UnfriendlyDatabase database;
  round_trip<std::uint32_t>(database, "oid", {{"0", 0U}, {"'4294967295'", 4294967295U}});
}

TEST_CASE("floats arrive unchanged, with all that is not a number", "[values]") {
  UnfriendlyDatabase database;
  using Limits = std::numeric_limits<float>;
  round_trip<float>(database, "real",
                    {{"0.1", 0.1F},
                     {"'-0'", -0.0F},
                     {"'NaN'", Limits::quiet_NaN()},
                     {"'Infinity'", Limits::infinity()},
                     {"'-Infinity'", -Limits::infinity()},
                     {"'3.4028235e38'", Limits::max()},
                     {"'1e-45'", Limits::denorm_min()}});
}

TEST_CASE("doubles arrive unchanged, with all that is not a number", "[values]") {
  UnfriendlyDatabase database;
  using Limits = std::numeric_limits<double>;
  round_trip<double>(database, "double precision",
                     {{"0.1", 0.1},
                      {"'-0'", -0.0},
                      {"'NaN'", Limits::quiet_NaN()},
                      {"'Infinity'", Limits::infinity()},
                      {"'-Infinity'", -Limits::infinity()},
                      {"'1.7976931348623157e308'", Limits::max()},
                      {"'5e-324'", Limits::denorm_min()},
                      {"1.0::float8 / 3", 1.0 / 3}});
  round_trip<double>(database, "real", {{"0.1", double{0.1F}}});
}

TEST_CASE("text arrives unchanged, from the empty one to letters of all alphabets", "[values]") {
  UnfriendlyDatabase database;
  const std::vector<Case<std::string>> cases{{"''", ""},
                                             {"' blanks '", " blanks "},
                                             {"E'tab\\t newline\\n return\\r backslash\\\\ bell\\b\\f\\x0B quote'''",
                                              "tab\t newline\n return\r backslash\\ bell\b\f\v quote'"},
                                             {"E'\\\\N'", "\\N"},
                                             {"E'\\\\.'", "\\."},
                                             {"E'\\\\\\\\'", "\\\\"},
                                             {"E'\\u00e4 \\u0416 \\U0001F600'", "\u00e4 \u0416 \U0001F600"},
                                             {"'NULL'", "NULL"},
                                             {"repeat('long ', 100000)", [] {
                                                std::string text;
                                                for (int i = 0; i < 100'000; ++i) text += "long ";
                                                return text;
                                              }()}};
  round_trip(database, "text", cases);
  round_trip(database, "varchar(600000)", cases);
  round_trip<std::string>(database, "char(4)", {{"'ab'", "ab  "}, {"''", "    "}});
  round_trip<std::string>(database, "name", {{"'a name'", "a name"}});
}

TEST_CASE("text of a database that is not in UTF-8 arrives in UTF-8", "[values]") {
  test::Database database("ENCODING 'LATIN1' LOCALE 'C'");
  database.exec("SET client_encoding = 'UTF8'");
  round_trip<std::string>(database, "text", {{"chr(228) || ' \u00df'", "\u00e4 \u00df"}});
}

TEST_CASE("bytea values arrive unchanged", "[values]") {
  UnfriendlyDatabase database;
  round_trip<std::vector<std::byte>>(database, "bytea",
                                     {{"''", {}}, {"decode('00ff0a5c27', 'hex')", bytes({0, 255, 10, 92, 39})}});
}

TEST_CASE("uuid values arrive unchanged", "[values]") {
  UnfriendlyDatabase database;
  round_trip<Uuid>(database, "uuid",
                   {{"'00000000-0000-0000-0000-000000000000'", Uuid{}},
                    {"'A0EEBC99-9C0B-4EF8-BB6D-6BB9BD380A11'", *Uuid::parse("a0eebc99-9c0b-4ef8-bb6d-6bb9bd380a11")}});
}

TEST_CASE("dates arrive unchanged, before Christ and for ever", "[values]") {
  UnfriendlyDatabase database;
  round_trip<sys_days>(database, "date",
                       {{"'2024-02-29'", sys_days{2024y / February / 29}},
                        {"'1970-01-01'", sys_days{}},
                        {"'0001-12-31 BC'", sys_days{year{0} / December / 31}},
                        {"'infinity'", sys_days::max()},
                        {"'-infinity'", sys_days::min()}});
}

TEST_CASE("timestamps arrive unchanged, to the microsecond and for ever", "[values]") {
  UnfriendlyDatabase database;
  using Local = local_time<microseconds>;
  round_trip<Local>(database, "timestamp",
                    {{"'2024-02-29 23:59:59.999999'", Local{local_days{2024y / February / 29} + days{1} - 1us}},
                     {"'1969-12-31 23:59:59.5'", Local{-500ms}},
                     {"'0044-03-15 12:00:00 BC'", Local{local_days{year{-43} / March / 15} + 12h}},
                     {"'infinity'", Local::max()},
                     {"'-infinity'", Local::min()}});
}

TEST_CASE("moments with a time zone arrive unchanged, to the microsecond and for ever", "[values]") {
  UnfriendlyDatabase database;
  using Moment = sys_time<microseconds>;
  round_trip<Moment>(
      database, "timestamptz",
      {{"'2024-02-29 12:00:00.000001+05:45'", Moment{sys_days{2024y / February / 29} + 6h + 15min + 1us}},
       {"'1890-01-01 00:00:00Z'", Moment{sys_days{1890y / January / 1}}},
       {"'epoch'", Moment{}},
       {"'infinity'", Moment::max()},
       {"'-infinity'", Moment::min()}});
}

TEST_CASE("json arrives as it was written and jsonb as it is shown", "[values]") {
  UnfriendlyDatabase database;
  round_trip<std::string>(
      database, "json",
      {{"'{\"b\":  1, \"b\": [null, \"\u00e4\"]}'", "{\"b\":  1, \"b\": [null, \"\u00e4\"]}"}, {"'null'", "null"}});
  round_trip<std::string>(database, "jsonb",
                          {{"'{\"b\":1,  \"a\": [1.50, true]}'", "{\"a\": [1.50, true], \"b\": 1}"}});
}

TEST_CASE("numeric values arrive with all their digits", "[values]") {
  UnfriendlyDatabase database;
  const std::string digits(500, '7');
  std::vector<Case<Numeric>> cases;
  for (const std::string& text :
       {std::string{"0"}, std::string{"1.10"}, std::string{"-0.000000000000000000001"}, std::string{"NaN"},
        std::string{"Infinity"}, std::string{"-Infinity"}, digits + "." + digits})
    cases.emplace_back("'" + text + "'", *Numeric::parse(text));
  round_trip(database, "numeric", cases);
  round_trip<Numeric>(database, "numeric(6, 3)", {{"1.5", *Numeric::parse("1.500")}});
}

TEST_CASE("any other type arrives as the text that the server shows", "[values]") {
  UnfriendlyDatabase database;
  round_trip<std::string>(database, "int[]",
                          {{"'{1,NULL,3}'", "{1,NULL,3}"}, {"'{}'", "{}"}, {"'[0:1]={1,2}'", "[0:1]={1,2}"}});
  round_trip<std::string>(database, "text[]", {{"ARRAY['a b', 'q\"', '']", R"({"a b","q\"",""})"}});
  round_trip<std::string>(database, "interval", {{"'1 year -2 days 03:04:05.6'", "1 year -2 days +03:04:05.6"}});
  round_trip<std::string>(database, "timestamptz", {{"'2024-02-29 12:00:00+05:45'", "2024-02-29 06:15:00+00"}});
  round_trip<std::string>(database, "bytea", {{"decode('00ff', 'hex')", "\\x00ff"}});
  round_trip<std::string>(database, "int4range", {{"'[1,5)'", "[1,5)"}});
  round_trip<std::string>(database, "money", {{"'1234.5'", "$1,234.50"}});
  round_trip<std::string>(database, "time with time zone", {{"'12:00:00.5+05:45'", "12:00:00.5+05:45"}});
  round_trip<std::string>(database, "point", {{"point(0.1::float8 + 0.2::float8, -0.0)", "(0.30000000000000004,0)"}});
  round_trip<std::string>(database, "bit varying", {{"B'101'", "101"}});
  round_trip<std::string>(database, "tstzrange",
                          {{"tstzrange('2024-02-29 12:00:00+05:45', NULL)", R"(["2024-02-29 06:15:00+00",))"}});
  round_trip<std::string>(database, "inet", {{"'10.0.0.1/8'", "10.0.0.1/8"}});
  round_trip<std::string>(database, "double precision", {{"0.1::float8 + 0.2::float8", "0.30000000000000004"}});
}

TEST_CASE("enums, domains and composites of the user are followed", "[values]") {
  UnfriendlyDatabase database;
  database.exec(
      "CREATE TYPE int4 AS ENUM ('one', 'two');"
      "CREATE DOMAIN positive AS pg_catalog.int4 CHECK (value > 0); CREATE DOMAIN small AS positive CHECK (value < 10);"
      "CREATE TYPE pair AS (a pg_catalog.int4, b text);"
      "CREATE TABLE enums (id pg_catalog.int4 PRIMARY KEY, value public.int4 NOT NULL, maybe public.int4, none "
      "public.int4);"
      "CREATE TABLE domains (id pg_catalog.int4 PRIMARY KEY, value small NOT NULL, maybe small, none small);"
      "CREATE TABLE pairs (id pg_catalog.int4 PRIMARY KEY, value pair NOT NULL, maybe pair, none pair);"
      "INSERT INTO enums VALUES (1, 'one', 'two'); INSERT INTO domains VALUES (1, 5, 6); INSERT INTO pairs VALUES (1, "
      "(1, 'a b'), (NULL, ''));"
      "CREATE PUBLICATION pub FOR TABLE enums, domains, pairs");
  test::Replicator replicator(database.options());
  const auto enums = replicator.add_replica<Value<std::string>, 1>("enums");
  const auto domains = replicator.add_replica<Value<std::int32_t>, 1>("domains");
  const auto pairs = replicator.add_replica<Value<std::string>, 1>("pairs");
  test::start_and_sync(replicator);
  for (const std::string table : {"enums", "domains", "pairs"})
    database.exec("INSERT INTO " + table + " SELECT 2, value, maybe FROM " + table);
  database.catch_up(replicator);
  for (const int id : {1, 2}) {
    CHECK(enums.get(id)->value == "one");
    CHECK(enums.get(id)->maybe == "two");
    CHECK(domains.get(id)->value == 5);
    CHECK(domains.get(id)->maybe == 6);
    CHECK(pairs.get(id)->value == "(1,\"a b\")");
    CHECK(pairs.get(id)->maybe == "(,\"\")");
  }
}

/// Types whose text depends on settings, and some that travel with them.
struct Mixture {
  std::int32_t id;
  bool yes;
  std::int16_t small;
  std::int64_t large;
  float single_precision;
  double double_precision;
  Numeric exact;
  std::string words;
  std::vector<std::byte> content;
  Uuid uuid;
  sys_days day;
  local_time<microseconds> local;
  sys_time<microseconds> moment;
  std::string document;
  std::string duration;
  std::string price;
  std::optional<std::string> nothing;

  friend bool operator==(const Mixture&, const Mixture&) = default;
};

TEST_CASE("a row of many types arrives unchanged under the defaults of a role", "[values]") {
  test::Database database;
  const std::string role = database.add_role();
  database.exec(
      "CREATE TABLE mixtures (id int PRIMARY KEY, yes bool NOT NULL, small int2 NOT NULL, large int8 NOT NULL,"
      "single_precision float4 NOT NULL, double_precision float8 NOT NULL, exact numeric NOT NULL, words text NOT NULL,"
      "content bytea NOT NULL, uuid uuid NOT NULL, day date NOT NULL, local timestamp NOT NULL,"
      "moment timestamptz NOT NULL, document jsonb NOT NULL, duration interval NOT NULL, price money NOT NULL,"
      "nothing text); INSERT INTO mixtures VALUES (1, true, -7, 9000000000, 0.1, 0.1::float8 + 0.2::float8, 1.50,"
      "'\u00e4', '\\x00ff', 'a0eebc99-9c0b-4ef8-bb6d-6bb9bd380a11', '2024-02-03', '2024-02-03 04:05:06.000007',"
      "'2024-02-03 12:00:00+05:45', '[1.0]', '1 day -02:03:04', '9.5', NULL); GRANT SELECT ON mixtures TO " +
      role + "; CREATE PUBLICATION pub FOR TABLE mixtures");
  for (const std::string setting :
       {"datestyle = 'German'", "timezone = 'America/St_Johns'", "bytea_output = 'escape'", "extra_float_digits = -15",
        "intervalstyle = 'sql_standard'", "client_encoding = 'LATIN1'", "search_path = 'nowhere'",
        "default_transaction_read_only = on", "row_security = off", "statement_timeout = '20s'"})
    database.exec("ALTER ROLE " + role + " SET " + setting);
  btreemapped::Options options = database.options();
  options.connection = test::with_parts(database.dsn(), {{"user", role}});
  test::Replicator replicator(options);
  const auto mixtures = replicator.add_replica<Mixture, 1>("mixtures");
  test::start_and_sync(replicator);
  database.exec("CREATE TEMP TABLE twin AS TABLE mixtures; UPDATE twin SET id = 2; INSERT INTO mixtures TABLE twin");
  database.catch_up(replicator);
  const sys_days day{2024y / February / 3};
  Mixture expected{1,
                   true,
                   -7,
                   9'000'000'000,
                   0.1F,
                   0.1 + 0.2,
                   *Numeric::parse("1.50"),
                   "\u00e4",
                   bytes({0, 255}),
                   *Uuid::parse("a0eebc99-9c0b-4ef8-bb6d-6bb9bd380a11"),
                   day,
                   local_time<microseconds>{local_days{2024y / February / 3} + 4h + 5min + 6s + 7us},
                   sys_time<microseconds>{day + 6h + 15min},
                   "[1.0]",
                   "1 day -02:03:04",
                   "$9.50",
                   std::nullopt};
  CHECK(mixtures.get(1) == expected);
  expected.id = 2;
  CHECK(mixtures.get(2) == expected);
}

/// The ids in key order, through the copy and, after a change that moves every key away and back, through the stream.
template <class T>
void key_order(test::Database& database, const std::string& type, const std::vector<std::string>& ascending) {
  database.exec("DROP TABLE IF EXISTS keys, saved; DROP PUBLICATION IF EXISTS pub; CREATE TABLE keys (value " + type +
                " PRIMARY KEY, id int NOT NULL); CREATE PUBLICATION pub FOR TABLE keys");
  for (std::size_t i = ascending.size(); i-- > 0;)
    database.exec("INSERT INTO keys VALUES (" + ascending[i] + ", " + std::to_string(i) + ")");
  test::Replicator replicator(database.options());
  const auto keys = replicator.add_replica<Keyed<T>, 1>("keys");
  test::start_and_sync(replicator);
  const auto check = [&] {
    int expected = 0;
    keys.for_each([&](const Keyed<T>& row) { CHECK(row.id == expected++); });
    CHECK(expected == static_cast<int>(ascending.size()));
    keys.for_each([&](const Keyed<T>& row) { CHECK(keys.contains(row.value)); });
  };
  check();
  database.exec(
      "CREATE TABLE saved AS TABLE keys; DELETE FROM keys; INSERT INTO keys TABLE saved; UPDATE keys SET id = id");
  database.catch_up(replicator);
  check();
  database.exec("DELETE FROM keys");
  database.catch_up(replicator);
  CHECK(keys.empty());
}

TEST_CASE("keys of all kinds are ordered and found", "[values]") {
  test::Database database;
  key_order<double>(database, "double precision",
                    {"'-Infinity'", "-1.5", "'-0'", "1e-300", "2", "'Infinity'", "'NaN'"});
  key_order<Numeric>(database, "numeric", {"'-Infinity'", "-10", "-9.99", "0.00", "1.0", "10", "'Infinity'", "'NaN'"});
  key_order<std::string>(database, "text COLLATE \"C\"", {"''", "'A'", "'Z'", "'a'", "'aa'", "'b'", "'\u00e4'"});
  key_order<bool>(database, "bool", {"false", "true"});
  key_order<Uuid>(database, "uuid",
                  {"'00000000-0000-0000-0000-000000000001'", "'80000000-0000-0000-0000-000000000000'",
                   "'ffffffff-0000-0000-0000-000000000000'"});
  key_order<sys_days>(database, "date",
                      {"'-infinity'", "'0001-01-01 BC'", "'1969-12-31'", "'2024-02-29'", "'infinity'"});
}

TEST_CASE("a key that changes to another spelling of itself is one row with the new spelling", "[values]") {
  test::Database database;
  database.exec(
      "CREATE TABLE keys (value numeric PRIMARY KEY, id int NOT NULL); INSERT INTO keys VALUES (1.0, 1); CREATE "
      "PUBLICATION pub FOR TABLE keys");
  test::Replicator replicator(database.options());
  const auto keys = replicator.add_replica<Keyed<Numeric>, 1>("keys");
  test::start_and_sync(replicator);
  database.exec("UPDATE keys SET value = 1.00");
  database.catch_up(replicator);
  REQUIRE(keys.size() == 1);
  CHECK(keys.to_vector()[0].value.text() == "1.00");
  CHECK(keys.contains(Numeric{1}));
}

}  // namespace values_test
