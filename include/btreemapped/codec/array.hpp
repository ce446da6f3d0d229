#pragma once

#include <algorithm>
#include <array>
#include <cstddef>
#include <span>
#include <string>
#include <string_view>
#include <type_traits>
#include <vector>

#include <btreemapped/codec.hpp>
#include <btreemapped/detail/codec/pieces.hpp>
#include <btreemapped/detail/shape.hpp>
#include <btreemapped/detail/wire/message.hpp>
#include <btreemapped/error.hpp>

namespace btreemapped {
inline namespace v0 {
namespace detail {

inline constexpr std::string_view array_of = "array of ";

/// Marks the codec below: a vector may also have one of the user's own, or be a bytea.
struct ArrayCodec {};

/// A vector that holds an array, and in a vector of it the next dimension.
template <class T>
concept array_vector = std::is_convertible_v<codec<T>*, ArrayCodec*>;

template <class T>
inline constexpr std::size_t dimensions_v = 0;
template <class T>
  requires array_vector<std::vector<T>>
inline constexpr std::size_t dimensions_v<std::vector<T>> = 1 + dimensions_v<T>;

/// An array of arrays, which is one of a domain over arrays. Otherwise all dimensions are of one array.
[[nodiscard]] inline bool holds_arrays(const SqlTypeParts& array) noexcept { return array.element.kind == 'a'; }

/// A word that stands in quotes if it is a text.
[[nodiscard]] constexpr bool is_null_in_any_case(std::string_view text) noexcept {
  constexpr std::string_view null = "null";
  return text.size() == null.size() && std::equal(text.begin(), text.end(), null.begin(),
                                                  [](char a, char b) { return a == b || a == b - 'a' + 'A'; });
}

/// Reads one dimension, after its '{' and up to its '}'. `lengths` are those of this dimension and of those in it.
template <class T>
[[nodiscard]] Errc decode_dimension(PieceReader& in, const SqlTypeParts& array, std::span<std::size_t> lengths,
                                    std::vector<T>& out) {
  do {
    if constexpr (array_vector<T>) {
      if (!holds_arrays(array)) {
        if (!in.accept('{')) return Errc::out_of_range;
        const Errc result = decode_dimension(in, array, lengths.subspan(1), out.emplace_back());
        if (result != Errc::ok) return result;
        continue;
      }
    }
    if (in.sees('{')) return Errc::out_of_range;  // more dimensions than the vector has
    wire::Cell element{.kind = wire::Cell::Kind::text};
    if (in.accept('"')) {
      if (!in.quoted<Quoting::backslash>(element.text)) return Errc::invalid_text;
    } else {
      element.text = in.bare(array_specials, array.delimiter);
      if (element.text == "NULL") {
        element.kind = wire::Cell::Kind::null;
      } else if (element.text.empty() || is_null_in_any_case(element.text)) {
        return Errc::invalid_text;
      }
    }
    Errc result = Errc::ok;
    if constexpr (std::is_same_v<T, bool>) {
      T value = false;
      result = decode_field(element, array.element, value);
      out.push_back(value);
    } else {
      result = decode_field(element, array.element, out.emplace_back());
    }
    if (result != Errc::ok) return result;
  } while (in.accept(array.delimiter));
  if (lengths.front() == 0) lengths.front() = out.size();
  return in.accept('}') && out.size() == lengths.front() ? Errc::ok : Errc::invalid_text;
}

/// Arrays; nested vectors are the dimensions. NULL elements ask for vectors of std::optional. A value of another number
/// of dimensions, or with a lower bound other than 1, is out_of_range; without elements it is an empty vector.
template <class T>
  requires field<T>
struct FamilyCodec<std::vector<T>> : ArrayCodec {
  static constexpr std::string_view sql_name = ComposedName<array_of, T>::value;

  [[nodiscard]] static bool accepts(const SqlType& type) {
    if (type.kind != 'a' || type.parts == nullptr) return false;
    if constexpr (array_vector<T>) {
      if (!holds_arrays(*type.parts)) return codec<T>::accepts(type);
    }
    return accepts_type<T>(type.parts->element);
  }

  [[nodiscard]] static std::string refusal(const SqlType& type) {
    if (type.kind != 'a' || type.parts == nullptr || accepts(type)) return {};
    if constexpr (array_vector<T>) {
      if (!holds_arrays(*type.parts)) return codec<T>::refusal(type);
    }
    return "its elements are " + describe_refusal<T>(type.parts->element);
  }

  [[nodiscard]] static std::string omission(const SqlType& type) {
    if (type.kind != 'a' || type.parts == nullptr) return {};
    if constexpr (array_vector<T>) {
      if (!holds_arrays(*type.parts)) return omission_of<T>(type);
    }
    return omission_of<T>(type.parts->element);
  }

  [[nodiscard]] static Errc decode(std::string_view text, const SqlType& type, std::vector<T>& out) {
    out.clear();
    if (type.parts == nullptr) return Errc::invalid_text;
    if (text.starts_with('[')) return Errc::out_of_range;  // lower bounds, which are only printed if one is not 1
    PieceReader in{text};
    if (!in.accept('{')) return Errc::invalid_text;
    if (!in.accept('}')) {
      std::array<std::size_t, dimensions_v<std::vector<T>>> lengths{};
      const Errc result = decode_dimension(in, *type.parts, lengths, out);
      if (result != Errc::ok) return result;
    }
    return in.at_end() ? Errc::ok : Errc::invalid_text;
  }

  [[nodiscard]] static bool same(const std::vector<T>& a, const std::vector<T>& b) {
    if (a.size() != b.size()) return false;
    for (std::size_t i = 0; i < a.size(); ++i)
      if (!same_value<T>(a[i], b[i])) return false;
    return true;
  }
};

}  // namespace detail
}  // namespace v0
}  // namespace btreemapped
