#pragma once

#include <cstdint>
#include <string>

#include <btreemapped/detail/codec/decimal.hpp>
#include <btreemapped/detail/codec/iso_time.hpp>

namespace btreemapped {
inline namespace v0 {
namespace detail {

inline constexpr std::int64_t micros_per_second = 1'000'000;
inline constexpr std::int64_t micros_per_day = 86'400 * micros_per_second;

// What PostgreSQL prints under datestyle ISO, the counterpart of IsoReader.

/// Appends HH:MM:SS[.ffffff], with more digits for the hours from 100 on.
inline void append_clock(std::string& out, std::uint64_t micros) {
  const std::uint64_t seconds = micros / 1'000'000;
  append_decimal(out, seconds / 3600, 2);
  out += ':';
  append_decimal(out, seconds / 60 % 60, 2);
  out += ':';
  append_decimal(out, seconds % 60, 2);
  append_fraction(out, micros % 1'000'000);
}

/// Appends +HH[:MM[:SS]] for seconds east of UTC.
inline void append_offset(std::string& out, std::int64_t seconds) {
  const std::uint64_t size = magnitude_of(seconds);
  out += seconds < 0 ? '-' : '+';
  append_decimal(out, size / 3600, 2);
  if (size % 3600 == 0) return;
  out += ':';
  append_decimal(out, size / 60 % 60, 2);
  if (size % 60 == 0) return;
  out += ':';
  append_decimal(out, size % 60, 2);
}

/// Appends YYYY-MM-DD for days from 1970-01-01; true if " BC" must follow, at the end of all.
[[nodiscard]] inline bool append_date(std::string& out, std::int64_t days) {
  const CivilDate date = civil_from_days(days);
  append_decimal(out, magnitude_of(date.year > 0 ? date.year : 1 - date.year), 4);
  out += '-';
  append_decimal(out, static_cast<std::uint64_t>(date.month), 2);
  out += '-';
  append_decimal(out, static_cast<std::uint64_t>(date.day), 2);
  return date.year <= 0;
}

}  // namespace detail
}  // namespace v0
}  // namespace btreemapped
