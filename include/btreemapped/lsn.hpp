#pragma once

#include <charconv>
#include <compare>
#include <cstddef>
#include <cstdint>
#include <functional>
#include <optional>
#include <string>
#include <string_view>
#include <system_error>

namespace btreemapped {
inline namespace v0 {

/// A position in the write-ahead log of one server.
/// Units: bytes since the start of the log.
/// Source: https://www.postgresql.org/docs/current/datatype-pg-lsn.html
class Lsn {
 public:
  /// The zero position, "none".
  constexpr Lsn() noexcept = default;
  /// The position that is this number of bytes.
  constexpr explicit Lsn(std::uint64_t position) noexcept : position_(position) {}

  /// The position as a number of bytes.
  [[nodiscard]] constexpr std::uint64_t value() const noexcept { return position_; }

  /// False for the zero position, which PostgreSQL uses for "none".
  [[nodiscard]] constexpr explicit operator bool() const noexcept { return position_ != 0; }

  friend constexpr auto operator<=>(Lsn, Lsn) noexcept = default;

  /// Reads PostgreSQL's notation ("16/B374D848"); empty for anything else.
  [[nodiscard]] static std::optional<Lsn> parse(std::string_view text) noexcept {
    const std::size_t slash = text.find('/');
    if (slash == std::string_view::npos) return std::nullopt;
    const auto high = parse_half(text.substr(0, slash));
    const auto low = parse_half(text.substr(slash + 1));
    if (!high || !low) return std::nullopt;
    return Lsn{(static_cast<std::uint64_t>(*high) << 32U) | *low};
  }

 private:
  static std::optional<std::uint32_t> parse_half(std::string_view text) noexcept {
    if (text.empty() || text.size() > 8) return std::nullopt;
    std::uint32_t half = 0;
    const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), half, 16);
    if (error != std::errc{} || end != text.data() + text.size()) return std::nullopt;
    return half;
  }

  std::uint64_t position_ = 0;
};

/// PostgreSQL's notation of a position, "16/B374D848".
[[nodiscard]] inline std::string to_string(Lsn lsn) {
  char buffer[2 * 8 + 1];
  char* out = buffer;
  const auto half = [&](std::uint64_t value) {
    char* const start = out;
    out = std::to_chars(out, buffer + sizeof buffer, value, 16).ptr;
    for (char* digit = start; digit != out; ++digit)
      if (*digit >= 'a') *digit = static_cast<char>(*digit - 'a' + 'A');
  };
  half(lsn.value() >> 32U);
  *out++ = '/';
  half(lsn.value() & 0xFFFF'FFFFU);
  return {buffer, out};
}

}  // namespace v0
}  // namespace btreemapped

template <>
struct std::hash<btreemapped::Lsn> {
  [[nodiscard]] std::size_t operator()(btreemapped::Lsn lsn) const noexcept {
    return std::hash<std::uint64_t>{}(lsn.value());
  }
};
