#pragma once

#include <string_view>

#include <btreemapped/codec.hpp>
#include <btreemapped/detail/codec/builtin_oid.hpp>
#include <btreemapped/detail/codec/parsed.hpp>
#include <btreemapped/detail/shape.hpp>
#include <btreemapped/error.hpp>
#include <btreemapped/macaddr.hpp>

namespace btreemapped {
inline namespace v0 {

/// macaddr
template <>
struct codec<Macaddr> {
  static constexpr std::string_view sql_name = "macaddr";

  [[nodiscard]] static bool accepts(const SqlType& type) noexcept { return type.base == detail::macaddr_oid; }

  [[nodiscard]] static Errc decode(std::string_view text, Macaddr& out) noexcept {
    return detail::decode_parsed(text, out);
  }
};

/// macaddr8
template <>
struct codec<Macaddr8> {
  static constexpr std::string_view sql_name = "macaddr8";

  [[nodiscard]] static bool accepts(const SqlType& type) noexcept { return type.base == detail::macaddr8_oid; }

  [[nodiscard]] static Errc decode(std::string_view text, Macaddr8& out) noexcept {
    return detail::decode_parsed(text, out);
  }
};

}  // namespace v0
}  // namespace btreemapped
