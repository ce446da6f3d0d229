#include <string_view>

#include <catch2/catch_test_macros.hpp>

#include <btreemapped/detail/shape.hpp>
#include <btreemapped/detail/table_name.hpp>
#include <btreemapped/error.hpp>

namespace {

using btreemapped::UsageError;
using btreemapped::detail::TableName;

TableName parse(std::string_view text, std::string_view declared_schema = {}) {
  return btreemapped::detail::parse_table_name(text, declared_schema);
}

}  // namespace

TEST_CASE("a table without a schema is in public", "[table_name]") {
  CHECK(parse("cars") == TableName{"public", "cars"});
}

TEST_CASE("a table without a schema is in the one that the row declares", "[table_name]") {
  CHECK(parse("cars", "traffic") == TableName{"traffic", "cars"});
}

TEST_CASE("a schema in the name goes before the declared one", "[table_name]") {
  CHECK(parse("garage.cars", "traffic") == TableName{"garage", "cars"});
}

TEST_CASE("names are taken as they are written", "[table_name]") {
  CHECK(parse("Garage.Cars") == TableName{"Garage", "Cars"});
  CHECK(parse("my garage.cars & more") == TableName{"my garage", "cars & more"});
  CHECK(parse("\xC5\xBDlut\xC3\xA9.k\xC5\xAF\xC5\x88") == TableName{"\xC5\xBDlut\xC3\xA9", "k\xC5\xAF\xC5\x88"});
  CHECK(parse("select.from") == TableName{"select", "from"});
}

TEST_CASE("a name with a dot is quoted", "[table_name]") {
  CHECK(parse(R"("odd.schema".name)") == TableName{"odd.schema", "name"});
  CHECK(parse(R"(schema."odd.name")") == TableName{"schema", "odd.name"});
  CHECK(parse(R"("odd.schema"."odd.name")") == TableName{"odd.schema", "odd.name"});
  CHECK(parse(R"("odd.name")") == TableName{"public", "odd.name"});
}

TEST_CASE("a quote inside quotes is doubled", "[table_name]") {
  CHECK(parse(R"("a""b"."""c""")") == TableName{R"(a"b)", R"("c")"});
  CHECK(parse(R"("""")") == TableName{"public", R"(")"});
}

TEST_CASE("quotes do not change the case of a name", "[table_name]") {
  CHECK(parse(R"("Cars")") == parse("Cars"));
  CHECK(parse(R"("cars")") == parse("cars"));
}

TEST_CASE("what is not one table is refused", "[table_name]") {
  for (const std::string_view text : {"", ".", "cars.", ".cars", "a.b.c", "..", R"("")", R"("".cars)", R"(garage."")",
                                      R"("a"b)", R"("a"."b"c)", R"("a"."b".c)", R"("a" .b)"}) {
    INFO(text);
    CHECK_THROWS_AS(parse(text), UsageError);
    CHECK_THROWS_AS(parse(text, "traffic"), UsageError);
  }
}

TEST_CASE("a quote that is not closed is refused", "[table_name]") {
  for (const std::string_view text :
       {R"(")", R"("cars)", R"("cars"")", R"(garage."cars)", R"("garage.cars)", R"(""")"}) {
    INFO(text);
    CHECK_THROWS_AS(parse(text), UsageError);
  }
}
