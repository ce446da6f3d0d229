#include <cstdint>
#include <limits>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include <catch2/catch_test_macros.hpp>

#include <btreemapped/codec/array.hpp>
#include <btreemapped/codec/numeric.hpp>
#include <btreemapped/codec/range.hpp>
#include <btreemapped/codec/scalar.hpp>
#include <btreemapped/codec/text.hpp>
#include <btreemapped/numeric.hpp>
#include <btreemapped/sql_range.hpp>

#include "decode.hpp"

namespace {

using btreemapped::Errc;
using btreemapped::Numeric;
using btreemapped::SqlMultirange;
using btreemapped::SqlRange;
using btreemapped::SqlType;
using btreemapped::detail::accepts_type;
using btreemapped::detail::expected_type;
using btreemapped::detail::refusal_of;
using btreemapped::detail::same_value;
using decode_test::array_of;
using decode_test::builtin;
using decode_test::decode;
using decode_test::error_of;
using decode_test::multirange_of;
using decode_test::range_of;

using Ints = SqlRange<int>;
using Texts = SqlRange<std::string>;

const SqlType integer{.oid = 23, .base = 23, .name = "integer"};
const SqlType ints = range_of(integer);
const SqlType texts = range_of({.oid = 25, .base = 25, .name = "text"});
const SqlType multi = multirange_of(ints);
constexpr auto none = std::nullopt;

}  // namespace

TEST_CASE("a range becomes its bounds", "[unit][codec]") {
  CHECK(decode<Ints>("[1,5)", ints).value == Ints(1, 5));
  CHECK(decode<Ints>("(1,5]", ints).value == Ints(1, 5, false, true));
  CHECK(decode<Ints>("[-5,-1]", ints).value == Ints(-5, -1, true, true));
  CHECK(decode<Ints>("(,5)", ints).value == Ints(none, 5));
  CHECK(decode<Ints>("[1,)", ints).value == Ints(1, none));
  CHECK(decode<Ints>("(,)", ints).value == Ints(none, none));
  CHECK(decode<Ints>("empty", ints).value == Ints());
  CHECK(error_of<Ints>("empty", ints) == Errc::ok);
}

TEST_CASE("an empty range replaces another", "[unit][codec]") {
  Ints range(1, 5);
  REQUIRE(btreemapped::codec<Ints>::decode("empty", ints, range) == Errc::ok);
  CHECK(range.empty());
  CHECK_FALSE(range.lower().has_value());
}

TEST_CASE("bounds are taken out of their quotes", "[unit][codec]") {
  CHECK(decode<Texts>(R"([a,"b c"))", texts).value == Texts("a", "b c"));
  CHECK(decode<Texts>(R"(["",","])", texts).value == Texts("", ",", true, true));
  CHECK(decode<Texts>(R"(["a""b","\\"])", texts).value == Texts("a\"b", "\\", true, true));
  CHECK(decode<Texts>(R"(["[","]"])", texts).value == Texts("[", "]", true, true));
  CHECK(decode<Texts>("[empty,{)", texts).value == Texts("empty", "{"));
}

TEST_CASE("what no server prints as a range is refused", "[unit][codec]") {
  for (const std::string_view printed :
       {"",      "Empty",   "empty ", "[",       "[1",      "[1,",         "[1,2",   "1,2)",
        "[1;2)", "[1,2,3)", "[1,2))", "[[1,2)",  " [1,2)",  "[1, 2)",      "[1,2) ", "[,2)",
        "(1,]",  "[,]",     "{1,2}",  "[\"1,2)", "[\\1,2)", "[\"\\1\",2)", "[1]"}) {
    CAPTURE(printed);
    CHECK(error_of<Texts>(printed, texts) == Errc::invalid_text);
  }
  CHECK(error_of<Ints>("[x,2)", ints) == Errc::invalid_text);
  CHECK(error_of<Ints>("[1,2147483648)", ints) == Errc::out_of_range);
}

TEST_CASE("a multirange becomes its ranges", "[unit][codec]") {
  using Multi = SqlMultirange<int>;
  CHECK(decode<Multi>("{}", multi).value == Multi{});
  CHECK(error_of<Multi>("{}", multi) == Errc::ok);
  CHECK(decode<Multi>("{[1,3),[5,8)}", multi).value == Multi{{Ints(1, 3), Ints(5, 8)}});
  CHECK(decode<Multi>("{(,3),[5,)}", multi).value == Multi{{Ints(none, 3), Ints(5, none)}});
  CHECK(decode<SqlMultirange<std::string>>(R"({[a,"b,]}"),["x y",)})", multirange_of(texts)).value ==
        SqlMultirange<std::string>{{Texts("a", "b,]}"), Texts("x y", none)}});
}

TEST_CASE("what no server prints as a multirange is refused", "[unit][codec]") {
  for (const std::string_view printed : {"", "{", "}", "{}}", "{[1,2)", "[1,2)", "{[1,2),}", "{,[1,2)}", "{[1,2)[3,4)}",
                                         "{[1,2), [3,4)}", "{empty}", "{[1,2)} ", "{[1,2}", "(1)"}) {
    CAPTURE(printed);
    CHECK(error_of<SqlMultirange<int>>(printed, multi) == Errc::invalid_text);
  }
}

TEST_CASE("ranges accept ranges of what their bounds accept", "[unit][codec]") {
  CHECK(accepts_type<Ints>(ints));
  CHECK(accepts_type<SqlRange<std::int64_t>>(ints));
  CHECK(accepts_type<std::optional<Ints>>(decode_test::domain_over(ints)));
  CHECK(accepts_type<std::vector<Ints>>(array_of(ints)));
  CHECK(accepts_type<SqlMultirange<int>>(multi));
  CHECK_FALSE(accepts_type<Ints>(texts));
  CHECK_FALSE(accepts_type<Ints>(integer));
  CHECK_FALSE(accepts_type<Ints>(multi));
  CHECK_FALSE(accepts_type<Ints>(array_of(integer)));
  CHECK_FALSE(accepts_type<SqlMultirange<int>>(ints));
  CHECK_FALSE(accepts_type<SqlMultirange<int>>(multirange_of(texts)));
  CHECK_FALSE(accepts_type<Ints>(SqlType{.oid = 3904, .base = 3904, .kind = 'r'}));
}

TEST_CASE("a refused range says what its bounds are", "[unit][codec]") {
  CHECK(expected_type<Ints>() == "range of integer or smallint");
  CHECK(expected_type<SqlMultirange<Numeric>>() == "multirange of numeric, bigint, integer, smallint or oid");
  CHECK(refusal_of<Ints>(texts) ==
        "its bounds are text, of which the field (integer or smallint) cannot hold every value");
  CHECK(refusal_of<SqlMultirange<int>>(multirange_of(texts)) ==
        "its bounds are text, of which the field (integer or smallint) cannot hold every value");
  CHECK(refusal_of<Ints>(ints).empty());
  CHECK(refusal_of<Ints>(integer).empty());
}

TEST_CASE("a missing bound is never included", "[unit]") {
  CHECK(Ints(none, none, true, true) == Ints(none, none));
  CHECK_FALSE(Ints(none, 1, true, true).lower_inclusive());
}

TEST_CASE("ranges order as in PostgreSQL", "[unit]") {
  const std::vector<Ints> ascending{Ints(),        Ints(none, 5),     Ints(none, none),
                                    Ints(1, 4),    Ints(1, 5),        Ints(1, 5, true, true),
                                    Ints(1, none), Ints(1, 4, false), Ints(2, 3)};
  for (std::size_t i = 0; i < ascending.size(); ++i)
    for (std::size_t j = 0; j < ascending.size(); ++j) {
      CHECK(((ascending[i] <=> ascending[j]) < 0) == (i < j));
      CHECK((ascending[i] == ascending[j]) == (i == j));
    }
}

TEST_CASE("equality, order and sameness of ranges treat NaN and zero as keys do", "[unit]") {
  using Floats = SqlRange<double>;
  const double nan = std::numeric_limits<double>::quiet_NaN();
  CHECK(Floats(1.0, nan) == Floats(1.0, nan));
  CHECK(Floats(1.0, nan) > Floats(1.0, 2.0));
  CHECK(Floats(0.0, 1.0) == Floats(-0.0, 1.0));
  CHECK(same_value(Floats(1.0, nan), Floats(1.0, nan)));
  CHECK_FALSE(same_value(Floats(0.0, 1.0), Floats(-0.0, 1.0)));
  const SqlRange<Numeric> one(*Numeric::parse("1.0"), none);
  const SqlRange<Numeric> other(*Numeric::parse("1.00"), none);
  CHECK(one == other);
  CHECK_FALSE(same_value(one, other));
  CHECK_FALSE(same_value(Ints(), Ints(none, none)));
  CHECK_FALSE(same_value(Ints(1, 2), Ints(1, 2, true, true)));
  CHECK_FALSE(same_value(Ints(1, 2), Ints(1, 2, false)));
}

TEST_CASE("a range contains what lies between its bounds", "[unit]") {
  CHECK(Ints(1, 5).contains(1));
  CHECK_FALSE(Ints(1, 5).contains(5));
  CHECK_FALSE(Ints(1, 5, false, true).contains(1));
  CHECK(Ints(1, 5, false, true).contains(5));
  CHECK(Ints(none, 5).contains(-100));
  CHECK(Ints(1, none).contains(100));
  CHECK(Ints(none, none).contains(0));
  CHECK_FALSE(Ints().contains(0));
}

TEST_CASE("multiranges order by their ranges", "[unit]") {
  using Multi = SqlMultirange<int>;
  CHECK(Multi{} < Multi{{Ints(1, 2)}});
  CHECK(Multi{{Ints(1, 2)}} < Multi{{Ints(1, 2), Ints(5, 6)}});
  CHECK(Multi{{Ints(1, 3)}} > Multi{{Ints(1, 2), Ints(5, 6)}});
  CHECK(Multi{{Ints(1, 3)}} == Multi{{Ints(1, 3)}});
}
