#pragma once

#include <chrono>
#include <cstddef>
#include <cstdint>
#include <functional>
#include <optional>
#include <string>
#include <string_view>
#include <type_traits>

#include <btreemapped/detail/codec/iso_print.hpp>
#include <btreemapped/detail/codec/iso_time.hpp>
#include <btreemapped/error.hpp>

namespace btreemapped {
inline namespace v0 {

/// PostgreSQL's clock: std::chrono's system clock, counted from 2000-01-01 00:00:00 UTC.
struct PgClock {
  using rep = std::int64_t;
  using period = std::micro;
  using duration = std::chrono::microseconds;
  using time_point = std::chrono::time_point<PgClock, duration>;
  static constexpr bool is_steady = false;

  /// 2000-01-01 on std::chrono's clocks.
  static constexpr std::chrono::seconds epoch{946'684'800};

  [[nodiscard]] static time_point now() noexcept {
    const auto since_1970 = std::chrono::system_clock::now().time_since_epoch();
    return time_point(std::chrono::duration_cast<duration>(since_1970) - epoch);
  }
};

/// The clock on a wall somewhere, counted from 2000-01-01 00:00:00 there. Like std::chrono::local_t it cannot be asked.
struct PgLocal {};

/// timestamp with time zone, over the whole of PostgreSQL's domain: a sys_time<microseconds> ends 30 years before it.
/// infinity is max() and -infinity min(), as on the server.
using TimestampTz = std::chrono::time_point<PgClock, std::chrono::microseconds>;

/// timestamp without time zone, over the whole of PostgreSQL's domain. infinity is max() and -infinity min().
using Timestamp = std::chrono::time_point<PgLocal, std::chrono::microseconds>;

namespace detail {

/// The ends of PostgreSQL's calendar, in days from 1970-01-01: 4714-11-24 BC, 5874897-12-31 for a date, and
/// 294276-12-31 for a timestamp.
inline constexpr std::int64_t first_date = days_from_civil(-4713, 11, 24);
inline constexpr std::int64_t last_date = days_from_civil(5'874'897, 12, 31);
inline constexpr std::int64_t last_timestamp_date = days_from_civil(294'276, 12, 31);

/// infinity and -infinity are the ends of the clock.
template <class TimePoint>
[[nodiscard]] constexpr bool parse_infinity(std::string_view text, TimePoint& out) noexcept {
  if (text == "infinity") {
    out = TimePoint::max();
  } else if (text == "-infinity") {
    out = TimePoint::min();
  } else {
    return false;
  }
  return true;
}

/// A finite point of time.
struct Moment {
  std::int64_t seconds = 0;  ///< since 1970-01-01
  int micros = 0;            ///< to be added
};

/// Reads a finite timestamp, with its offset if Zoned.
template <bool Zoned>
[[nodiscard]] constexpr Errc parse_moment(std::string_view text, Moment& out) noexcept {
  IsoReader reader(text);
  reader.date();
  reader.expect(' ');
  reader.time();
  if constexpr (Zoned) reader.offset();
  reader.era();
  if (!reader.ok()) return Errc::invalid_text;
  out = {reader.seconds(), reader.micros()};
  if (out.seconds < first_date * 86'400 || out.seconds >= (last_timestamp_date + 1) * 86'400) return Errc::out_of_range;
  return Errc::ok;
}

/// Reads any timestamp as PostgreSQL counts it.
template <class Clock>
[[nodiscard]] constexpr Errc parse_timestamp(std::string_view text,
                                             std::chrono::time_point<Clock, std::chrono::microseconds>& out) noexcept {
  if (parse_infinity(text, out)) return Errc::ok;
  Moment moment;
  const Errc result = parse_moment<std::is_same_v<Clock, PgClock>>(text, moment);
  if (result == Errc::ok)
    out = std::chrono::time_point<Clock, std::chrono::microseconds>(
        std::chrono::seconds{moment.seconds} - PgClock::epoch + std::chrono::microseconds{moment.micros});
  return result;
}

/// Moves a point of time to a clock whose epoch is `later` by that much. The ends stay the ends, and no other value
/// becomes one of them: it is empty, as one beyond them is.
template <class To, class From>
[[nodiscard]] constexpr std::optional<To> change_clock(From from, std::chrono::seconds later) noexcept {
  if (from == From::max()) return To::max();
  if (from == From::min()) return To::min();
  const std::int64_t count = from.time_since_epoch().count();
  const std::int64_t shift = std::chrono::microseconds(later).count();
  if (shift > 0 ? count <= INT64_MIN + shift : count >= INT64_MAX + shift) return std::nullopt;
  return To(std::chrono::microseconds{count - shift});
}

}  // namespace detail

/// The same moment on the system's clock, infinity for infinity; empty for one of PostgreSQL's last thirty years, which
/// 64 bits of microseconds from 1970 do not reach.
[[nodiscard]] constexpr std::optional<std::chrono::sys_time<std::chrono::microseconds>> to_sys_time(
    TimestampTz time) noexcept {
  return detail::change_clock<std::chrono::sys_time<std::chrono::microseconds>>(time, -PgClock::epoch);
}

/// The same time on std::chrono's wall clock; empty as for to_sys_time.
[[nodiscard]] constexpr std::optional<std::chrono::local_time<std::chrono::microseconds>> to_local_time(
    Timestamp time) noexcept {
  return detail::change_clock<std::chrono::local_time<std::chrono::microseconds>>(time, -PgClock::epoch);
}

/// The same moment on PostgreSQL's clock, infinity for infinity; empty if it is thirty years or less after
/// sys_time::min().
[[nodiscard]] constexpr std::optional<TimestampTz> to_timestamp(
    std::chrono::sys_time<std::chrono::microseconds> time) noexcept {
  return detail::change_clock<TimestampTz>(time, PgClock::epoch);
}

/// The same time on PostgreSQL's wall clock; empty as for the other.
[[nodiscard]] constexpr std::optional<Timestamp> to_timestamp(
    std::chrono::local_time<std::chrono::microseconds> time) noexcept {
  return detail::change_clock<Timestamp>(time, PgClock::epoch);
}

/// Reads what PostgreSQL prints for a timestamp with time zone, whichever zone ("2024-02-29 12:00:00+05:45",
/// "infinity"); empty for anything else.
[[nodiscard]] constexpr std::optional<TimestampTz> parse_timestamptz(std::string_view text) noexcept {
  TimestampTz time{};
  return detail::parse_timestamp(text, time) == Errc::ok ? std::optional(time) : std::nullopt;
}

/// Reads what PostgreSQL prints for a timestamp without time zone ("2024-02-29 12:00:00"); empty for anything else.
[[nodiscard]] constexpr std::optional<Timestamp> parse_timestamp(std::string_view text) noexcept {
  Timestamp time{};
  return detail::parse_timestamp(text, time) == Errc::ok ? std::optional(time) : std::nullopt;
}

namespace detail {

template <class Clock>
[[nodiscard]] std::string print_timestamp(std::chrono::time_point<Clock, std::chrono::microseconds> time) {
  using Time = std::chrono::time_point<Clock, std::chrono::microseconds>;
  if (time == Time::max()) return "infinity";
  if (time == Time::min()) return "-infinity";
  const std::int64_t count = time.time_since_epoch().count();
  std::int64_t days = count / micros_per_day;
  std::int64_t of_day = count % micros_per_day;
  if (of_day < 0) {
    of_day += micros_per_day;
    --days;
  }
  std::string text;
  const bool before_christ = append_date(text, days + PgClock::epoch / std::chrono::days{1});
  text += ' ';
  append_clock(text, static_cast<std::uint64_t>(of_day));
  if constexpr (std::is_same_v<Clock, PgClock>) text += "+00";
  if (before_christ) text += " BC";
  return text;
}

}  // namespace detail

/// What PostgreSQL prints under timezone = 'UTC', "2024-02-29 06:15:00+00".
[[nodiscard]] inline std::string to_string(TimestampTz time) { return detail::print_timestamp(time); }

/// What PostgreSQL prints, "2024-02-29 06:15:00".
[[nodiscard]] inline std::string to_string(Timestamp time) { return detail::print_timestamp(time); }

}  // namespace v0
}  // namespace btreemapped

template <>
struct std::hash<btreemapped::TimestampTz> {
  [[nodiscard]] std::size_t operator()(btreemapped::TimestampTz time) const noexcept {
    return std::hash<std::int64_t>{}(time.time_since_epoch().count());
  }
};

template <>
struct std::hash<btreemapped::Timestamp> {
  [[nodiscard]] std::size_t operator()(btreemapped::Timestamp time) const noexcept {
    return std::hash<std::int64_t>{}(time.time_since_epoch().count());
  }
};
