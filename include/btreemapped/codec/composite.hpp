#pragma once

#include <algorithm>
#include <array>
#include <cstddef>
#include <string>
#include <string_view>
#include <type_traits>
#include <utility>

#include <btreemapped/codec.hpp>
#include <btreemapped/detail/codec/pieces.hpp>
#include <btreemapped/detail/reflect.hpp>
#include <btreemapped/detail/shape.hpp>
#include <btreemapped/detail/wire/message.hpp>
#include <btreemapped/error.hpp>
#include <btreemapped/table_traits.hpp>

namespace btreemapped {
inline namespace v0 {
namespace detail {

template <class T>
inline constexpr bool is_std_array_v = false;
template <class T, std::size_t Size>
inline constexpr bool is_std_array_v<std::array<T, Size>> = true;

/// A plain struct, of which Boost.PFR tells the fields.
template <class T>
concept plain_struct = std::is_class_v<T> && std::is_aggregate_v<T> && !std::is_empty_v<T> && !is_std_array_v<T> &&
                       std::is_default_constructible_v<T> && std::is_move_constructible_v<T> && reflectable<T>;

template <class T, std::size_t... Index>
[[nodiscard]] consteval bool has_fields_only(std::index_sequence<Index...>) {
  return (field<field_t<T, Index>> && ...);
}

template <class T>
concept struct_of_fields = plain_struct<T> && has_fields_only<T>(std::make_index_sequence<field_count_v<T>>{});

/// Marks the codec below.
struct CompositeCodec {};

/// A struct that is taken apart into its fields, as it has no codec of its own.
template <class T>
concept composite = std::is_convertible_v<codec<T>*, CompositeCodec*>;

/// The attributes that a struct's fields stand for.
template <std::size_t Count>
struct AttributePlaces {
  std::array<std::size_t, Count> of_field{};  ///< the number of the type's attributes if there is none of that name
  bool complete = true;
};

template <class T>
[[nodiscard]] AttributePlaces<field_count_v<T>> find_attributes(const SqlTypeParts& type) {
  const auto& attributes = type.attributes;
  AttributePlaces<field_count_v<T>> places;
  std::size_t next = 0;  // most structs name the attributes in their order
  for (std::size_t field = 0; field < field_count_v<T>; ++field) {
    const std::string_view name = column_name<T>(field_names_v<T>[field]);
    const auto bears_it = [&](const SqlAttribute& each) { return each.name == name; };
    if (next >= attributes.size() || !bears_it(attributes[next]))
      next =
          static_cast<std::size_t>(std::find_if(attributes.begin(), attributes.end(), bears_it) - attributes.begin());
    places.of_field[field] = next;
    if (next == attributes.size()) places.complete = false;
    ++next;
  }
  return places;
}

/// Cuts the text of a composite value into the cells of the struct's fields; all other attributes are passed over.
template <std::size_t Count>
[[nodiscard]] Errc split_composite(PieceReader& in, std::size_t attribute_count,
                                   const std::array<std::size_t, Count>& places, std::array<wire::Cell, Count>& cells) {
  std::array<std::size_t, Count> by_place{};
  for (std::size_t i = 0; i < Count; ++i) by_place[i] = i;
  if (!std::is_sorted(places.begin(), places.end()))
    std::sort(by_place.begin(), by_place.end(), [&](auto a, auto b) { return places[a] < places[b]; });
  if (!in.accept('(')) return Errc::invalid_text;
  std::size_t done = 0;
  for (std::size_t place = 0; place < attribute_count; ++place) {
    wire::Cell cell;
    if (place > 0 && !in.accept(',')) return in.accept(')') ? Errc::attribute_count : Errc::invalid_text;
    if (!in.value_or_nothing(composite_specials, cell)) return Errc::invalid_text;
    for (; done < Count && places[by_place[done]] == place; ++done) cells[by_place[done]] = cell;
  }
  if (in.accept(',')) return Errc::attribute_count;
  return in.accept(')') && in.at_end() ? Errc::ok : Errc::invalid_text;
}

/// Composite types: a plain struct whose fields are found among the attributes by their names, as the columns of a row
/// are. Attributes that it does not name are ignored, but not in a key. A struct with a codec of its own is never taken
/// apart.
template <struct_of_fields T>
struct FamilyCodec<T> : CompositeCodec {
  static_assert(has_well_formed_column_name_v<T>,
                "btreemapped: column_name of this struct is not declared as the comment of btreemapped::table_traits "
                "says");

  static constexpr std::string_view sql_name = "composite type";

  [[nodiscard]] static bool accepts(const SqlType& type) {
    if (type.kind != 'c' || type.parts == nullptr) return false;
    const auto places = find_attributes<T>(*type.parts);
    bool fits = places.complete;
    for_each_field_index<T>([&](auto index) {
      using Field = field_t<T, index>;
      fits = fits && accepts_type<Field>(type.parts->attributes[places.of_field[index]].type);
    });
    return fits;
  }

  [[nodiscard]] static std::string refusal(const SqlType& type) {
    std::string out;
    if (type.kind != 'c' || type.parts == nullptr) return out;
    const auto& attributes = type.parts->attributes;
    const auto places = find_attributes<T>(*type.parts);
    for_each_field_index<T>([&](auto index) {
      using Field = field_t<T, index>;
      const std::size_t place = places.of_field[index];
      const std::string_view separator = out.empty() ? "" : "; ";
      if (place == attributes.size()) {
        out.append(separator).append("it has no attribute ");
        out += column_name<T>(field_names_v<T>[index]);
      } else if (!accepts_type<Field>(attributes[place].type)) {
        out.append(separator).append("its attribute ").append(attributes[place].name).append(" is ");
        out += describe_refusal<Field>(attributes[place].type);
      }
    });
    return out;
  }

  [[nodiscard]] static std::string omission(const SqlType& type) {
    std::string out;
    if (type.kind != 'c' || type.parts == nullptr) return out;
    const auto& attributes = type.parts->attributes;
    const auto& places = find_attributes<T>(*type.parts).of_field;
    for (std::size_t place = 0; place < attributes.size(); ++place)
      if (std::find(places.begin(), places.end(), place) == places.end())
        out.append(out.empty() ? "" : ", ").append("the attribute ").append(attributes[place].name);
    for_each_field_index<T>([&](auto index) {
      if (places[index] == attributes.size()) return;
      const std::string inner = omission_of<field_t<T, index>>(attributes[places[index]].type);
      if (inner.empty()) return;
      out.append(out.empty() ? "" : ", ").append(inner).append(" of ").append(attributes[places[index]].name);
    });
    return out;
  }

  [[nodiscard]] static Errc decode(std::string_view text, const SqlType& type, T& out) {
    if (type.parts == nullptr) return Errc::invalid_text;
    const auto places = find_attributes<T>(*type.parts);
    if (!places.complete) return Errc::invalid_text;
    std::array<wire::Cell, field_count_v<T>> cells{};
    PieceReader in{text};
    Errc result = split_composite(in, type.parts->attributes.size(), places.of_field, cells);
    for_each_field_index<T>([&](auto index) {
      if (result != Errc::ok) return;
      result = decode_field(cells[index], type.parts->attributes[places.of_field[index]].type, field_at<index>(out));
    });
    return result;
  }

  [[nodiscard]] static bool same(const T& a, const T& b) {
    bool same = true;
    for_each_field_index<T>([&](auto index) { same = same && same_value(field_at<index>(a), field_at<index>(b)); });
    return same;
  }
};

}  // namespace detail
}  // namespace v0
}  // namespace btreemapped
