#include <chrono>
#include <cmath>
#include <cstddef>
#include <cstdint>
#include <limits>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include <catch2/catch_test_macros.hpp>

#include <btreemapped/codec/array.hpp>
#include <btreemapped/codec/bytea.hpp>
#include <btreemapped/codec/numeric.hpp>
#include <btreemapped/codec/scalar.hpp>
#include <btreemapped/codec/text.hpp>

#include "decode.hpp"

namespace {

using btreemapped::Errc;
using btreemapped::SqlType;
using btreemapped::detail::accepts_type;
using btreemapped::detail::expected_type;
using btreemapped::detail::refusal_of;
using btreemapped::detail::same_value;
using decode_test::array_of;
using decode_test::builtin;
using decode_test::decode;
using decode_test::domain_over;
using decode_test::error_of;

using Ints = std::vector<int>;
using Texts = std::vector<std::string>;

SqlType integer() { return {.oid = 23, .base = 23, .name = "integer"}; }
SqlType text() { return {.oid = 25, .base = 25, .name = "text"}; }
const SqlType integers = array_of(integer());
const SqlType texts = array_of(text());

Texts texts_of(std::string_view printed) {
  const auto [error, value] = decode<Texts>(printed, texts);
  REQUIRE(error == Errc::ok);
  return value;
}

}  // namespace

TEST_CASE("an array becomes a vector", "[unit][codec]") {
  CHECK(decode<Ints>("{}", integers).value == Ints{});
  CHECK(error_of<Ints>("{}", integers) == Errc::ok);
  CHECK(decode<Ints>("{1}", integers).value == Ints{1});
  CHECK(decode<Ints>("{-1,0,2147483647}", integers).value == Ints{-1, 0, 2147483647});
  CHECK(decode<std::vector<bool>>("{t,f}", array_of(builtin(16))).value == std::vector<bool>{true, false});
}

TEST_CASE("what a vector held before is gone", "[unit][codec]") {
  Ints values{7, 8, 9};
  REQUIRE(btreemapped::codec<Ints>::decode("{1}", integers, values) == Errc::ok);
  CHECK(values == Ints{1});
  REQUIRE(btreemapped::codec<Ints>::decode("{}", integers, values) == Errc::ok);
  CHECK(values.empty());
}

TEST_CASE("elements are taken out of their quotes", "[unit][codec]") {
  CHECK(texts_of(R"({a,"b c","d,e","{f}","","NULL","null"})") == Texts{"a", "b c", "d,e", "{f}", "", "NULL", "null"});
  CHECK(texts_of(R"({"quote\"","back\\slash","\\\"","\\\\"})") == Texts{"quote\"", "back\\slash", "\\\"", "\\\\"});
  CHECK(texts_of("{\"tab\t\",\"line\n\",ä,\"ä ö\"}") == Texts{"tab\t", "line\n", "ä", "ä ö"});
  CHECK(texts_of("{it's,a.b,(x),[y]}") == Texts{"it's", "a.b", "(x)", "[y]"});
}

TEST_CASE("many elements with escapes stay apart", "[unit][codec]") {
  std::string printed = "{";
  Texts expected;
  for (int i = 0; i < 1000; ++i) {
    printed += (i == 0 ? "\"" : ",\"") + std::string("\\\"") + std::to_string(i) + "\\\\\"";
    expected.push_back("\"" + std::to_string(i) + "\\");
  }
  CHECK(texts_of(printed + "}") == expected);
}

TEST_CASE("NULL among the elements asks for optional ones", "[unit][codec]") {
  using Optionals = std::vector<std::optional<std::string>>;
  CHECK(decode<Optionals>(R"({NULL,a,"NULL"})", texts).value == Optionals{std::nullopt, "a", "NULL"});
  CHECK(error_of<Texts>("{a,NULL}", texts) == Errc::unexpected_null);
  CHECK(error_of<Ints>("{NULL}", integers) == Errc::unexpected_null);
  // Any other case would be in quotes.
  CHECK(error_of<Optionals>("{null}", texts) == Errc::invalid_text);
  CHECK(error_of<Optionals>("{Null}", texts) == Errc::invalid_text);
  CHECK(decode<Optionals>("{NULLs,NUL}", texts).value == Optionals{"NULLs", "NUL"});
}

TEST_CASE("nested vectors are the dimensions of an array", "[unit][codec]") {
  using Matrix = std::vector<std::vector<int>>;
  using Cube = std::vector<std::vector<std::vector<std::optional<int>>>>;
  CHECK(decode<Matrix>("{{1,2},{3,4}}", integers).value == Matrix{{1, 2}, {3, 4}});
  CHECK(decode<Matrix>("{{1},{2},{3}}", integers).value == Matrix{{1}, {2}, {3}});
  CHECK(decode<Cube>("{{{1,NULL}},{{3,4}}}", integers).value == Cube{{{1, std::nullopt}}, {{3, 4}}});
  CHECK(error_of<Matrix>("{}", integers) == Errc::ok);
  CHECK(decode<Matrix>("{}", integers).value.empty());
  CHECK(error_of<Cube>("{}", integers) == Errc::ok);
}

TEST_CASE("a value of another number of dimensions than the vector is out of range", "[unit][codec]") {
  using Matrix = std::vector<std::vector<int>>;
  CHECK(error_of<Ints>("{{1,2},{3,4}}", integers) == Errc::out_of_range);
  CHECK(error_of<Matrix>("{1,2}", integers) == Errc::out_of_range);
  CHECK(error_of<Matrix>("{NULL}", integers) == Errc::out_of_range);
  CHECK(error_of<Matrix>("{{{1}}}", integers) == Errc::out_of_range);
  CHECK(error_of<Texts>("{{a}}", texts) == Errc::out_of_range);
}

TEST_CASE("lower bounds other than 1 are out of range", "[unit][codec]") {
  CHECK(error_of<Ints>("[0:1]={1,2}", integers) == Errc::out_of_range);
  CHECK(error_of<std::vector<Ints>>("[1:1][-2:-1]={{1,2}}", integers) == Errc::out_of_range);
}

TEST_CASE("a ragged array is refused", "[unit][codec]") {
  using Matrix = std::vector<std::vector<int>>;
  using Cube = std::vector<Matrix>;
  CHECK(error_of<Matrix>("{{1,2},{3}}", integers) == Errc::invalid_text);
  CHECK(error_of<Matrix>("{{1},{2,3}}", integers) == Errc::invalid_text);
  CHECK(error_of<Cube>("{{{1,2}},{{3}}}", integers) == Errc::invalid_text);
  CHECK(error_of<Cube>("{{{1}},{{2},{3}}}", integers) == Errc::invalid_text);
  CHECK(error_of<Matrix>("{{},{}}", integers) != Errc::ok);
  CHECK(error_of<Matrix>("{{}}", integers) != Errc::ok);
}

TEST_CASE("what no server prints as an array is refused", "[unit][codec]") {
  for (const std::string_view printed :
       {"",         " ",         "{",     "}",      "{,}",      "{1,}",  "{,1}", "{1",     "1}",   "{1}}",
        "{1} ",     " {1}",      "{ 1}",  "{1 }",   "{1, 2}",   "{1;2}", "{1,2", "{\"1\"", "{\"1", "{\"1\"2}",
        "{1\"2\"}", "{\"\\1\"}", "{\\1}", "{\"1\\", "{\"1\\\"", "()",    "[1]",  "{]"}) {
    CAPTURE(printed);
    CHECK(error_of<Ints>(printed, integers) != Errc::ok);
    CHECK(error_of<std::vector<std::optional<std::string>>>(printed, integers) !=
          (printed == "{1;2}" ? Errc::truncated : Errc::ok));
  }
}

TEST_CASE("an array of very many opening braces ends at once", "[unit][codec]") {
  const std::string braces(1'000'000, '{');
  CHECK(error_of<Ints>(braces, integers) == Errc::out_of_range);
  CHECK(error_of<std::vector<std::vector<Ints>>>(braces, integers) == Errc::out_of_range);
}

TEST_CASE("elements are errors where their own codec says so", "[unit][codec]") {
  CHECK(error_of<Ints>("{1,x}", integers) == Errc::invalid_text);
  CHECK(error_of<Ints>("{2147483648}", integers) == Errc::out_of_range);
  CHECK(error_of<Texts>("{\xff}", texts) == Errc::invalid_encoding);
}

TEST_CASE("the elements of some types are separated by semicolons", "[unit][codec]") {
  const SqlType boxes = array_of({.oid = 603, .base = 603, .name = "box"}, ';');
  CHECK(decode<Texts>("{(1,1),(0,0);(3,3),(2,2)}", boxes).value == Texts{"(1,1),(0,0)", "(3,3),(2,2)"});
}

TEST_CASE("elements are decoded by their own type", "[unit][codec]") {
  const auto reals = decode<std::vector<double>>("{0.1,NaN}", array_of(builtin(700)));
  REQUIRE(reals.error == Errc::ok);
  CHECK(reals.value[0] == static_cast<double>(0.1F));
  CHECK(std::isnan(reals.value[1]));
  using Bytes = std::vector<std::byte>;
  CHECK(decode<std::vector<Bytes>>(R"({"\\x00ff","\\x"})", array_of(builtin(17))).value ==
        std::vector<Bytes>{{std::byte{0}, std::byte{255}}, {}});
}

TEST_CASE("a vector of bytes is bytea and no array", "[unit][codec]") {
  CHECK(accepts_type<std::vector<std::byte>>(builtin(17)));
  CHECK_FALSE(accepts_type<std::vector<std::byte>>(array_of(builtin(17))));
  CHECK(accepts_type<std::vector<std::vector<std::byte>>>(array_of(builtin(17))));
}

TEST_CASE("vectors accept arrays of what their elements accept", "[unit][codec]") {
  CHECK(accepts_type<Ints>(integers));
  CHECK(accepts_type<Ints>(domain_over(integers)));
  CHECK(accepts_type<std::vector<Ints>>(integers));
  CHECK(accepts_type<std::vector<std::optional<std::int64_t>>>(integers));
  CHECK(accepts_type<std::optional<Ints>>(integers));
  CHECK(accepts_type<Texts>(integers));
  CHECK(accepts_type<Ints>(array_of(domain_over(23))));
  CHECK_FALSE(accepts_type<Ints>(integer()));
  CHECK_FALSE(accepts_type<Ints>(texts));
  CHECK_FALSE(accepts_type<std::vector<std::int16_t>>(integers));
  CHECK_FALSE(accepts_type<Ints>(SqlType{.oid = 1007, .base = 1007, .kind = 'a'}));  // nothing is known of it
  // Dimensions have no NULLs.
  CHECK_FALSE(accepts_type<std::vector<std::optional<Ints>>>(integers));
}

TEST_CASE("an array of a domain over arrays holds arrays of any length, and NULL", "[unit][codec]") {
  const SqlType rows = array_of(domain_over(integers));
  CHECK(accepts_type<std::vector<Ints>>(rows));
  CHECK(accepts_type<std::vector<std::optional<Ints>>>(rows));
  CHECK_FALSE(accepts_type<Ints>(rows));
  CHECK(decode<std::vector<Ints>>(R"({"{1,2}","{3}","{}"})", rows).value == std::vector<Ints>{{1, 2}, {3}, {}});
  CHECK(decode<std::vector<std::optional<Ints>>>(R"({"{1,2}",NULL})", rows).value ==
        std::vector<std::optional<Ints>>{Ints{1, 2}, std::nullopt});
  CHECK(error_of<std::vector<Ints>>("{{1,2}}", rows) == Errc::out_of_range);
}

TEST_CASE("a refused array says what its elements are", "[unit][codec]") {
  CHECK(expected_type<Ints>() == "array of integer or smallint");
  CHECK(expected_type<std::optional<std::vector<std::vector<std::optional<bool>>>>>() == "array of array of boolean");
  CHECK(refusal_of<Ints>(texts) ==
        "its elements are text, of which the field (integer or smallint) cannot hold every value");
  CHECK(refusal_of<std::vector<Ints>>(texts) ==
        "its elements are text, of which the field (integer or smallint) cannot hold every value");
  CHECK(refusal_of<Ints>(array_of(integers)) ==
        "its elements are integer[], of which the field (integer or smallint) cannot hold every value");
  CHECK(refusal_of<Ints>(integer()).empty());
  CHECK(refusal_of<Ints>(integers).empty());
}

TEST_CASE("arrays are the same if all their elements are", "[unit][codec]") {
  using Doubles = std::vector<double>;
  CHECK(same_value(Doubles{}, Doubles{}));
  CHECK(
      same_value(Doubles{std::numeric_limits<double>::quiet_NaN()}, Doubles{std::numeric_limits<double>::quiet_NaN()}));
  CHECK_FALSE(same_value(Doubles{0.0}, Doubles{-0.0}));
  CHECK_FALSE(same_value(Doubles{1}, Doubles{1, 1}));
  CHECK(same_value(std::vector<bool>{true}, std::vector<bool>{true}));
  CHECK_FALSE(same_value(std::vector<bool>{true}, std::vector<bool>{false}));
  using Optionals = std::vector<std::vector<std::optional<int>>>;
  CHECK_FALSE(same_value(Optionals{{std::nullopt}}, Optionals{{0}}));
}
