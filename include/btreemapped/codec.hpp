#pragma once

#include <algorithm>
#include <array>
#include <bit>
#include <concepts>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <type_traits>

#include <btreemapped/detail/shape.hpp>
#include <btreemapped/detail/wire/message.hpp>
#include <btreemapped/error.hpp>

namespace btreemapped {
inline namespace v0 {
namespace detail {

/// What this library has for families of types: integers, enums, arrays, composite types and the like. It comes in
/// behind codec, so that whatever a user writes for codec, for one type or for a family, is never ambiguous with it.
template <class T>
struct FamilyCodec {};

}  // namespace detail

/// How the text that PostgreSQL prints for a column becomes a T. Specialise it for a type of your own:
///
///     template <>
///     struct btreemapped::codec<Color> {
///       static Errc decode(std::string_view text, Color& out);
///     };
///
/// `decode` is all that is required. It answers Errc::ok only for a faithful value, and otherwise what is wrong
/// (invalid_text, out_of_range, ...); what `out` holds then does not matter. `out` may hold an earlier value before.
/// It never sees NULL, which is what std::optional<T> is for. If the meaning of the text depends on the column's type,
/// there may be `static Errc decode(std::string_view text, const SqlType& type, Color& out)` instead, or beside it, and
/// then that one is called. These may be added:
///
///     static bool accepts(const SqlType& type);                   // which column types fit; absent: every type
///     static constexpr std::string_view sql_name = "color";       // those types, for messages
///     static bool same(const Color& a, const Color& b);           // no difference worth publishing; absent: bitwise
///                                                                 // for float and double, else ==
///     static std::string refusal(const SqlType& type);            // more words on why accepts() says no
///
/// Inside the specialisation a name means this library's type before yours: if you have a Money of your own, write
/// ::Money there. Integers, enums, arrays, composite types and ranges have codecs, too; a specialisation of your own
/// goes before them. One for many types is best written inside of `namespace btreemapped`, as `template <YourConcept T>
/// struct codec<T>`: GCC 12 misreads the second that is written with the qualified name.
///
/// Throws: nothing but std::bad_alloc.
template <class T>
struct codec : detail::FamilyCodec<T> {};

namespace detail {

template <class T>
inline constexpr bool is_optional_v = false;
template <class T>
inline constexpr bool is_optional_v<std::optional<T>> = true;

/// T, or what the optional holds.
template <class Field>
struct value_type {
  using type = Field;
};
template <class T>
struct value_type<std::optional<T>> {
  using type = T;
};
template <class Field>
using value_type_t = typename value_type<Field>::type;

template <class T>
concept decodes_text = requires(std::string_view text, T& out) {
  { codec<T>::decode(text, out) } -> std::same_as<Errc>;
};

template <class T>
concept decodes_by_type = requires(std::string_view text, const SqlType& type, T& out) {
  { codec<T>::decode(text, type, out) } -> std::same_as<Errc>;
};

template <class T>
concept judges_types = requires(const SqlType& type) {
  { codec<T>::accepts(type) } -> std::same_as<bool>;
};

template <class T>
concept judges_sameness = requires(const T& a, const T& b) {
  { codec<T>::same(a, b) } -> std::same_as<bool>;
};

template <class T>
concept explains_refusals = requires(const SqlType& type) {
  { codec<T>::refusal(type) } -> std::same_as<std::string>;
};

template <class T>
concept names_its_types = requires {
  { codec<T>::sql_name } -> std::convertible_to<std::string_view>;
};

/// Stands for an argument of any type.
struct AnyArgument {
  template <class T>
  operator T() const;  // NOLINT(google-explicit-constructor): to be converted is all that it is for
};

// A decode that changes a copy would leave every row with a default value, and one that asks for the type in another
// way would never be told it.
template <class T>
concept well_formed_decode = !requires(std::string_view text, T&& out) {
  codec<T>::decode(text, static_cast<T&&>(out));
} && !requires(std::string_view text, const SqlType& type, T&& out) {
  codec<T>::decode(text, type, static_cast<T&&>(out));
} && (decodes_by_type<T> || !requires(std::string_view text, T& out) { codec<T>::decode(text, AnyArgument{}, out); });

// A member of the right name that cannot be called as documented would silently count as absent: accepts(Oid) would
// let every type in. So a name that is there must also fit.
template <class T>
concept well_formed_options =
    (judges_types<T> || !requires { &codec<T>::accepts; }) && (judges_sameness<T> || !requires { &codec<T>::same; }) &&
    (names_its_types<T> || !requires { &codec<T>::sql_name; }) &&
    (explains_refusals<T> || !requires { &codec<T>::refusal; });

}  // namespace detail

/// A type that can be a column's value: it has a codec, can be made empty, and does not refer to memory of others.
template <class T>
concept decodable = std::is_object_v<T> && !std::is_const_v<T> && !std::is_volatile_v<T> && !std::is_array_v<T> &&
                    !std::is_pointer_v<T> && !detail::is_optional_v<T> && std::default_initializable<T> &&
                    (detail::decodes_text<T> || detail::decodes_by_type<T>);

namespace detail {

/// False for a type whose operator< is no order.
template <class T>
inline constexpr bool can_be_key_v = true;

/// A type that a field of a row may have: a decodable type, or std::optional of one where the column may be NULL.
template <class Field>
concept field = !std::is_const_v<Field> && !std::is_volatile_v<Field> && decodable<value_type_t<Field>>;

template <decodable T>
[[nodiscard]] Errc decode_text(std::string_view text, const SqlType& type, T& out) {
  static_assert(well_formed_options<T>,
                "btreemapped: accepts, same, sql_name or refusal of this codec is not declared as the comment of "
                "btreemapped::codec says");
  static_assert(
      well_formed_decode<T>,
      "btreemapped: decode of this codec must be `static Errc decode(std::string_view text, T& out)`, or with "
      "`const SqlType& type` between the two");
  if constexpr (decodes_by_type<T>) {
    return codec<T>::decode(text, type, out);
  } else {
    return codec<T>::decode(text, out);
  }
}

/// One column of one row. The only place that knows what NULL means.
/// Throws: std::bad_alloc.
template <field Field>
[[nodiscard]] Errc decode_field(const wire::Cell& cell, const SqlType& type, Field& out) {
  switch (cell.kind) {
    case wire::Cell::Kind::text:
      if constexpr (is_optional_v<Field>) {
        return decode_text(cell.text, type, out.emplace());
      } else {
        return decode_text(cell.text, type, out);
      }
    case wire::Cell::Kind::null:
      if constexpr (is_optional_v<Field>) {
        out.reset();
        return Errc::ok;
      } else {
        return Errc::unexpected_null;
      }
    case wire::Cell::Kind::unchanged: return Errc::value_not_sent;
  }
  return Errc::invalid_message;
}

/// True if the field can hold every value of the column's type.
template <field Field>
[[nodiscard]] bool accepts_type(const SqlType& type) {
  using T = value_type_t<Field>;
  static_assert(well_formed_options<T>,
                "btreemapped: accepts, same, sql_name or refusal of this codec is not declared as the comment of "
                "btreemapped::codec says");
  if constexpr (judges_types<T>) {
    return codec<T>::accepts(type);
  } else {
    return true;
  }
}

/// The column types that the field holds, for messages; empty if the codec does not say.
template <field Field>
[[nodiscard]] constexpr std::string_view expected_type() noexcept {
  using T = value_type_t<Field>;
  if constexpr (names_its_types<T>) {
    return codec<T>::sql_name;
  } else {
    return {};
  }
}

/// What beyond its name keeps this type from the field, for messages; empty if there is nothing to add.
template <field Field>
[[nodiscard]] std::string refusal_of(const SqlType& type) {
  using T = value_type_t<Field>;
  if constexpr (explains_refusals<T>) {
    return codec<T>::refusal(type);
  } else {
    return {};
  }
}

/// In what two different values of the type may differ that are equal in the field, for messages; empty if in nothing,
/// as it must be for a key.
template <field Field>
[[nodiscard]] std::string omission_of(const SqlType& type) {
  using T = value_type_t<Field>;
  if constexpr (std::is_base_of_v<FamilyCodec<T>, codec<T>> && requires { FamilyCodec<T>::omission(type); }) {
    return FamilyCodec<T>::omission(type);
  } else {
    return {};
  }
}

/// For the fields of a key, what accepts_type and refusal_of are for all others.
template <field Field>
[[nodiscard]] bool accepts_key_type(const SqlType& type) {
  return accepts_type<Field>(type) && omission_of<Field>(type).empty();
}
template <field Field>
[[nodiscard]] std::string refusal_of_key(const SqlType& type) {
  if (!accepts_type<Field>(type)) return refusal_of<Field>(type);
  return "a key must tell all values apart, and this one leaves out " + omission_of<Field>(type);
}

template <field Field>
[[nodiscard]] std::string describe_refusal(const SqlType& type) {
  return describe_refusal(type, expected_type<Field>(), refusal_of<Field>(type));
}

/// A name for messages that is made of a prefix and what an inner field holds, such as "array of boolean".
template <const std::string_view& Prefix, class Field>
struct ComposedName {
  static constexpr std::string_view inner = expected_type<Field>();
  static constexpr auto characters = [] {
    std::array<char, Prefix.size() + inner.size()> out{};
    std::copy(inner.begin(), inner.end(), std::copy(Prefix.begin(), Prefix.end(), out.begin()));
    return out;
  }();
  static constexpr std::string_view value{characters.data(), characters.size()};
};

/// True if replacing one by the other is no change. Finer than ==, which keys use: -0.0 and 0.0, or the numerics 1.0
/// and 1.00, are equal and not the same.
template <field Field>
[[nodiscard]] bool same_value(const Field& a, const Field& b) {
  if constexpr (is_optional_v<Field>) {
    return a.has_value() == b.has_value() && (!a.has_value() || same_value(*a, *b));
  } else if constexpr (judges_sameness<Field>) {
    return codec<Field>::same(a, b);
  } else if constexpr (std::same_as<Field, float>) {
    return std::bit_cast<std::uint32_t>(a) == std::bit_cast<std::uint32_t>(b);
  } else if constexpr (std::same_as<Field, double>) {
    return std::bit_cast<std::uint64_t>(a) == std::bit_cast<std::uint64_t>(b);
  } else {
    static_assert(std::equality_comparable<Field>,
                  "btreemapped: give this type an operator==, or its codec `static bool same(const T&, const T&)`");
    return a == b;
  }
}

}  // namespace detail
}  // namespace v0
}  // namespace btreemapped
