// What a row type would need of a table that nobody has described as a row type.

#include <string>
#include <vector>

#include <catch2/catch_test_macros.hpp>

#include <btreemapped/detail/loop/untyped_needs.hpp>
#include <btreemapped/detail/shape.hpp>

namespace untyped_needs_test {

using btreemapped::detail::ColumnShape;
using btreemapped::detail::FieldNeed;
using btreemapped::detail::TableShape;
using btreemapped::detail::untyped_needs;

/// A published table of the columns a, b and c, without a key.
TableShape table() {
  TableShape shape;
  shape.published = true;
  for (const char* const name : {"a", "b", "c"}) {
    ColumnShape& column = shape.columns.emplace_back();
    column.name = name;
    column.published = true;
  }
  return shape;
}

/// The columns, with key columns in capitals.
std::string summary(const std::vector<FieldNeed>& needs) {
  std::string out;
  for (const FieldNeed& need : needs)
    for (const char c : need.column) out += need.key ? static_cast<char>(c - 'a' + 'A') : c;
  return out;
}

TEST_CASE("each unique index may be the key, the primary key first and deferrable ones last") {
  TableShape shape = table();
  shape.unique_indexes = {{"later", {"a"}, false, false, true},
                          {"nullable", {"b"}, false, true, false},
                          {"unique", {"c"}, false, true, true},
                          {"primary", {"a", "c"}, true, true, true}};
  const auto all = untyped_needs(shape);
  REQUIRE(all.size() == 4);
  CHECK(summary(all[0]) == "AbC");
  CHECK(summary(all[1]) == "abC");
  CHECK(summary(all[2]) == "aBc");
  CHECK(summary(all[3]) == "Abc");
}

TEST_CASE("without a unique index there is no key") {
  const auto all = untyped_needs(table());
  REQUIRE(all.size() == 1);
  CHECK(summary(all[0]) == "abc");
}

TEST_CASE("columns that are not published or may not be read are needed for the key only") {
  TableShape shape = table();
  shape.columns[0].published = shape.columns[1].published = false;
  shape.columns[2].selectable = false;
  shape.unique_indexes = {{"primary", {"a"}, true, true, true}};
  CHECK(summary(untyped_needs(shape).at(0)) == "A");
}

TEST_CASE("where nothing may be read, all is needed") {
  TableShape shape = table();
  for (ColumnShape& column : shape.columns) column.selectable = false;
  CHECK(summary(untyped_needs(shape).at(0)) == "abc");
}

TEST_CASE("of a table that is not published every column counts") {
  TableShape shape = table();
  shape.published = false;
  for (ColumnShape& column : shape.columns) column.published = false;
  CHECK(summary(untyped_needs(shape).at(0)) == "abc");
}

}  // namespace untyped_needs_test
