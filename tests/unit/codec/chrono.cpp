#include <chrono>
#include <cstdint>
#include <string>
#include <string_view>

#include <catch2/catch_test_macros.hpp>

#include <btreemapped/codec.hpp>
#include <btreemapped/codec/chrono.hpp>
#include <btreemapped/detail/codec/iso_time.hpp>
#include <btreemapped/error.hpp>

#include "decode.hpp"

namespace {

using btreemapped::Errc;
using decode_test::builtin;
using decode_test::decode;
using decode_test::domain_over;
using decode_test::error_of;
using Date = std::chrono::sys_days;
using Timestamp = std::chrono::local_time<std::chrono::microseconds>;
using TimestampTz = std::chrono::sys_time<std::chrono::microseconds>;

struct TimeCase {
  std::string_view text;
  std::int64_t since_1970;
};

// Dates as PostgreSQL 15 prints them, and their days from 1970-01-01 as it counts them:
// select format('{"%s", %s},', v, v - date '1970-01-01')
// from unnest('{4714-11-24 BC, 4714-12-31 BC, 4713-01-01 BC, 0101-03-01 BC, 0005-02-28 BC, 0005-02-29 BC,
//   0005-03-01 BC,
//   0044-03-15 BC, 0001-01-01 BC, 0001-02-29 BC, 0001-12-31 BC, 0001-01-01, 0004-02-29, 0100-02-28, 0100-03-01,
//   0400-02-29,
//   0999-12-31, 1000-01-01, 1582-10-04, 1582-10-10, 1582-10-15, 1752-09-10, 1899-12-31, 1900-02-28, 1900-03-01,
//   1969-12-31,
//   1970-01-01, 1970-01-02, 1999-12-31, 2000-01-01, 2000-02-29, 2000-03-01, 2024-02-29, 2038-01-19, 2100-02-28,
//   2100-03-01,
//   9999-12-31, 10000-01-01, 10000-02-29, 32767-12-31, 32768-01-01, 99999-12-31, 100000-01-01, 294276-12-31,
//   999999-12-31,
//   1000000-02-29, 5874896-02-29, 5874897-12-31}'::date[]) v;
// clang-format off
constexpr TimeCase date_cases[] = {
    {"4714-11-24 BC", -2440588}, {"4714-12-31 BC", -2440551}, {"4713-01-01 BC", -2440550},
    {"0101-03-01 BC", -755993}, {"0005-02-28 BC", -720931}, {"0005-02-29 BC", -720930}, {"0005-03-01 BC", -720929},
    {"0044-03-15 BC", -735160}, {"0001-01-01 BC", -719528}, {"0001-02-29 BC", -719469}, {"0001-12-31 BC", -719163},
    {"0001-01-01", -719162}, {"0004-02-29", -718008}, {"0100-02-28", -682945}, {"0100-03-01", -682944},
    {"0400-02-29", -573372}, {"0999-12-31", -354286}, {"1000-01-01", -354285}, {"1582-10-04", -141438},
    {"1582-10-10", -141432}, {"1582-10-15", -141427}, {"1752-09-10", -79370}, {"1899-12-31", -25568},
    {"1900-02-28", -25509}, {"1900-03-01", -25508}, {"1969-12-31", -1}, {"1970-01-01", 0}, {"1970-01-02", 1},
    {"1999-12-31", 10956}, {"2000-01-01", 10957}, {"2000-02-29", 11016}, {"2000-03-01", 11017},
    {"2024-02-29", 19782}, {"2038-01-19", 24855}, {"2100-02-28", 47540}, {"2100-03-01", 47541},
    {"9999-12-31", 2932896}, {"10000-01-01", 2932897}, {"10000-02-29", 2932956}, {"32767-12-31", 11248737},
    {"32768-01-01", 11248738}, {"99999-12-31", 35804721}, {"100000-01-01", 35804722}, {"294276-12-31", 106762939},
    {"999999-12-31", 364522971}, {"1000000-02-29", 364523031}, {"5874896-02-29", 2145042234},
    {"5874897-12-31", 2145042905},
};
// clang-format on

// Timestamps and their microseconds from 1970-01-01:
// select format('{"%s", %s},', v, (extract(epoch from v) * 1000000)::numeric(30))
// from unnest('{4714-11-24 00:00:00 BC, 4714-11-24 00:00:00.000001 BC, 0044-03-15 12:00:00 BC,
//   0001-12-31 23:59:59.999999 BC,
//   0001-01-01 00:00:00, 0622-07-16 00:00:00.1, 1582-10-10 10:10:10.01, 1969-12-31 23:59:59,
//   1969-12-31 23:59:59.999999,
//   1970-01-01 00:00:00, 1970-01-01 00:00:00.000001, 1999-12-31 23:59:60, 2000-02-29 00:00:00.12345,
//   2016-12-31 23:59:60,
//   2024-02-29 23:59:59.5, 2024-03-31 02:30:00.000100, 2023-12-31 24:00:00, 2038-01-19 03:14:08,
//   9999-12-31 23:59:59.999999,
//   10000-01-01 00:00:00, 32768-02-29 01:02:03.000004, 294246-12-31 23:59:59.999999,
//   294247-01-10 04:00:54.775806}'::timestamp[]) v;
// clang-format off
constexpr TimeCase timestamp_cases[] = {
    {"4714-11-24 00:00:00 BC", -210866803200000000}, {"4714-11-24 00:00:00.000001 BC", -210866803199999999},
    {"0044-03-15 12:00:00 BC", -63517780800000000}, {"0001-12-31 23:59:59.999999 BC", -62135596800000001},
    {"0001-01-01 00:00:00", -62135596800000000}, {"0622-07-16 00:00:00.1", -42521846399900000},
    {"1582-10-10 10:10:10.01", -12219688189990000}, {"1969-12-31 23:59:59", -1000000},
    {"1969-12-31 23:59:59.999999", -1}, {"1970-01-01 00:00:00", 0}, {"1970-01-01 00:00:00.000001", 1},
    {"2000-01-01 00:00:00", 946684800000000}, {"2000-02-29 00:00:00.12345", 951782400123450},
    {"2017-01-01 00:00:00", 1483228800000000}, {"2024-02-29 23:59:59.5", 1709251199500000},
    {"2024-03-31 02:30:00.0001", 1711852200000100}, {"2024-01-01 00:00:00", 1704067200000000},
    {"2038-01-19 03:14:08", 2147483648000000}, {"9999-12-31 23:59:59.999999", 253402300799999999},
    {"10000-01-01 00:00:00", 253402300800000000}, {"32768-02-29 01:02:03.000004", 971896064523000004},
    {"294246-12-31 23:59:59.999999", 9223371244799999999}, {"294247-01-10 04:00:54.775806", 9223372036854775806},
};
// clang-format on

// Timestamps with time zone, each printed by a session with the time zone beside it:
// select format('{"%s", %s},', v, (extract(epoch from v) * 1000000)::numeric(30))
// from (values ('...'::timestamptz)) s(v);
constexpr TimeCase timestamptz_cases[] = {
    {"2024-02-29 23:59:59.5+00", 1709251199500000},            // UTC
    {"294247-01-10 04:00:54.775806+00", 9223372036854775806},  // UTC
    {"4714-11-24 00:00:00+00 BC", -210866803200000000},        // UTC
    {"1970-01-01 00:00:00+00", 0},                             // UTC
    {"4714-11-23 19:03:58-04:56:02 BC", -210866803200000000},  // America/New_York
    {"0001-12-31 19:03:58-04:56:02 BC", -62135596800000000},   // America/New_York
    {"1883-11-18 12:03:57-04:56:02", -2717650801000000},       // America/New_York
    {"2024-07-03 20:00:00-04", 1720051200000000},              // America/New_York
    {"294247-01-09 23:00:54.775806-05", 9223372036854775806},  // America/New_York
    {"1850-01-01 05:53:28+05:53:28", -3786825600000000},       // Asia/Kolkata
    {"2024-01-01 05:30:00.000001+05:30", 1704067200000001},    // Asia/Kolkata
    {"2024-01-01 05:45:00+05:45", 1704067200000000},           // Asia/Kathmandu
    {"1970-01-01 05:29:59.999999+05:30", -1},                  // Asia/Kolkata
    {"1916-01-01 00:19:32+00:19:32", -1704153600000000},       // Europe/Amsterdam
    {"1919-12-31 23:15:30-00:44:30", -1577923200000000},       // Africa/Monrovia
    {"2025-01-01 02:00:00+14", 1735646400000000},              // Pacific/Kiritimati
    {"294247-01-10 18:00:54.775806+14", 9223372036854775806},  // Pacific/Kiritimati
    {"1799-12-31 08:03:52-15:56:08", -5364662400000000},       // Asia/Manila
    {"1800-01-01 15:02:19+15:02:19", -5364662400000000},       // America/Juneau
    {"2023-12-31 20:30:00-03:30", 1704067200000000},           // America/St_Johns
    {"0001-12-31 01:30:40-10:29:20 BC", -62135640000000000},   // Pacific/Kiritimati
    {"2020-01-05 04:00:00+100", 1577836800000000},             // <x>-100
    {"2019-12-25 01:00:00-167", 1577836800000000},             // <x>+167
    {"2020-01-05 04:30:00+100:30", 1577836800000000},          // <x>-100:30
    {"2023-10-29 02:30:00+01", 1698543000000000},              // Europe/Berlin
    {"2023-10-29 02:30:00+02", 1698539400000000},              // Europe/Berlin
};

// clang-format off
constexpr std::string_view bad_dates[] = {
    "", "2024", "2024-01", "2024-01-", "2024-1-01", "2024-01-1", "2024-01-011", "24-01-01", "2024/01/01", "20240101",
    "+2024-01-01", "-2024-01-01", " 2024-01-01", "2024-01-01 ", "2024-01-01BC", "2024-01-01  BC", "2024-01-01 bc",
    "2024-01-01 AD", "2024-01-01 BC ", "0000-01-01", "0000-01-01 BC", "2024-00-01", "2024-13-01", "2024-01-00",
    "2024-01-32", "2024-04-31", "2023-02-29", "2024-02-30", "1900-02-29", "0002-02-29 BC", "12345678-01-01",
    "2024-01-01 00:00:00", "Infinity", "infinity ", "+infinity", "inf", "today", "epoch", "J2451545",
};
// clang-format on

// Not the text of any timestamp; each also with an offset is not the text of any timestamptz.
constexpr std::string_view bad_timestamps[] = {
    "",
    "2024-01-01",
    "2024-01-01 ",
    "2024-01-01T00:00:00",
    "2024-01-01  00:00:00",
    "2024-01-01 00:00",
    "2024-01-01 0:00:00",
    "2024-01-01 00:00:0",
    "2024-01-01 00:00:00.",
    "2024-01-01 00:00:00.1234567",
    "2024-01-01 00:00:00,5",
    "2024-01-01 24:00:01",
    "2024-01-01 24:00:00.000001",
    "2024-01-01 24:01:00",
    "2024-01-01 25:00:00",
    "2024-01-01 00:60:00",
    "2024-01-01 00:00:60",
    "2024-01-01 -1:00:00",
    "2024-02-30 00:00:00",
    "0000-01-01 00:00:00",
    " 2024-01-01 00:00:00",
    "2024-01-01 00:00:00 AD",
    "01/02/2024 00:00:00",
    "Mon Jan 01 00:00:00 2024",
};

}  // namespace

TEST_CASE("a date is as many days from 1970 as the server counts", "[unit][codec]") {
  for (const auto& [text, days] : date_cases) {
    CAPTURE(text);
    const auto decoded = decode<Date>(text);
    CHECK(decoded.error == Errc::ok);
    CHECK(decoded.value.time_since_epoch().count() == days);
  }
}

TEST_CASE("dates agree with std::chrono's calendar, where it goes", "[unit][codec]") {
  using namespace std::chrono;
  for (int number = -800'000; number <= 800'000; number += 37) {
    const year_month_day date{sys_days{days{number}}};
    CAPTURE(number);
    CHECK(btreemapped::detail::days_from_civil(int{date.year()}, static_cast<int>(unsigned{date.month()}),
                                               static_cast<int>(unsigned{date.day()})) == number);
  }
}

TEST_CASE("the years of PostgreSQL's whole calendar follow each other without gap", "[unit][codec]") {
  using btreemapped::detail::days_from_civil;
  using btreemapped::detail::days_in_month;
  std::int64_t expected = days_from_civil(-4713, 1, 1);
  bool equal = true;
  for (std::int64_t year = -4713; year <= 5'874'897; ++year) {
    equal = equal && days_from_civil(year, 1, 1) == expected;
    expected += days_in_month(year, 2) == 29 ? 366 : 365;
    equal = equal && days_from_civil(year, 12, 31) == expected - 1;
  }
  CHECK(equal);
  CHECK(days_from_civil(5'874'898, 1, 1) == expected);
}

TEST_CASE("a date outside of PostgreSQL's calendar is out of range", "[unit][codec]") {
  CHECK(decode<Date>("5874897-12-31").error == Errc::ok);
  CHECK(error_of<Date>("5874898-01-01") == Errc::out_of_range);
  CHECK(error_of<Date>("9999999-12-31") == Errc::out_of_range);
  CHECK(decode<Date>("4714-11-24 BC").error == Errc::ok);
  CHECK(error_of<Date>("4714-11-23 BC") == Errc::out_of_range);
  CHECK(error_of<Date>("9999999-01-01 BC") == Errc::out_of_range);
}

TEST_CASE("a date's text is only what PostgreSQL prints", "[unit][codec]") {
  for (const std::string_view text : bad_dates) {
    CAPTURE(text);
    CHECK(error_of<Date>(text) == Errc::invalid_text);
  }
}

TEST_CASE("a timestamp is as many microseconds from 1970 as the server counts", "[unit][codec]") {
  for (const auto& [text, micros] : timestamp_cases) {
    CAPTURE(text);
    const auto decoded = decode<Timestamp>(text);
    CHECK(decoded.error == Errc::ok);
    CHECK(decoded.value.time_since_epoch().count() == micros);
  }
}

TEST_CASE("a timestamp with time zone is one instant, whichever zone it is printed in", "[unit][codec]") {
  for (const auto& [text, micros] : timestamptz_cases) {
    CAPTURE(text);
    const auto decoded = decode<TimestampTz>(text);
    CHECK(decoded.error == Errc::ok);
    CHECK(decoded.value.time_since_epoch().count() == micros);
  }
}

// Time points are compared in parentheses: Catch2 would print them as calendar times, and the C library has no name for
// the ends of the clock.
TEST_CASE("24:00:00 is the next midnight", "[unit][codec]") {
  CHECK((decode<Timestamp>("2023-12-31 24:00:00").value == decode<Timestamp>("2024-01-01 00:00:00").value));
  CHECK((decode<TimestampTz>("2023-12-31 24:00:00+00").value == decode<TimestampTz>("2024-01-01 00:00:00+00").value));
}

TEST_CASE("infinity is the end of the clock", "[unit][codec]") {
  CHECK((decode<Date>("infinity").value == Date::max()));
  CHECK((decode<Date>("-infinity").value == Date::min()));
  CHECK((decode<Timestamp>("infinity").value == Timestamp::max()));
  CHECK((decode<Timestamp>("-infinity").value == Timestamp::min()));
  CHECK((decode<TimestampTz>("infinity").value == TimestampTz::max()));
  CHECK((decode<TimestampTz>("-infinity").value == TimestampTz::min()));
}

TEST_CASE("the last microsecond before infinity decodes, the next is out of range", "[unit][codec]") {
  const auto last = decode<Timestamp>("294247-01-10 04:00:54.775806");
  CHECK(last.error == Errc::ok);
  CHECK((last.value == Timestamp::max() - std::chrono::microseconds{1}));
  // These are finite values of the server, up to its last one.
  for (const std::string_view text :
       {"294247-01-10 04:00:54.775807", "294247-01-10 04:00:54.775808", "294247-01-10 04:00:55",
        "294247-01-11 00:00:00", "294276-12-31 23:59:59.999999"}) {
    CAPTURE(text);
    CHECK(error_of<Timestamp>(text) == Errc::out_of_range);
    CHECK(error_of<TimestampTz>(std::string(text) + "+00") == Errc::out_of_range);
  }
}

TEST_CASE("the offset counts towards the ends of the clock", "[unit][codec]") {
  CHECK((decode<TimestampTz>("294247-01-10 05:00:54.775806+01").value ==
         TimestampTz::max() - std::chrono::microseconds{1}));
  CHECK(error_of<TimestampTz>("294247-01-10 05:00:54.775807+01") == Errc::out_of_range);
  CHECK(error_of<TimestampTz>("294247-01-10 04:00:54.775806-00:00:01") == Errc::out_of_range);
  CHECK(decode<TimestampTz>("4714-11-23 23:00:00-01 BC").error == Errc::ok);
  CHECK(error_of<TimestampTz>("4714-11-24 00:59:59.999999+01 BC") == Errc::out_of_range);
}

TEST_CASE("a timestamp outside of PostgreSQL's calendar is out of range", "[unit][codec]") {
  CHECK(error_of<Timestamp>("4714-11-23 23:59:59.999999 BC") == Errc::out_of_range);
  CHECK(error_of<Timestamp>("9999999-12-31 00:00:00") == Errc::out_of_range);
  CHECK(error_of<Timestamp>("9999999-12-31 00:00:00 BC") == Errc::out_of_range);
}

TEST_CASE("a timestamp's text is only what PostgreSQL prints", "[unit][codec]") {
  for (const std::string_view text : bad_timestamps) {
    CAPTURE(text);
    CHECK(error_of<Timestamp>(text) == Errc::invalid_text);
    CHECK(error_of<TimestampTz>(std::string(text) + "+00") == Errc::invalid_text);
  }
}

TEST_CASE("an offset belongs to a timestamp with time zone and to no other", "[unit][codec]") {
  CHECK(error_of<Timestamp>("2024-01-01 00:00:00+00") == Errc::invalid_text);
  CHECK(error_of<TimestampTz>("2024-01-01 00:00:00") == Errc::invalid_text);
  for (const std::string_view offset : {"+", "+0", "+0:00", "+00:", "+00:0", "+00:60", "+00:00:60", "+00:00:00:00",
                                        "+00 ", " +00", "Z", " UTC", "+0000", "+00:00.5", "*00", "+-00"}) {
    CAPTURE(offset);
    CHECK(error_of<TimestampTz>("2024-01-01 00:00:00" + std::string(offset)) == Errc::invalid_text);
  }
  CHECK(error_of<TimestampTz>("2024-01-01 00:00:00 BC+00") == Errc::invalid_text);
}

TEST_CASE("every prefix of a timestamp that is no timestamp is refused", "[unit][codec]") {
  constexpr std::string_view text = "2024-02-29 23:59:59.123456-04:56:02 BC";
  for (std::size_t length = 0; length < text.size(); ++length) {
    const std::string_view prefix = text.substr(0, length);
    const bool ends_in_offset = prefix.ends_with("-04") || prefix.ends_with("-04:56") || prefix.ends_with("-04:56:02");
    CAPTURE(prefix);
    CHECK((error_of<TimestampTz>(prefix) == Errc::ok) == ends_in_offset);
  }
}

TEST_CASE("a field of the clock accepts its one column type and domains over it", "[unit][codec]") {
  using btreemapped::codec;
  constexpr btreemapped::Oid date_oid = 1082, timestamp_oid = 1114, timestamptz_oid = 1184;
  CHECK(codec<Date>::accepts(builtin(date_oid)));
  CHECK(codec<Date>::accepts(domain_over(date_oid)));
  CHECK_FALSE(codec<Date>::accepts(builtin(timestamp_oid)));
  CHECK(codec<Timestamp>::accepts(builtin(timestamp_oid)));
  CHECK_FALSE(codec<Timestamp>::accepts(builtin(timestamptz_oid)));
  CHECK_FALSE(codec<Timestamp>::accepts(builtin(date_oid)));
  CHECK(codec<TimestampTz>::accepts(builtin(timestamptz_oid)));
  CHECK_FALSE(codec<TimestampTz>::accepts(builtin(timestamp_oid)));
}
