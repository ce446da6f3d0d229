#pragma once

#include <algorithm>
#include <array>
#include <cstddef>
#include <iterator>
#include <string>
#include <string_view>
#include <type_traits>

#include <btreemapped/codec.hpp>
#include <btreemapped/detail/shape.hpp>
#include <btreemapped/error.hpp>

namespace btreemapped {
inline namespace v0 {

/// One label of an enum type, and the enumerator that stands for it.
template <class Enum>
struct EnumLabel {
  std::string_view label;
  Enum value;
};

/// Which label of PostgreSQL's enum is which enumerator. Specialise it with a list of all labels:
///
///     template <>
///     struct btreemapped::enum_labels<Color> {
///       static constexpr EnumLabel<Color> list[] = {{"red", Color::red}, {"dark blue", Color::dark_blue}};
///     };
///
/// Enumerators compare as in C++, by their numbers, whatever the order of the labels in the type.
template <class Enum>
struct enum_labels {};

namespace detail {

template <class T>
concept labelled_enum = std::is_enum_v<T> && requires {
  requires std::is_same_v<std::remove_cvref_t<decltype(*std::begin(enum_labels<T>::list))>, EnumLabel<T>>;
};

/// The labels in their order as text.
template <labelled_enum Enum>
inline constexpr auto sorted_labels_v = [] {
  std::array<EnumLabel<Enum>, std::size(enum_labels<Enum>::list)> out{};
  std::copy(std::begin(enum_labels<Enum>::list), std::end(enum_labels<Enum>::list), out.begin());
  std::sort(out.begin(), out.end(), [](const auto& a, const auto& b) { return a.label < b.label; });
  return out;
}();

/// The place of a label in sorted_labels_v, or null.
template <labelled_enum Enum>
[[nodiscard]] constexpr const EnumLabel<Enum>* find_label(std::string_view label) noexcept {
  const auto& all = sorted_labels_v<Enum>;
  const auto found =
      std::lower_bound(all.begin(), all.end(), label,
                       [](const EnumLabel<Enum>& each, std::string_view text) { return each.label < text; });
  return found != all.end() && found->label == label ? &*found : nullptr;
}

/// Two labels with one enumerator could not be told apart; one label with two enumerators could be either.
template <labelled_enum Enum>
[[nodiscard]] consteval bool has_one_label_each() {
  const auto& all = sorted_labels_v<Enum>;
  for (std::size_t i = 0; i < all.size(); ++i)
    for (std::size_t j = i + 1; j < all.size(); ++j)
      if (all[i].label == all[j].label || all[i].value == all[j].value) return false;
  return true;
}

/// An enum whose labels are all listed in enum_labels
template <labelled_enum Enum>
struct FamilyCodec<Enum> {
  static_assert(has_one_label_each<Enum>(), "btreemapped: enum_labels lists a label or an enumerator twice");

  static constexpr std::string_view sql_name = "enum with listed labels";

  [[nodiscard]] static bool accepts(const SqlType& type) {
    return type.kind == 'e' && type.parts != nullptr && missing(*type.parts).empty();
  }

  [[nodiscard]] static std::string refusal(const SqlType& type) {
    if (type.kind != 'e' || type.parts == nullptr) return {};
    const std::string labels = missing(*type.parts);
    return labels.empty() ? labels : "enum_labels does not list " + labels;
  }

  [[nodiscard]] static Errc decode(std::string_view text, Enum& out) noexcept {
    const EnumLabel<Enum>* const found = find_label<Enum>(text);
    if (found == nullptr) return Errc::out_of_range;
    out = found->value;
    return Errc::ok;
  }

 private:
  static std::string missing(const SqlTypeParts& type) {
    std::string out;
    for (const std::string& label : type.labels)
      if (find_label<Enum>(label) == nullptr) out += (out.empty() ? "'" : ", '") + label + "'";
    return out;
  }
};

}  // namespace detail
}  // namespace v0
}  // namespace btreemapped
