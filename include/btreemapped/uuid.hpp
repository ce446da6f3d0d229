#pragma once

#include <array>
#include <compare>
#include <cstddef>
#include <functional>
#include <optional>
#include <string>
#include <string_view>

#include <btreemapped/detail/codec/hex.hpp>

namespace btreemapped {
inline namespace v0 {

/// A universally unique identifier. Ordered by its bytes, as PostgreSQL orders it.
struct Uuid {
  std::array<std::byte, 16> bytes{};  ///< in the order in which they are printed

  friend constexpr auto operator<=>(const Uuid&, const Uuid&) noexcept = default;

  /// Reads the form that PostgreSQL prints, "a0eebc99-9c0b-4ef8-bb6d-6bb9bd380a11", in either case; empty for anything
  /// else.
  [[nodiscard]] static constexpr std::optional<Uuid> parse(std::string_view text) noexcept {
    if (text.size() != 36 || text[8] != '-' || text[13] != '-' || text[18] != '-' || text[23] != '-')
      return std::nullopt;
    Uuid uuid;
    std::byte* const out = uuid.bytes.data();
    const char* const in = text.data();
    if (!detail::decode_hex(in, out, 4) || !detail::decode_hex(in + 9, out + 4, 2) ||
        !detail::decode_hex(in + 14, out + 6, 2) || !detail::decode_hex(in + 19, out + 8, 2) ||
        !detail::decode_hex(in + 24, out + 10, 6))
      return std::nullopt;
    return uuid;
  }
};

/// The form that PostgreSQL prints.
[[nodiscard]] inline std::string to_string(const Uuid& uuid) {
  std::string text;
  text.reserve(36);
  for (std::size_t i = 0; i < uuid.bytes.size(); ++i) {
    if (i == 4 || i == 6 || i == 8 || i == 10) text += '-';
    detail::append_hex(text, uuid.bytes[i]);
  }
  return text;
}

}  // namespace v0
}  // namespace btreemapped

template <>
struct std::hash<btreemapped::Uuid> {
  [[nodiscard]] std::size_t operator()(const btreemapped::Uuid& uuid) const noexcept {
    return std::hash<std::string_view>{}({reinterpret_cast<const char*>(uuid.bytes.data()), uuid.bytes.size()});
  }
};
