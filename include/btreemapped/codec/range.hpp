#pragma once

#include <cstddef>
#include <optional>
#include <string>
#include <string_view>
#include <type_traits>
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

/// Marks the codec below: a range may also have one of the user's own.
struct RangeCodec {};

/// The pieces of a range that is not empty.
struct RangeText {
  wire::Cell lower;
  wire::Cell upper;
  bool lower_inclusive = false;
  bool upper_inclusive = false;
};

/// Cuts a range that is not empty, from its bracket to its bracket; false if there is none. A missing bound never
/// counts as included.
[[nodiscard]] inline bool cut_range(PieceReader& in, RangeText& out) {
  out.lower_inclusive = in.accept('[');
  if (!out.lower_inclusive && !in.accept('(')) return false;
  if (!in.value_or_nothing(range_specials, out.lower) || !in.accept(',') ||
      !in.value_or_nothing(range_specials, out.upper))
    return false;
  out.upper_inclusive = in.accept(']');
  if (!out.upper_inclusive && !in.accept(')')) return false;
  const auto is_missing = [](const wire::Cell& cell) { return cell.kind == wire::Cell::Kind::null; };
  return (!out.lower_inclusive || !is_missing(out.lower)) && (!out.upper_inclusive || !is_missing(out.upper));
}

/// Range types, by the codec of their bounds
template <decodable T>
struct FamilyCodec<SqlRange<T>> : RangeCodec {
  static constexpr std::string_view sql_name = ComposedName<range_of, T>::value;

  [[nodiscard]] static bool accepts(const SqlType& type) {
    return type.kind == 'r' && type.parts != nullptr && accepts_type<T>(type.parts->element) &&
           difference(*type.parts).empty();
  }

  [[nodiscard]] static std::string refusal(const SqlType& type) {
    if (type.kind != 'r' || type.parts == nullptr) return {};
    if (accepts_type<T>(type.parts->element)) return difference(*type.parts);
    return "its bounds are " + describe_refusal<T>(type.parts->element);
  }

  [[nodiscard]] static Errc decode(std::string_view text, const SqlType& type, SqlRange<T>& out) {
    if (text == "empty") {
      out = {};
      return Errc::ok;
    }
    if (type.parts == nullptr) return Errc::invalid_text;
    RangeText range;
    PieceReader in{text};
    if (!cut_range(in, range) || !in.at_end()) return Errc::invalid_text;
    std::optional<T> lower;
    std::optional<T> upper;
    Errc result = decode_field(range.lower, type.parts->element, lower);
    if (result == Errc::ok) result = decode_field(range.upper, type.parts->element, upper);
    if (result == Errc::ok)
      out = SqlRange<T>{std::move(lower), std::move(upper), range.lower_inclusive, range.upper_inclusive};
    return result;
  }

  [[nodiscard]] static bool same(const SqlRange<T>& a, const SqlRange<T>& b) {
    return a.empty() == b.empty() && a.lower_inclusive() == b.lower_inclusive() &&
           a.upper_inclusive() == b.upper_inclusive() && same_value(a.lower(), b.lower()) &&
           same_value(a.upper(), b.upper());
  }

 private:
  /// What makes the server's ranges others than those of SqlRange, though the bounds fit; empty if nothing does.
  [[nodiscard]] static std::string difference(const SqlTypeParts& range) {
    if (is_discrete_v<T> && !range.canonical)
      return "it has no canonical function, so that [1,5] and [1,6) are two values, which the field takes for one";
    if (has_server_order<T>() && !range.usual_order)
      return "its bounds have another order than their type has by default";
    const std::string left_out = omission_of<T>(range.element);
    return left_out.empty() ? left_out : "its bounds have an order, of which the field leaves out " + left_out;
  }
};

/// Multirange types, by the codec of their ranges
template <class T>
  requires decodable<SqlRange<T>>
struct FamilyCodec<SqlMultirange<T>> {
  static constexpr bool is_of_ours = std::is_base_of_v<RangeCodec, codec<SqlRange<T>>>;

  static constexpr std::string_view sql_name = [] {
    if constexpr (is_of_ours) return ComposedName<multirange_of, T>::value;
    else return ComposedName<multirange_of, SqlRange<T>>::value;
  }();

  [[nodiscard]] static bool accepts(const SqlType& type) {
    return type.kind == 'm' && type.parts != nullptr && accepts_type<SqlRange<T>>(type.parts->element);
  }

  [[nodiscard]] static std::string refusal(const SqlType& type) {
    if (type.kind != 'm' || type.parts == nullptr || accepts(type)) return {};
    if (is_of_ours) return refusal_of<SqlRange<T>>(type.parts->element);
    return "its ranges are " + describe_refusal<SqlRange<T>>(type.parts->element);
  }

  [[nodiscard]] static Errc decode(std::string_view text, const SqlType& type, SqlMultirange<T>& out) {
    out.ranges.clear();
    if (type.parts == nullptr) return Errc::invalid_text;
    PieceReader in{text};
    if (!in.accept('{')) return Errc::invalid_text;
    if (!in.accept('}')) {
      do {
        const std::size_t start = in.position();
        RangeText range;
        if (!cut_range(in, range)) return Errc::invalid_text;
        const Errc result = decode_text(in.since(start), type.parts->element, out.ranges.emplace_back());
        if (result != Errc::ok) return result;
        if (out.ranges.back().empty()) return Errc::invalid_text;  // the server leaves them out
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
