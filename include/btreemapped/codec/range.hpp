#pragma once

#include <cstddef>
#include <optional>
#include <string>
#include <string_view>
#include <utility>

#include <btreemapped/codec.hpp>
#include <btreemapped/detail/codec/pieces.hpp>
#include <btreemapped/detail/shape.hpp>
#include <btreemapped/detail/wire/message.hpp>
#include <btreemapped/error.hpp>
#include <btreemapped/sql_range.hpp>

namespace btreemapped {
inline namespace v0 {
namespace detail {

inline constexpr std::string_view range_of = "range of ";
inline constexpr std::string_view multirange_of = "multirange of ";

/// A range that is not empty, from its bracket to its bracket. A missing bound never counts as included.
template <class T>
[[nodiscard]] Errc decode_range(PieceReader& in, const SqlType& bound, SqlRange<T>& out) {
  const bool lower_inclusive = in.accept('[');
  if (!lower_inclusive && !in.accept('(')) return Errc::invalid_text;
  wire::Cell lower;
  wire::Cell upper;
  if (!in.value_or_nothing(range_specials, lower) || !in.accept(',') || !in.value_or_nothing(range_specials, upper))
    return Errc::invalid_text;
  const bool upper_inclusive = in.accept(']');
  if (!upper_inclusive && !in.accept(')')) return Errc::invalid_text;
  const auto is_missing = [](const wire::Cell& cell) { return cell.kind == wire::Cell::Kind::null; };
  if ((lower_inclusive && is_missing(lower)) || (upper_inclusive && is_missing(upper))) return Errc::invalid_text;
  std::optional<T> low;
  std::optional<T> high;
  Errc result = decode_field(lower, bound, low);
  if (result == Errc::ok) result = decode_field(upper, bound, high);
  out = SqlRange<T>{std::move(low), std::move(high), lower_inclusive, upper_inclusive};
  return result;
}

/// Range types, by the codec of their bounds
template <decodable T>
struct FamilyCodec<SqlRange<T>> {
  static constexpr std::string_view sql_name = ComposedName<range_of, T>::value;

  [[nodiscard]] static bool accepts(const SqlType& type) {
    return type.kind == 'r' && type.parts != nullptr && accepts_type<T>(type.parts->element);
  }

  [[nodiscard]] static std::string refusal(const SqlType& type) {
    if (type.kind != 'r' || type.parts == nullptr || accepts(type)) return {};
    return "its bounds are " + describe_refusal<T>(type.parts->element);
  }

  [[nodiscard]] static Errc decode(std::string_view text, const SqlType& type, SqlRange<T>& out) {
    if (text == "empty") {
      out = {};
      return Errc::ok;
    }
    if (type.parts == nullptr) return Errc::invalid_text;
    PieceReader in{text};
    const Errc result = decode_range(in, type.parts->element, out);
    return result != Errc::ok || in.at_end() ? result : Errc::invalid_text;
  }

  [[nodiscard]] static bool same(const SqlRange<T>& a, const SqlRange<T>& b) {
    return a.empty() == b.empty() && a.lower_inclusive() == b.lower_inclusive() &&
           a.upper_inclusive() == b.upper_inclusive() && same_value(a.lower(), b.lower()) &&
           same_value(a.upper(), b.upper());
  }
};

/// Multirange types, by the codec of their ranges' bounds
template <decodable T>
struct FamilyCodec<SqlMultirange<T>> {
  static constexpr std::string_view sql_name = ComposedName<multirange_of, T>::value;

  [[nodiscard]] static bool accepts(const SqlType& type) {
    return type.kind == 'm' && type.parts != nullptr && codec<SqlRange<T>>::accepts(type.parts->element);
  }

  [[nodiscard]] static std::string refusal(const SqlType& type) {
    return type.kind == 'm' && type.parts != nullptr ? codec<SqlRange<T>>::refusal(type.parts->element) : std::string{};
  }

  [[nodiscard]] static Errc decode(std::string_view text, const SqlType& type, SqlMultirange<T>& out) {
    out.ranges.clear();
    if (type.parts == nullptr || type.parts->element.parts == nullptr) return Errc::invalid_text;
    const SqlType& bound = type.parts->element.parts->element;
    PieceReader in{text};
    if (!in.accept('{')) return Errc::invalid_text;
    if (!in.accept('}')) {
      do {
        const Errc result = decode_range(in, bound, out.ranges.emplace_back());
        if (result != Errc::ok) return result;
      } while (in.accept(','));
      if (!in.accept('}')) return Errc::invalid_text;
    }
    return in.at_end() ? Errc::ok : Errc::invalid_text;
  }

  [[nodiscard]] static bool same(const SqlMultirange<T>& a, const SqlMultirange<T>& b) {
    if (a.ranges.size() != b.ranges.size()) return false;
    for (std::size_t i = 0; i < a.ranges.size(); ++i)
      if (!same_value(a.ranges[i], b.ranges[i])) return false;
    return true;
  }
};

}  // namespace detail
}  // namespace v0
}  // namespace btreemapped
