#pragma once

// Opt-in, for users of Boost.Multiprecision: btreemapped.hpp does not include it.

#include <cstddef>
#include <cstdint>
#include <limits>
#include <string>
#include <string_view>

#include <boost/multiprecision/cpp_dec_float.hpp>
#include <boost/multiprecision/cpp_int.hpp>

#include <btreemapped/codec.hpp>
#include <btreemapped/detail/codec/builtin_oid.hpp>
#include <btreemapped/detail/shape.hpp>
#include <btreemapped/error.hpp>
#include <btreemapped/numeric.hpp>

namespace btreemapped {
inline namespace v0 {
namespace detail {

/// Numbers of whole values: cpp_int and its kin.
template <class Backend>
concept big_integer =
    boost::multiprecision::number_category<Backend>::value == boost::multiprecision::number_kind_integer;

/// Numbers made of decimal digits, as numeric is: cpp_dec_float. Binary ones do not hold 0.1.
template <class Backend>
concept big_decimal =
    boost::multiprecision::number_category<Backend>::value == boost::multiprecision::number_kind_floating_point &&
    std::numeric_limits<boost::multiprecision::number<Backend>>::radix == 10 &&
    (std::numeric_limits<boost::multiprecision::number<Backend>>::digits10 > 0);

/// True if this magnitude, in digits without zeros in front, is not greater than the limit.
template <class Number>
[[nodiscard]] bool is_within(std::string_view digits, const Number& limit) {
  std::string last = limit.str();
  if (last.starts_with('-')) last.erase(0, 1);
  return digits.size() != last.size() ? digits.size() < last.size() : digits <= last;
}

/// Boost.Multiprecision's integers. Of numeric: values without a fraction (5, 5.00) that fit; the scale is not kept.
/// Columns of integer types are accepted where all of their values fit.
template <big_integer Backend, boost::multiprecision::expression_template_option Templates>
struct FamilyCodec<boost::multiprecision::number<Backend, Templates>> {
  using Number = boost::multiprecision::number<Backend, Templates>;
  static constexpr std::string_view sql_name = "numeric, or an integer type that is not wider";

  [[nodiscard]] static bool accepts(const SqlType& type) noexcept {
    using Limits = std::numeric_limits<Number>;
    const auto holds = [](int bits) { return !Limits::is_bounded || Limits::digits >= bits; };
    switch (type.base) {
      case numeric_oid: return true;
      case int2_oid: return Limits::is_signed && holds(16);
      case int4_oid: return Limits::is_signed && holds(32);
      case int8_oid: return Limits::is_signed && holds(64);
      case oid_oid: return holds(32);
      default: return false;
    }
  }

  [[nodiscard]] static Errc decode(std::string_view text, Number& out) {
    if (!is_numeric_text(text)) return Errc::invalid_text;
    NumericParts parts = split_numeric(text);
    if (parts.kind != NumericParts::Kind::finite) return Errc::out_of_range;
    parts.drop_trailing_zeros();
    if (!parts.fraction.empty()) return Errc::out_of_range;
    using Limits = std::numeric_limits<Number>;
    if (parts.negative && !Limits::is_signed) return Errc::out_of_range;
    if constexpr (Limits::is_bounded) {
      // Asked before, as fixed widths that are not checked would wrap around.
      if (parts.whole.size() > static_cast<std::size_t>(Limits::digits10) &&
          !is_within(parts.whole, parts.negative ? (Limits::min)() : (Limits::max)()))
        return Errc::out_of_range;
    }
    // No zero in front, which would mean octal digits.
    out = Number(std::string(text.substr(0, text.find('.'))));
    return Errc::ok;
  }
};

/// Boost.Multiprecision's decimal numbers. Of numeric: those that have no more significant digits than the type's
/// digits10 and are neither NaN nor infinite; the scale is not kept.
/// Columns of integer types are accepted where all of their values fit.
template <big_decimal Backend, boost::multiprecision::expression_template_option Templates>
struct FamilyCodec<boost::multiprecision::number<Backend, Templates>> {
  using Number = boost::multiprecision::number<Backend, Templates>;
  static constexpr std::string_view sql_name = "numeric, or an integer type that is not wider";

  [[nodiscard]] static bool accepts(const SqlType& type) noexcept {
    constexpr int digits = std::numeric_limits<Number>::digits10;
    switch (type.base) {
      case numeric_oid: return true;
      case int2_oid: return digits >= 5;
      case int4_oid: return digits >= 10;
      case int8_oid: return digits >= 19;
      case oid_oid: return digits >= 10;
      default: return false;
    }
  }

  [[nodiscard]] static Errc decode(std::string_view text, Number& out) {
    if (!is_numeric_text(text)) return Errc::invalid_text;
    NumericParts parts = split_numeric(text);
    if (parts.kind != NumericParts::Kind::finite) return Errc::out_of_range;
    parts.drop_trailing_zeros();
    using Limits = std::numeric_limits<Number>;
    std::string digits;
    std::int64_t exponent = 0;  // of the last digit
    if (!take_digits(parts, digits, exponent)) return Errc::out_of_range;
    if (digits.empty()) {
      out = 0;
      return Errc::ok;
    }
    const std::int64_t first_exponent = exponent + static_cast<std::int64_t>(digits.size()) - 1;
    if (exponent < Limits::min_exponent10 || first_exponent > Limits::max_exponent10) return Errc::out_of_range;
    out = Number((parts.negative ? "-" : "") + digits + "e" + std::to_string(exponent));
    return Errc::ok;
  }

 private:
  /// The significant digits, without zeros at either end; false if there are too many.
  [[nodiscard]] static bool take_digits(const NumericParts& parts, std::string& digits, std::int64_t& exponent) {
    const auto at = [&](std::size_t i) {
      return i < parts.whole.size() ? parts.whole[i] : parts.fraction[i - parts.whole.size()];
    };
    std::size_t first = 0;
    std::size_t end = parts.whole.size() + parts.fraction.size();
    const std::size_t count = end;
    while (first < end && at(first) == '0') ++first;
    while (end > first && at(end - 1) == '0') --end;
    if (end - first > static_cast<std::size_t>(std::numeric_limits<Number>::digits10)) return false;
    for (std::size_t i = first; i < end; ++i) digits += at(i);
    exponent = static_cast<std::int64_t>(count - end) - static_cast<std::int64_t>(parts.fraction.size());
    return true;
  }
};

}  // namespace detail
}  // namespace v0
}  // namespace btreemapped
