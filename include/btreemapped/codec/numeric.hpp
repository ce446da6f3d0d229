#pragma once

#include <string_view>

#include <btreemapped/codec.hpp>
#include <btreemapped/detail/codec/builtin_oid.hpp>
#include <btreemapped/detail/codec/parsed.hpp>
#include <btreemapped/detail/shape.hpp>
#include <btreemapped/error.hpp>
#include <btreemapped/numeric.hpp>

namespace btreemapped {
inline namespace v0 {

/// numeric, and the integers, with scale 0
template <>
struct codec<Numeric> {
  static constexpr std::string_view sql_name = "numeric, bigint, integer, smallint or oid";

  [[nodiscard]] static bool accepts(const SqlType& type) noexcept {
    switch (type.base) {
      case detail::numeric_oid:
      case detail::int2_oid:
      case detail::int4_oid:
      case detail::int8_oid:
      case detail::oid_oid: return true;
      default: return false;
    }
  }

  [[nodiscard]] static Errc decode(std::string_view text, Numeric& out) { return detail::decode_parsed(text, out); }

  /// The same digits and scale: 1.0 and 1.00 are equal, but one replacing the other is a change.
  [[nodiscard]] static bool same(const Numeric& a, const Numeric& b) noexcept { return a.text() == b.text(); }
};

}  // namespace v0
}  // namespace btreemapped
