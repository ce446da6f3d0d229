#include <array>
#include <chrono>
#include <cstddef>
#include <cstdint>
#include <limits>
#include <string>
#include <string_view>
#include <utility>
#include <variant>

#include <catch2/catch_test_macros.hpp>

#include <btreemapped/detail/wire/frame.hpp>

#include "support/bytes.hpp"
#include "support/captured_wire.hpp"

namespace wire = btreemapped::detail::wire;
namespace captured = test::captured;
using btreemapped::Errc;
using btreemapped::Lsn;
using test::ExactBytes;
using test::from_hex;
using wire::Frame;
using wire::Keepalive;
using wire::XLogData;

namespace {

static_assert(noexcept(wire::parse_frame(std::string_view{}, std::declval<Frame&>())));
static_assert(noexcept(wire::encode(wire::StatusUpdate{})));

using Time = std::chrono::sys_time<std::chrono::microseconds>;

template <class Kind>
Kind parsed(const ExactBytes& bytes) {
  Frame frame;
  REQUIRE(wire::parse_frame(bytes.view(), frame) == Errc::ok);
  REQUIRE(std::holds_alternative<Kind>(frame));
  return std::get<Kind>(frame);
}

Errc error_of(std::string_view bytes) {
  const ExactBytes exact{bytes};
  Frame frame;
  return wire::parse_frame(exact.view(), frame);
}

}  // namespace

TEST_CASE("XLogData carries its LSNs, the server's clock and one message", "[unit][wire]") {
  const ExactBytes bytes{from_hex(captured::xlog_data_with_commit)};
  const auto data = parsed<XLogData>(bytes);
  CHECK(data.start == Lsn{0x1551dc0});
  CHECK(data.end == Lsn{0x1551dc0});
  CHECK(data.clock == 0x303daa0915237);
  CHECK(data.payload == bytes.view().substr(25));
  CHECK(data.payload.size() == 26);
  CHECK(bytes.holds(data.payload));
}

TEST_CASE("XLogData of a Type message has no position", "[unit][wire]") {
  const ExactBytes bytes{from_hex(captured::xlog_data_with_type)};
  const auto data = parsed<XLogData>(bytes);
  CHECK(data.start == Lsn{});
  CHECK(data.end == Lsn{});
  CHECK(data.payload.front() == 'Y');
}

TEST_CASE("a keepalive says how far the server has decoded", "[unit][wire]") {
  const ExactBytes bytes{from_hex(captured::keepalive)};
  const auto keepalive = parsed<Keepalive>(bytes);
  CHECK(keepalive.wal_end == Lsn{0x1551d10});
  CHECK(keepalive.clock == 0x303daa09150b8);
  CHECK_FALSE(keepalive.reply_requested);
}

TEST_CASE("a keepalive can ask for a reply", "[unit][wire]") {
  const ExactBytes bytes{from_hex(captured::keepalive_that_wants_a_reply)};
  const auto keepalive = parsed<Keepalive>(bytes);
  CHECK(keepalive.wal_end == Lsn{0x1551e28});
  CHECK(keepalive.reply_requested);
}

TEST_CASE("every strict prefix of a keepalive or an XLogData header is truncated", "[unit][wire]") {
  for (const std::string_view hex : captured::frames) {
    CAPTURE(hex);
    const std::string bytes = from_hex(hex);
    // The length of the message inside is not the envelope's business; without one the envelope is incomplete too.
    const std::size_t envelope = bytes.front() == 'w' ? 25 : bytes.size() - 1;
    for (std::size_t size = 0; size <= envelope; ++size) {
      CAPTURE(size);
      CHECK(error_of(std::string_view{bytes}.substr(0, size)) == Errc::truncated);
    }
    CHECK(error_of(bytes) == Errc::ok);
  }
}

TEST_CASE("a keepalive with a byte too many is refused", "[unit][wire]") {
  CHECK(error_of(from_hex(captured::keepalive) + '\0') == Errc::trailing_bytes);
}

TEST_CASE("a keepalive whose flag is neither 0 nor 1 is refused", "[unit][wire]") {
  std::string bytes = from_hex(captured::keepalive);
  bytes.back() = '\2';
  CHECK(error_of(bytes) == Errc::invalid_message);
}

TEST_CASE("a frame of any other type is unknown", "[unit][wire]") {
  for (unsigned type = 0; type < 256; ++type) {
    CAPTURE(type);
    std::string bytes = from_hex(captured::keepalive);
    bytes.front() = static_cast<char>(static_cast<unsigned char>(type));
    if (type != 'k' && type != 'w') CHECK(error_of(bytes) == Errc::unknown_message);
  }
}

TEST_CASE("a frame that is refused leaves the result alone", "[unit][wire]") {
  Frame frame = Keepalive{Lsn{7}, 8, true};
  CHECK(wire::parse_frame("w too short", frame) == Errc::truncated);
  REQUIRE(std::holds_alternative<Keepalive>(frame));
  CHECK(std::get<Keepalive>(frame).wal_end == Lsn{7});
}

TEST_CASE("a status update has the bytes that PostgreSQL's own client sends", "[unit][wire]") {
  const std::array<char, 34> bytes = wire::encode({.written = Lsn{0x1551e28},
                                                   .flushed = Lsn{0x1551e28},
                                                   .applied = Lsn{},
                                                   .clock = 0x303daa0afdac4,
                                                   .reply_requested = false});
  CHECK(std::string_view{bytes.data(), bytes.size()} == from_hex(captured::status_update));
}

TEST_CASE("a status update keeps its three positions, its clock and its flag apart", "[unit][wire]") {
  const std::array<char, 34> bytes = wire::encode({.written = Lsn{0x0102030405060708},
                                                   .flushed = Lsn{0x1112131415161718},
                                                   .applied = Lsn{0xf1f2f3f4f5f6f7f8},
                                                   .clock = -2,
                                                   .reply_requested = true});
  CHECK(std::string_view{bytes.data(), bytes.size()} ==
        from_hex("72 0102030405060708 1112131415161718 f1f2f3f4f5f6f7f8 fffffffffffffffe 01"));
}

TEST_CASE("the protocol's clock counts microseconds since 2000", "[unit][wire]") {
  using std::chrono::microseconds;
  constexpr std::chrono::sys_days day = std::chrono::year{2024} / std::chrono::February / 29;
  constexpr Time time = day + std::chrono::hours{12} + std::chrono::minutes{34} + microseconds{56'789'012};
  CHECK(wire::from_pg_clock(0) == std::chrono::sys_days{std::chrono::year{2000} / std::chrono::January / 1});
  CHECK(wire::from_pg_clock(0x2b58341728614) == time);  // as captured from a transaction with this commit time
  CHECK(wire::to_pg_clock(time) == 0x2b58341728614);
  CHECK(wire::from_pg_clock(-1) + microseconds{1} == wire::pg_epoch);
}

TEST_CASE("a clock that no time point can hold becomes the last one", "[unit][wire]") {
  constexpr std::int64_t greatest = std::numeric_limits<std::int64_t>::max();
  constexpr std::int64_t least = std::numeric_limits<std::int64_t>::min();
  constexpr std::int64_t shift = wire::pg_epoch.time_since_epoch().count();
  CHECK(wire::from_pg_clock(greatest) == Time::max());
  CHECK(wire::from_pg_clock(greatest - shift) == Time::max());
  CHECK(wire::from_pg_clock(greatest - shift - 1) == Time::max() - std::chrono::microseconds{1});
  CHECK(wire::from_pg_clock(least).time_since_epoch().count() == least + shift);
  CHECK(wire::to_pg_clock(Time::min()) == least);
  CHECK(wire::to_pg_clock(Time::min() + std::chrono::microseconds{shift}) == least);
  CHECK(wire::to_pg_clock(Time::max()) == greatest - shift);
}
