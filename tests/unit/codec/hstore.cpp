#include <map>
#include <optional>
#include <string>
#include <string_view>

#include <catch2/catch_test_macros.hpp>

#include <btreemapped/codec/hstore.hpp>

#include "decode.hpp"

namespace {

using btreemapped::Errc;
using btreemapped::SqlType;
using btreemapped::detail::accepts_type;
using btreemapped::detail::same_value;
using decode_test::decode;
using decode_test::error_of;
using decode_test::made_of;

using Pairs = std::map<std::string, std::optional<std::string>>;

Pairs pairs_of(std::string_view printed) {
  const auto [error, value] = decode<Pairs>(printed);
  REQUIRE(error == Errc::ok);
  return value;
}

}  // namespace

TEST_CASE("an hstore becomes a map", "[unit][codec]") {
  CHECK(pairs_of("") == Pairs{});
  CHECK(pairs_of(R"("a"=>"1")") == Pairs{{"a", "1"}});
  CHECK(pairs_of(R"("b"=>NULL, "a"=>"NULL", "cc"=>"")") == Pairs{{"a", "NULL"}, {"b", std::nullopt}, {"cc", ""}});
  CHECK(pairs_of(R"(""=>"empty key")") == Pairs{{"", "empty key"}});
}

TEST_CASE("keys and values of an hstore are taken out of their quotes", "[unit][codec]") {
  CHECK(pairs_of(R"("a\"b"=>"c\\d", "=>"=>", ")") == Pairs{{"a\"b", "c\\d"}, {"=>", ", "}});
  CHECK(pairs_of("\"ä ö\"=>\"line\nbreak\"") == Pairs{{"ä ö", "line\nbreak"}});
  CHECK(pairs_of(R"("\\\""=>"\"\\")") == Pairs{{"\\\"", "\"\\"}});
}

TEST_CASE("what a map held before is gone", "[unit][codec]") {
  Pairs pairs{{"old", "1"}};
  REQUIRE(btreemapped::codec<Pairs>::decode("", pairs) == Errc::ok);
  CHECK(pairs.empty());
}

TEST_CASE("what no server prints as an hstore is refused", "[unit][codec]") {
  for (const std::string_view printed :
       {" ", "a=>1", "\"a\"", "\"a\"=>", "\"a\"=>1", "\"a\"=>null", "\"a\"=>\"1", "\"a=>\"1\"", "\"a\"=>\"1\",",
        "\"a\"=>\"1\", ", "\"a\"=>\"1\" ", "\"a\"=>\"1\",\"b\"=>\"2\"", "\"a\"=>\"1\"\"b\"=>\"2\"", "\"a\" => \"1\"",
        "\"a\"=>\"\\1\"", "\"a\"=>\"1\", \"a\"=>\"2\"", "\"a\"=>\"1\", \"a\"=>NULL", "\"a\"=>NULLx"}) {
    CAPTURE(printed);
    CHECK(error_of<Pairs>(printed) == Errc::invalid_text);
  }
  CHECK(error_of<Pairs>("\"\xff\"=>NULL") == Errc::invalid_encoding);
  CHECK(error_of<Pairs>("\"a\"=>\"\xff\"") == Errc::invalid_encoding);
}

TEST_CASE("hstore is known by its extension and never by its name alone", "[unit][codec]") {
  CHECK(accepts_type<Pairs>(made_of('b', "hstore", {.extension = "hstore", .own_name = "hstore"})));
  CHECK(accepts_type<Pairs>(made_of('b', "elsewhere.hstore", {.extension = "hstore", .own_name = "hstore"})));
  CHECK_FALSE(accepts_type<Pairs>(made_of('b', "hstore", {.extension = "other", .own_name = "hstore"})));
  CHECK_FALSE(accepts_type<Pairs>(made_of('b', "ghstore", {.extension = "hstore", .own_name = "ghstore"})));
  CHECK_FALSE(accepts_type<Pairs>(made_of('b', "hstore", {.own_name = "hstore"})));
  CHECK_FALSE(accepts_type<Pairs>(decode_test::user_type("hstore")));
}

TEST_CASE("NULL and an empty text are different values of an hstore", "[unit][codec]") {
  CHECK_FALSE(same_value(Pairs{{"a", ""}}, Pairs{{"a", std::nullopt}}));
  CHECK(same_value(Pairs{{"a", ""}}, Pairs{{"a", ""}}));
}
