#pragma once

#include <algorithm>
#include <compare>
#include <concepts>
#include <cstddef>
#include <optional>
#include <type_traits>
#include <utility>

#include <btreemapped/codec.hpp>
#include <btreemapped/codec/array.hpp>
#include <btreemapped/codec/composite.hpp>
#include <btreemapped/detail/reflect.hpp>

namespace btreemapped {
inline namespace v0 {
namespace detail {

template <class T>
concept ordered_itself = requires(const T& a, const T& b) {
  { a < b } -> std::convertible_to<bool>;
};

/// A type of the user that says of some values that they have no order, as a struct with a NaN inside does: a map of
/// such keys breaks. Floats by themselves are ordered here.
template <class T>
concept partially_ordered = !std::is_floating_point_v<T> && requires(const T& a, const T& b) {
  { a <=> b } -> std::same_as<std::partial_ordering>;
};

template <class T>
[[nodiscard]] consteval bool has_order();

template <class T, std::size_t... Index>
[[nodiscard]] consteval bool has_ordered_fields(std::index_sequence<Index...>) {
  return (has_order<field_t<T, Index>>() && ...);
}

/// Can values of T be compared by compare_part()?
template <class T>
[[nodiscard]] consteval bool has_order() {
  if constexpr (is_optional_v<T>) {
    return has_order<value_type_t<T>>();
  } else if constexpr (array_vector<T>) {
    return has_order<typename T::value_type>();
  } else if constexpr (composite<T>) {
    return has_ordered_fields<T>(std::make_index_sequence<field_count_v<T>>{});
  } else {
    return ordered_itself<T> && !partially_ordered<T> && can_be_key_v<T>;
  }
}

template <class Left, class Right>
[[nodiscard]] constexpr std::weak_ordering compare_by_less(const Left& left, const Right& right) {
  if (left < right) return std::weak_ordering::less;
  return right < left ? std::weak_ordering::greater : std::weak_ordering::equivalent;
}

/// Orders two values, such as parts of a key. Floats order as in PostgreSQL, also inside of others: -0 equals 0, NaN
/// equals NaN and is greater than all else. Arrays order by their first difference, then by length; structs without a
/// codec of their own by their first field that differs; NULL comes first.
template <class Left, class Right>
[[nodiscard]] constexpr std::weak_ordering compare_part(const Left& left, const Right& right) {
  if constexpr (std::is_floating_point_v<Left>) {
    const bool left_is_nan = left != left;
    const bool right_is_nan = right != right;
    return left_is_nan || right_is_nan ? left_is_nan <=> right_is_nan : compare_by_less(left, right);
  } else if constexpr (std::is_same_v<Left, Right> && is_optional_v<Left>) {
    if (!left || !right) return left.has_value() <=> right.has_value();
    return compare_part(*left, *right);
  } else if constexpr (std::is_same_v<Left, Right> && array_vector<Left>) {
    using T = typename Left::value_type;
    const std::size_t common = std::min(left.size(), right.size());
    for (std::size_t i = 0; i < common; ++i)
      if (const auto order = compare_part<T, T>(left[i], right[i]); order != 0) return order;
    return left.size() <=> right.size();
  } else if constexpr (std::is_same_v<Left, Right> && composite<Left>) {
    std::weak_ordering order = std::weak_ordering::equivalent;
    for_each_field_index<Left>([&](auto index) {
      if (order == 0) order = compare_part(field_at<index>(left), field_at<index>(right));
    });
    return order;
  } else if constexpr (requires {
                         { left <=> right } -> std::convertible_to<std::weak_ordering>;
                       }) {
    // Decides in one pass where a type has it (text, UUIDs).
    return left <=> right;
  } else {
    return compare_by_less(left, right);
  }
}

}  // namespace detail
}  // namespace v0
}  // namespace btreemapped
