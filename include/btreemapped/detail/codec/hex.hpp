#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <string>
#include <string_view>

namespace btreemapped {
inline namespace v0 {
namespace detail {

/// What hex_value() gives for a character that is no hexadecimal digit: a bit that no digit has.
inline constexpr std::uint8_t not_hex = 0x80;

inline constexpr std::array<std::uint8_t, 256> hex_values = [] {
  std::array<std::uint8_t, 256> values{};
  values.fill(not_hex);
  constexpr std::string_view digits = "0123456789abcdef";
  for (std::uint8_t value = 0; value < 16; ++value) {
    const auto digit = static_cast<unsigned char>(digits[value]);
    values[digit] = value;
    if (value >= 10) values[static_cast<std::size_t>(digit - 'a' + 'A')] = value;
  }
  return values;
}();

[[nodiscard]] constexpr std::uint8_t hex_value(char digit) noexcept {
  return hex_values[static_cast<unsigned char>(digit)];
}

/// Reads 2 * count digits into count bytes; false if one of them is no digit.
[[nodiscard]] constexpr bool decode_hex(const char* digits, std::byte* out, std::size_t count) noexcept {
  unsigned seen = 0;  // asked once at the end: no branch per byte
  for (std::size_t i = 0; i < count; ++i) {
    const unsigned high = hex_value(digits[2 * i]);
    const unsigned low = hex_value(digits[2 * i + 1]);
    seen |= high | low;
    out[i] = static_cast<std::byte>(((high << 4U) | low) & 0xFFU);
  }
  return (seen & not_hex) == 0;
}

/// Appends the two digits of a byte.
inline void append_hex(std::string& out, std::byte byte) {
  constexpr std::string_view digits = "0123456789abcdef";
  const auto value = std::to_integer<unsigned>(byte);
  out += digits[value >> 4U];
  out += digits[value & 0xFU];
}

}  // namespace detail
}  // namespace v0
}  // namespace btreemapped
