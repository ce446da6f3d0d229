#pragma once

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <cstring>
#include <iterator>
#include <string>
#include <string_view>

#include <btreemapped/codec.hpp>
#include <btreemapped/detail/codec/builtin_oid.hpp>
#include <btreemapped/detail/shape.hpp>
#include <btreemapped/error.hpp>

namespace btreemapped {
inline namespace v0 {
namespace detail {

/// The length of the UTF-8 sequence that text begins with, for a text that does not begin with ASCII; 0 if there is
/// none. Neither overlong forms nor surrogates nor code points above U+10FFFF pass.
/// Source: The Unicode Standard, table 3-7, well-formed UTF-8 byte sequences
[[nodiscard]] constexpr std::size_t utf8_sequence_length(std::string_view text) noexcept {
  const auto byte = [&](std::size_t i) { return static_cast<unsigned char>(text[i]); };
  const auto continues = [&](std::size_t i) { return (byte(i) & 0xC0U) == 0x80U; };
  const unsigned char lead = byte(0);
  if (lead < 0xC2 || lead > 0xF4) return 0;
  if (lead < 0xE0) return text.size() >= 2 && continues(1) ? 2 : 0;
  // The second byte decides whether the code point is in the range that the length stands for.
  const unsigned char lowest = lead == 0xE0 ? 0xA0 : lead == 0xF0 ? 0x90 : 0x80;
  const unsigned char highest = lead == 0xED ? 0x9F : lead == 0xF4 ? 0x8F : 0xBF;
  const std::size_t length = lead < 0xF0 ? 3 : 4;
  if (text.size() < length || byte(1) < lowest || byte(1) > highest || !continues(2)) return 0;
  return length == 3 || continues(3) ? length : 0;
}

/// True for UTF-8 without NUL: what PostgreSQL calls a valid text.
[[nodiscard]] inline bool is_utf8_text(std::string_view text) noexcept {
  constexpr std::uint64_t ones = 0x0101'0101'0101'0101;
  constexpr std::uint64_t high_bits = 0x8080'8080'8080'8080;
  std::size_t at = 0;
  while (at < text.size()) {
    if (text.size() - at >= sizeof(std::uint64_t)) {
      std::uint64_t word = 0;
      std::memcpy(&word, text.data() + at, sizeof word);
      // Sets a high bit for a byte of 0, by borrowing, and for a byte of 0x80 or more: all eight are ASCII or none is
      // decided here.
      if ((((word - ones) | word) & high_bits) == 0) {
        at += sizeof word;
        continue;
      }
    }
    const auto lead = static_cast<unsigned char>(text[at]);
    const std::size_t length = lead >= 0x80 ? utf8_sequence_length(text.substr(at)) : lead == 0 ? 0 : 1;
    if (length == 0) return false;
    at += length;
  }
  return true;
}

/// Does the text of such a value depend on other entries of the catalog?
[[nodiscard]] inline bool names_objects(const SqlType& type) noexcept {
  if (std::find(std::begin(object_name_oids), std::end(object_name_oids), type.base) != std::end(object_name_oids))
    return true;
  if (type.parts == nullptr) return false;
  if (names_objects(type.parts->element)) return true;
  return std::any_of(type.parts->attributes.begin(), type.parts->attributes.end(),
                     [](const SqlAttribute& each) { return names_objects(each.type); });
}

}  // namespace detail

/// Every type: the text family as it is, any other type as PostgreSQL prints it. But not the names of tables, types,
/// roles and the like (regclass, aclitem and others), nor what is made of them: renaming the object changes every such
/// text, and neither the stream nor the table's own catalog entries tell of that.
template <>
struct codec<std::string> {
  static constexpr std::string_view sql_name = "any type but those that name objects of the catalog";

  [[nodiscard]] static bool accepts(const SqlType& type) noexcept { return !detail::names_objects(type); }

  [[nodiscard]] static std::string refusal(const SqlType&) {
    return "its text is the name of an object, and changes unseen when that is renamed: keep the oid, or a text";
  }

  [[nodiscard]] static Errc decode(std::string_view text, std::string& out) {
    if (!detail::is_utf8_text(text)) return Errc::invalid_encoding;
    out.assign(text);
    return Errc::ok;
  }
};

}  // namespace v0
}  // namespace btreemapped
