#pragma once

#include <chrono>
#include <cstdint>
#include <string_view>

#include <btreemapped/codec.hpp>
#include <btreemapped/detail/codec/builtin_oid.hpp>
#include <btreemapped/detail/codec/iso_time.hpp>
#include <btreemapped/detail/shape.hpp>
#include <btreemapped/error.hpp>

namespace btreemapped {
inline namespace v0 {
namespace detail {

/// The ends of PostgreSQL's calendar, in days from 1970-01-01: 4714-11-24 BC, and 5874897-12-31.
inline constexpr std::int64_t first_date = days_from_civil(-4713, 11, 24);
inline constexpr std::int64_t last_date = days_from_civil(5'874'897, 12, 31);

/// Reads a timestamp, with its offset if Zoned, as microseconds since 1970-01-01.
template <bool Zoned>
[[nodiscard]] constexpr Errc parse_timestamp(std::string_view text, std::int64_t& out) noexcept {
  IsoReader reader(text);
  reader.date();
  reader.expect(' ');
  reader.time();
  if constexpr (Zoned) reader.offset();
  reader.era();
  if (!reader.ok()) return Errc::invalid_text;
  // PostgreSQL counts from 2000 and so gets 30 years further than 64 bits from 1970 do. The last microsecond of all
  // stands for infinity here: a finite value must not look like it.
  constexpr std::int64_t last = INT64_MAX - 1;
  const std::int64_t seconds = reader.seconds();
  if (seconds < first_date * 86'400 || seconds > last / 1'000'000 ||
      (seconds == last / 1'000'000 && reader.micros() > last % 1'000'000))
    return Errc::out_of_range;
  out = seconds * 1'000'000 + reader.micros();
  return Errc::ok;
}

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

}  // namespace detail

/// date; infinity is sys_days::max() and -infinity sys_days::min(), which no finite date is.
template <>
struct codec<std::chrono::sys_days> {
  static constexpr std::string_view sql_name = "date";

  [[nodiscard]] static bool accepts(const SqlType& type) noexcept { return type.base == detail::date_oid; }

  [[nodiscard]] static Errc decode(std::string_view text, std::chrono::sys_days& out) noexcept {
    if (detail::parse_infinity(text, out)) return Errc::ok;
    detail::IsoReader reader(text);
    reader.date();
    reader.era();
    if (!reader.ok()) return Errc::invalid_text;
    const std::int64_t days = reader.days();
    if (days < detail::first_date || days > detail::last_date) return Errc::out_of_range;
    out = std::chrono::sys_days{std::chrono::days{static_cast<std::chrono::days::rep>(days)}};
    return Errc::ok;
  }
};

/// timestamp without time zone; infinity and -infinity are max() and min(). A value from 294247-01-10
/// 04:00:54.775807 on, thirty years before PostgreSQL's last, is refused as out of range.
template <>
struct codec<std::chrono::local_time<std::chrono::microseconds>> {
  static constexpr std::string_view sql_name = "timestamp without time zone";

  [[nodiscard]] static bool accepts(const SqlType& type) noexcept { return type.base == detail::timestamp_oid; }

  [[nodiscard]] static Errc decode(std::string_view text,
                                   std::chrono::local_time<std::chrono::microseconds>& out) noexcept {
    if (detail::parse_infinity(text, out)) return Errc::ok;
    std::int64_t micros = 0;
    const Errc result = detail::parse_timestamp<false>(text, micros);
    out = std::chrono::local_time<std::chrono::microseconds>{std::chrono::microseconds{micros}};
    return result;
  }
};

/// timestamp with time zone, whichever zone it is printed in; infinity and the ends as for timestamp.
template <>
struct codec<std::chrono::sys_time<std::chrono::microseconds>> {
  static constexpr std::string_view sql_name = "timestamp with time zone";

  [[nodiscard]] static bool accepts(const SqlType& type) noexcept { return type.base == detail::timestamptz_oid; }

  [[nodiscard]] static Errc decode(std::string_view text,
                                   std::chrono::sys_time<std::chrono::microseconds>& out) noexcept {
    if (detail::parse_infinity(text, out)) return Errc::ok;
    std::int64_t micros = 0;
    const Errc result = detail::parse_timestamp<true>(text, micros);
    out = std::chrono::sys_time<std::chrono::microseconds>{std::chrono::microseconds{micros}};
    return result;
  }
};

}  // namespace v0
}  // namespace btreemapped
