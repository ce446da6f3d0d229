#pragma once

#include <optional>
#include <string_view>
#include <utility>

#include <btreemapped/codec.hpp>
#include <btreemapped/detail/codec/builtin_oid.hpp>
#include <btreemapped/detail/shape.hpp>
#include <btreemapped/error.hpp>
#include <btreemapped/numeric.hpp>

namespace btreemapped {
inline namespace v0 {

/// numeric
template <>
struct codec<Numeric> {
  static constexpr std::string_view sql_name = "numeric";

  [[nodiscard]] static bool accepts(const SqlType& type) noexcept { return type.base == detail::numeric_oid; }

  [[nodiscard]] static Errc decode(std::string_view text, Numeric& out) {
    std::optional<Numeric> parsed = Numeric::parse(text);
    if (!parsed) return Errc::invalid_text;
    out = *std::move(parsed);
    return Errc::ok;
  }

  /// The same digits and scale: 1.0 and 1.00 are equal, but one replacing the other is a change.
  [[nodiscard]] static bool same(const Numeric& a, const Numeric& b) noexcept { return a.text() == b.text(); }
};

}  // namespace v0
}  // namespace btreemapped
