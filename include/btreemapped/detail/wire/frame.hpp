#pragma once

#include <array>
#include <chrono>
#include <cstddef>
#include <cstdint>
#include <initializer_list>
#include <limits>
#include <string_view>
#include <variant>

#include <btreemapped/detail/wire/reader.hpp>
#include <btreemapped/error.hpp>
#include <btreemapped/lsn.hpp>

namespace btreemapped {
inline namespace v0 {
namespace detail {
namespace wire {

/// 2000-01-01 00:00 UTC, where PostgreSQL's clocks begin.
inline constexpr std::chrono::sys_time<std::chrono::microseconds> pg_epoch =
    std::chrono::sys_days{std::chrono::year{2000} / std::chrono::January / 1};

/// A clock of the protocol as a time point; what does not fit becomes the last one that does.
/// Units: microseconds since 2000-01-01 UTC.
[[nodiscard]] constexpr std::chrono::sys_time<std::chrono::microseconds> from_pg_clock(std::int64_t clock) noexcept {
  using Time = std::chrono::sys_time<std::chrono::microseconds>;
  constexpr std::int64_t shift = pg_epoch.time_since_epoch().count();
  if (clock > Time::max().time_since_epoch().count() - shift) return Time::max();
  return Time{std::chrono::microseconds{clock + shift}};
}

/// The inverse of from_pg_clock().
[[nodiscard]] constexpr std::int64_t to_pg_clock(std::chrono::sys_time<std::chrono::microseconds> time) noexcept {
  constexpr std::int64_t shift = pg_epoch.time_since_epoch().count();
  const std::int64_t since_1970 = time.time_since_epoch().count();
  if (since_1970 < std::numeric_limits<std::int64_t>::min() + shift) return std::numeric_limits<std::int64_t>::min();
  return since_1970 - shift;
}

/// One logical replication message in its envelope. Its LSNs are no position: they go back and can be zero.
/// Lifetime: `payload` is a part of the parsed bytes.
struct XLogData {
  Lsn start{};
  Lsn end{};
  std::int64_t clock = 0;  ///< see from_pg_clock()
  std::string_view payload{};
};

struct Keepalive {
  Lsn wal_end{};           ///< up to here the server has decoded its log
  std::int64_t clock = 0;  ///< see from_pg_clock()
  bool reply_requested = false;
};

using Frame = std::variant<XLogData, Keepalive>;

/// Reads what the server sends in one CopyData of a replication stream; `out` is written only on success.
/// Source: https://www.postgresql.org/docs/current/protocol-replication.html
[[nodiscard]] inline Errc parse_frame(std::string_view bytes, Frame& out) noexcept {
  Reader reader{bytes};
  const auto type = static_cast<char>(reader.u8());
  if (!reader.ok()) return reader.error();
  if (type == 'w') {
    XLogData data;
    data.start = Lsn{reader.u64()};
    data.end = Lsn{reader.u64()};
    data.clock = reader.i64();
    data.payload = reader.rest();
    // No message is empty, so an envelope without one was cut off.
    if (data.payload.empty()) reader.fail(Errc::truncated);
    if (!reader.ok()) return reader.error();
    out = data;
    return Errc::ok;
  }
  if (type == 'k') {
    Keepalive keepalive;
    keepalive.wal_end = Lsn{reader.u64()};
    keepalive.clock = reader.i64();
    const std::uint8_t reply = reader.u8();
    reader.require(reply <= 1);
    keepalive.reply_requested = reply == 1;
    if (reader.finish() != Errc::ok) return reader.error();
    out = keepalive;
    return Errc::ok;
  }
  return Errc::unknown_message;
}

/// What the client tells the server of its progress; all three are one past the last byte that the word holds for.
struct StatusUpdate {
  Lsn written{};
  Lsn flushed{};
  Lsn applied{};
  std::int64_t clock = 0;  ///< see to_pg_clock()
  bool reply_requested = false;
};

/// The bytes of a Standby status update ('r'), ready to be sent as one CopyData.
/// Source: https://www.postgresql.org/docs/current/protocol-replication.html
[[nodiscard]] constexpr std::array<char, 34> encode(const StatusUpdate& status) noexcept {
  std::array<char, 34> bytes{};
  std::size_t size = 0;
  bytes[size++] = 'r';
  for (const std::uint64_t value : {status.written.value(), status.flushed.value(), status.applied.value(),
                                    static_cast<std::uint64_t>(status.clock)}) {
    for (unsigned shift = 64; shift != 0;) {
      shift -= 8;
      bytes[size++] = static_cast<char>(static_cast<unsigned char>((value >> shift) & 0xFFU));
    }
  }
  bytes[size] = status.reply_requested ? '\1' : '\0';
  return bytes;
}

}  // namespace wire
}  // namespace detail
}  // namespace v0
}  // namespace btreemapped
