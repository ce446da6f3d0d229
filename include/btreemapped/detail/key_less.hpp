#pragma once

#include <algorithm>
#include <compare>
#include <cstddef>
#include <tuple>
#include <utility>

#include <btreemapped/detail/order.hpp>

namespace btreemapped {
inline namespace v0 {
namespace detail {

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
