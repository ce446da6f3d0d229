#pragma once

#include <array>
#include <charconv>
#include <cstddef>
#include <cstdint>
#include <span>
#include <string>
#include <string_view>

#include <btreemapped/detail/codec/decimal.hpp>
#include <btreemapped/detail/codec/hex.hpp>

namespace btreemapped {
inline namespace v0 {
namespace detail {

/// The 16 bytes of an IPv6 address, or the 4 of an IPv4 address and zeros.
using IpBytes = std::array<std::byte, 16>;

/// Reads up to three digits, without needless zeros, of a number up to `limit`.
[[nodiscard]] constexpr bool parse_small_number(std::string_view text, int limit, int& out) noexcept {
  if (text.empty() || text.size() > 3 || (text.size() > 1 && text.front() == '0')) return false;
  out = 0;
  for (const char c : text) {
    if (!is_digit(c)) return false;
    out = out * 10 + (c - '0');
  }
  return out <= limit;
}

/// Reads "192.0.2.1" into four bytes.
[[nodiscard]] constexpr bool parse_ipv4(std::string_view text, std::byte* out) noexcept {
  for (int part = 0; part < 4; ++part) {
    const std::size_t dot = text.find('.');
    if ((dot == std::string_view::npos) != (part == 3)) return false;
    int value = 0;
    if (!parse_small_number(text.substr(0, dot), 255, value)) return false;
    out[part] = static_cast<std::byte>(value);
    if (part < 3) text.remove_prefix(dot + 1);
  }
  return true;
}

/// Reads groups of four hexadecimal digits between colons, the last of which may be an IPv4 address, as far as there is
/// room for them; `count` bytes have been written then.
[[nodiscard]] constexpr bool parse_ipv6_groups(std::string_view text, IpBytes& out, std::size_t& count) noexcept {
  count = 0;
  while (!text.empty()) {
    const std::size_t colon = text.find(':');
    const bool last = colon == std::string_view::npos;
    const std::string_view group = text.substr(0, colon);
    if (last && group.find('.') != std::string_view::npos) {
      if (count + 4 > out.size() || !parse_ipv4(group, out.data() + count)) return false;
      count += 4;
      return true;
    }
    if (group.empty() || group.size() > 4 || count + 2 > out.size()) return false;
    unsigned value = 0;
    for (const char c : group) {
      if (hex_value(c) == not_hex) return false;
      value = value << 4U | hex_value(c);
    }
    out[count] = static_cast<std::byte>(value >> 8U);
    out[count + 1] = static_cast<std::byte>(value & 0xFFU);
    count += 2;
    if (last) return true;
    text.remove_prefix(colon + 1);
    if (text.empty()) return false;
  }
  return true;
}

/// Reads "2001:db8::1", in either case, into 16 bytes.
/// Source: RFC 4291, section 2.2
[[nodiscard]] constexpr bool parse_ipv6(std::string_view text, IpBytes& out) noexcept {
  out = {};
  std::size_t head = 0;
  const std::size_t gap = text.find("::");
  if (gap == std::string_view::npos) return parse_ipv6_groups(text, out, head) && head == out.size();
  const std::string_view before_gap = text.substr(0, gap);
  if (before_gap.find('.') != std::string_view::npos || !parse_ipv6_groups(before_gap, out, head)) return false;
  IpBytes end{};
  std::size_t tail = 0;
  if (!parse_ipv6_groups(text.substr(gap + 2), end, tail) || head + tail > out.size() - 2) return false;
  for (std::size_t i = 0; i < tail; ++i) out[out.size() - tail + i] = end[i];
  return true;
}

inline void append_ipv4(std::string& out, std::span<const std::byte, 4> bytes) {
  for (std::size_t i = 0; i < bytes.size(); ++i) {
    if (i > 0) out += '.';
    append_decimal(out, std::to_integer<std::uint64_t>(bytes[i]));
  }
}

/// Appends an address as PostgreSQL prints it: the first longest row of two or more zero groups is left out, and an
/// address that embeds one of IPv4 ends with it.
/// Source: src/port/inet_net_ntop.c
inline void append_ipv6(std::string& out, const IpBytes& bytes) {
  constexpr std::size_t groups = 8;
  const auto group = [&](std::size_t i) {
    return std::to_integer<unsigned>(bytes[2 * i]) << 8U | std::to_integer<unsigned>(bytes[2 * i + 1]);
  };
  std::size_t gap = groups;
  std::size_t gap_size = 1;
  for (std::size_t first = 0; first < groups; ++first) {
    std::size_t size = 0;
    while (first + size < groups && group(first + size) == 0) ++size;
    if (size > gap_size) {
      gap = first;
      gap_size = size;
    }
  }
  const bool embeds_ipv4 = gap == 0 && (gap_size == 6 || (gap_size == 5 && group(5) == 0xFFFF));
  for (std::size_t i = 0; i < groups; ++i) {
    if (i == gap) {
      out += "::";
      i += gap_size - 1;
      continue;
    }
    if (!out.empty() && out.back() != ':') out += ':';
    if (embeds_ipv4 && i == 6) return append_ipv4(out, std::span(bytes).last<4>());
    std::array<char, 4> digits{};
    out.append(digits.data(), std::to_chars(digits.data(), digits.data() + digits.size(), group(i), 16).ptr);
  }
}

}  // namespace detail
}  // namespace v0
}  // namespace btreemapped
