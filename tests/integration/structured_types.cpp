// Arrays, enums, domains, composite types, ranges and hstore arrive as they are, through the copy and through the
// stream. The server is the judge: what we hold, written down as a literal, must print as the value itself does.

#include <charconv>
#include <chrono>
#include <cmath>
#include <cstddef>
#include <cstdint>
#include <map>
#include <optional>
#include <string>
#include <string_view>
#include <tuple>
#include <type_traits>
#include <utility>
#include <vector>

#include <catch2/catch_test_macros.hpp>

#include <btreemapped.hpp>

#include "support/database.hpp"
#include "support/replicator.hpp"

namespace structured_types_test {

using btreemapped::Numeric;
using btreemapped::SqlMultirange;
using btreemapped::SqlRange;
using btreemapped::Uuid;
using btreemapped::detail::same_value;

enum class Mood { sad, ok, very_happy, odd, quoted, null_word };

}  // namespace structured_types_test

template <>
struct btreemapped::enum_labels<structured_types_test::Mood> {
  using Mood = structured_types_test::Mood;
  static constexpr EnumLabel<Mood> list[] = {{"sad", Mood::sad},        {"ok", Mood::ok},
                                             {"NULL", Mood::null_word}, {"very happy", Mood::very_happy},
                                             {"\u00e4,\\", Mood::odd},  {"\"it's\"", Mood::quoted}};
};

namespace structured_types_test {

struct Address {
  std::string street;
  std::optional<std::int32_t> zip;
  std::optional<Numeric> price;
};

/// Names its attributes in another order than the type, and one less.
struct Person {
  std::optional<Mood> mood;
  std::string name;
  std::optional<std::vector<std::optional<std::string>>> nicknames;
  std::optional<Address> home;
  std::optional<SqlRange<std::int32_t>> years;
};

using Pairs = std::map<std::string, std::optional<std::string>>;
using Moment = std::chrono::sys_time<std::chrono::microseconds>;

// ---- values as literals ---------------------------------------------------------------------------------------------

std::string in_quotes(std::string_view text) {
  std::string out = "\"";
  for (const char c : text) {
    if (c == '"' || c == '\\') out += '\\';
    out += c;
  }
  return out += '"';
}

std::string literal(bool value) { return value ? "t" : "f"; }
std::string literal(std::int32_t value) { return std::to_string(value); }
std::string literal(std::int64_t value) { return std::to_string(value); }
std::string literal(const std::string& value) { return value; }
std::string literal(const Numeric& value) { return to_string(value); }
std::string literal(const Uuid& value) { return to_string(value); }
std::string literal(double value) {
  if (std::isnan(value)) return "NaN";
  if (std::isinf(value)) return value < 0 ? "-Infinity" : "Infinity";
  char buffer[64];
  return {buffer, std::to_chars(buffer, buffer + sizeof buffer, value).ptr};
}
std::string literal(const std::vector<std::byte>& value) {
  static constexpr std::string_view digits = "0123456789abcdef";
  std::string out = "\\x";
  for (const std::byte each : value) {
    out += digits[std::to_integer<std::size_t>(each >> 4)];
    out += digits[std::to_integer<std::size_t>(each & std::byte{15})];
  }
  return out;
}
std::string literal(std::chrono::sys_days value) {
  if (value == std::chrono::sys_days::max()) return "infinity";
  if (value == std::chrono::sys_days::min()) return "-infinity";
  const std::chrono::year_month_day day{value};
  return std::to_string(static_cast<int>(day.year())) + "-" + std::to_string(static_cast<unsigned>(day.month())) + "-" +
         std::to_string(static_cast<unsigned>(day.day()));
}
std::string literal(Moment value) {
  if (value == Moment::max()) return "infinity";
  if (value == Moment::min()) return "-infinity";
  const auto day = std::chrono::floor<std::chrono::days>(value);
  const std::chrono::hh_mm_ss time{value - day};
  return literal(day) + " " + std::to_string(time.hours().count()) + ":" + std::to_string(time.minutes().count()) +
         ":" + std::to_string(time.seconds().count()) + "." +
         std::to_string(1'000'000 + time.subseconds().count()).substr(1) + "+00";
}
std::string literal(Mood value) {
  for (const auto& each : btreemapped::enum_labels<Mood>::list)
    if (each.value == value) return std::string{each.label};
  return {};
}

template <class T>
std::string literal(const std::vector<T>& value);
template <class T>
std::string literal(const SqlRange<T>& value);
template <class T>
std::string literal(const SqlMultirange<T>& value);
std::string literal(const Pairs& value);
std::string literal(const Address& value);
std::string literal(const Person& value);

/// Always in quotes, which the server takes where it would not write them.
template <class T>
std::string part(const T& value, std::string_view null) {
  if constexpr (btreemapped::detail::is_optional_v<T>) {
    return value ? part(*value, null) : std::string{null};
  } else {
    return in_quotes(literal(value));
  }
}

template <class T>
std::string literal(const std::vector<T>& value) {
  std::string out = "{";
  for (std::size_t i = 0; i < value.size(); ++i) {
    out += i == 0 ? "" : ",";
    if constexpr (btreemapped::detail::array_vector<T>) {
      out += literal(value[i]);
    } else {
      out += part<T>(value[i], "NULL");
    }
  }
  return out + "}";
}

template <class... Fields>
std::string row_literal(const Fields&... fields) {
  std::string out;
  ((out += (out.empty() ? "(" : ",") + part(fields, "")), ...);
  return out + ")";
}
std::string literal(const Address& value) { return row_literal(value.street, value.zip, value.price); }
std::string literal(const Person& value) {
  return row_literal(value.name, std::optional<std::string>{"unknown to the struct"}, value.home, value.mood,
                     value.years, value.nicknames);
}

template <class T>
std::string literal(const SqlRange<T>& value) {
  if (value.empty()) return "empty";
  return (value.lower_inclusive() ? "[" : "(") + part(value.lower(), "") + "," + part(value.upper(), "") +
         (value.upper_inclusive() ? "]" : ")");
}
template <class T>
std::string literal(const SqlMultirange<T>& value) {
  std::string out;
  for (const SqlRange<T>& range : value.ranges) out += (out.empty() ? "{" : ",") + literal(range);
  return out.empty() ? "{}" : out + "}";
}
std::string literal(const Pairs& value) {
  std::string out;
  for (const auto& [key, each] : value) out += (out.empty() ? "" : ",") + in_quotes(key) + "=>" + part(each, "NULL");
  return out;
}

// ---- the judge ------------------------------------------------------------------------------------------------------

struct Types : test::Database {
  Types() {
    exec(
        "CREATE EXTENSION hstore;"
        "CREATE TYPE mood AS ENUM ('sad', 'ok', 'very happy', E'\\u00e4,\\\\', '\"it''s\"', 'NULL');"
        "CREATE DOMAIN feeling AS mood; CREATE DOMAIN deep_feeling AS feeling CHECK (value::mood <> 'sad');"
        "CREATE TYPE address AS (street text, zip int, price numeric(12, 3));"
        "CREATE DOMAIN home AS address;"
        "CREATE DOMAIN words AS text[]; CREATE DOMAIN numbers AS int[] CHECK (cardinality(value) < 1000);"
        "CREATE DOMAIN many_words AS words;"
        "CREATE TYPE textrange AS RANGE (subtype = text, collation = \"C\");"
        "CREATE TYPE floatrange AS RANGE (subtype = float8);"
        "CREATE TYPE moodrange AS RANGE (subtype = mood);"
        "CREATE TYPE gone AS (a int);"
        "CREATE TYPE person AS (name text, dropped gone, extra text, home home, mood deep_feeling, years int4range, "
        "nicknames words); ALTER TYPE person DROP ATTRIBUTE dropped");
  }
};

std::string quoted_for_sql(const std::string& text) {
  std::string out = "E'";
  for (const char c : text) {
    if (c == '\'' || c == '\\') out += c;
    out += c;
  }
  return out + "'";
}

/// A column's type, and literals for it.
struct Column {
  std::string type;
  std::vector<std::string> literals;
};

/// A table with a column for each field of Row but the first, the id; each literal stands in a row of its own. All are
/// copied and streamed, and held against what the server shows.
template <class Row>
void judge(test::Database& database, const std::vector<Column>& columns) {
  const auto& names = btreemapped::detail::field_names_v<Row>;
  REQUIRE(columns.size() + 1 == names.size());
  std::string definition = "id int PRIMARY KEY";
  std::string inserts;
  std::vector<std::string> literals;
  for (std::size_t field = 1; field < names.size(); ++field) {
    const Column& column = columns[field - 1];
    const std::string name{names[field]};
    definition += ", " + name + " " + column.type;
    for (const std::string& each : column.literals) {
      inserts += "INSERT INTO copied (id, " + name + ") VALUES (" + std::to_string(literals.size()) + ", (" + each +
                 ")::" + column.type + ");";
      literals.push_back(each);
    }
  }
  database.exec("CREATE TABLE copied (" + definition +
                "); CREATE TABLE streamed (LIKE copied INCLUDING ALL); CREATE PUBLICATION pub FOR TABLE copied, "
                "streamed;" +
                inserts);
  test::Replicator replicator(database.options());
  const auto copied = replicator.add_replica<Row, 1>("copied");
  const auto streamed = replicator.add_replica<Row, 1>("streamed");
  test::start_and_sync(replicator);
  database.exec("INSERT INTO streamed SELECT * FROM copied");
  database.catch_up(replicator);
  REQUIRE(copied.size() == literals.size());
  REQUIRE(streamed.size() == literals.size());
  std::size_t judged = 0;
  copied.for_each([&](const Row& row) {
    const Row other = streamed.get(row.id).value();
    btreemapped::detail::for_each_field_index<Row>([&](auto index) {
      using btreemapped::detail::field_at;
      CHECK(same_value(field_at<index>(row), field_at<index>(other)));
      if constexpr (index > 0) {
        const auto& value = field_at<index>(row);
        if (!value) return;
        ++judged;
        const Column& column = columns[index - 1];
        CAPTURE(column.type, literals[static_cast<std::size_t>(row.id)], literal(*value));
        const std::string held = quoted_for_sql(literal(*value)) + "::" + column.type;
        CHECK(database.value("SELECT (" + held + ")::text = " + std::string{names[index]} +
                             "::text FROM copied WHERE id = " + std::to_string(row.id)) == "t");
      }
    });
  });
  CHECK(judged == literals.size());
}

template <class T>
using Optionals = std::vector<std::optional<T>>;
template <class T>
using Matrix = std::vector<std::vector<T>>;

TEST_CASE("arrays of numbers arrive as vectors", "[values]") {
  Types database;
  struct Row {
    std::int32_t id;
    std::optional<std::vector<std::int32_t>> value_a;
    std::optional<std::vector<std::int64_t>> value_b;
    std::optional<std::vector<std::int64_t>> value_c;
    std::optional<Optionals<std::int32_t>> value_d;
    std::optional<std::vector<double>> value_e;
    std::optional<std::vector<double>> value_f;
    std::optional<Optionals<Numeric>> value_g;
    std::optional<std::vector<Numeric>> value_h;
    std::optional<std::vector<bool>> value_i;
    std::optional<Optionals<bool>> value_j;
  };
  judge<Row>(database,
             {{"int[]",
               {"'{}'", "'{0}'", "'{1,2,3}'", "'{-2147483648,2147483647}'", "'[1:2]={5,6}'",
                "array_fill(7, ARRAY[5000])", "ARRAY(SELECT generate_series(-3, 3))", "'{ 1 , 2 }'"}},
              {"bigint[]", {"'{9223372036854775807,-9223372036854775808}'"}},
              {"smallint[]", {"'{-32768,32767}'"}},
              {"int[]", {"'{NULL}'", "'{1,NULL,3}'", "'{NULL,NULL}'", "'{}'", "array_fill(NULL::int, ARRAY[9])"}},
              {"float8[]", {"'{NaN,Infinity,-Infinity,-0,0.1,5e-324,1e300}'", "'{}'"}},
              {"real[]", {"'{0.5,NaN,-0}'"}},
              {"numeric[]", {"'{1.0,1.00,NaN,Infinity,-0.001,NULL}'", "'{1e40,1e-40}'"}},
              {"numeric(6,2)[]", {"'{1,1.005,-7.1}'"}},
              {"bool[]", {"'{t,f,t}'", "'{}'"}},
              {"bool[]", {"'{t,NULL,f}'"}}});
}

TEST_CASE("arrays of more dimensions arrive as vectors of vectors", "[values]") {
  Types database;
  struct Row {
    std::int32_t id;
    std::optional<Matrix<std::int32_t>> value_a;
    std::optional<Matrix<std::int32_t>> value_b;
    std::optional<Matrix<std::optional<std::string>>> value_c;
    std::optional<std::vector<Matrix<std::int32_t>>> value_d;
    std::optional<Matrix<Matrix<Matrix<std::int32_t>>>> value_e;
    std::optional<Matrix<bool>> value_f;
  };
  judge<Row>(database,
             {{"int[]",
               {"'{}'", "'{{1}}'", "'{{1,2},{3,4}}'", "'{{1},{2},{3}}'", "'{{1,2,3}}'", "array_fill(1, ARRAY[30,40])"}},
              {"int[][]", {"'{{1,2},{3,4}}'"}},
              {"text[]", {R"('{{"a b",NULL},{"NULL","{}"}}')", R"('{{""},{"\""},{"\\"}}')", "'{{\"a,b\"}}'"}},
              {"int[]", {"'{}'", "'{{{1}}}'", "'{{{1,2}},{{3,4}}}'", "'{{{1},{2}},{{3},{4}}}'"}},
              {"int[]", {"'{{{{{{1,2}}}}}}'", "'{}'"}},
              {"bool[]", {"'{{t,f},{f,t}}'"}}});
}

TEST_CASE("arrays of texts arrive with all that has to be quoted", "[values]") {
  Types database;
  const std::vector<std::string> texts{
      "'{}'",
      "ARRAY['']",
      "ARRAY['a']",
      "ARRAY['a', 'b']",
      "ARRAY['NULL']",
      "ARRAY['null', 'Null', 'nULL']",
      "ARRAY['NULLs']",
      "ARRAY['a b', ' a', 'a ', ' ']",
      "ARRAY[',', ';', 'a,b']",
      "ARRAY['{', '}', '{}', '{a,b}']",
      "ARRAY['\"', '\"\"', 'a\"b']",
      "ARRAY[E'\\\\', E'\\\\\\\\', E'\\\\\"', E'\"\\\\']",
      "ARRAY[E'\\n', E'\\t', E'\\r', E'\\b', E'\\f', E'\\x0b', E'\\x01', E'\\x7f']",
      "ARRAY[E'\\u00e4', E'\\u00a0', E'\\u2003', E'\\U0001F600', E'\\u0085']",
      "ARRAY['''', '''''']",
      "ARRAY['(a)', '[b]', '[0:1]={1,2}', '<c>']",
      "ARRAY[E'\\\\N', E'\\\\.']",
      "ARRAY[repeat('long ', 20000), 'x']",
      "ARRAY(SELECT chr(i) FROM generate_series(1, 700) i)",
      "ARRAY(SELECT repeat('\"', i) || repeat(E'\\\\', i) FROM generate_series(0, 50) i)"};
  struct Row {
    std::int32_t id;
    std::optional<std::vector<std::string>> value_a;
    std::optional<Optionals<std::string>> value_b;
    std::optional<std::vector<std::string>> value_c;
    std::optional<std::vector<std::string>> value_d;
    std::optional<std::vector<std::string>> value_e;
    std::optional<std::vector<std::string>> value_f;
    std::optional<std::vector<std::string>> value_g;
    std::optional<std::vector<std::string>> value_h;
  };
  judge<Row>(database, {{"text[]", texts},
                        {"text[]", {"ARRAY[NULL, 'NULL', '']", "ARRAY['a', NULL]"}},
                        {"varchar(5)[]", {"'{a,b c}'"}},
                        {"char(4)[]", {"'{a,bcde,\"\"}'"}},
                        {"name[]", {"'{a,\"b c\"}'"}},
                        {"json[]", {R"(ARRAY['{"a": [1, "x"]}', 'null', '"\\"']::json[])"}},
                        {"jsonb[]", {R"(ARRAY['{"a":[1,"x"]}']::jsonb[])"}},
                        {"int[]", {"'{1,2}'"}}});
}

TEST_CASE("arrays of other types arrive as vectors of these", "[values]") {
  Types database;
  struct Row {
    std::int32_t id;
    std::optional<std::string> value_a;
    std::optional<std::vector<std::string>> value_b;
    std::optional<Optionals<std::vector<std::byte>>> value_c;
    std::optional<std::vector<Uuid>> value_d;
    std::optional<Optionals<std::chrono::sys_days>> value_e;
    std::optional<std::vector<Moment>> value_f;
    std::optional<std::vector<std::string>> value_g;
  };
  judge<Row>(database, {{"box[]", {"'{(1,1),(0,0);(3,3),(2,2)}'", "'{}'"}},
                        {"point[]", {"'{\"(1,2)\",\"(3,4)\"}'"}},
                        {"bytea[]", {R"('{"\\x00ff5c22","\\x",NULL}')", "ARRAY[decode('2c7b7d', 'hex')]"}},
                        {"uuid[]", {"'{a0eebc99-9c0b-4ef8-bb6d-6bb9bd380a11}'"}},
                        {"date[]", {"'{2024-02-29,infinity,-infinity,NULL}'"}},
                        {"timestamptz[]", {"'{2024-02-29 12:00:00.000001+05:45,infinity,1969-12-31 23:59:59.5Z}'"}},
                        {"interval[]", {"'{1 day -02:00:00,1 year}'"}}});
}

TEST_CASE("an array whose elements are separated by semicolons arrives", "[values]") {
  Types database;
  database.exec(
      "CREATE TABLE boxes (id int PRIMARY KEY, value box[]); CREATE PUBLICATION pub FOR TABLE boxes;"
      "INSERT INTO boxes VALUES (1, '{(1,1),(0,0);(3,3),(2,2)}')");
  struct Boxes {
    std::int32_t id;
    std::vector<std::string> value;
  };
  test::Replicator replicator(database.options());
  const auto boxes = replicator.add_replica<Boxes, 1>("boxes");
  test::start_and_sync(replicator);
  database.exec("INSERT INTO boxes SELECT 2, value FROM boxes");
  database.catch_up(replicator);
  for (const int id : {1, 2}) CHECK(boxes.get(id)->value == std::vector<std::string>{"(1,1),(0,0)", "(3,3),(2,2)"});
}

TEST_CASE("enums arrive as enumerators", "[values]") {
  Types database;
  const std::vector<std::string> labels{"'sad'", "'ok'", "'very happy'", "E'\\u00e4,\\\\'", "'\"it''s\"'", "'NULL'"};
  struct Row {
    std::int32_t id;
    std::optional<Mood> value_a;
    std::optional<Mood> value_b;
    std::optional<Mood> value_c;
    std::optional<std::string> value_d;
    std::optional<std::vector<Mood>> value_e;
    std::optional<Optionals<Mood>> value_f;
    std::optional<Matrix<Mood>> value_g;
  };
  judge<Row>(database, {{"mood", labels},
                        {"feeling", labels},
                        {"deep_feeling", {"'ok'"}},
                        {"mood", labels},
                        {"mood[]", {"'{}'", "enum_range(NULL::mood)", "'{sad,sad}'"}},
                        {"deep_feeling[]", {"ARRAY['ok', NULL, 'NULL']::deep_feeling[]"}},
                        {"mood[]", {"ARRAY[['ok', 'NULL'], ['sad', 'very happy']]::mood[]"}}});
}

TEST_CASE("domains arrive as what they are made of", "[values]") {
  Types database;
  struct Row {
    std::int32_t id;
    std::optional<std::vector<std::string>> value_a;
    std::optional<std::vector<std::string>> value_b;
    std::optional<Address> value_c;
  };
  judge<Row>(database, {{"words", {"'{}'", "'{a,\"b c\"}'"}},
                        {"many_words", {"'{a,\"b c\"}'"}},
                        {"home", {"ROW('Main Street', 1, 2.5)::address"}}});
}

TEST_CASE("a domain may be NOT NULL, and arrays of a domain over arrays may be ragged", "[values]") {
  Types database;
  database.exec(
      "CREATE DOMAIN some_int AS int NOT NULL; CREATE DOMAIN required AS some_int;"
      "CREATE TABLE t (id int PRIMARY KEY, value required, list numbers[]);"
      "CREATE PUBLICATION pub FOR TABLE t; INSERT INTO t VALUES (1, 5, ARRAY['{1,2}', NULL, '{}', '{3}']::numbers[])");
  struct Row {
    std::int32_t id;
    std::int32_t value;
    Optionals<std::vector<std::int32_t>> list;
  };
  test::Replicator replicator(database.options());
  const auto rows = replicator.add_replica<Row, 1>("t");
  test::start_and_sync(replicator);
  database.exec("INSERT INTO t SELECT 2, value + 1, list || '{NULL}'::numbers[] FROM t");
  database.catch_up(replicator);
  using Numbers = std::vector<std::int32_t>;
  CHECK(rows.get(1)->value == 5);
  CHECK(rows.get(1)->list == Optionals<Numbers>{Numbers{1, 2}, std::nullopt, Numbers{}, Numbers{3}});
  CHECK(rows.get(2)->value == 6);
  CHECK(rows.get(2)->list == Optionals<Numbers>{Numbers{1, 2}, std::nullopt, Numbers{}, Numbers{3}, std::nullopt});
}

TEST_CASE("composite types arrive as structs", "[values]") {
  Types database;
  struct Row {
    std::int32_t id;
    std::optional<Address> value_a;
    std::optional<std::vector<Address>> value_b;
    std::optional<Optionals<Address>> value_c;
  };
  judge<Row>(database, {{"address",
                         {"ROW('Main Street', 12345, 1.5)", "ROW('', NULL, NULL)", "ROW('a,b', -1, 'NaN')",
                          "ROW('(a)', 0, 0)", "ROW('\"', 0, 0)", "ROW(E'\\\\', 0, 0)", "ROW(E'\\\\\"', 0, 0)",
                          "ROW(' a ', 0, 0)", "ROW(E'line\\nbreak\\ttab', 0, 0)", "ROW('NULL', 0, 0)",
                          "ROW('{}', 0, 0)", "ROW('[1,2)', 0, 0)", "ROW(E'\\u00e4\\u00a0', 0, 0)", "ROW('''', 0, 0)",
                          "ROW(repeat('\"', 3000), 0, 0)", "ROW(repeat('x', 300000), 0, 0)"}},
                        {"address[]", {"'{}'", "ARRAY[ROW('a \"b\"', 1, 2), ROW(E'\\\\', NULL, NULL)]::address[]"}},
                        {"home[]", {"ARRAY[ROW('x', 1, 2), NULL]::address[]::home[]"}}});
}

TEST_CASE("structs nest, and are matched by name with what they do not name left out", "[values]") {
  Types database;
  const std::string extra = ", 'unknown to the struct', ";
  struct Row {
    std::int32_t id;
    std::optional<Person> value_a;
    std::optional<std::vector<Person>> value_b;
  };
  judge<Row>(
      database,
      {{"person",
        {"ROW('Ann'" + extra + "ROW('Main \"Street\", 5', 1, 2.50), 'ok', '[1,5)', '{a,\"b c\",NULL}')",
         "ROW(''" + extra + "NULL, NULL, NULL, NULL)",
         "ROW('B (x)'" + extra + "ROW('', NULL, NULL), 'NULL', 'empty', '{}')",
         "ROW(E'C\\\\'" + extra + "ROW(E'\\\\\"', 0, NULL), 'very happy', '(,)', ARRAY[E'\\\\', '\"'])"}},
       {"person[]", {"ARRAY[ROW('Ann'" + extra + "ROW('a \"b\"', 1, 2), 'ok', '[1,)', '{\"x y\"}')]::person[]"}}});
}

TEST_CASE("a row type of a table arrives as a struct", "[values]") {
  Types database;
  database.exec(
      "CREATE TABLE places (street text NOT NULL, old int, zip int, price numeric(12, 3));"
      "ALTER TABLE places DROP COLUMN old");
  struct Row {
    std::int32_t id;
    std::optional<Address> value_a;
  };
  judge<Row>(database, {{"places", {"ROW('a', 1, 2)::places", "ROW('', NULL, NULL)::places"}}});
}

TEST_CASE("ranges arrive with their bounds", "[values]") {
  Types database;
  struct Row {
    std::int32_t id;
    std::optional<SqlRange<std::int32_t>> value_a;
    std::optional<SqlRange<std::int64_t>> value_b;
    std::optional<SqlRange<Numeric>> value_c;
    std::optional<SqlRange<double>> value_d;
    std::optional<SqlRange<std::chrono::sys_days>> value_e;
    std::optional<SqlRange<Moment>> value_f;
    std::optional<SqlRange<std::string>> value_g;
    std::optional<SqlRange<Mood>> value_h;
    std::optional<Optionals<SqlRange<std::int32_t>>> value_i;
  };
  judge<Row>(database,
             {{"int4range",
               {"'empty'", "'(,)'", "'[1,5]'", "'(1,5)'", "'[1,)'", "'(,5]'", "'[3,3]'", "'[3,3)'",
                "'[-2147483648,2147483647)'"}},
              {"int8range", {"'[1,9223372036854775807)'", "'(,-5]'", "'empty'"}},
              {"numrange",
               {"'[1.0,1.00]'", "'(1.5,2.50]'", "'[1.5,2.5)'", "'(1,2)'", "'[-Infinity,Infinity]'", "'[0,NaN]'",
                "'(,1e30)'", "'empty'"}},
              {"floatrange", {"'[0.1,0.2]'", "'(-Infinity,NaN)'", "'[-0,0]'"}},
              {"daterange", {"'[2024-02-29,2024-03-01]'", "'[2024-01-01,infinity)'", "'(,2024-01-01)'"}},
              {"tstzrange",
               {"tstzrange('2024-02-29 12:00:00.5+05:45', NULL)", "tstzrange(NULL, 'infinity', '()')",
                "tstzrange('2024-01-01Z', '2024-01-02Z', '[]')"}},
              {"textrange",
               {"textrange('a', 'b')", "textrange('', 'b c')", "textrange('\"', E'\\\\')", "textrange(',', '[')",
                "textrange('(', ')', '[]')", "textrange('A', 'empty')", "textrange(NULL, E'\\n')",
                "textrange('', NULL)", "textrange('NULL', '{}')", "textrange('a', E'\\u00e4', '(]')"}},
              {"moodrange", {"moodrange('sad', 'NULL')", "moodrange('ok', '\"it''s\"', '[]')"}},
              {"int4range[]", {"'{\"[1,5)\",empty,NULL,\"(,)\"}'"}}});
}

TEST_CASE("multiranges arrive with all their ranges", "[values]") {
  Types database;
  struct Row {
    std::int32_t id;
    std::optional<SqlMultirange<std::int32_t>> value_a;
    std::optional<SqlMultirange<Numeric>> value_b;
    std::optional<SqlMultirange<std::chrono::sys_days>> value_c;
    std::optional<SqlMultirange<std::string>> value_d;
    std::optional<std::vector<SqlMultirange<std::int32_t>>> value_e;
  };
  judge<Row>(
      database,
      {{"int4multirange",
        {"'{}'", "'{[1,5)}'", "'{[1,3),[5,8)}'", "'{(,3),[5,)}'", "'{(,)}'", "'{empty}'", "'{[5,8),[1,3),[2,4)}'"}},
       {"nummultirange", {"'{[1.0,2.50],(3,4)}'", "'{(,-1.5]}'"}},
       {"datemultirange", {"'{[2024-01-01,2024-02-01),[2025-01-01,)}'"}},
       {"textmultirange",
        {"textmultirange(textrange('a', 'b,}'), textrange('x y', NULL))", "textmultirange(textrange('\"', E'\\\\'))",
         "textmultirange(textrange('(', ')'), textrange('[', ']'))"}},
       {"int4multirange[]", {R"('{"{[1,3),[5,8)}","{}"}')"}}});
}

TEST_CASE("hstore arrives as a map", "[values]") {
  Types database;
  struct Row {
    std::int32_t id;
    std::optional<Pairs> value_a;
    std::optional<Optionals<Pairs>> value_b;
  };
  judge<Row>(database,
             {{"hstore",
               {"''", "'a=>1'", "'a=>NULL'", "'a=>\"NULL\"'", "'b=>2, a=>1, ccc=>3'", "hstore('', '')",
                "hstore('a b', 'c d')", "hstore('\"', E'\\\\')", "hstore('=>', ', ')", "hstore(E'\\n', E'\\t')",
                "hstore(E'\\u00e4', E'\\U0001F600')", "hstore('a', repeat('x', 50000))",
                "hstore(ARRAY(SELECT 'key ' || i FROM generate_series(1, 300) i), ARRAY(SELECT i::text FROM "
                "generate_series(1, 300) i))"}},
              {"hstore[]", {"ARRAY[hstore('a\"', NULL), NULL, '']"}}});
}

// ---- keys -----------------------------------------------------------------------------------------------------------

TEST_CASE("structured values are keys in the order that the README tells", "[values]") {
  Types database;
  database.exec(
      "CREATE TYPE point_of_two AS (x float8, y int);"
      "CREATE TABLE t (place point_of_two, mood mood, list float8[], span int4range, id int NOT NULL,"
      " PRIMARY KEY (place, mood, list, span)); ALTER TABLE t REPLICA IDENTITY FULL;"
      "CREATE PUBLICATION pub FOR TABLE t;"
      "INSERT INTO t VALUES ((1, 2), 'sad', '{1}', '[1,2)', 0), ((1, 2), 'sad', '{1}', '[1,)', 1), "
      "((1, 2), 'sad', '{1,1}', 'empty', 2), ((1, 2), 'sad', '{NaN}', 'empty', 3), "
      "((1, 2), 'very happy', '{}', 'empty', 4), ((1, 3), 'sad', '{}', 'empty', 5), "
      "(('NaN', 1), 'sad', '{}', 'empty', 6)");
  struct Place {
    double x;
    std::int32_t y;
  };
  struct Row {
    Place place;
    Mood mood;
    std::vector<double> list;
    SqlRange<std::int32_t> span;
    std::int32_t id;
  };
  test::Replicator replicator(database.options());
  const auto rows = replicator.add_replica<Row, 4>("t");
  test::start_and_sync(replicator);
  const auto ids = [&] {
    std::vector<std::int32_t> out;
    rows.for_each([&](const Row& row) { out.push_back(row.id); });
    return out;
  };
  CHECK(ids() == std::vector<std::int32_t>{0, 1, 2, 3, 4, 5, 6});
  const double nan = std::nan("");
  CHECK(rows.get(Place{nan, 1}, Mood::sad, std::vector<double>{}, SqlRange<std::int32_t>{})->id == 6);
  CHECK(rows.get(Place{1, 2}, Mood::sad, std::vector<double>{nan}, SqlRange<std::int32_t>{})->id == 3);
  database.exec("UPDATE t SET place = (0, 0) WHERE id = 6; DELETE FROM t WHERE id = 3");
  database.catch_up(replicator);
  CHECK(ids() == std::vector<std::int32_t>{6, 0, 1, 2, 4, 5});
}

}  // namespace structured_types_test
