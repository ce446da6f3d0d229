#pragma once

#include <string_view>

#include <btreemapped/codec.hpp>
#include <btreemapped/detail/codec/builtin_oid.hpp>
#include <btreemapped/detail/codec/parsed.hpp>
#include <btreemapped/detail/shape.hpp>
#include <btreemapped/error.hpp>
#include <btreemapped/inet.hpp>

namespace btreemapped {
inline namespace v0 {

/// cidr
template <>
struct codec<Cidr> {
  static constexpr std::string_view sql_name = "cidr";

  [[nodiscard]] static bool accepts(const SqlType& type) noexcept { return type.base == detail::cidr_oid; }

  [[nodiscard]] static Errc decode(std::string_view text, Cidr& out) noexcept {
    return detail::decode_parsed(text, out);
  }
};

/// inet, and cidr as PostgreSQL casts it
template <>
struct codec<Inet> {
  static constexpr std::string_view sql_name = "inet or cidr";

  [[nodiscard]] static bool accepts(const SqlType& type) noexcept {
    return type.base == detail::inet_oid || type.base == detail::cidr_oid;
  }

  [[nodiscard]] static Errc decode(std::string_view text, Inet& out) noexcept {
    return detail::decode_parsed(text, out);
  }
};

}  // namespace v0
}  // namespace btreemapped
