#pragma once

#include <chrono>
#include <compare>
#include <cstddef>
#include <cstdint>
#include <functional>
#include <optional>
#include <string>
#include <string_view>

#include <btreemapped/detail/codec/hash.hpp>
#include <btreemapped/detail/codec/iso_print.hpp>
#include <btreemapped/detail/codec/iso_time.hpp>

namespace btreemapped {
inline namespace v0 {

/// PostgreSQL's time (without time zone): a time of day, from 00:00:00 to 24:00:00.
///
/// A type of its own, as a plain duration is any length of time, and std::chrono::hh_mm_ss has neither equality nor
/// order.
struct TimeOfDay {
  std::chrono::microseconds since_midnight{0};

  /// Hours, minutes, seconds and subseconds; 24 hours at the end of the day.
  [[nodiscard]] constexpr std::chrono::hh_mm_ss<std::chrono::microseconds> hh_mm_ss() const noexcept {
    return std::chrono::hh_mm_ss(since_midnight);
  }

  friend constexpr auto operator<=>(const TimeOfDay&, const TimeOfDay&) noexcept = default;

  /// Reads what PostgreSQL prints ("04:05:06.789"); empty for anything else.
  [[nodiscard]] static constexpr std::optional<TimeOfDay> parse(std::string_view text) noexcept {
    detail::IsoReader reader(text);
    reader.time();
    reader.end();
    if (!reader.ok()) return std::nullopt;
    return TimeOfDay{std::chrono::seconds{reader.second_of_day()} + std::chrono::microseconds{reader.micros()}};
  }
};

/// PostgreSQL's time with time zone: a time of day, and how far from UTC it is meant.
///
/// Order and equality are PostgreSQL's: by the moment in UTC, without regard to the day, then from east to west. Values
/// with different offsets are never equal.
struct TimeTz {
  std::chrono::microseconds since_midnight{0};
  std::chrono::seconds offset{0};  ///< east of UTC: 3600 for +01

  /// The time in UTC: below zero or above 24 hours where that is another day.
  [[nodiscard]] constexpr std::chrono::microseconds utc() const noexcept { return since_midnight - offset; }

  friend constexpr bool operator==(const TimeTz&, const TimeTz&) noexcept = default;
  friend constexpr std::strong_ordering operator<=>(const TimeTz& a, const TimeTz& b) noexcept {
    const std::strong_ordering order = a.utc().count() <=> b.utc().count();
    return order != 0 ? order : b.offset.count() <=> a.offset.count();
  }

  /// Reads what PostgreSQL prints ("04:05:06.789-08", "12:00:00+05:45"); empty for anything else.
  [[nodiscard]] static constexpr std::optional<TimeTz> parse(std::string_view text) noexcept {
    detail::IsoReader reader(text);
    reader.time();
    reader.offset();
    reader.end();
    constexpr int end_of_offsets = 16 * 3600;
    if (!reader.ok() || reader.offset_seconds() <= -end_of_offsets || reader.offset_seconds() >= end_of_offsets)
      return std::nullopt;
    return TimeTz{std::chrono::seconds{reader.second_of_day()} + std::chrono::microseconds{reader.micros()},
                  std::chrono::seconds{reader.offset_seconds()}};
  }
};

/// What PostgreSQL prints, "04:05:06.789".
[[nodiscard]] inline std::string to_string(const TimeOfDay& time) {
  std::string text;
  detail::append_clock(text, static_cast<std::uint64_t>(time.since_midnight.count()));
  return text;
}

/// What PostgreSQL prints, "04:05:06.789-08".
[[nodiscard]] inline std::string to_string(const TimeTz& time) {
  std::string text;
  detail::append_clock(text, static_cast<std::uint64_t>(time.since_midnight.count()));
  detail::append_offset(text, time.offset.count());
  return text;
}

}  // namespace v0
}  // namespace btreemapped

template <>
struct std::hash<btreemapped::TimeOfDay> {
  [[nodiscard]] std::size_t operator()(const btreemapped::TimeOfDay& time) const noexcept {
    return std::hash<std::int64_t>{}(time.since_midnight.count());
  }
};

template <>
struct std::hash<btreemapped::TimeTz> {
  [[nodiscard]] std::size_t operator()(const btreemapped::TimeTz& time) const noexcept {
    return btreemapped::detail::mix_hash(std::hash<std::int64_t>{}(time.since_midnight.count()),
                                         std::hash<std::int64_t>{}(time.offset.count()));
  }
};
