#include <chrono>
#include <cstddef>
#include <string>
#include <vector>

#include <catch2/catch_test_macros.hpp>

#include <btreemapped/codec.hpp>
#include <btreemapped/codec/time_of_day.hpp>
#include <btreemapped/error.hpp>
#include <btreemapped/time_of_day.hpp>

#include "ascending.hpp"
#include "decode.hpp"

namespace {

using namespace std::chrono_literals;
using btreemapped::codec;
using btreemapped::Errc;
using btreemapped::TimeOfDay;
using btreemapped::TimeTz;
using decode_test::builtin;
using decode_test::decode;
using decode_test::error_of;

const std::vector<std::string> bad_times{"",
                                         "24",
                                         "00:00",
                                         "0:00:00",
                                         "00:0:00",
                                         "00:00:0",
                                         "24:00:01",
                                         "24:00:00.000001",
                                         "25:00:00",
                                         "00:60:00",
                                         "00:00:60",
                                         "00:00:00.",
                                         "00:00:00.1234567",
                                         "00:00:00,5",
                                         "-00:00:01",
                                         "+00:00:01",
                                         "00:00:00 AM",
                                         "00:00:00 ",
                                         " 00:00:00",
                                         "000000",
                                         "00-00-00",
                                         "00:00:00:00",
                                         "infinity",
                                         "now",
                                         "allballs"};

}  // namespace

TEST_CASE("times of day are read, printed and ordered, to the end of the day", "[unit][codec]") {
  decode_test::check_ascending<TimeOfDay>(
      {{"00:00:00"}, {"00:00:00.000001"}, {"04:05:06.789"}, {"12:00:00.1"}, {"23:59:59.999999"}, {"24:00:00"}});
  CHECK(decode<TimeOfDay>("04:05:06.789").value.since_midnight == 4h + 5min + 6s + 789ms);
  CHECK(decode<TimeOfDay>("24:00:00").value.since_midnight == 24h);
  CHECK(decode<TimeOfDay>("24:00:00").value != decode<TimeOfDay>("00:00:00").value);
}

TEST_CASE("a time of day comes apart into hours, minutes and seconds", "[unit][codec]") {
  const auto parts = decode<TimeOfDay>("04:05:06.789").value.hh_mm_ss();
  CHECK(parts.hours() == 4h);
  CHECK(parts.minutes() == 5min);
  CHECK(parts.seconds() == 6s);
  CHECK(parts.subseconds() == 789ms);
  CHECK(decode<TimeOfDay>("24:00:00").value.hh_mm_ss().hours() == 24h);
}

// In the order of: select string_agg(format('{"%s"}', v), ', ' order by v) from unnest('{...}'::timetz[]) v;
TEST_CASE("times with an offset are ordered by the moment in UTC, then from east to west", "[unit][codec]") {
  decode_test::check_ascending<TimeTz>({{"00:00:00+15:59:59"},
                                        {"00:00:00+00"},
                                        {"12:00:00+05:45"},
                                        {"13:00:00+02"},
                                        {"12:00:00+01"},
                                        {"11:00:00+00"},
                                        {"10:00:00-01"},
                                        {"04:05:06.789-08"},
                                        {"12:00:00-04:56:02"},
                                        {"12:00:00-05:30"},
                                        {"24:00:00+00"},
                                        {"24:00:00-15:59:59"}});
  const TimeTz time = decode<TimeTz>("12:00:00-04:56:02").value;
  CHECK(time.since_midnight == 12h);
  CHECK(time.offset == -(4h + 56min + 2s));
  CHECK(time.utc() == 16h + 56min + 2s);
}

TEST_CASE("times that mean one moment in several zones are not equal", "[unit][codec]") {
  const TimeTz here = decode<TimeTz>("12:00:00+01").value;
  const TimeTz there = decode<TimeTz>("11:00:00+00").value;
  CHECK(here.utc() == there.utc());
  CHECK(here != there);
  CHECK(here < there);
}

TEST_CASE("a time's text is only what PostgreSQL prints", "[unit][codec]") {
  decode_test::check_refused<TimeOfDay>(bad_times);
  std::vector<std::string> bad_with_offset{
      "12:00:00",     "12:00:00+",     "12:00:00+1",     "12:00:00 +01",      "12:00:00+01 ",
      "12:00:00Z",    "12:00:00+01:",  "12:00:00+01:60", "12:00:00+01:00:60", "12:00:00+01:00:00:00",
      "12:00:00 UTC", "12:00:00+0100", "12:00:00+01 BC"};
  for (const std::string& bad : bad_times) bad_with_offset.push_back(bad + "+00");
  decode_test::check_refused<TimeTz>(bad_with_offset);
  CHECK(error_of<TimeOfDay>("12:00:00+00") == Errc::invalid_text);
}

TEST_CASE("a time field accepts its one column type and domains over it", "[unit][codec]") {
  CHECK(codec<TimeOfDay>::accepts(builtin(1083)));
  CHECK_FALSE(codec<TimeOfDay>::accepts(builtin(1266)));
  CHECK_FALSE(codec<TimeOfDay>::accepts(builtin(1186)));
  CHECK(codec<TimeTz>::accepts(builtin(1266)));
  CHECK_FALSE(codec<TimeTz>::accepts(builtin(1083)));
  CHECK(codec<TimeTz>::accepts(decode_test::domain_over(1266)));
  CHECK_FALSE(codec<TimeOfDay>::accepts(decode_test::user_type("time")));
}
