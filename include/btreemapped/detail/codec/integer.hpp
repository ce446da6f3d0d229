#pragma once

#include <concepts>
#include <type_traits>

namespace btreemapped {
inline namespace v0 {
namespace detail {

/// char, wchar_t and their kin: integers to the language, letters to us.
template <class T>
inline constexpr bool is_character_v =
    std::is_same_v<T, char> || std::is_same_v<T, signed char> || std::is_same_v<T, unsigned char> ||
    std::is_same_v<T, wchar_t> || std::is_same_v<T, char8_t> || std::is_same_v<T, char16_t> ||
    std::is_same_v<T, char32_t>;

/// An integer that is meant as a number, of 2, 4 or 8 bytes, whichever of its names (long, long long) is used.
template <class T>
concept integer = std::integral<T> && !std::is_const_v<T> && !std::is_volatile_v<T> && !std::is_same_v<T, bool> &&
                  !is_character_v<T> && (sizeof(T) == 2 || sizeof(T) == 4 || sizeof(T) == 8);

}  // namespace detail
}  // namespace v0
}  // namespace btreemapped
