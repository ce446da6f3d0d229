#pragma once

#include <algorithm>
#include <compare>
#include <cstddef>
#include <tuple>
#include <type_traits>
#include <utility>

namespace btreemapped {
inline namespace v0 {
namespace detail {

/// Orders two parts of a key. Floats order as in PostgreSQL: -0 equals 0, NaN equals NaN and is greater than all else.
template <class Left, class Right>
[[nodiscard]] constexpr std::weak_ordering compare_part(const Left& left, const Right& right) {
  if constexpr (std::is_floating_point_v<Left>) {
    const bool left_is_nan = left != left;
    const bool right_is_nan = right != right;
    if (left_is_nan || right_is_nan) return left_is_nan <=> right_is_nan;
  }
  if (left < right) return std::weak_ordering::less;
  if (right < left) return std::weak_ordering::greater;
  return std::weak_ordering::equivalent;
}

/// Lets a three-way comparison decide in one pass where a type has one (text, UUIDs).
template <class Left, class Right>
  requires(!std::is_floating_point_v<Left> &&
           requires(const Left& left, const Right& right) {
             { left <=> right } -> std::convertible_to<std::weak_ordering>;
           })
[[nodiscard]] constexpr std::weak_ordering compare_part(const Left& left, const Right& right) {
  return left <=> right;
}

/// Orders key tuples, and tuples of fewer parts against whole keys by the parts that both have. One comparator thus
/// serves lookup, prefix scan and every range, and no probe has to become a key.
struct KeyLess {
  using is_transparent = void;

  template <class... Lefts, class... Rights>
  [[nodiscard]] constexpr bool operator()(const std::tuple<Lefts...>& left, const std::tuple<Rights...>& right) const {
    constexpr std::size_t common = std::min(sizeof...(Lefts), sizeof...(Rights));
    return [&]<std::size_t... Index>(std::index_sequence<Index...>) {
      std::weak_ordering order = std::weak_ordering::equivalent;
      static_cast<void>(((order = compare_part(std::get<Index>(left), std::get<Index>(right)), order == 0) && ...));
      return order < 0;
    }(std::make_index_sequence<common>{});
  }
};

}  // namespace detail
}  // namespace v0
}  // namespace btreemapped
