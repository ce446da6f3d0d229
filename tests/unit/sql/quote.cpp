#include <string>
#include <string_view>
#include <vector>

#include <catch2/catch_test_macros.hpp>

#include <btreemapped/detail/shape.hpp>
#include <btreemapped/detail/sql/copy_query.hpp>
#include <btreemapped/detail/sql/quote.hpp>
#include <btreemapped/error.hpp>

using btreemapped::UsageError;
using btreemapped::detail::TableName;
namespace sql = btreemapped::detail::sql;

TEST_CASE("an identifier is quoted whatever it is made of") {
  CHECK(sql::identifier("cars") == "\"cars\"");
  CHECK(sql::identifier("My \"Cars\"; --") == "\"My \"\"Cars\"\"; --\"");
  CHECK(sql::identifier(TableName{"a.b", "c"}) == "\"a.b\".\"c\"");
}

TEST_CASE("a string constant reads the same under both readings of backslashes") {
  CHECK(sql::literal("it's") == "'it''s'");
  CHECK(sql::literal("a\\'b") == "E'a\\\\''b'");
}

TEST_CASE("a zero byte is refused, for it would cut the statement short") {
  CHECK_THROWS_AS(sql::identifier(std::string_view{"a\0b", 3}), UsageError);
  CHECK_THROWS_AS(sql::literal(std::string_view{"a\0b", 3}), UsageError);
}

TEST_CASE("an empty list of strings is a list of NULL") {
  CHECK(sql::literal_list(std::vector<std::string>{}) == "NULL");
  CHECK(sql::literal_list(std::vector<std::string>{"a", "b'"}) == "'a', 'b'''");
}

TEST_CASE("a plain table is copied without its inheritance children, in the order of the fields") {
  const sql::CopySource source{{"public", "cars"}, 'r', {"owner", "Plate"}, {}};
  CHECK(sql::copy_query(source) == "COPY (SELECT \"owner\", \"Plate\" FROM ONLY \"public\".\"cars\") TO STDOUT");
  CHECK(sql::lock_query(source) == "SELECT \"owner\", \"Plate\" FROM ONLY \"public\".\"cars\" LIMIT 0");
}

TEST_CASE("a partitioned table is copied with its partitions") {
  const sql::CopySource source{{"public", "cars"}, 'p', {"owner"}, {}};
  CHECK(sql::copy_query(source) == "COPY (SELECT \"owner\" FROM \"public\".\"cars\") TO STDOUT");
}

TEST_CASE("a row filter is part of the copy") {
  const sql::CopySource source{{"public", "cars"}, 'r', {"owner"}, "(id > 1) OR (id < 0)"};
  CHECK(sql::copy_query(source) ==
        "COPY (SELECT \"owner\" FROM ONLY \"public\".\"cars\" WHERE (id > 1) OR (id < 0)) TO STDOUT");
}
