#pragma once

#include <chrono>
#include <cstdint>
#include <string_view>

#include <btreemapped/codec.hpp>
#include <btreemapped/detail/codec/builtin_oid.hpp>
#include <btreemapped/detail/codec/iso_time.hpp>
#include <btreemapped/detail/shape.hpp>
#include <btreemapped/error.hpp>
#include <btreemapped/timestamp.hpp>

namespace btreemapped {
inline namespace v0 {
namespace detail {

/// Reads any timestamp as microseconds since 1970-01-01. PostgreSQL counts from 2000 and so gets 30 years further than
/// 64 bits from 1970 do. The last microsecond of all stands for infinity here: a finite value must not look like it.
template <bool Zoned, class TimePoint>
[[nodiscard]] constexpr Errc parse_system_timestamp(std::string_view text, TimePoint& out) noexcept {
  if (parse_infinity(text, out)) return Errc::ok;
  Moment moment;
  const Errc result = parse_moment<Zoned>(text, moment);
  if (result != Errc::ok) return result;
  constexpr std::int64_t last = INT64_MAX - 1;
  if (moment.seconds > last / 1'000'000 || (moment.seconds == last / 1'000'000 && moment.micros > last % 1'000'000))
    return Errc::out_of_range;
  out = TimePoint(std::chrono::seconds{moment.seconds} + std::chrono::microseconds{moment.micros});
  return Errc::ok;
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
/// 04:00:54.775807 on, thirty years before PostgreSQL's last, is refused as out of range;
/// Timestamp holds those, too.
template <>
struct codec<std::chrono::local_time<std::chrono::microseconds>> {
  static constexpr std::string_view sql_name = "timestamp without time zone";

  [[nodiscard]] static bool accepts(const SqlType& type) noexcept { return type.base == detail::timestamp_oid; }

  [[nodiscard]] static Errc decode(std::string_view text,
                                   std::chrono::local_time<std::chrono::microseconds>& out) noexcept {
    return detail::parse_system_timestamp<false>(text, out);
  }
};

/// timestamp with time zone, whichever zone it is printed in; infinity and the ends as for timestamp.
/// TimestampTz holds PostgreSQL's last thirty years, too.
template <>
struct codec<std::chrono::sys_time<std::chrono::microseconds>> {
  static constexpr std::string_view sql_name = "timestamp with time zone";

  [[nodiscard]] static bool accepts(const SqlType& type) noexcept { return type.base == detail::timestamptz_oid; }

  [[nodiscard]] static Errc decode(std::string_view text,
                                   std::chrono::sys_time<std::chrono::microseconds>& out) noexcept {
    return detail::parse_system_timestamp<true>(text, out);
  }
};

/// timestamp without time zone, all of them
template <>
struct codec<Timestamp> {
  static constexpr std::string_view sql_name = "timestamp without time zone";

  [[nodiscard]] static bool accepts(const SqlType& type) noexcept { return type.base == detail::timestamp_oid; }

  [[nodiscard]] static Errc decode(std::string_view text, Timestamp& out) noexcept {
    return detail::parse_timestamp(text, out);
  }
};

/// timestamp with time zone, all of them
template <>
struct codec<TimestampTz> {
  static constexpr std::string_view sql_name = "timestamp with time zone";

  [[nodiscard]] static bool accepts(const SqlType& type) noexcept { return type.base == detail::timestamptz_oid; }

  [[nodiscard]] static Errc decode(std::string_view text, TimestampTz& out) noexcept {
    return detail::parse_timestamp(text, out);
  }
};

}  // namespace v0
}  // namespace btreemapped
