#include <cstddef>
#include <cstdint>
#include <string>
#include <vector>

#include <catch2/catch_test_macros.hpp>

#include <btreemapped/codec.hpp>
#include <btreemapped/codec/interval.hpp>
#include <btreemapped/error.hpp>
#include <btreemapped/interval.hpp>

#include "ascending.hpp"
#include "decode.hpp"

namespace {

using btreemapped::Errc;
using btreemapped::Interval;
using decode_test::builtin;
using decode_test::decode;
using decode_test::error_of;

}  // namespace

// In the order of: select string_agg(format('{"%s"}', v), ', ' order by v) from unnest('{...}'::interval[]) v;
TEST_CASE("intervals are read, printed and ordered as PostgreSQL does", "[unit][codec]") {
  decode_test::check_ascending<Interval>({{"-infinity"},
                                          {"-178956970 years -8 mons -2147483648 days -2562047788:00:54.775807"},
                                          {"-178956970 years -7 mons -2147483648 days -2562047788:00:54.775807"},
                                          {"-2147483648 days"},
                                          {"-1 years -2 mons"},
                                          {"-1 years"},
                                          {"-1 mons"},
                                          {"-1 mons +1 day"},
                                          {"-1 days -00:00:01"},
                                          {"-1 days"},
                                          {"-1 days +00:00:01"},
                                          {"-00:00:00.5"},
                                          {"00:00:00"},
                                          {"00:00:00.1"},
                                          {"1 day -00:00:00.000001"},
                                          {"1 day"},
                                          {"99:59:59"},
                                          {"100:00:00"},
                                          {"1 mon -1 days"},
                                          {"1 mon", "30 days", "720:00:00", "29 days 24:00:00", "2 mons -30 days",
                                           "-1 mons +60 days", "1 mon 1 day -24:00:00"},
                                          {"1 mon 00:00:01"},
                                          {"10 mons 3 days -04:05:06.7"},
                                          {"1 year"},
                                          {"1 year 2 mons"},
                                          {"2 years"},
                                          {"2562047788:00:54.775807"},
                                          {"178956970 years 7 mons 2147483647 days 2562047788:00:54.775806"},
                                          {"infinity"}});
}

TEST_CASE("an interval keeps months, days and microseconds apart", "[unit][codec]") {
  const Interval mixed = decode<Interval>("1 year -2 mons +3 days -04:05:06.7").value;
  CHECK(mixed.months == 10);
  CHECK(mixed.days == 3);
  CHECK(mixed.microseconds == -14'706'700'000);
  const Interval month = decode<Interval>("1 mon").value;
  const Interval days = decode<Interval>("30 days").value;
  CHECK(month == days);
  CHECK_FALSE(btreemapped::detail::same_value(month, days));
  CHECK(btreemapped::detail::same_value(mixed, mixed));
}

TEST_CASE("an interval reaches to the ends of its parts", "[unit][codec]") {
  CHECK(decode<Interval>("178956970 years 7 mons").value.months == INT32_MAX);
  CHECK(decode<Interval>("-178956970 years -8 mons").value.months == INT32_MIN);
  CHECK(decode<Interval>("-2147483648 days").value.days == INT32_MIN);
  CHECK(decode<Interval>("2562047788:00:54.775807").value.microseconds == INT64_MAX);
  CHECK(decode<Interval>("-2562047788:00:54.775808").value.microseconds == INT64_MIN);
  for (const std::string text :
       {"178956970 years 8 mons", "-178956970 years -9 mons", "2147483648 days", "-2147483649 days", "9999999999 years",
        "2562047788:00:54.775808", "-2562047788:00:54.775809", "2562047789:00:00", "9999999999:59:59"}) {
    CAPTURE(text);
    CHECK(error_of<Interval>(text) == Errc::out_of_range);
  }
}

TEST_CASE("what PostgreSQL 15 prints for the numbers that 17 calls infinite is refused", "[unit][codec]") {
  CHECK(error_of<Interval>("178956970 years 7 mons 2147483647 days 2562047788:00:54.775807") == Errc::out_of_range);
  CHECK(error_of<Interval>("-178956970 years -8 mons -2147483648 days -2562047788:00:54.775808") == Errc::out_of_range);
}

TEST_CASE("infinite intervals are infinite", "[unit][codec]") {
  CHECK(decode<Interval>("infinity").value.same_as(Interval::infinity()));
  CHECK(decode<Interval>("-infinity").value.same_as(Interval::minus_infinity()));
  CHECK_FALSE(Interval::infinity().is_finite());
  CHECK_FALSE(Interval::minus_infinity().is_finite());
  CHECK(Interval{INT32_MAX, INT32_MAX, INT64_MAX - 1}.is_finite());
  CHECK(Interval{}.is_finite());
}

TEST_CASE("an interval's text is only what PostgreSQL prints", "[unit][codec]") {
  decode_test::check_refused<Interval>({"",
                                        " ",
                                        "1",
                                        "-",
                                        "+",
                                        "1 ",
                                        "1 day ",
                                        " 1 day",
                                        "1  day",
                                        "1day",
                                        "day",
                                        "1 week",
                                        "1 month",
                                        "1 dayss",
                                        "1 days ago",
                                        "1 day 1 day",
                                        "1 day 1 mon",
                                        "1 mon 1 year",
                                        "1 year 1 year",
                                        "00:00:00 1 day",
                                        "00:00:00 ",
                                        "00:00",
                                        "0:00:00",
                                        "00:0:00",
                                        "00:00:0",
                                        "00:60:00",
                                        "00:00:60",
                                        "00:00:00.",
                                        "00:00:00.1234567",
                                        "00:00:00,1",
                                        "--00:00:01",
                                        "-+1 day",
                                        "1 day -",
                                        "1 day -00",
                                        "1 day:00:00",
                                        "1-2",
                                        "P1D",
                                        "@ 1 day",
                                        "1.5 days",
                                        "12345678901 days",
                                        "12345678901:00:00",
                                        "Infinity",
                                        "+infinity",
                                        "infinity ",
                                        std::string("1 day\0", 6)});
}

TEST_CASE("an interval field accepts interval and domains over it", "[unit][codec]") {
  CHECK(btreemapped::codec<Interval>::accepts(builtin(1186)));
  CHECK(btreemapped::codec<Interval>::accepts(decode_test::domain_over(1186)));
  CHECK_FALSE(btreemapped::codec<Interval>::accepts(builtin(1083)));
  CHECK_FALSE(btreemapped::codec<Interval>::accepts(decode_test::user_type("interval")));
}
