// Every type as its text: the one field that holds them all.
#include <cstddef>
#include <set>
#include <string>
#include <string_view>
#include <utility>

#include <catch2/catch_test_macros.hpp>

#include "literals.hpp"
#include "oracle.hpp"
#include "support/database.hpp"
#include "support/type_list.hpp"

namespace types_test {
namespace {

void add_every_type(Oracle& oracle) {
  std::set<std::string_view> done;
  for (const Literals& each : all_literals())
    if (done.insert(each.type).second) oracle.add<std::string>(each.type);
}

}  // namespace

TEST_CASE("there are more than 500 different values, some of each type", "[values]") {
  std::set<std::pair<std::string_view, std::string>> values;
  std::set<std::string_view> types;
  std::size_t all = 0;
  for (const Literals& each : all_literals()) {
    types.insert(each.type);
    all += each.texts.size();
    for (const std::string& text : each.texts) values.emplace(each.type, text);
  }
  CHECK(values.size() >= 500);
  CHECK(values.size() == all);
  for (const test::SqlTypeName& type : test::sql_types) {
    CAPTURE(type.name);
    CHECK(types.contains(type.name));
  }
}

TEST_CASE("the list of types calls them as the server does", "[values]") {
  test::Database database;
  for (const test::SqlTypeName& type : test::sql_types) {
    CAPTURE(type.name);
    CHECK(database.value("SELECT '" + std::string(type.sql) + "'::regtype::oid") == std::to_string(type.oid));
  }
}

TEST_CASE("texts of all types are what the server prints, through copy and stream", "[values]") {
  test::Database database;
  Oracle oracle(database);
  add_every_type(oracle);
  oracle.run(database.options());
}

TEST_CASE("texts of all types are what the server prints, whatever database and role prefer", "[values]") {
  UnfriendlyDatabase database;
  Oracle oracle(database);
  add_every_type(oracle);
  oracle.run(database.options_of_hurried_role());
}

}  // namespace types_test
