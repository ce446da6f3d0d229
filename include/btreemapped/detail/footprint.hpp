#pragma once

#include <concepts>
#include <cstddef>
#include <ranges>
#include <string_view>
#include <tuple>
#include <type_traits>

#include <btreemapped/codec.hpp>
#include <btreemapped/codec/composite.hpp>
#include <btreemapped/detail/reflect.hpp>

namespace btreemapped {
inline namespace v0 {
namespace detail {

/// What an allocation costs beside its size, and a node of a map beside its element.
/// Units: bytes.
inline constexpr std::size_t allocation_overhead = 16;
inline constexpr std::size_t node_overhead = allocation_overhead + 4 * sizeof(void*);

template <class T>
concept sized_container = std::ranges::sized_range<const T> && !std::same_as<std::ranges::range_value_t<const T>, T>;

template <class T>
concept pair_like = requires(const T& value) {
  value.first;
  value.second;
};

/// About what a value takes outside of itself. What cannot be looked into counts as nothing.
/// Units: bytes.
template <class T>
[[nodiscard]] std::size_t heap_bytes(const T& value) {
  std::size_t bytes = 0;
  if constexpr (is_optional_v<T>) {
    if (value) bytes = heap_bytes(*value);
  } else if constexpr (std::is_trivially_copyable_v<T>) {
    bytes = 0;
  } else if constexpr (sized_container<T>) {
    using Element = std::ranges::range_value_t<const T>;
    const std::size_t each = sizeof(Element) + (std::ranges::contiguous_range<const T> ? 0 : node_overhead);
    bytes = std::ranges::empty(value) ? 0 : allocation_overhead + std::ranges::size(value) * each;
    if constexpr (!std::is_trivially_copyable_v<Element>)
      for (const auto& element : value) bytes += heap_bytes(element);
  } else if constexpr (requires { std::string_view{value.text()}; }) {
    bytes = value.text().size();
  } else if constexpr (requires { value.ranges.size(); }) {
    bytes = heap_bytes(value.ranges);
  } else if constexpr (pair_like<T>) {
    bytes = heap_bytes(value.first) + heap_bytes(value.second);
  } else if constexpr (composite<T>) {
    for_each_field_index<T>([&](auto index) { bytes += heap_bytes(field_at<index>(value)); });
  }
  return bytes;
}

/// The same of a row.
template <class Row>
[[nodiscard]] std::size_t heap_bytes_of_row(const Row& row) {
  std::size_t bytes = 0;
  for_each_field_index<Row>([&](auto index) { bytes += heap_bytes(field_at<index>(row)); });
  return bytes;
}

/// The same of a key.
template <class... Fields>
[[nodiscard]] std::size_t heap_bytes_of_key(const std::tuple<Fields...>& key) {
  return std::apply([](const auto&... field) { return (std::size_t{0} + ... + heap_bytes(field)); }, key);
}

}  // namespace detail
}  // namespace v0
}  // namespace btreemapped
