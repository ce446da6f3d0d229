#pragma once

#include <array>
#include <concepts>
#include <cstddef>
#include <optional>
#include <ranges>
#include <string_view>
#include <tuple>
#include <type_traits>
#include <utility>

#include <btreemapped/codec.hpp>
#include <btreemapped/codec/array.hpp>
#include <btreemapped/codec/bit_string.hpp>
#include <btreemapped/codec/bytea.hpp>
#include <btreemapped/codec/chrono.hpp>
#include <btreemapped/codec/composite.hpp>
#include <btreemapped/codec/enum.hpp>
#include <btreemapped/codec/hstore.hpp>
#include <btreemapped/codec/inet.hpp>
#include <btreemapped/codec/interval.hpp>
#include <btreemapped/codec/lsn.hpp>
#include <btreemapped/codec/macaddr.hpp>
#include <btreemapped/codec/money.hpp>
#include <btreemapped/codec/numeric.hpp>
#include <btreemapped/codec/range.hpp>
#include <btreemapped/codec/scalar.hpp>
#include <btreemapped/codec/text.hpp>
#include <btreemapped/codec/time_of_day.hpp>
#include <btreemapped/codec/uuid.hpp>
#include <btreemapped/detail/key_less.hpp>
#include <btreemapped/detail/order.hpp>
#include <btreemapped/detail/reflect.hpp>
#include <btreemapped/table_traits.hpp>

namespace btreemapped {
inline namespace v0 {

/// A list of key fields: `static constexpr auto key = btreemapped::key<&Car::license_plate, &Car::owner>;`.
template <auto... Members>
struct KeyFields {};
template <auto... Members>
inline constexpr KeyFields<Members...> key{};

namespace detail {

template <class T>
inline constexpr std::size_t key_size_v = 0;
template <auto... Members>
inline constexpr std::size_t key_size_v<KeyFields<Members...>> = sizeof...(Members);

template <class T>
inline constexpr bool is_traits_v = false;
template <class Row>
inline constexpr bool is_traits_v<table_traits<Row>> = true;

// A field or function may be called "table" or "key", too: only the struct's static data declares something. In the
// traits whatever bears the name is meant to.
template <class T, class Pointer>
inline constexpr bool could_declare_v =
    !std::is_member_pointer_v<Pointer> && (is_traits_v<T> || !std::is_function_v<std::remove_pointer_t<Pointer>>);

template <class T>
concept names_table = requires { requires could_declare_v<T, decltype(&T::table)>; };
template <class T>
concept names_schema = requires { requires could_declare_v<T, decltype(&T::schema)>; };
template <class T>
concept names_arity = requires { requires could_declare_v<T, decltype(&T::arity)>; };
template <class T>
concept names_key = requires { requires could_declare_v<T, decltype(&T::key)>; };

template <class T>
concept declares_table = names_table<T> && requires { std::string_view(T::table); };
template <class T>
concept declares_schema = names_schema<T> && requires { std::string_view(T::schema); };
template <class T>
concept declares_arity = names_arity<T> && requires { requires(std::size_t{T::arity} > 0); };
template <class T>
concept declares_key = names_key<T> && (key_size_v<std::remove_cvref_t<decltype(T::key)>> > 0);

// A declaration that is not of the documented form would silently count as absent: a schema that is no text would leave
// the table in "public". So what bears the name must also fit, unless the traits have overridden it.
template <class Row, class Traits = table_traits<Row>>
inline constexpr bool has_well_formed_declarations_v =
    (declares_table<Traits> || (!names_table<Traits> && (declares_table<Row> || !names_table<Row>))) &&
    (declares_schema<Traits> || (!names_schema<Traits> && (declares_schema<Row> || !names_schema<Row>))) &&
    (!names_arity<Traits> || declares_arity<Traits>) && (!names_key<Traits> || declares_key<Traits>) &&
    (declares_arity<Traits> || declares_key<Traits> ||
     ((declares_arity<Row> || !names_arity<Row>) && (declares_key<Row> || !names_key<Row>))) &&
    has_well_formed_column_name_v<Row>;

// Not consteval: Clang 14 refuses an immediate function in a default argument.
template <class Row>
[[nodiscard]] constexpr std::string_view declared_table() {
  if constexpr (declares_table<table_traits<Row>>) return table_traits<Row>::table;
  else if constexpr (declares_table<Row>) return Row::table;
  else return {};
}

template <class Row>
[[nodiscard]] constexpr std::string_view declared_schema() {
  if constexpr (declares_schema<table_traits<Row>>) return table_traits<Row>::schema;
  else if constexpr (declares_schema<Row>) return Row::schema;
  else return {};
}

template <class Row, class Fields>
struct key_indices_of;
template <class Row, auto... Members>
struct key_indices_of<Row, const KeyFields<Members...>> {
  using type = std::index_sequence<index_of_member<Row, Members>()...>;
};

template <class Row, class Declaration>
[[nodiscard]] consteval auto indices_declared_by() {
  if constexpr (declares_key<Declaration>) {
    using Indices = typename key_indices_of<Row, std::remove_reference_t<decltype((Declaration::key))>>::type;
    if constexpr (declares_arity<Declaration>)
      static_assert(Declaration::arity == Indices::size(),
                    "btreemapped: the declared arity and the declared key disagree");
    return Indices{};
  } else if constexpr (declares_arity<Declaration>) {
    return std::make_index_sequence<Declaration::arity>{};
  } else {
    return std::index_sequence<>{};
  }
}

/// The positions of the key fields that the traits or the struct declare; empty when neither does.
template <class Row>
[[nodiscard]] consteval auto declared_key_indices() {
  if constexpr (declares_key<table_traits<Row>> || declares_arity<table_traits<Row>>)
    return indices_declared_by<Row, table_traits<Row>>();
  else return indices_declared_by<Row, Row>();
}

template <class Row>
inline constexpr std::size_t declared_arity_v = decltype(declared_key_indices<Row>())::size();

template <class T>
inline constexpr bool is_view_v =
    std::is_pointer_v<T> || std::is_member_pointer_v<T> || std::is_same_v<T, std::string_view> || std::ranges::view<T>;
template <class T>
inline constexpr bool is_view_v<std::optional<T>> = is_view_v<T>;

/// There is a codec, fit or not.
template <class T>
concept names_decode = requires { &codec<T>::decode; };

template <class Struct>
consteval bool check_nested_fields();

/// One instantiation per field, so that the compiler's message names the struct, the position and the type.
template <class Row, std::size_t Index, class Field>
consteval bool check_field() {
  static_assert(!is_view_v<Field>,
                "btreemapped: a field is a view or pointer and would dangle; use an owning type such as std::string");
  using T = value_type_t<Field>;
  static_assert(!std::is_enum_v<T> || field<Field>,
                "btreemapped: an enum's labels are not listed; specialise btreemapped::enum_labels<T> for it");
  static_assert(
      field<Field> || !names_decode<T>,
      "btreemapped: decode of a field's codec is not `static Errc decode(std::string_view text, T& out)`, where "
      "T is the codec's own type (in it `Money` means the library's Money; if you mean yours, write ::Money)");
  if constexpr (!is_view_v<Field> && !field<Field> && !names_decode<T> && plain_struct<T>) check_nested_fields<T>();
  static_assert(is_view_v<Field> || std::is_enum_v<T> || field<Field> || names_decode<T>,
                "btreemapped: a field's type has no codec; specialise btreemapped::codec<T> for it");
  return true;
}

/// Those of a struct that would be taken apart if each of its fields had a codec.
template <class Struct>
consteval bool check_nested_fields() {
  return []<std::size_t... Index>(std::index_sequence<Index...>) {
    return (check_field<Struct, Index, field_t<Struct, Index>>() && ...);
  }(std::make_index_sequence<field_count_v<Struct>>{});
}

template <class Row, std::size_t Index, class Field>
consteval bool check_key_field() {
  static_assert(!is_optional_v<Field>, "btreemapped: a key field cannot be std::optional, as a key column is NOT NULL");
  static_assert(is_optional_v<Field> || !can_be_key_v<Field> || has_order<Field>(),
                "btreemapped: a key field's type has no operator<, or is made of one that has none");
  static_assert(can_be_key_v<Field>,
                "btreemapped: this type cannot be a key, as its operator< is no order that agrees with its equality");
  static_assert(std::is_copy_constructible_v<Field>,
                "btreemapped: a key field must be copyable, as the map's key is a copy of it");
  return true;
}

template <class Row>
consteval bool check_row() {
  static_assert(std::is_class_v<Row> && std::is_aggregate_v<Row>,
                "btreemapped: a row must be an aggregate: a plain struct without constructors, private members or "
                "virtual functions");
  if constexpr (std::is_class_v<Row> && std::is_aggregate_v<Row>) {
    static_assert(std::is_default_constructible_v<Row>, "btreemapped: a row must be default-constructible");
    static_assert(std::is_move_constructible_v<Row> && std::is_move_assignable_v<Row>,
                  "btreemapped: a row must be movable; const fields and reference fields prevent it");
    static_assert(!has_base_class<Row>,
                  "btreemapped: a row cannot have a base class, whose fields cannot be told; repeat them in the row");
    if constexpr (std::is_default_constructible_v<Row> && std::is_move_assignable_v<Row> && !has_base_class<Row>) {
      static_assert(field_count_v<Row> > 0, "btreemapped: a row needs at least one field");
      static_assert(field_count_v<Row> <= max_fields,
                    "btreemapped: a row can have at most 200 fields, and no C array, of which each element counts");
      static_assert(field_count_v<Row> > max_fields || reflectable<Row>,
                    "btreemapped: a row cannot have a C array, as its elements count as fields; use std::string, or a "
                    "type with a codec of your own");
      if constexpr (field_count_v<Row> > 0 && reflectable<Row>)
        return []<std::size_t... Index>(std::index_sequence<Index...>) {
          return (check_field<Row, Index, field_t<Row, Index>>() && ...);
        }(std::make_index_sequence<field_count_v<Row>>{});
    }
  }
  return false;
}

template <std::size_t... Index>
[[nodiscard]] consteval bool are_distinct() {
  std::size_t pairs = 0;
  const std::array<std::size_t, sizeof...(Index)> indices{Index...};
  for (const std::size_t left : indices)
    for (const std::size_t right : indices) pairs += left == right ? 1 : 0;
  return pairs == indices.size();
}

template <class Row, class Indices>
struct key_model;
template <class Row, std::size_t... Index>
struct key_model<Row, std::index_sequence<Index...>> {
  static_assert(
      ((Index < field_count_v<Row>) && ...),
      "btreemapped: key<&Row::field, …> names a member that is not a field of the row, or the arity is greater "
      "than the number of fields");
  static_assert(are_distinct<Index...>(), "btreemapped: key<&Row::field, …> names a field twice");
  static_assert((check_key_field<Row, Index, field_t<Row, Index>>() && ...));
  using type = std::tuple<field_t<Row, Index>...>;
  static constexpr std::array<std::size_t, sizeof...(Index)> indices{Index...};

  [[nodiscard]] static constexpr type of(const Row& row) { return type(field_at<Index>(row)...); }
};

template <class Row, std::size_t Arity>
using key_indices_t = std::conditional_t<declared_arity_v<Row> == 0, std::make_index_sequence<Arity>,
                                         decltype(declared_key_indices<Row>())>;

/// All that is known of a row type at compile time, and the place where it is judged.
template <class Row, std::size_t Arity>
struct RowModel : key_model<Row, key_indices_t<Row, Arity>> {
  using key_type = typename key_model<Row, key_indices_t<Row, Arity>>::type;

  static_assert(has_well_formed_declarations_v<Row>,
                "btreemapped: table, schema, column_name, arity or key of this row is not declared as the comment of "
                "btreemapped::table_traits says");
  static_assert(check_row<Row>());
  static_assert(Arity > 0,
                "btreemapped: arity 0: name the number of key fields, Replica<Row, 2>, or declare arity or key");
  static_assert(Arity <= field_count_v<Row>, "btreemapped: the arity is greater than the number of fields");
  static_assert(declared_arity_v<Row> == 0 || declared_arity_v<Row> == Arity,
                "btreemapped: Replica<Row, Arity> contradicts the key or arity that the row declares");
};

}  // namespace detail

/// The key of a row as the replica's map holds it, a tuple: key_of<Car, 2>(car), or key_of(order) where the row
/// declares its key or arity itself.
template <class Row, std::size_t Arity = detail::declared_arity_v<Row>>
[[nodiscard]] constexpr auto key_of(const Row& row) {
  return detail::RowModel<Row, Arity>::of(row);
}

/// The same, with the row's type left to the compiler: key_of<2>(car).
template <std::size_t Arity, class Row>
[[nodiscard]] constexpr auto key_of(const Row& row) {
  return detail::RowModel<Row, Arity>::of(row);
}

}  // namespace v0
}  // namespace btreemapped
