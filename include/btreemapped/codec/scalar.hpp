#pragma once

#include <charconv>
#include <concepts>
#include <limits>
#include <string_view>
#include <system_error>
#include <type_traits>

#include <btreemapped/codec.hpp>
#include <btreemapped/detail/codec/builtin_oid.hpp>
#include <btreemapped/detail/codec/decimal.hpp>
#include <btreemapped/detail/codec/integer.hpp>
#include <btreemapped/detail/shape.hpp>
#include <btreemapped/error.hpp>

namespace btreemapped {
inline namespace v0 {
namespace detail {

/// The integers that some column type fits without loss; PostgreSQL has no unsigned 16-bit type.
template <class T>
concept column_integer = integer<T> && (std::is_signed_v<T> || sizeof(T) >= 4);

/// Reads the whole text as a decimal integer.
template <integer T>
[[nodiscard]] Errc parse_integer(std::string_view text, T& out) noexcept {
  const char* const end = text.data() + text.size();
  const auto [stop, error] = std::from_chars(text.data(), end, out);
  if (stop != end || error == std::errc::invalid_argument) return Errc::invalid_text;
  return error == std::errc{} ? Errc::ok : Errc::out_of_range;
}

/// Reads the whole text as PostgreSQL prints a float4 or float8: independent of the locale, exact to the last bit.
template <std::floating_point T>
[[nodiscard]] Errc parse_floating(std::string_view text, T& out) noexcept {
  if (text == "NaN") {
    out = std::numeric_limits<T>::quiet_NaN();
    return Errc::ok;
  }
  const bool negative = text.starts_with('-');
  if (text.substr(negative ? 1 : 0) == "Infinity") {
    out = negative ? -std::numeric_limits<T>::infinity() : std::numeric_limits<T>::infinity();
    return Errc::ok;
  }
  // std::from_chars knows more spellings than PostgreSQL prints ("inf", "nan(1)", ".5", "5."): none of them both
  // begins and ends with a digit.
  if (text.size() < (negative ? 2U : 1U) || !is_digit(text[negative ? 1 : 0]) || !is_digit(text.back()))
    return Errc::invalid_text;
  const char* const end = text.data() + text.size();
  const auto [stop, error] = std::from_chars(text.data(), end, out);
  if (stop != end || error == std::errc::invalid_argument) return Errc::invalid_text;
  return error == std::errc{} ? Errc::ok : Errc::out_of_range;
}

template <column_integer T>
[[nodiscard]] constexpr std::string_view integer_sql_name() noexcept {
  if constexpr (std::is_unsigned_v<T>) {
    return sizeof(T) == 8 ? "oid, xid, cid or xid8" : "oid, xid or cid";
  } else {
    return sizeof(T) == 8 ? "bigint, integer, smallint or oid" : sizeof(T) == 4 ? "integer or smallint" : "smallint";
  }
}

/// Signed: smallint, integer and bigint that are not wider than T, in 8 bytes also oid. Unsigned: oid, xid and cid, in
/// 8 bytes also xid8.
template <column_integer T>
struct FamilyCodec<T> {
  static constexpr std::string_view sql_name = integer_sql_name<T>();

  [[nodiscard]] static bool accepts(const SqlType& type) noexcept {
    switch (type.base) {
      case int2_oid: return std::is_signed_v<T>;
      case int4_oid: return std::is_signed_v<T> && sizeof(T) >= 4;
      case int8_oid: return std::is_signed_v<T> && sizeof(T) == 8;
      case oid_oid: return std::is_unsigned_v<T> || sizeof(T) == 8;
      case xid_oid:
      case cid_oid: return std::is_unsigned_v<T>;
      case xid8_oid: return std::is_unsigned_v<T> && sizeof(T) == 8;
      default: return false;
    }
  }

  [[nodiscard]] static Errc decode(std::string_view text, T& out) noexcept { return parse_integer(text, out); }
};

}  // namespace detail

/// boolean
template <>
struct codec<bool> {
  static constexpr std::string_view sql_name = "boolean";

  [[nodiscard]] static bool accepts(const SqlType& type) noexcept { return type.base == detail::bool_oid; }

  [[nodiscard]] static Errc decode(std::string_view text, bool& out) noexcept {
    if (text != "t" && text != "f") return Errc::invalid_text;
    out = text == "t";
    return Errc::ok;
  }
};

/// real, and smallint, all of which a float holds
template <>
struct codec<float> {
  static constexpr std::string_view sql_name = "real or smallint";

  [[nodiscard]] static bool accepts(const SqlType& type) noexcept {
    return type.base == detail::float4_oid || type.base == detail::int2_oid;
  }

  [[nodiscard]] static Errc decode(std::string_view text, float& out) noexcept {
    return detail::parse_floating(text, out);
  }
};

/// double precision and real, and integer and smallint, all of which a double holds
template <>
struct codec<double> {
  static constexpr std::string_view sql_name = "double precision, real, integer or smallint";

  [[nodiscard]] static bool accepts(const SqlType& type) noexcept {
    switch (type.base) {
      case detail::float8_oid:
      case detail::float4_oid:
      case detail::int4_oid:
      case detail::int2_oid: return true;
      default: return false;
    }
  }

  [[nodiscard]] static Errc decode(std::string_view text, double& out) noexcept {
    return detail::parse_floating(text, out);
  }

  /// The text of a real is the shortest that tells it from other reals: "0.1" means the float 0.1f, which is not the
  /// double 0.1. PostgreSQL's own cast to double precision widens the float likewise.
  [[nodiscard]] static Errc decode(std::string_view text, const SqlType& type, double& out) noexcept {
    if (type.base != detail::float4_oid) return detail::parse_floating(text, out);
    float narrow = 0;
    const Errc result = detail::parse_floating(text, narrow);
    out = static_cast<double>(narrow);
    return result;
  }
};

}  // namespace v0
}  // namespace btreemapped
