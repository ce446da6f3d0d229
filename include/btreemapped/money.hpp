#pragma once

#include <compare>
#include <cstddef>
#include <cstdint>
#include <functional>
#include <optional>
#include <string>
#include <string_view>

#include <btreemapped/detail/codec/decimal.hpp>

namespace btreemapped {
inline namespace v0 {

/// PostgreSQL's money, as the number that it stores.
/// Units: hundredths, as lc_monetary = 'C' reads the number. A database whose lc_monetary has other fractions (none for
/// the yen) stores units of those.
struct Money {
  std::int64_t hundredths = 0;

  friend constexpr auto operator<=>(const Money&, const Money&) noexcept = default;

  /// Reads what PostgreSQL prints under lc_monetary = 'C' ("-$1,234.50"); empty for anything else.
  [[nodiscard]] static constexpr std::optional<Money> parse(std::string_view text) noexcept {
    const bool negative = text.starts_with('-');
    if (negative) text.remove_prefix(1);
    if (!text.starts_with('$')) return std::nullopt;
    text.remove_prefix(1);
    // At least "0.00", and no more than what 64 bits take.
    if (text.size() < 4 || text.size() > std::string_view("92,233,720,368,547,758.08").size()) return std::nullopt;
    const std::size_t point = text.size() - 3;
    if (text[0] == '0' && point > 1) return std::nullopt;
    std::uint64_t magnitude = 0;
    for (std::size_t at = 0; at < text.size(); ++at) {
      const bool separated = at < point && (point - at) % 4 == 0;
      if (at == point || separated) {
        if (at == 0 || text[at] != (at == point ? '.' : ',')) return std::nullopt;
      } else {
        if (!detail::is_digit(text[at])) return std::nullopt;
        magnitude = magnitude * 10 + static_cast<std::uint64_t>(text[at] - '0');
      }
    }
    if (negative && magnitude == 0) return std::nullopt;
    const std::optional<std::int64_t> value = detail::with_sign(negative, magnitude);
    return value ? std::optional(Money{*value}) : std::nullopt;
  }
};

/// What PostgreSQL prints under lc_monetary = 'C', "-$1,234.50".
[[nodiscard]] inline std::string to_string(const Money& money) {
  const std::uint64_t magnitude = detail::magnitude_of(money.hundredths);
  std::string digits;
  detail::append_decimal(digits, magnitude / 100);
  std::string text = money.hundredths < 0 ? "-$" : "$";
  for (std::size_t at = 0; at < digits.size(); ++at) {
    if (at > 0 && (digits.size() - at) % 3 == 0) text += ',';
    text += digits[at];
  }
  text += '.';
  detail::append_decimal(text, magnitude % 100, 2);
  return text;
}

}  // namespace v0
}  // namespace btreemapped

template <>
struct std::hash<btreemapped::Money> {
  [[nodiscard]] std::size_t operator()(const btreemapped::Money& money) const noexcept {
    return std::hash<std::int64_t>{}(money.hundredths);
  }
};
