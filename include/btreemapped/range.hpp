#pragma once

#include <functional>
#include <string>
#include <string_view>
#include <type_traits>
#include <utility>

namespace btreemapped {
inline namespace v0 {

/// No bound on this side; the range still stays inside the fixed prefix.
struct Unbounded {};

/// A bound that belongs to the range.
template <class Value>
struct Inclusive {
  Value value;
};

/// A bound that does not belong to the range.
template <class Value>
struct Exclusive {
  Value value;
};

/// A range over one key field. Made by the functions below.
template <class Lower, class Upper>
struct Range {
  using lower_type = Lower;
  using upper_type = Upper;

  [[no_unique_address]] Lower lower;
  [[no_unique_address]] Upper upper;
};
template <class Lower, class Upper>
Range(Lower, Upper) -> Range<Lower, Upper>;

namespace detail {

template <class T>
inline constexpr bool is_range_v = false;
template <class Lower, class Upper>
inline constexpr bool is_range_v<Range<Lower, Upper>> = true;

template <class T>
inline constexpr bool is_string_v = false;
template <class Allocator>
inline constexpr bool is_string_v<std::basic_string<char, std::char_traits<char>, Allocator>> = true;

/// Literals, pointers and named strings outlive the call.
template <class T>
inline constexpr bool is_lasting_text_v =
    (std::is_pointer_v<std::decay_t<T>> && std::is_convertible_v<T, std::string_view>) ||
    (std::is_lvalue_reference_v<T> && is_string_v<std::remove_cvref_t<T>>);

/// A named value that is not cheap to copy.
template <class T>
inline constexpr bool is_lasting_value_v = std::is_lvalue_reference_v<T> && std::is_class_v<std::remove_cvref_t<T>> &&
                                           !std::is_trivially_copyable_v<std::remove_cvref_t<T>>;

/// How a bound is kept: lasting text is viewed and a lasting value referred to, all else is copied, or moved as a
/// temporary std::string is.
template <class T>
using bound_t = std::conditional_t<
    is_lasting_text_v<T>, std::string_view,
    std::conditional_t<is_lasting_value_v<T>, std::reference_wrapper<const std::remove_cvref_t<T>>, std::decay_t<T>>>;

template <class T>
[[nodiscard]] constexpr Inclusive<bound_t<T>> inclusive(T&& value) {
  return {bound_t<T>(std::forward<T>(value))};
}

template <class T>
[[nodiscard]] constexpr Exclusive<bound_t<T>> exclusive(T&& value) {
  return {bound_t<T>(std::forward<T>(value))};
}

}  // namespace detail

/// lower <= value < upper.
/// Lifetime: literals, views and named strings are viewed, and other named values that are not cheap to copy are
/// referred to; temporaries are owned.
template <class Lower, class Upper>
[[nodiscard]] constexpr auto half_open(Lower&& lower, Upper&& upper) {
  return Range{detail::inclusive(std::forward<Lower>(lower)), detail::exclusive(std::forward<Upper>(upper))};
}

/// lower <= value <= upper.
/// Lifetime: as half_open.
template <class Lower, class Upper>
[[nodiscard]] constexpr auto closed(Lower&& lower, Upper&& upper) {
  return Range{detail::inclusive(std::forward<Lower>(lower)), detail::inclusive(std::forward<Upper>(upper))};
}

/// lower < value < upper.
/// Lifetime: as half_open.
template <class Lower, class Upper>
[[nodiscard]] constexpr auto open(Lower&& lower, Upper&& upper) {
  return Range{detail::exclusive(std::forward<Lower>(lower)), detail::exclusive(std::forward<Upper>(upper))};
}

/// lower < value <= upper.
/// Lifetime: as half_open.
template <class Lower, class Upper>
[[nodiscard]] constexpr auto open_closed(Lower&& lower, Upper&& upper) {
  return Range{detail::exclusive(std::forward<Lower>(lower)), detail::inclusive(std::forward<Upper>(upper))};
}

/// lower <= value.
/// Lifetime: as half_open.
template <class Lower>
[[nodiscard]] constexpr auto at_least(Lower&& lower) {
  return Range{detail::inclusive(std::forward<Lower>(lower)), Unbounded{}};
}

/// lower < value.
/// Lifetime: as half_open.
template <class Lower>
[[nodiscard]] constexpr auto greater_than(Lower&& lower) {
  return Range{detail::exclusive(std::forward<Lower>(lower)), Unbounded{}};
}

/// value < upper.
/// Lifetime: as half_open.
template <class Upper>
[[nodiscard]] constexpr auto less_than(Upper&& upper) {
  return Range{Unbounded{}, detail::exclusive(std::forward<Upper>(upper))};
}

/// value <= upper.
/// Lifetime: as half_open.
template <class Upper>
[[nodiscard]] constexpr auto at_most(Upper&& upper) {
  return Range{Unbounded{}, detail::inclusive(std::forward<Upper>(upper))};
}

/// Every value of the field.
inline constexpr Range<Unbounded, Unbounded> all{};

}  // namespace v0
}  // namespace btreemapped
