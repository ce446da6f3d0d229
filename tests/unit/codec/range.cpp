#include <chrono>
#include <concepts>
#include <cstddef>
#include <cstdint>
#include <limits>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include <catch2/catch_test_macros.hpp>

#include <btreemapped/codec/array.hpp>
#include <btreemapped/codec/chrono.hpp>
#include <btreemapped/codec/numeric.hpp>
#include <btreemapped/codec/range.hpp>
#include <btreemapped/codec/scalar.hpp>
#include <btreemapped/codec/text.hpp>
#include <btreemapped/numeric.hpp>
#include <btreemapped/sql_range.hpp>

#include "decode.hpp"

namespace range_test {

/// A bound that is nothing by itself, in a range with a codec of its own.
struct Mark {
  int at = 0;
  friend auto operator<=>(const Mark&, const Mark&) = default;
};
using Marks = btreemapped::SqlRange<Mark>;

enum class Mood { sad, ok };

template <class T>
concept knows_what_it_contains = requires(const btreemapped::SqlRange<T>& range, const T& value) {
  { range.contains(value) } -> std::same_as<bool>;
};

}  // namespace range_test

using namespace range_test;

template <>
struct btreemapped::codec<Marks> {
  static constexpr std::string_view sql_name = "marks";
  static bool accepts(const SqlType& type) { return type.name == "integerrange"; }
  static Errc decode(std::string_view text, Marks& out) {
    out = Marks(Mark{static_cast<int>(text.size())}, std::nullopt);
    return text == "[9,9]" ? Errc::out_of_range : Errc::ok;
  }
};

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
using Days = SqlRange<std::chrono::sys_days>;

std::chrono::sys_days day(unsigned number) {
  return std::chrono::year{2000} / std::chrono::January / std::chrono::day{number};
}

const SqlType integer{.oid = 23, .base = 23, .name = "integer"};
const SqlType ints = range_of(integer);
const SqlType texts = range_of({.oid = 25, .base = 25, .name = "text"});
const SqlType multi = multirange_of(ints);
constexpr auto none = std::nullopt;

// Only the server knows the collation of a text, where an enum's labels stand, and that NULL comes last.
static_assert(knows_what_it_contains<int> && knows_what_it_contains<double> && knows_what_it_contains<Numeric>);
static_assert(knows_what_it_contains<std::chrono::sys_days> && knows_what_it_contains<Mark>);
static_assert(knows_what_it_contains<std::vector<int>> && knows_what_it_contains<SqlRange<int>>);
static_assert(knows_what_it_contains<std::vector<std::byte>> && knows_what_it_contains<SqlMultirange<int>>);
static_assert(!knows_what_it_contains<std::string> && !knows_what_it_contains<Mood>);
static_assert(!knows_what_it_contains<std::vector<std::string>> &&
              !knows_what_it_contains<std::vector<std::vector<int>>>);
static_assert(!knows_what_it_contains<std::vector<std::optional<int>>>);
static_assert(!knows_what_it_contains<SqlRange<std::string>> && !knows_what_it_contains<SqlMultirange<Mood>>);

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

TEST_CASE("a multirange asks the codec that its ranges have", "[unit][codec]") {
  using Multi = SqlMultirange<Mark>;
  CHECK(decode<Multi>("{[1,2),[\"\"\"a,b]}\",)}", multi).value == Multi{{Marks(Mark{5}, none), Marks(Mark{12}, none)}});
  CHECK(error_of<Multi>("{[1,2),[9,9]}", multi) == Errc::out_of_range);
  CHECK(error_of<Multi>("{empty}", multi) == Errc::invalid_text);
  CHECK(accepts_type<Multi>(multi));
  CHECK_FALSE(accepts_type<Multi>(multirange_of(texts)));
  CHECK(expected_type<Multi>() == "multirange of marks");
  CHECK(refusal_of<Multi>(multirange_of(texts)) ==
        "its ranges are textrange, of which the field (marks) cannot hold every value");
  CHECK(refusal_of<Multi>(multi).empty());
}

TEST_CASE("what no server prints as a multirange is refused", "[unit][codec]") {
  for (const std::string_view printed : {"", "{", "}", "{}}", "{[1,2)", "[1,2)", "{[1,2),}", "{,[1,2)}", "{[1,2)[3,4)}",
                                         "{[1,2), [3,4)}", "{empty}", "{[1,1)}", "{[1,2)} ", "{[1,2}", "(1)"}) {
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

TEST_CASE("a range of integers or days is made as the server makes it", "[unit]") {
  CHECK(Ints(1, 5, true, true) == Ints(1, 6));
  CHECK(Ints(0, 5, false, true) == Ints(1, 6));
  CHECK(Ints(0, none, false) == Ints(1, none));
  CHECK(Ints(none, 5, false, true) == Ints(none, 6));
  CHECK(Ints(5, 6, false) == Ints());
  CHECK(Ints(5, 6, false).empty());
  const Ints closed(1, 5, true, true);
  CHECK(closed.upper() == 6);
  CHECK_FALSE(closed.upper_inclusive());
  CHECK((closed <=> Ints(1, 6)) == 0);
  CHECK(same_value(closed, Ints(1, 6)));
  CHECK(SqlRange<std::int64_t>(-2, -1, false, true) == SqlRange<std::int64_t>(-1, 0));
  CHECK(Days(day(1), day(2), false, true) == Days(day(2), day(3)));
}

TEST_CASE("a range that ends where it begins without both is empty", "[unit]") {
  CHECK(Ints(5, 5).empty());
  CHECK(Ints(5, 5, false, true).empty());
  CHECK(Ints(5, 5, true, true) == Ints(5, 6));
  CHECK(Texts("a", "a").empty());
  CHECK_FALSE(Texts("a", "a", true, true).empty());
  CHECK(SqlRange<double>(0.0, -0.0) == SqlRange<double>());
  CHECK(SqlRange<Numeric>(*Numeric::parse("1.0"), *Numeric::parse("1.00")).empty());
}

TEST_CASE("bounds without a next value stay", "[unit]") {
  constexpr int last = std::numeric_limits<int>::max();
  const Ints all_to_last(1, last, true, true);
  CHECK(all_to_last.upper() == last);
  CHECK(all_to_last.contains(last));
  CHECK_FALSE(Ints(last, none, false).contains(last));
  CHECK(SqlRange<std::int64_t>(std::numeric_limits<std::int64_t>::min(), none, false).lower() ==
        std::numeric_limits<std::int64_t>::min() + 1);
  // As the server has them: [2000-01-01,infinity] and (-infinity,2000-01-02).
  using std::chrono::sys_days;
  CHECK(Days(day(1), sys_days::max(), true, true).upper_inclusive());
  CHECK_FALSE(Days(sys_days::min(), day(1), false, true).lower_inclusive());
  CHECK(Days(sys_days::min(), day(1), false, true) == Days(sys_days::min(), day(2), false));
  CHECK(Days(sys_days::min(), day(1), false) != Days(sys_days::min(), day(1)));
}

TEST_CASE("ranges of other types stay as they are made", "[unit]") {
  CHECK(SqlRange<double>(1, 5, true, true) != SqlRange<double>(1, 6));
  CHECK(SqlRange<std::int16_t>(std::int16_t{1}, std::int16_t{5}, true, true).upper_inclusive());
  CHECK(Texts("a", "b", true, true).upper_inclusive());
}

TEST_CASE("a range type whose ranges are other values than those of SqlRange is refused", "[unit][codec]") {
  const SqlType plain = decode_test::made_of('r', "plain", {.element = integer});
  const SqlType downward =
      decode_test::made_of('r', "down", {.element = integer, .canonical = true, .usual_order = false});
  const SqlType folded = decode_test::made_of('r', "folded", {.element = texts.parts->element, .usual_order = false});
  CHECK_FALSE(accepts_type<Ints>(plain));
  CHECK(refusal_of<Ints>(plain) ==
        "it has no canonical function, so that [1,5] and [1,6) are two values, which the field takes for one");
  CHECK(accepts_type<SqlRange<Numeric>>(plain));
  CHECK_FALSE(accepts_type<Ints>(downward));
  CHECK(refusal_of<Ints>(downward) == "its bounds have another order than their type has by default");
  CHECK_FALSE(accepts_type<SqlMultirange<int>>(multirange_of(downward)));
  CHECK(accepts_type<Texts>(folded));  // of which no order is known, so that it has no contains()
}

TEST_CASE("ranges order as in PostgreSQL", "[unit]") {
  using Doubles = SqlRange<double>;
  const std::vector<Doubles> ascending{Doubles(),        Doubles(none, 5),     Doubles(none, none),
                                       Doubles(1, 4),    Doubles(1, 5),        Doubles(1, 5, true, true),
                                       Doubles(1, none), Doubles(1, 4, false), Doubles(2, 3)};
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
