#pragma once

#include <charconv>
#include <chrono>
#include <cmath>
#include <concepts>
#include <cstddef>
#include <cstdint>
#include <map>
#include <optional>
#include <string>
#include <type_traits>
#include <vector>

#include <btreemapped/sql_range.hpp>

// Values as PostgreSQL prints them, for those types that do not print themselves.
namespace fuzz {

inline std::string print(bool value) { return value ? "t" : "f"; }

template <class T>
  requires(std::integral<T> || std::floating_point<T>)
std::string print(T value) {
  if constexpr (std::floating_point<T>) {
    if (std::isnan(value)) return "NaN";
    if (std::isinf(value)) return value < 0 ? "-Infinity" : "Infinity";
  }
  char buffer[64];
  return {buffer, std::to_chars(buffer, buffer + sizeof buffer, value).ptr};
}

inline std::string print(const std::string& value) { return value; }

inline std::string print(const std::vector<std::byte>& value) {
  constexpr char digits[] = "0123456789abcdef";
  std::string text = "\\x";
  for (const std::byte byte : value) {
    text += digits[std::to_integer<unsigned>(byte) >> 4U];
    text += digits[std::to_integer<unsigned>(byte) & 0xFU];
  }
  return text;
}

/// Days since 1970 as a date of the proleptic Gregorian calendar; " BC" is left to the caller.
/// Source: http://howardhinnant.github.io/date_algorithms.html#civil_from_days
inline std::string civil(std::int64_t days, bool& before_christ) {
  const std::int64_t shifted = days + 719'468;
  const std::int64_t era = (shifted >= 0 ? shifted : shifted - 146'096) / 146'097;
  const std::int64_t of_era = shifted - era * 146'097;
  const std::int64_t year_of_era = (of_era - of_era / 1460 + of_era / 36'524 - of_era / 146'096) / 365;
  const std::int64_t of_year = of_era - (365 * year_of_era + year_of_era / 4 - year_of_era / 100);
  const std::int64_t month_from_march = (5 * of_year + 2) / 153;
  const std::int64_t day = of_year - (153 * month_from_march + 2) / 5 + 1;
  const std::int64_t month = month_from_march < 10 ? month_from_march + 3 : month_from_march - 9;
  std::int64_t year = year_of_era + era * 400 + (month <= 2 ? 1 : 0);
  before_christ = year <= 0;
  if (before_christ) year = 1 - year;
  const auto padded = [](std::int64_t number, std::size_t width) {
    const std::string digits = print(number);
    return std::string(width > digits.size() ? width - digits.size() : 0, '0') + digits;
  };
  return padded(year, 4) + '-' + padded(month, 2) + '-' + padded(day, 2);
}

template <class Clock, class Duration>
  requires(std::is_same_v<Clock, std::chrono::system_clock> || std::is_same_v<Clock, std::chrono::local_t>)
std::string print(const std::chrono::time_point<Clock, Duration>& value) {
  using Time = std::chrono::time_point<Clock, Duration>;
  if (value == Time::max()) return "infinity";
  if (value == Time::min()) return "-infinity";
  const auto days = std::chrono::floor<std::chrono::days>(value);
  bool before_christ = false;
  std::string text = civil(days.time_since_epoch().count(), before_christ);
  if constexpr (!std::is_same_v<Duration, std::chrono::days>) {
    std::int64_t left = (value - days).count();  // microseconds
    std::string time;
    for (const std::int64_t unit : {std::int64_t{3'600'000'000}, std::int64_t{60'000'000}, std::int64_t{1'000'000}}) {
      const std::string digits = print(left / unit);
      time += (time.empty() ? " " : ":") + std::string(2 - digits.size(), '0') + digits;
      left %= unit;
    }
    const std::string digits = print(left);
    text += time + '.' + std::string(6 - digits.size(), '0') + digits;
    if constexpr (std::is_same_v<Clock, std::chrono::system_clock>) text += "+00";
  }
  return before_christ ? text + " BC" : text;
}

/// nlohmann's text of a double is not always the shortest, which is all that its codec takes.
template <class T>
concept prints_itself = !requires(const T& value) { value.dump(); } && requires(const T& value) {
  { to_string(value) } -> std::same_as<std::string>;
};

template <prints_itself T>
std::string print(const T& value) {
  return to_string(value);
}

/// A piece of a value that is made of others, always in quotes.
inline std::string in_quotes(const std::string& text, bool doubled) {
  std::string out = "\"";
  for (const char c : text) {
    if (c == '"' || c == '\\') out += doubled ? c : '\\';
    out += c;
  }
  return out += '"';
}

// Declared before they use each other.
template <class T>
std::string print(const std::vector<T>& value);
template <class T>
std::string print(const btreemapped::SqlRange<T>& value);
template <class T>
std::string print(const btreemapped::SqlMultirange<T>& value);
std::string print(const std::map<std::string, std::optional<std::string>>& value);

/// What stands in an array or composite value: NULL is a word here and nothing there.
template <class T>
std::string piece(const T& value, bool doubled) {
  return in_quotes(print(value), doubled);
}
template <class T>
std::string piece(const std::optional<T>& value, bool doubled) {
  return value ? piece(*value, doubled) : doubled ? "" : "NULL";
}
/// The next dimension.
template <class T>
std::string piece(const std::vector<T>& value, bool doubled) {
  return doubled ? in_quotes(print(value), doubled) : print(value);
}

template <class T>
std::string print(const std::vector<T>& value) {
  std::string out = "{";
  for (const T& each : value) out += (out.size() == 1 ? "" : ",") + piece(each, false);
  return out + '}';
}

template <class T>
std::string print(const btreemapped::SqlRange<T>& value) {
  if (value.empty()) return "empty";
  return (value.lower_inclusive() ? "[" : "(") + piece(value.lower(), true) + ',' + piece(value.upper(), true) +
         (value.upper_inclusive() ? ']' : ')');
}

template <class T>
std::string print(const btreemapped::SqlMultirange<T>& value) {
  std::string out = "{";
  for (const auto& each : value.ranges) out += (out.size() == 1 ? "" : ",") + print(each);
  return out + '}';
}

inline std::string print(const std::map<std::string, std::optional<std::string>>& value) {
  std::string out;
  for (const auto& [key, each] : value)
    out += (out.empty() ? "" : ", ") + in_quotes(key, false) + "=>" + piece(each, false);
  return out;
}

template <class T>
concept printable = requires(const T& value) {
  { print(value) } -> std::same_as<std::string>;
};

}  // namespace fuzz
