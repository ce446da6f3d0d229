#pragma once

#include <string_view>
#include <type_traits>

namespace btreemapped {
inline namespace v0 {

/// What a struct says about its table, without touching the struct: specialise it with any of
/// `static constexpr std::string_view table`, `schema`, `static constexpr std::string_view column_name(std::string_view
/// field)`, and `static constexpr std::size_t arity` or `static constexpr auto key = btreemapped::key<&Row::field, …>`.
/// The struct itself may have the same static members; what this template says goes first.
template <class Row>
struct table_traits {};

namespace detail {

template <class T>
concept names_column_name = requires { requires !std::is_member_pointer_v<decltype(&T::column_name)>; };

template <class T>
concept declares_column_name = requires(std::string_view field) {
  std::string_view(T::column_name(field));
  // A std::string would be gone before anybody reads the name.
  requires std::is_trivially_copyable_v<std::remove_reference_t<decltype(T::column_name(field))>> ||
               std::is_lvalue_reference_v<decltype(T::column_name(field))>;
};

/// What bears the name must be of the documented form, unless the traits have overridden it.
template <class Row, class Traits = table_traits<Row>>
inline constexpr bool has_well_formed_column_name_v =
    declares_column_name<Traits> ||
    (!names_column_name<Traits> && (declares_column_name<Row> || !names_column_name<Row>));

/// The column (or attribute of a composite type) that a field stands for.
template <class Row>
[[nodiscard]] constexpr std::string_view column_name(std::string_view field) {
  if constexpr (declares_column_name<table_traits<Row>>) return table_traits<Row>::column_name(field);
  else if constexpr (declares_column_name<Row>) return Row::column_name(field);
  else return field;
}

}  // namespace detail
}  // namespace v0
}  // namespace btreemapped
