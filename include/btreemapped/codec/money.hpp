#pragma once

#include <string_view>

#include <btreemapped/codec.hpp>
#include <btreemapped/detail/codec/builtin_oid.hpp>
#include <btreemapped/detail/codec/parsed.hpp>
#include <btreemapped/detail/shape.hpp>
#include <btreemapped/error.hpp>
#include <btreemapped/money.hpp>

namespace btreemapped {
inline namespace v0 {

/// money
template <>
struct codec<Money> {
  static constexpr std::string_view sql_name = "money";

  [[nodiscard]] static bool accepts(const SqlType& type) noexcept { return type.base == detail::money_oid; }

  [[nodiscard]] static Errc decode(std::string_view text, Money& out) noexcept {
    return detail::decode_parsed(text, out);
  }
};

}  // namespace v0
}  // namespace btreemapped
