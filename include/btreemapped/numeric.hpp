#pragma once

#include <charconv>
#include <compare>
#include <concepts>
#include <cstddef>
#include <functional>
#include <limits>
#include <optional>
#include <string>
#include <string_view>
#include <system_error>

#include <btreemapped/detail/codec/integer.hpp>

namespace btreemapped {
inline namespace v0 {
namespace detail {

/// A numeric's text taken apart. Digits are as PostgreSQL prints them: no needless leading zero, no -0.
struct NumericParts {
  enum class Kind : unsigned char { minus_infinity, finite, infinity, nan };  // in PostgreSQL's order
  Kind kind = Kind::finite;
  bool negative = false;
  std::string_view whole{};     ///< the digits before the point, at least one
  std::string_view fraction{};  ///< the digits after the point

  /// Trailing zeros are part of the scale, not of the value.
  constexpr void drop_trailing_zeros() noexcept {
    const std::size_t last = fraction.find_last_not_of('0');
    fraction = fraction.substr(0, last == std::string_view::npos ? 0 : last + 1);
  }
};

/// Takes a text apart that is known to be a numeric.
[[nodiscard]] constexpr NumericParts split_numeric(std::string_view text) noexcept {
  using Kind = NumericParts::Kind;
  if (text.front() == 'N') return {.kind = Kind::nan};
  const bool negative = text.front() == '-';
  if (negative) text.remove_prefix(1);
  if (text.front() == 'I') return {.kind = negative ? Kind::minus_infinity : Kind::infinity, .negative = negative};
  const std::size_t point = text.find('.');
  NumericParts parts{.kind = Kind::finite, .negative = negative, .whole = text.substr(0, point)};
  if (point != std::string_view::npos) parts.fraction = text.substr(point + 1);
  return parts;
}

/// True for what PostgreSQL prints for a numeric, and for nothing else.
[[nodiscard]] constexpr bool is_numeric_text(std::string_view text) noexcept {
  if (text == "NaN" || text == "Infinity" || text == "-Infinity") return true;
  const bool negative = text.starts_with('-');
  if (negative) text.remove_prefix(1);
  bool only_zeros = true;
  const auto skip_digits = [&](std::size_t from) {
    while (from < text.size() && text[from] >= '0' && text[from] <= '9') only_zeros &= text[from++] == '0';
    return from;
  };
  const std::size_t digits_before = skip_digits(0);
  if (digits_before == 0 || (digits_before > 1 && text.front() == '0')) return false;
  if (digits_before < text.size()) {
    if (text[digits_before] != '.' || digits_before + 1 == text.size()) return false;
    if (skip_digits(digits_before + 1) != text.size()) return false;
  }
  return !(negative && only_zeros);
}

[[nodiscard]] constexpr std::weak_ordering compare_numeric(std::string_view a, std::string_view b) noexcept {
  NumericParts left = split_numeric(a);
  NumericParts right = split_numeric(b);
  if (left.kind != right.kind) return left.kind <=> right.kind;
  if (left.kind != NumericParts::Kind::finite) return std::weak_ordering::equivalent;
  if (left.negative != right.negative) return left.negative ? std::weak_ordering::less : std::weak_ordering::greater;
  left.drop_trailing_zeros();
  right.drop_trailing_zeros();
  std::weak_ordering magnitude = left.whole.size() <=> right.whole.size();
  if (magnitude == 0) magnitude = left.whole <=> right.whole;
  if (magnitude == 0) magnitude = left.fraction <=> right.fraction;
  return left.negative ? 0 <=> magnitude : magnitude;
}

}  // namespace detail

/// PostgreSQL's numeric: a decimal of any size with its scale, NaN or ±Infinity, kept as the text that PostgreSQL
/// prints. Nothing is lost; to calculate, convert with `to` or hand `text()` to a decimal library.
///
/// Order and equality are PostgreSQL's: 1.0 equals 1.00, NaN equals itself and is greater than all else.
class Numeric {
 public:
  /// Zero, which a moved-from value is too.
  Numeric() noexcept = default;

  /// An integer, with scale 0.
  explicit Numeric(detail::integer auto value) {
    char buffer[std::numeric_limits<decltype(value)>::digits10 + 3];
    text_.assign(buffer, std::to_chars(buffer, buffer + sizeof buffer, value).ptr);
  }

  /// Reads what PostgreSQL prints ("-12.50", "NaN", "-Infinity"); empty for any other notation, such as "+1", "01",
  /// ".5", "-0" and "1e3".
  [[nodiscard]] static std::optional<Numeric> parse(std::string_view text) {
    if (!detail::is_numeric_text(text)) return std::nullopt;
    std::optional<Numeric> parsed(std::in_place);
    parsed->text_.assign(text);
    return parsed;
  }

  /// The value as PostgreSQL prints it.
  /// Lifetime: a view of this object.
  [[nodiscard]] std::string_view text() const noexcept { return text_.empty() ? std::string_view("0") : text_; }

  /// Is it NaN?
  [[nodiscard]] bool is_nan() const noexcept { return kind() == Kind::nan; }
  /// Is it a number, neither NaN nor infinite?
  [[nodiscard]] bool is_finite() const noexcept { return kind() == Kind::finite; }
  /// Is it Infinity or -Infinity?
  [[nodiscard]] bool is_infinite() const noexcept { return kind() == Kind::infinity || kind() == Kind::minus_infinity; }

  /// The number of digits after the point: 2 for 1.10.
  [[nodiscard]] std::size_t scale() const noexcept { return detail::split_numeric(text()).fraction.size(); }

  /// Converts to a number of the language.
  /// Shape: an integer only if it is exactly the value (5.00 gives 5, 5.5 nothing); a float or double is the nearest
  /// one. Empty if the value does not fit, is too small to tell from zero, or is NaN or infinite and T an integer.
  template <class T>
    requires detail::integer<T> || std::same_as<T, float> || std::same_as<T, double>
  [[nodiscard]] std::optional<T> to() const noexcept {
    using Limits = std::numeric_limits<T>;
    detail::NumericParts parts = detail::split_numeric(text());
    std::string_view digits = text();
    if constexpr (std::floating_point<T>) {
      if (parts.kind == Kind::nan) return Limits::quiet_NaN();
      if (parts.kind != Kind::finite) return parts.negative ? -Limits::infinity() : Limits::infinity();
    } else {
      parts.drop_trailing_zeros();
      if (parts.kind != Kind::finite || !parts.fraction.empty()) return std::nullopt;
      digits = digits.substr(0, digits.find('.'));
    }
    T value{};
    const auto [end, error] = std::from_chars(digits.data(), digits.data() + digits.size(), value);
    if (error != std::errc{} || end != digits.data() + digits.size()) return std::nullopt;
    return value;
  }

  friend std::weak_ordering operator<=>(const Numeric& a, const Numeric& b) noexcept {
    return detail::compare_numeric(a.text(), b.text());
  }
  friend bool operator==(const Numeric& a, const Numeric& b) noexcept { return (a <=> b) == 0; }

 private:
  using Kind = detail::NumericParts::Kind;
  [[nodiscard]] Kind kind() const noexcept { return detail::split_numeric(text()).kind; }

  std::string text_;  // empty: "0"
};

/// The value as PostgreSQL prints it.
[[nodiscard]] inline std::string to_string(const Numeric& value) { return std::string(value.text()); }

}  // namespace v0
}  // namespace btreemapped

template <>
struct std::hash<btreemapped::Numeric> {
  /// Equal values have one hash, whatever their scale.
  [[nodiscard]] std::size_t operator()(const btreemapped::Numeric& value) const noexcept {
    std::string_view text = value.text();
    if (text.find('.') != std::string_view::npos) {
      text = text.substr(0, text.find_last_not_of('0') + 1);
      if (text.back() == '.') text.remove_suffix(1);
    }
    return std::hash<std::string_view>{}(text);
  }
};
