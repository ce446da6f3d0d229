#include <cstddef>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include <catch2/catch_test_macros.hpp>

#include <btreemapped/codec/scalar.hpp>
#include <btreemapped/codec/text.hpp>
#include <btreemapped/detail/column_map.hpp>
#include <btreemapped/detail/shape.hpp>
#include <btreemapped/detail/wire/message.hpp>

#include <support/messages.hpp>

namespace {

using namespace btreemapped::detail;
using btreemapped::Oid;
using btreemapped::SqlType;

constexpr Oid text = 25, int4 = 23, int8 = 20, numeric = 1700, own_enum = 16'385;

/// A struct whose fields are owner, plate (the key), and color.
std::vector<FieldNeed> needs() {
  return {{.column = "owner", .key = true}, {.column = "plate", .key = true}, {.column = "color", .optional = true}};
}

/// The table as it was copied.
TableShape cars() {
  TableShape shape{.table = {"public", "cars"}, .oid = 16'400};
  const auto add = [&](const char* name, Oid oid, Oid base) {
    shape.columns.push_back({.name = name, .type = SqlType{.oid = oid, .base = base}});
  };
  add("owner", text, text);
  add("plate", 16'390, int4);  // a domain
  add("color", own_enum, own_enum);
  add("price", numeric, numeric);
  return shape;
}

using Columns = std::vector<test::RelationColumnText>;

const Columns usual{{"owner", text, true}, {"plate", 16'390, true}, {"color", own_enum}, {"price", numeric}};

struct Mapped {
  ColumnMap map{};
  std::optional<SchemaChange> change{};
};

Mapped map(const Columns& columns, char identity = 'd', const TableName& name = {"public", "cars"}) {
  const test::Parsed<wire::Relation> relation(test::relation_message(name, identity, columns));
  Mapped mapped;
  mapped.change = map_streamed_columns(needs(), cars(), *relation, mapped.map);
  return mapped;
}

/// The column that a relation is refused for.
std::string refused_column(const Columns& columns, char identity = 'd') {
  const Mapped mapped = map(columns, identity);
  if (!mapped.change) return "none is refused";
  CHECK_FALSE(mapped.change->what.empty());
  return mapped.change->column;
}

std::vector<std::size_t> positions(const ColumnMap& map) {
  std::vector<std::size_t> all;
  for (const ColumnMap::Column& column : map.fields) all.push_back(column.position);
  return all;
}

using Positions = std::vector<std::size_t>;

}  // namespace

TEST_CASE("columns are found by name", "[column_map]") {
  const Mapped mapped = map(usual);
  REQUIRE_FALSE(mapped.change);
  CHECK(positions(mapped.map) == Positions{0, 1, 2});
  CHECK(mapped.map.width == 4);
}

TEST_CASE("columns are found wherever they have moved", "[column_map]") {
  const Mapped mapped = map({{"price", numeric}, {"color", own_enum}, {"plate", 16'390, true}, {"owner", text, true}});
  REQUIRE_FALSE(mapped.change);
  CHECK(positions(mapped.map) == Positions{3, 2, 1});
}

TEST_CASE("columns that no field wants may come, go and change", "[column_map]") {
  const Mapped more = map({{"new", int8},
                           {"owner", text, true},
                           {"newer", 99'999},
                           {"plate", 16'390, true},
                           {"color", own_enum},
                           {"price", text}});
  REQUIRE_FALSE(more.change);
  CHECK(positions(more.map) == Positions{1, 3, 4});
  CHECK(more.map.width == 6);
  const Mapped less = map({{"owner", text, true}, {"plate", 16'390, true}, {"color", own_enum}});
  REQUIRE_FALSE(less.change);
  CHECK(less.map.width == 3);
}

TEST_CASE("a field's type is the one that the table was copied with", "[column_map]") {
  const Mapped mapped = map(usual);
  REQUIRE(mapped.map.fields.size() == 3);
  CHECK(mapped.map.fields[1].type.oid == 16'390);
  CHECK(mapped.map.fields[1].type.base == int4);
}

TEST_CASE("the fields of the identity are marked", "[column_map]") {
  const Mapped by_key = map(usual);
  CHECK(by_key.map.fields[0].in_identity);
  CHECK(by_key.map.fields[1].in_identity);
  CHECK_FALSE(by_key.map.fields[2].in_identity);
  const Mapped wider = map({{"owner", text, true}, {"plate", 16'390, true}, {"color", own_enum, true}}, 'i');
  CHECK(wider.map.fields[2].in_identity);
  const Mapped full = map({{"owner", text, true}, {"plate", 16'390, true}, {"color", own_enum, true}}, 'f');
  REQUIRE_FALSE(full.change);
  for (const ColumnMap::Column& column : full.map.fields) CHECK(column.in_identity);
}

TEST_CASE("it is known whether the fields hold the whole identity", "[column_map]") {
  CHECK(map(usual).map.holds_identity);
  CHECK_FALSE(map({{"owner", text, true}, {"plate", 16'390, true}, {"color", own_enum}, {"price", numeric, true}})
                  .map.holds_identity);
  CHECK(map({{"owner", text, true}, {"plate", 16'390, true}, {"color", own_enum, true}}, 'f').map.holds_identity);
}

TEST_CASE("a column that is gone is named", "[column_map]") {
  CHECK(refused_column({{"owner", text, true}, {"plate", 16'390, true}, {"price", numeric}}) == "color");
  CHECK(refused_column({{"plate", 16'390, true}, {"color", own_enum}}) == "owner");
  CHECK(refused_column({}) == "owner");
}

TEST_CASE("a column that was renamed is gone", "[column_map]") {
  CHECK(refused_column({{"owner", text, true}, {"plate", 16'390, true}, {"colour", own_enum}}) == "color");
  CHECK(refused_column({{"owner", text, true}, {"plate", 16'390, true}, {"Color", own_enum}}) == "color");
}

TEST_CASE("a column of another type is named", "[column_map]") {
  CHECK(refused_column({{"owner", text, true}, {"plate", int8, true}, {"color", own_enum}}) == "plate");
  CHECK(refused_column({{"owner", text, true}, {"plate", int4, true}, {"color", own_enum}}) == "plate");
  CHECK(refused_column({{"owner", text, true}, {"plate", 16'390, true}, {"color", text}}) == "color");
}

// As the server sends it in the transaction of ALTER TABLE ... TYPE numeric(10,1), which rounds the rows that are held.
TEST_CASE("a column of another precision, scale or length is named", "[column_map]") {
  CHECK(refused_column({{"owner", text, true}, {"plate", 16'390, true}, {"color", own_enum, false, 5}}) == "color");
  TableShape prices = cars();
  prices.columns[3].typmod = 0x000A'0006;  // numeric(10,2)
  const std::vector<FieldNeed> need{{.column = "price"}};
  const auto change_of = [&](std::int32_t typmod) {
    const test::Parsed<wire::Relation> relation(
        test::relation_message(prices.table, 'd', {{"price", numeric, false, typmod}}));
    ColumnMap map;
    return map_streamed_columns(need, prices, *relation, map);
  };
  CHECK_FALSE(change_of(0x000A'0006));
  const std::optional<SchemaChange> rounded = change_of(0x000A'0005);
  REQUIRE(rounded);
  CHECK(rounded->column == "price");
}

TEST_CASE("two columns that swapped their names are named, if their types differ", "[column_map]") {
  CHECK(refused_column({{"plate", text, true}, {"owner", 16'390, true}, {"color", own_enum}}) == "plate");
}

TEST_CASE("a key column that left the identity is named", "[column_map]") {
  CHECK(refused_column({{"owner", text, true}, {"plate", 16'390}, {"color", own_enum}}) == "plate");
  CHECK(refused_column({{"owner", text}, {"plate", 16'390}, {"color", own_enum}}, 'n') == "owner");
  CHECK(refused_column({{"owner", text}, {"plate", 16'390, true}, {"color", own_enum, true}}, 'i') == "owner");
}

TEST_CASE("a table that was renamed or moved to another schema is no longer ours", "[column_map]") {
  const Mapped renamed = map(usual, 'd', {"public", "cars_old"});
  REQUIRE(renamed.change);
  CHECK(renamed.change->column.empty());
  CHECK_FALSE(renamed.change->what.empty());
  CHECK(map(usual, 'd', {"archive", "cars"}).change);
  CHECK(map(usual, 'd', {"", "cars"}).change);
}

TEST_CASE("a repeated, identical relation is no change", "[column_map]") {
  CHECK_FALSE(map(usual).change);
  CHECK_FALSE(map(usual).change);
}

TEST_CASE("a map can be made anew in the place of an older one", "[column_map]") {
  const test::Parsed<wire::Relation> first(test::relation_message(cars().table, 'd', usual));
  const test::Parsed<wire::Relation> second(
      test::relation_message(cars().table, 'd', {{"color", own_enum}, {"plate", 16'390, true}, {"owner", text, true}}));
  ColumnMap map;
  REQUIRE_FALSE(map_streamed_columns(needs(), cars(), *first, map));
  REQUIRE_FALSE(map_streamed_columns(needs(), cars(), *second, map));
  CHECK(positions(map) == Positions{2, 1, 0});
  CHECK(map.width == 3);
}

TEST_CASE("a copy brings the columns in the order of the fields", "[column_map]") {
  const ColumnMap map = map_copied_columns(needs(), cars());
  CHECK(positions(map) == Positions{0, 1, 2});
  CHECK(map.width == 3);
  CHECK(map.fields[0].type.oid == text);
  CHECK(map.fields[1].type.oid == 16'390);
  CHECK(map.fields[1].type.base == int4);
  CHECK(map.fields[2].type.oid == own_enum);
}
