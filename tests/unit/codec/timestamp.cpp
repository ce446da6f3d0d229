#include <chrono>
#include <cstdint>
#include <string>

#include <catch2/catch_test_macros.hpp>

#include <btreemapped/codec.hpp>
#include <btreemapped/codec/chrono.hpp>
#include <btreemapped/error.hpp>
#include <btreemapped/timestamp.hpp>

#include "ascending.hpp"
#include "decode.hpp"

namespace {

using namespace std::chrono_literals;
using btreemapped::codec;
using btreemapped::Errc;
using btreemapped::PgClock;
using btreemapped::Timestamp;
using btreemapped::TimestampTz;
using decode_test::builtin;
using decode_test::decode;
using decode_test::error_of;
using Local = std::chrono::local_time<std::chrono::microseconds>;
using Sys = std::chrono::sys_time<std::chrono::microseconds>;

constexpr std::chrono::microseconds one{1};

std::vector<decode_test::Equals> timestamps(const std::string& offset) {
  return {{"-infinity"},
          {"4714-11-24 00:00:00" + offset + " BC"},
          {"0001-12-31 12:00:00.5" + offset + " BC"},
          {"0001-01-01 00:00:00" + offset},
          {"1970-01-01 00:00:00" + offset},
          {"1999-12-31 23:59:59.999999" + offset},
          {"2000-01-01 00:00:00" + offset},
          {"2000-01-01 00:00:00.000001" + offset},
          {"2024-02-29 12:34:56.789" + offset},
          {"10000-02-29 00:00:00" + offset},
          {"294247-01-10 04:00:54.775807" + offset},
          {"294276-12-31 23:59:59.999999" + offset},
          {"infinity"}};
}

}  // namespace

// Comparisons of time points are in parentheses: Catch2 would print them as calendar times, and the C library has no
// name for the ends of the clock.
TEST_CASE("timestamps are read, printed and ordered over PostgreSQL's whole domain", "[unit][codec]") {
  decode_test::check_ascending<Timestamp>(timestamps(""));
  decode_test::check_ascending<TimestampTz>(timestamps("+00"));
}

// select extract(epoch from v) * 1000000 - 946684800000000 from ...
TEST_CASE("a timestamp is as many microseconds from 2000 as the server stores", "[unit][codec]") {
  const auto count = [](const std::string& text) { return decode<Timestamp>(text).value.time_since_epoch().count(); };
  CHECK(count("2000-01-01 00:00:00") == 0);
  CHECK(count("1999-12-31 23:59:59.999999") == -1);
  CHECK(count("1970-01-01 00:00:00") == -946'684'800'000'000);
  CHECK(count("4714-11-24 00:00:00 BC") == -211'813'488'000'000'000);
  CHECK(count("294276-12-31 23:59:59.999999") == 9'223'371'331'199'999'999);
  CHECK(count("infinity") == INT64_MAX);
  CHECK(count("-infinity") == INT64_MIN);
  CHECK(decode<TimestampTz>("2000-01-01 05:45:00+05:45").value.time_since_epoch() == 0s);
  CHECK(decode<TimestampTz>("1883-11-18 12:03:57-04:56:02").value.time_since_epoch() ==
        -2'717'650'801s - PgClock::epoch);
}

TEST_CASE("a timestamp outside of PostgreSQL's domain is out of range", "[unit][codec]") {
  CHECK(error_of<Timestamp>("294277-01-01 00:00:00") == Errc::out_of_range);
  CHECK(error_of<Timestamp>("4714-11-23 23:59:59.999999 BC") == Errc::out_of_range);
  CHECK(error_of<Timestamp>("9999999-12-31 00:00:00") == Errc::out_of_range);
  CHECK(error_of<TimestampTz>("294276-12-31 23:59:59.999999-00:00:01") == Errc::out_of_range);
  CHECK(decode<TimestampTz>("294277-01-01 00:00:59.999999+00:01").error == Errc::ok);
}

TEST_CASE("a timestamp of PostgreSQL's clock is only what PostgreSQL prints", "[unit][codec]") {
  decode_test::check_refused<Timestamp>({"", "2024-01-01", "2024-01-01 00:00:00+00", "2024-02-30 00:00:00", "Infinity",
                                         "infinity ", "2024-01-01T00:00:00"});
  decode_test::check_refused<TimestampTz>(
      {"", "2024-01-01 00:00:00", "2024-01-01 00:00:00 +00", "2024-01-01 00:00:00 BC+00", "+infinity"});
}

TEST_CASE("the functions that parse agree with the codecs", "[unit][codec]") {
  CHECK((btreemapped::parse_timestamp("2024-02-29 12:00:00") == decode<Timestamp>("2024-02-29 12:00:00").value));
  CHECK((btreemapped::parse_timestamptz("infinity") == TimestampTz::max()));
  CHECK_FALSE(btreemapped::parse_timestamp("2024-02-29 12:00:00+00").has_value());
  CHECK_FALSE(btreemapped::parse_timestamptz("294277-01-01 00:00:00+00").has_value());
}

TEST_CASE("a moment is the same on the system's clock", "[unit][codec]") {
  for (const std::string text : {"2024-02-29 12:34:56.789", "1970-01-01 00:00:00", "4714-11-24 00:00:00 BC",
                                 "294247-01-10 04:00:54.775806", "infinity", "-infinity"}) {
    CAPTURE(text);
    const std::string zoned = text.find("infinity") == std::string::npos && !text.ends_with(" BC") ? text + "+00"
                              : text.ends_with(" BC") ? "4714-11-24 00:00:00+00 BC"
                                                      : text;
    CHECK((btreemapped::to_sys_time(decode<TimestampTz>(zoned).value) == decode<Sys>(zoned).value));
    CHECK((btreemapped::to_timestamp(decode<Sys>(zoned).value) == decode<TimestampTz>(zoned).value));
    CHECK((btreemapped::to_local_time(decode<Timestamp>(text).value) == decode<Local>(text).value));
    CHECK((btreemapped::to_timestamp(decode<Local>(text).value) == decode<Timestamp>(text).value));
  }
}

TEST_CASE("a moment that the other clock cannot tell from infinity or not reach is not converted", "[unit][codec]") {
  for (const std::string text :
       {"294247-01-10 04:00:54.775807", "294247-01-10 04:00:54.775808", "294276-12-31 23:59:59"}) {
    CAPTURE(text);
    CHECK_FALSE(btreemapped::to_local_time(decode<Timestamp>(text).value).has_value());
    CHECK_FALSE(btreemapped::to_sys_time(decode<TimestampTz>(text + "+00").value).has_value());
  }
  const Timestamp last = decode<Timestamp>("294247-01-10 04:00:54.775806").value;
  CHECK((btreemapped::to_local_time(last) == Local::max() - one));
  CHECK_FALSE(btreemapped::to_timestamp(Local::min() + one).has_value());
  CHECK_FALSE(btreemapped::to_timestamp(Sys::min() + PgClock::epoch).has_value());
  CHECK((btreemapped::to_timestamp(Sys::min() + PgClock::epoch + one) == TimestampTz::min() + one));
}

TEST_CASE("PostgreSQL's clock tells the time", "[unit][codec]") {
  const auto before = std::chrono::floor<std::chrono::microseconds>(std::chrono::system_clock::now());
  const TimestampTz now = PgClock::now();
  CHECK((btreemapped::to_sys_time(now) >= before));
  CHECK((btreemapped::to_sys_time(now) <= std::chrono::system_clock::now()));
}

TEST_CASE("the ends of the clock are printed without overflow", "[unit][codec]") {
  CHECK(to_string(Timestamp::min() + one) == "290279-12-22 19:59:05.224193 BC");
  CHECK(to_string(Timestamp::max() - one) == "294277-01-09 04:00:54.775806");
}

TEST_CASE("a field of PostgreSQL's clock accepts its one column type and domains over it", "[unit][codec]") {
  CHECK(codec<Timestamp>::accepts(builtin(1114)));
  CHECK_FALSE(codec<Timestamp>::accepts(builtin(1184)));
  CHECK(codec<TimestampTz>::accepts(builtin(1184)));
  CHECK_FALSE(codec<TimestampTz>::accepts(builtin(1114)));
  CHECK(codec<TimestampTz>::accepts(decode_test::domain_over(1184)));
}
