#pragma once

#include <compare>
#include <cstddef>
#include <cstdint>
#include <functional>
#include <tuple>
#include <type_traits>
#include <utility>

#include <btreemapped/detail/key_less.hpp>
#include <btreemapped/detail/probe.hpp>
#include <btreemapped/range.hpp>

namespace btreemapped {
inline namespace v0 {
namespace detail {

template <class T>
struct bound_value;
template <class Value>
struct bound_value<Inclusive<Value>> {
  using type = Value;
};
template <class Value>
struct bound_value<Exclusive<Value>> {
  using type = Value;
};

/// A bound's value, or what it refers to.
template <class Value>
[[nodiscard]] constexpr const Value& referred(const Value& value) noexcept {
  return value;  // NOLINT(bugprone-return-const-ref-from-parameter): bounds outlive the search
}
template <class Value>
[[nodiscard]] constexpr const Value& referred(const std::reference_wrapper<const Value>& value) noexcept {
  return value.get();
}
template <class Value>
using referred_t = std::remove_cvref_t<decltype(referred(std::declval<const Value&>()))>;

template <class Bound, class Field>
inline constexpr bool is_bound_for_v = false;
template <class Field>
inline constexpr bool is_bound_for_v<Unbounded, Field> = true;
template <class Value, class Field>
inline constexpr bool is_bound_for_v<Inclusive<Value>, Field> = probe_for<referred_t<Value>, Field>;
template <class Value, class Field>
inline constexpr bool is_bound_for_v<Exclusive<Value>, Field> = probe_for<referred_t<Value>, Field>;

template <class T, class Field>
inline constexpr bool is_range_for_v = false;
template <class Lower, class Upper, class Field>
inline constexpr bool is_range_for_v<Range<Lower, Upper>, Field> =
    is_bound_for_v<Lower, Field> && is_bound_for_v<Upper, Field>;

/// What may stand in the last place of for_rangeN and rangeN: a range, or a value, which means equality.
template <class T, class Field>
concept range_or_probe = probe_for<T, Field> || is_range_for_v<T, Field>;

/// Two iterators of an ordered map.
template <class Iterator>
struct Span {
  Iterator first;
  Iterator last;
};

/// A bound after conversion to the field's values: one that no value can reach has become "no bound".
template <class Field>
struct Edge {
  enum class Kind : std::uint8_t { none, inclusive, exclusive };
  Kind kind = Kind::none;
  probe_t<Field> value{};
};

/// False when the bound excludes every value of the field.
template <class Field, class Bound>
[[nodiscard]] constexpr bool to_edge(const Bound& bound, Fit harmless, Edge<Field>& edge) {
  if constexpr (!std::is_same_v<Bound, Unbounded>) {
    const Fit fit = convert_probe<Field>(referred(bound.value), edge.value);
    if (fit != Fit::inside) return fit == harmless;
    constexpr bool inclusive = std::is_same_v<Bound, Inclusive<typename bound_value<Bound>::type>>;
    edge.kind = inclusive ? Edge<Field>::Kind::inclusive : Edge<Field>::Kind::exclusive;
  }
  return true;
}

/// The part of a map whose keys begin with `prefix` and go on with a value between the edges.
template <class Map, class Field, class... Prefix>
[[nodiscard]] auto search_range(const Map& map, const std::tuple<Prefix...>& prefix, const Edge<Field>& lower,
                                const Edge<Field>& upper) -> Span<typename Map::const_iterator> {
  using Kind = typename Edge<Field>::Kind;
  const Span<typename Map::const_iterator> nothing{map.end(), map.end()};
  if (lower.kind != Kind::none && upper.kind != Kind::none) {
    // Inverted bounds are an empty range; their iterators would be in the wrong order.
    const std::weak_ordering order = compare_part(lower.value, upper.value);
    if (order > 0 || (order == 0 && (lower.kind == Kind::exclusive || upper.kind == Kind::exclusive))) return nothing;
  }
  const auto extended = [&](const Edge<Field>& edge) {
    return std::tuple_cat(prefix, std::tuple<const probe_t<Field>&>(edge.value));
  };
  constexpr bool whole_map = sizeof...(Prefix) == 0;
  const auto first = [&] {
    if (lower.kind == Kind::inclusive) return map.lower_bound(extended(lower));
    if (lower.kind == Kind::exclusive) return map.upper_bound(extended(lower));
    if constexpr (whole_map) return map.begin();
    else return map.lower_bound(prefix);
  }();
  const auto last = [&] {
    if (upper.kind == Kind::inclusive) return map.upper_bound(extended(upper));
    if (upper.kind == Kind::exclusive) return map.lower_bound(extended(upper));
    if constexpr (whole_map) return map.end();
    else return map.upper_bound(prefix);
  }();
  return {first, last};
}

/// The first N parts of a key as probes.
template <class Key, class Levels>
struct prefix_probes;
template <class Key, std::size_t... Level>
struct prefix_probes<Key, std::index_sequence<Level...>> {
  using type = std::tuple<probe_t<std::tuple_element_t<Level, Key>>...>;

  /// False when one of the values fits no key.
  template <class Arguments>
  [[nodiscard]] static constexpr bool convert(const Arguments& arguments, type& probes) {
    return ((convert_probe<std::tuple_element_t<Level, Key>>(std::get<Level>(arguments), std::get<Level>(probes)) ==
             Fit::inside) &&
            ...);
  }
};
template <class Key, std::size_t Count>
using prefix_probes_t = prefix_probes<Key, std::make_index_sequence<Count>>;

/// The row of a whole key, or end().
template <class Map, class... Probes>
[[nodiscard]] auto find_key(const Map& map, const Probes&... probes) -> typename Map::const_iterator {
  using Prefix = prefix_probes_t<typename Map::key_type, sizeof...(Probes)>;
  typename Prefix::type key{};
  return Prefix::convert(std::tie(probes...), key) ? map.find(key) : map.end();
}

/// The rows that a prefix and, in the last place, a range or value select.
template <class Map, class... Probes>
[[nodiscard]] auto find_range(const Map& map, const Probes&... probes) -> Span<typename Map::const_iterator> {
  using Key = typename Map::key_type;
  constexpr std::size_t level = sizeof...(Probes) - 1;
  const auto arguments = std::tie(probes...);
  const auto& last = std::get<level>(arguments);
  const Span<typename Map::const_iterator> nothing{map.end(), map.end()};
  if constexpr (is_range_v<std::remove_cvref_t<decltype(last)>>) {
    using Prefix = prefix_probes_t<Key, level>;
    typename Prefix::type prefix{};
    Edge<std::tuple_element_t<level, Key>> lower;
    Edge<std::tuple_element_t<level, Key>> upper;
    if (!Prefix::convert(arguments, prefix) || !to_edge(last.lower, Fit::below, lower) ||
        !to_edge(last.upper, Fit::above, upper))
      return nothing;
    return search_range(map, prefix, lower, upper);
  } else {
    using Prefix = prefix_probes_t<Key, level + 1>;
    typename Prefix::type prefix{};
    if (!Prefix::convert(arguments, prefix)) return nothing;
    const auto [first, end] = map.equal_range(prefix);
    return {first, end};
  }
}

}  // namespace detail
}  // namespace v0
}  // namespace btreemapped
