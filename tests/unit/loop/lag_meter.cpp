#include <chrono>
#include <cstdint>
#include <limits>

#include <catch2/catch_test_macros.hpp>

#include <btreemapped/detail/loop/lag_meter.hpp>
#include <btreemapped/lsn.hpp>

namespace lag_meter_test {

using btreemapped::Lsn;
using btreemapped::detail::LagMeter;
using namespace std::chrono_literals;
using Time = LagMeter::Time;
using ServerTime = LagMeter::ServerTime;

const Time start{1'000h};
const ServerTime server_start = std::chrono::sys_days{std::chrono::year{2024} / 5 / 1};
/// Our wall clock is 3 s ahead of the server's.
const std::chrono::system_clock::time_point wall_start = server_start + 3s;

/// A meter whose copy is visible at position 100; all times count from there.
struct Measured {
  Measured() {
    meter.snapshot_made(start);
    meter.begin(Lsn{100});
  }

  /// A message that takes `way` to arrive.
  void hear(std::uint64_t position, std::chrono::milliseconds sent, std::chrono::milliseconds way = 0ms) {
    meter.heard(Lsn{position}, server_start + sent, start + sent + way);
  }
  void apply(std::uint64_t position, std::chrono::milliseconds committed) {
    meter.applied(Lsn{position}, server_start + committed);
  }
  [[nodiscard]] LagMeter::Reading read(std::uint64_t applied, std::chrono::milliseconds now,
                                       bool streaming = true) const {
    return meter.read(Lsn{applied}, streaming, start + now, wall_start + now);
  }

  LagMeter meter{};
};

TEST_CASE("before anything is copied there is nothing to lag behind", "[lag_meter]") {
  const LagMeter meter;
  const auto reading = meter.read(Lsn{}, false, start, wall_start);
  CHECK(reading.bytes == 0);
  CHECK(reading.time == 0ns);
  CHECK(reading.clock_offset == 0ns);
}

TEST_CASE("the lag in bytes is what is known of the server's log and not applied", "[lag_meter]") {
  Measured measured;
  CHECK(measured.read(100, 0ms).bytes == 0);
  measured.hear(150, 10ms);
  CHECK(measured.read(100, 10ms).bytes == 50);
  measured.hear(120, 11ms);  // the positions of messages go back
  CHECK(measured.read(100, 11ms).bytes == 50);
  CHECK(measured.read(100, 11ms).server == Lsn{150});
  measured.meter.asked(Lsn{1'100}, start + 12ms, Lsn{100});
  CHECK(measured.read(150, 12ms).bytes == 950);
  CHECK(measured.read(1'100, 12ms).bytes == 0);
  CHECK(measured.read(1'200, 12ms).server == Lsn{1'200});
}

TEST_CASE("while something is missing the lag in time is the age of what was applied last", "[lag_meter]") {
  Measured measured;
  measured.hear(500, 1s);
  CHECK(measured.read(100, 4s).time == 4s);  // since the copy
  measured.apply(200, 3s);
  CHECK(measured.read(200, 4s).time == 1s);
  measured.apply(300, 2s);  // commit times go back a little where writers are many
  CHECK(measured.read(300, 4s).time == 1s);
  CHECK(measured.read(500, 10s).time == 0ns);
}

TEST_CASE("without a stream the lag in time grows although nothing is known to be missing", "[lag_meter]") {
  Measured measured;
  measured.hear(200, 1s);
  measured.apply(200, 1s);
  CHECK(measured.read(200, 11s, true).time == 0ns);
  CHECK(measured.read(200, 11s, false).time == 10s);
}

TEST_CASE("the server's word that it has sent all makes an old commit no lag", "[lag_meter]") {
  Measured measured;
  measured.hear(200, 1s);
  measured.apply(200, 1s);
  measured.hear(300, 1h);
  measured.meter.reached(Lsn{300}, server_start + 1h);
  CHECK(measured.read(300, 1h + 2s, false).time == 2s);
}

TEST_CASE("the server's word does not count while it is still working through a log that we know of", "[lag_meter]") {
  Measured measured;
  measured.meter.asked(Lsn{1'000'000}, start + 1s, Lsn{100});
  measured.hear(300, 1h);
  measured.meter.reached(Lsn{300}, server_start + 1h);
  CHECK(measured.read(300, 1h).time == 1h);
}

TEST_CASE("what the server's log held when it was asked is as fresh as the question, once it is applied",
          "[lag_meter]") {
  Measured measured;
  measured.meter.asked(Lsn{400}, start + 10s, Lsn{100});
  CHECK(measured.read(100, 11s).time == 11s);
  measured.hear(500, 12s);
  measured.apply(450, 5s);
  CHECK(measured.read(450, 12s).time == 2s);
}

TEST_CASE("the difference of the clocks comes from the fastest message", "[lag_meter]") {
  Measured measured;
  measured.hear(200, 1s, 800ms);
  CHECK(measured.read(200, 2s).clock_offset == 3s + 800ms);
  measured.hear(200, 2s, 5ms);
  measured.hear(200, 3s, 400ms);
  CHECK(measured.read(200, 4s).clock_offset == 3s + 5ms);
}

TEST_CASE("the difference of the clocks follows them when they drift", "[lag_meter]") {
  Measured measured;
  measured.hear(200, 1s);
  for (int minute = 1; minute < 4; ++minute) measured.hear(200, minute * 60s + 1s, 250ms);
  CHECK(measured.read(200, 4min).clock_offset == 3s + 250ms);
}

TEST_CASE("another server begins with nothing known of its clock and its log", "[lag_meter]") {
  Measured measured;
  measured.hear(5'000, 1s);
  measured.meter.snapshot_made(start + 10s);
  measured.meter.begin(Lsn{70});
  const auto reading = measured.read(70, 12s, false);
  CHECK(reading.server == Lsn{70});
  CHECK(reading.time == 2s);
  CHECK(reading.clock_offset == 0ns);
}

TEST_CASE("a clock that cannot be is not believed", "[lag_meter]") {
  Measured measured;
  using Rep = ServerTime::rep;
  for (const Rep clock : {std::numeric_limits<Rep>::min(), Rep{-1}, Rep{0}, std::numeric_limits<Rep>::max()}) {
    measured.meter.heard(Lsn{200}, ServerTime{ServerTime::duration{clock}}, start + 1s);
    CHECK(measured.read(200, 1s).clock_offset == 0ns);
  }
  measured.hear(200, 1s);
  measured.meter.applied(Lsn{200}, ServerTime::max());
  CHECK(measured.read(100, 1s).time == 1s);
}

}  // namespace lag_meter_test
