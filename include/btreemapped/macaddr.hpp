#pragma once

#include <array>
#include <compare>
#include <cstddef>
#include <functional>
#include <optional>
#include <string>
#include <string_view>

#include <btreemapped/detail/codec/hash.hpp>
#include <btreemapped/detail/codec/hex.hpp>

namespace btreemapped {
inline namespace v0 {
namespace detail {

/// Reads "08:00:2b:…", in either case.
template <std::size_t Count>
[[nodiscard]] constexpr bool parse_colon_hex(std::string_view text, std::array<std::byte, Count>& out) noexcept {
  if (text.size() != Count * 3 - 1) return false;
  for (std::size_t i = 0; i < Count; ++i) {
    if (i > 0 && text[i * 3 - 1] != ':') return false;
    if (!decode_hex(text.data() + i * 3, out.data() + i, 1)) return false;
  }
  return true;
}

template <std::size_t Count>
[[nodiscard]] std::string to_colon_hex(const std::array<std::byte, Count>& bytes) {
  std::string text;
  text.reserve(Count * 3 - 1);
  for (const std::byte byte : bytes) {
    if (!text.empty()) text += ':';
    append_hex(text, byte);
  }
  return text;
}

}  // namespace detail

/// PostgreSQL's macaddr: the six bytes of a hardware address. Ordered by its bytes, as PostgreSQL orders it.
struct Macaddr {
  std::array<std::byte, 6> bytes{};  ///< in the order in which they are printed

  friend constexpr auto operator<=>(const Macaddr&, const Macaddr&) noexcept = default;

  /// Reads the form that PostgreSQL prints, "08:00:2b:01:02:03", in either case; empty for anything else.
  [[nodiscard]] static constexpr std::optional<Macaddr> parse(std::string_view text) noexcept {
    Macaddr address;
    return detail::parse_colon_hex(text, address.bytes) ? std::optional(address) : std::nullopt;
  }
};

/// PostgreSQL's macaddr8: the eight bytes of a hardware address. Ordered by its bytes, as PostgreSQL orders it.
struct Macaddr8 {
  std::array<std::byte, 8> bytes{};  ///< in the order in which they are printed

  friend constexpr auto operator<=>(const Macaddr8&, const Macaddr8&) noexcept = default;

  /// Reads the form that PostgreSQL prints, "08:00:2b:01:02:03:04:05", in either case; empty for anything else.
  [[nodiscard]] static constexpr std::optional<Macaddr8> parse(std::string_view text) noexcept {
    Macaddr8 address;
    return detail::parse_colon_hex(text, address.bytes) ? std::optional(address) : std::nullopt;
  }
};

/// The form that PostgreSQL prints, "08:00:2b:01:02:03".
[[nodiscard]] inline std::string to_string(const Macaddr& address) { return detail::to_colon_hex(address.bytes); }
/// The form that PostgreSQL prints, "08:00:2b:01:02:03:04:05".
[[nodiscard]] inline std::string to_string(const Macaddr8& address) { return detail::to_colon_hex(address.bytes); }

}  // namespace v0
}  // namespace btreemapped

template <>
struct std::hash<btreemapped::Macaddr> {
  [[nodiscard]] std::size_t operator()(const btreemapped::Macaddr& address) const noexcept {
    return btreemapped::detail::hash_bytes(address.bytes);
  }
};

template <>
struct std::hash<btreemapped::Macaddr8> {
  [[nodiscard]] std::size_t operator()(const btreemapped::Macaddr8& address) const noexcept {
    return btreemapped::detail::hash_bytes(address.bytes);
  }
};
