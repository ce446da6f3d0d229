#pragma once

#include <array>
#include <cstddef>
#include <string_view>
#include <type_traits>
#include <utility>

// A Boost outside the system's include folders must not bring its own warnings into the user's build.
#if defined(__GNUC__)
#pragma GCC diagnostic push
#pragma GCC diagnostic ignored "-Wshadow"
#pragma GCC diagnostic ignored "-Wconversion"
#pragma GCC diagnostic ignored "-Wsign-conversion"
#endif
#include <boost/pfr/core.hpp>
#include <boost/pfr/core_name.hpp>
#include <boost/pfr/tuple_size.hpp>
#if defined(__GNUC__)
#pragma GCC diagnostic pop
#endif

namespace btreemapped {
inline namespace v0 {
namespace detail {

/// More fields than this are beyond what Boost.PFR reflects.
inline constexpr std::size_t max_fields = 200;

/// The number of fields of an aggregate.
template <class Row>
inline constexpr std::size_t field_count_v = boost::pfr::tuple_size_v<Row>;

// What follows asks, without Boost.PFR, for what Boost.PFR would fail in: the errors of a library that the user may
// never have heard of tell them nothing.

/// Stands for a base class of T, whichever it is.
template <class T>
struct AnyBaseOf {
  template <class Base>
    requires(std::is_base_of_v<Base, T> && !std::is_same_v<Base, T>)
  operator Base() const;  // NOLINT(google-explicit-constructor): to be converted is all that it is for
};

/// An aggregate that has a base class: the first that its braces initialise.
template <class T>
concept has_base_class = requires { T{AnyBaseOf<T>{}}; };

/// Stands for a value of any type, as a reference where that can be copied: an optional converts from all others.
struct AnyCopied {
  template <class T>
  operator T&() const& noexcept;  // NOLINT(google-explicit-constructor)
  template <class T>
  operator T&() const&& noexcept;  // NOLINT(google-explicit-constructor)
};
struct AnyMoved {
  template <class T>
  operator T() const&& noexcept;  // NOLINT(google-explicit-constructor)
};
template <class T, std::size_t>
using AnyValueFor = std::conditional_t<std::is_copy_constructible_v<T>, AnyCopied, AnyMoved>;

/// The elements of an array count one by one, but empty braces initialise all of it, which leaves too many others.
template <class T, std::size_t... Before, std::size_t... After>
[[nodiscard]] consteval bool is_array_at(std::index_sequence<Before...>, std::index_sequence<After...>) {
  return requires { T{AnyValueFor<T, Before>{}..., {}}; } &&
         !requires { T{AnyValueFor<T, Before>{}..., {}, AnyValueFor<T, After>{}...}; };
}

/// An aggregate without base classes that has an array of more than one element.
template <class T>
inline constexpr bool has_array_v = []<std::size_t... Index>(std::index_sequence<Index...>) {
  return (is_array_at<T>(std::make_index_sequence<Index>{}, std::make_index_sequence<field_count_v<T> - Index - 1>{}) ||
          ...);
}(std::make_index_sequence<field_count_v<T>>{});

/// An aggregate whose fields Boost.PFR can tell; what it says of bit-fields cannot be asked for.
template <class T>
concept reflectable = std::is_class_v<T> && std::is_aggregate_v<T> && !has_base_class<T> &&
                      field_count_v<T> <= max_fields && !has_array_v<T>;

/// The declared type of a field, without const.
template <class Row, std::size_t Index>
using field_t = std::remove_cv_t<boost::pfr::tuple_element_t<Index, Row>>;

template <std::size_t Index, class Row>
[[nodiscard]] constexpr auto& field_at(Row& row) noexcept {
  return boost::pfr::get<Index>(row);
}

/// The fields' names in their order.
template <class Row>
inline constexpr std::array<std::string_view, field_count_v<Row>> field_names_v = boost::pfr::names_as_array<Row>();

/// Calls f(std::integral_constant<std::size_t, I>) for each field in order.
template <class Row, class Function>
constexpr void for_each_field_index(Function&& f) {
  [&]<std::size_t... Index>(std::index_sequence<Index...>) {
    (f(std::integral_constant<std::size_t, Index>{}), ...);
  }(std::make_index_sequence<field_count_v<Row>>{});
}

template <class Member>
struct member_pointer;
template <class Class, class Field>
struct member_pointer<Field Class::*> {
  using class_type = Class;
  using field_type = Field;
};

#if defined(__clang__)
#pragma clang diagnostic push
#pragma clang diagnostic ignored "-Wundefined-var-template"
#pragma clang diagnostic ignored "-Wundefined-internal"
#elif defined(__GNUC__)
#pragma GCC diagnostic push
#pragma GCC diagnostic ignored "-Wunused-variable"
#endif
/// An object that is never defined: only the addresses of its fields are compared, at compile time.
template <class Row>
struct phantom {
  const Row row;
};
template <class Row>
extern const phantom<Row> phantom_v;

/// The position of the field that a pointer to member names; field_count_v when it is none of them.
template <class Row, auto Member>
[[nodiscard]] consteval std::size_t index_of_member() {
  std::size_t found = field_count_v<Row>;
  if constexpr (std::is_member_object_pointer_v<decltype(Member)>) {
    using Pointer = member_pointer<decltype(Member)>;
    if constexpr (std::is_same_v<typename Pointer::class_type, Row>)
      for_each_field_index<Row>([&](auto index) {
        if constexpr (std::is_same_v<field_t<Row, index>, typename Pointer::field_type>)
          if (&(phantom_v<Row>.row.*Member) == &boost::pfr::get<index>(phantom_v<Row>.row)) found = index;
      });
  }
  return found;
}
#if defined(__clang__)
#pragma clang diagnostic pop
#elif defined(__GNUC__)
#pragma GCC diagnostic pop
#endif

}  // namespace detail
}  // namespace v0
}  // namespace btreemapped
