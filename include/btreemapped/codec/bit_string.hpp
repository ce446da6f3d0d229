#pragma once

#include <string_view>

#include <btreemapped/bit_string.hpp>
#include <btreemapped/codec.hpp>
#include <btreemapped/detail/codec/builtin_oid.hpp>
#include <btreemapped/detail/codec/parsed.hpp>
#include <btreemapped/detail/shape.hpp>
#include <btreemapped/error.hpp>

namespace btreemapped {
inline namespace v0 {

/// bit and bit varying
template <>
struct codec<BitString> {
  static constexpr std::string_view sql_name = "bit or bit varying";

  [[nodiscard]] static bool accepts(const SqlType& type) noexcept {
    return type.base == detail::bit_oid || type.base == detail::varbit_oid;
  }

  [[nodiscard]] static Errc decode(std::string_view text, BitString& out) { return detail::decode_parsed(text, out); }
};

}  // namespace v0
}  // namespace btreemapped
