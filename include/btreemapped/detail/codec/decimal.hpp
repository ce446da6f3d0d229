#pragma once

#include <array>
#include <charconv>
#include <cstddef>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

namespace btreemapped {
inline namespace v0 {
namespace detail {

[[nodiscard]] constexpr bool is_digit(char c) noexcept { return c >= '0' && c <= '9'; }

/// The size of a number, also of the lowest, which has no positive counterpart.
[[nodiscard]] constexpr std::uint64_t magnitude_of(std::int64_t value) noexcept {
  return value < 0 ? 0 - static_cast<std::uint64_t>(value) : static_cast<std::uint64_t>(value);
}

/// The number of this size and sign; empty if 64 bits do not hold it.
[[nodiscard]] constexpr std::optional<std::int64_t> with_sign(bool negative, std::uint64_t magnitude) noexcept {
  constexpr auto largest = static_cast<std::uint64_t>(INT64_MAX);
  if (magnitude > largest + (negative ? 1U : 0U)) return std::nullopt;
  // Conversion and negation are modulo 2^64.
  return static_cast<std::int64_t>(negative ? 0 - magnitude : magnitude);
}

/// Appends the digits of a number, with zeros in front up to this width.
inline void append_decimal(std::string& out, std::uint64_t value, std::size_t width = 1) {
  std::array<char, 20> buffer{};
  const char* const end = std::to_chars(buffer.data(), buffer.data() + buffer.size(), value).ptr;
  const auto digits = static_cast<std::size_t>(end - buffer.data());
  if (digits < width) out.append(width - digits, '0');
  out.append(buffer.data(), digits);
}

/// Appends a fraction of a second as PostgreSQL prints it: up to six digits, no zeros at the end, nothing for zero.
inline void append_fraction(std::string& out, std::uint64_t microseconds) {
  if (microseconds == 0) return;
  out += '.';
  append_decimal(out, microseconds, 6);
  out.erase(out.find_last_not_of('0') + 1);
}

}  // namespace detail
}  // namespace v0
}  // namespace btreemapped
