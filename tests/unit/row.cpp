#include <array>
#include <chrono>
#include <cstddef>
#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <tuple>
#include <type_traits>
#include <vector>

#include <catch2/catch_test_macros.hpp>

#include <btreemapped/codec.hpp>
#include <btreemapped/detail/store.hpp>
#include <btreemapped/detail/typed_table.hpp>
#include <btreemapped/numeric.hpp>
#include <btreemapped/replica.hpp>
#include <btreemapped/row.hpp>
#include <btreemapped/uuid.hpp>

#include <support/document.hpp>

namespace row_test {

struct Car {
  std::string owner;
  std::int64_t license_plate;
  std::string color;
};

struct Renamed {
  std::int32_t carId;
  std::string ownerName;

  static constexpr std::size_t arity = 1;
  static constexpr std::string_view table = "cars";
  static constexpr std::string_view schema = "garage";
  static constexpr std::string_view column_name(std::string_view field) {
    return field == "carId" ? "car_id" : field == "ownerName" ? "owner_name" : field;
  }
};

struct Untouched {
  std::int32_t a;
  std::int32_t b;
  std::int32_t c;
};

/// All that the struct says is overruled by table_traits.
struct Overruled {
  std::int32_t a;
  std::int32_t b;

  static constexpr std::size_t arity = 2;
  static constexpr std::string_view table = "of_the_struct";
  static constexpr std::string_view schema = "of_the_struct";
  static constexpr std::string_view column_name(std::string_view) { return "of_the_struct"; }
};

/// Fields with the names of declarations.
struct Ledger {
  std::int64_t key;
  std::int64_t arity;
  std::string table;
  std::string schema;
  std::string column_name;
};

/// A struct may have more than fields.
struct Busy {
  using key = int;
  enum Kind : std::uint8_t { red };

  std::int64_t id = 7;
  std::string name = "nobody";
  static constexpr std::int64_t limit = 9;
  static inline int counter = 0;

  [[nodiscard]] std::int64_t twice() const { return 2 * id; }
  static std::string_view table() { return "a function declares nothing"; }
  friend bool operator==(const Busy&, const Busy&) = default;
};

struct Point {
  std::int32_t x = 1;
  std::int32_t y = 2;

  friend auto operator<=>(const Point&, const Point&) = default;
};

struct Nested {
  std::int32_t id = 3;
  Point at{};
  std::optional<Point> before = Point{.x = 4, .y = 5};
  std::array<std::int16_t, 3> triple{1, 2, 3};
  std::string note = "none";
};

struct KeyInAnyOrder {
  std::string owner;
  std::int64_t license_plate;
  std::optional<double> price;
  std::int32_t year;

  static constexpr auto key = btreemapped::key<&KeyInAnyOrder::year, &KeyInAnyOrder::owner>;
};

struct KeyOfEqualTypes {
  std::int32_t a;
  std::int32_t b;
  std::int32_t c;
};

struct ArityAsInt {
  std::int32_t a;
  std::int32_t b;

  static constexpr int arity = 2;
};

struct KeyAndArity {
  std::int32_t a;
  std::int32_t b;

  static constexpr std::size_t arity = 1;
  static constexpr auto key = btreemapped::key<&KeyAndArity::b>;
};

struct Czech {
  std::int32_t číslo;
  std::string žluťoučký_kůň;
};

struct OnlyMovable {
  std::int32_t id;
  test::Document document;
};

struct AllTypes {
  bool truth;
  std::int16_t small;
  std::int32_t medium;
  std::int64_t large;
  long same_as_large;
  long long also_large;
  float single;
  double twice;
  std::string text;
  std::vector<std::byte> bytes;
  btreemapped::Uuid uuid;
  btreemapped::Numeric exact;
  std::chrono::sys_days day;
  std::chrono::local_time<std::chrono::microseconds> local;
  std::chrono::sys_time<std::chrono::microseconds> moment;
};

}  // namespace row_test

template <>
struct btreemapped::table_traits<row_test::Untouched> {
  static constexpr std::string_view table = "untouched_rows";
  static constexpr std::string_view schema = "elsewhere";
  static constexpr auto key = btreemapped::key<&row_test::Untouched::c, &row_test::Untouched::a>;
  static constexpr std::string_view column_name(std::string_view field) {
    return field == "b" ? "\"B\" column" : field;
  }
};

template <>
struct btreemapped::table_traits<row_test::Overruled> {
  static constexpr std::string_view table = "of_the_traits";
  static constexpr std::string_view schema = "of_the_traits_too";
  static constexpr auto key = btreemapped::key<&row_test::Overruled::b>;
  static constexpr std::string_view column_name(std::string_view field) { return field; }
};

template <>
struct btreemapped::table_traits<row_test::KeyOfEqualTypes> {
  static constexpr auto key =
      btreemapped::key<&row_test::KeyOfEqualTypes::b, &row_test::KeyOfEqualTypes::c, &row_test::KeyOfEqualTypes::a>;
};

template <>
struct btreemapped::codec<row_test::Point> {
  static Errc decode(std::string_view, row_test::Point&) { return Errc::invalid_text; }
};
template <>
struct btreemapped::codec<std::array<std::int16_t, 3>> {
  static Errc decode(std::string_view, std::array<std::int16_t, 3>&) { return Errc::invalid_text; }
};
namespace {

using namespace row_test;
using btreemapped::key_of;
using btreemapped::Replica;

struct Hidden {
  std::int32_t number;
  std::string text;
};

template <class Row, std::size_t Arity>
std::vector<btreemapped::detail::FieldNeed> needs_of() {
  const btreemapped::detail::Store store(false);
  const btreemapped::detail::TypedTable<Row, Arity> table(store, {"public", "rows"});
  return {table.needs().begin(), table.needs().end()};
}

template <class Row>
std::string column_at(std::size_t field) {
  return std::string(btreemapped::detail::column_name<Row>(btreemapped::detail::field_names_v<Row>[field]));
}

/// The columns of the fields.
template <class Row, std::size_t Arity>
std::vector<std::string> columns_of() {
  std::vector<std::string> names;
  for (std::size_t field = 0; field < btreemapped::detail::field_count_v<Row>; ++field)
    names.push_back(column_at<Row>(field));
  return names;
}

/// The columns of the key, in its order.
template <class Row, std::size_t Arity>
std::vector<std::string> key_columns_of() {
  std::vector<std::string> names;
  for (const std::size_t field : btreemapped::detail::RowModel<Row, Arity>::indices)
    names.push_back(column_at<Row>(field));
  return names;
}

using Names = std::vector<std::string>;

template <class... T>
using Key = std::tuple<T...>;

template <class Row, std::size_t Arity>
using key_type_of = typename Replica<Row, Arity>::key_type;

// The key's type: the first fields, or what is declared.
static_assert(std::is_same_v<key_type_of<Car, 1>, Key<std::string>>);
static_assert(std::is_same_v<key_type_of<Car, 2>, Key<std::string, std::int64_t>>);
static_assert(std::is_same_v<key_type_of<Car, 3>, Key<std::string, std::int64_t, std::string>>);
static_assert(std::is_same_v<Replica<Renamed>::key_type, Key<std::int32_t>>);
static_assert(std::is_same_v<Replica<KeyInAnyOrder>::key_type, Key<std::int32_t, std::string>>);
static_assert(std::is_same_v<Replica<Untouched>::key_type, Key<std::int32_t, std::int32_t>>);
static_assert(std::is_same_v<Replica<Car, 2>::row_type, Car>);

// A declared key makes the arity needless, and the type is the same.
static_assert(std::is_same_v<Replica<Renamed>, Replica<Renamed, 1>>);
static_assert(std::is_same_v<Replica<KeyInAnyOrder>, Replica<KeyInAnyOrder, 2>>);
static_assert(std::is_same_v<Replica<Untouched>, Replica<Untouched, 2>>);
static_assert(std::is_same_v<Replica<KeyOfEqualTypes>, Replica<KeyOfEqualTypes, 3>>);
static_assert(std::is_same_v<Replica<ArityAsInt>, Replica<ArityAsInt, 2>>);
static_assert(std::is_same_v<Replica<KeyAndArity>, Replica<KeyAndArity, 1>>);
static_assert(std::is_same_v<Replica<Overruled>, Replica<Overruled, 1>>);
static_assert(!std::is_same_v<Replica<Car, 1>, Replica<Car, 2>>);

// Keys of literal types are made at compile time.
static_assert(key_of<2>(Untouched{1, 2, 3}) == std::tuple(3, 1));
static_assert(key_of(Untouched{1, 2, 3}) == std::tuple(3, 1));
static_assert(key_of(KeyOfEqualTypes{1, 2, 3}) == std::tuple(2, 3, 1));
static_assert(key_of(KeyAndArity{1, 2}) == std::tuple(2));
static_assert(key_of(Overruled{1, 2}) == std::tuple(2));

}  // namespace

TEST_CASE("a column is called like its field", "[row]") {
  CHECK(columns_of<Car, 2>() == Names{"owner", "license_plate", "color"});
}

TEST_CASE("the key is the first fields when only an arity is given", "[row]") {
  CHECK(key_columns_of<Car, 1>() == Names{"owner"});
  CHECK(key_columns_of<Car, 2>() == Names{"owner", "license_plate"});
  CHECK(key_columns_of<Car, 3>() == Names{"owner", "license_plate", "color"});
}

TEST_CASE("a struct can rename its columns, its table and its schema", "[row]") {
  CHECK(columns_of<Renamed, 1>() == Names{"car_id", "owner_name"});
  CHECK(btreemapped::detail::declared_table<Renamed>() == "cars");
  CHECK(btreemapped::detail::declared_schema<Renamed>() == "garage");
}

TEST_CASE("table_traits declare for a struct that says nothing", "[row]") {
  CHECK(columns_of<Untouched, 2>() == Names{"a", "\"B\" column", "c"});
  CHECK(key_columns_of<Untouched, 2>() == Names{"c", "a"});
  CHECK(btreemapped::detail::declared_table<Untouched>() == "untouched_rows");
  CHECK(btreemapped::detail::declared_schema<Untouched>() == "elsewhere");
}

TEST_CASE("table_traits go before what the struct says", "[row]") {
  CHECK(columns_of<Overruled, 1>() == Names{"a", "b"});
  CHECK(key_columns_of<Overruled, 1>() == Names{"b"});
  CHECK(btreemapped::detail::declared_table<Overruled>() == "of_the_traits");
  CHECK(btreemapped::detail::declared_schema<Overruled>() == "of_the_traits_too");
}

TEST_CASE("a struct that declares nothing names no table", "[row]") {
  CHECK(btreemapped::detail::declared_table<Car>().empty());
  CHECK(btreemapped::detail::declared_schema<Car>().empty());
  CHECK(btreemapped::detail::declared_arity_v<Car> == 0);
}

TEST_CASE("fields called key, arity, table, schema and column_name are columns", "[row]") {
  CHECK(columns_of<Ledger, 1>() == Names{"key", "arity", "table", "schema", "column_name"});
  CHECK(key_columns_of<Ledger, 1>() == Names{"key"});
  CHECK(btreemapped::detail::declared_arity_v<Ledger> == 0);
  CHECK(btreemapped::detail::declared_table<Ledger>().empty());
  CHECK(btreemapped::detail::declared_schema<Ledger>().empty());
  CHECK(key_of<2>(Ledger{1, 2, "t", "s", "c"}) == std::tuple(std::int64_t{1}, std::int64_t{2}));
}

TEST_CASE("types, static members and functions of a struct are no columns and no declarations", "[row]") {
  CHECK(columns_of<Busy, 1>() == Names{"id", "name"});
  CHECK(btreemapped::detail::declared_arity_v<Busy> == 0);
  CHECK(btreemapped::detail::declared_table<Busy>().empty());
}

TEST_CASE("key_of gives the key fields in the order of the key", "[row]") {
  const Car car{"Alice", 123, "red"};
  CHECK(key_of<1>(car) == std::tuple(std::string("Alice")));
  CHECK(key_of<2>(car) == std::tuple(std::string("Alice"), std::int64_t{123}));
  const KeyInAnyOrder dated{"Bob", 5, 1.0, 1999};
  CHECK(key_of(dated) == std::tuple(1999, std::string("Bob")));
  CHECK(key_of<2>(dated) == key_of(dated));
  CHECK(key_of<Car, 2>(car) == key_of<2>(car));
  CHECK(key_of<KeyInAnyOrder>(dated) == key_of(dated));
}

TEST_CASE("a key of a move-only row is copied out of it", "[row]") {
  const OnlyMovable row{5, {std::make_unique<std::string>("text")}};
  CHECK(key_of<1>(row) == std::tuple(5));
  CHECK(*row.document.text == "text");
}

TEST_CASE("a key may be any fields in any order", "[row]") {
  CHECK(key_columns_of<KeyInAnyOrder, 2>() == Names{"year", "owner"});
  CHECK(key_columns_of<KeyOfEqualTypes, 3>() == Names{"b", "c", "a"});
}

TEST_CASE("a struct inside a function is a row", "[row]") {
  struct Local {
    std::string name;
    std::int32_t value;
  };
  CHECK(columns_of<Local, 1>() == Names{"name", "value"});
  CHECK(key_of<1>(Local{"x", 1}) == std::tuple(std::string("x")));
}

TEST_CASE("a struct in an anonymous namespace is a row", "[row]") {
  CHECK(columns_of<Hidden, 1>() == Names{"number", "text"});
}

TEST_CASE("fields may have names beyond ASCII", "[row]") {
  CHECK(columns_of<Czech, 1>() == Names{"číslo", "žluťoučký_kůň"});
}

TEST_CASE("fields may be aggregates with initialisers of their own", "[row]") {
  CHECK(columns_of<Nested, 1>() == Names{"id", "at", "before", "triple", "note"});
  CHECK(key_of<2>(Nested{}) == std::tuple(3, Point{1, 2}));
}

TEST_CASE("a row may have a field that can only be moved", "[row]") {
  CHECK(columns_of<OnlyMovable, 1>() == Names{"id", "document"});
}

TEST_CASE("every documented field type can be a key", "[row]") {
  CHECK(columns_of<AllTypes, 15>().size() == 15);
  CHECK(key_columns_of<AllTypes, 15>() == columns_of<AllTypes, 15>());
  CHECK(std::tuple_size_v<key_type_of<AllTypes, 15>> == 15);
}

TEST_CASE("a table asks for the columns of all fields, and knows which are its key", "[row]") {
  const auto needs = needs_of<Untouched, 2>();
  REQUIRE(needs.size() == 3);
  CHECK((needs[0].column == "a" && needs[0].key));
  CHECK((needs[1].column == "\"B\" column" && !needs[1].key));
  CHECK((needs[2].column == "c" && needs[2].key));
}

TEST_CASE("a field tells whether it can hold NULL, and which types it takes", "[row]") {
  const auto needs = needs_of<KeyInAnyOrder, 2>();
  CHECK_FALSE(needs[0].optional);
  CHECK(needs[2].optional);
  CHECK(needs[2].accepts(btreemapped::SqlType{.oid = 701, .base = 701}));
  CHECK_FALSE(needs[2].accepts(btreemapped::SqlType{.oid = 20, .base = 20}));
  CHECK_FALSE(needs[2].expected.empty());
}
