#pragma once

#include <cstddef>
#include <string_view>
#include <vector>

#include <btreemapped/codec.hpp>
#include <btreemapped/detail/codec/builtin_oid.hpp>
#include <btreemapped/detail/codec/hex.hpp>
#include <btreemapped/detail/shape.hpp>
#include <btreemapped/error.hpp>

namespace btreemapped {
inline namespace v0 {
namespace detail {

/// bytea_output=escape: printable ASCII stands for itself, a backslash is doubled, all else is a backslash and three
/// octal digits.
[[nodiscard]] inline Errc decode_escaped_bytes(std::string_view text, std::vector<std::byte>& out) {
  out.clear();
  out.reserve(text.size());
  const auto is_octal = [](char c) { return c >= '0' && c <= '7'; };
  for (std::size_t at = 0; at < text.size();) {
    const char c = text[at];
    if (c < ' ' || c > '~') return Errc::invalid_text;
    if (c != '\\') {
      out.push_back(static_cast<std::byte>(c));
      at += 1;
    } else if (text.size() - at >= 2 && text[at + 1] == '\\') {
      out.push_back(static_cast<std::byte>('\\'));
      at += 2;
    } else if (text.size() - at >= 4 && text[at + 1] >= '0' && text[at + 1] <= '3' && is_octal(text[at + 2]) &&
               is_octal(text[at + 3])) {
      out.push_back(
          static_cast<std::byte>((text[at + 1] - '0') * 64 + (text[at + 2] - '0') * 8 + (text[at + 3] - '0')));
      at += 4;
    } else {
      return Errc::invalid_text;
    }
  }
  return Errc::ok;
}

}  // namespace detail

/// bytea, in either form of bytea_output
template <>
struct codec<std::vector<std::byte>> {
  static constexpr std::string_view sql_name = "bytea";

  [[nodiscard]] static bool accepts(const SqlType& type) noexcept { return type.base == detail::bytea_oid; }

  [[nodiscard]] static Errc decode(std::string_view text, std::vector<std::byte>& out) {
    // The escape format cannot begin like this: its backslashes stand before a backslash or a digit.
    if (!text.starts_with("\\x")) return detail::decode_escaped_bytes(text, out);
    text.remove_prefix(2);
    if (text.size() % 2 != 0) return Errc::invalid_text;
    out.resize(text.size() / 2);
    return detail::decode_hex(text.data(), out.data(), out.size()) ? Errc::ok : Errc::invalid_text;
  }
};

}  // namespace v0
}  // namespace btreemapped
