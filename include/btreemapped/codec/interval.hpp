#pragma once

#include <string_view>

#include <btreemapped/codec.hpp>
#include <btreemapped/detail/codec/builtin_oid.hpp>
#include <btreemapped/detail/shape.hpp>
#include <btreemapped/error.hpp>
#include <btreemapped/interval.hpp>

namespace btreemapped {
inline namespace v0 {

/// interval
template <>
struct codec<Interval> {
  static constexpr std::string_view sql_name = "interval";

  [[nodiscard]] static bool accepts(const SqlType& type) noexcept { return type.base == detail::interval_oid; }

  [[nodiscard]] static Errc decode(std::string_view text, Interval& out) noexcept {
    return detail::parse_interval(text, out);
  }

  /// The same months, days and microseconds: "1 mon" and "30 days" are equal, but one replacing the other is a change.
  [[nodiscard]] static bool same(const Interval& a, const Interval& b) noexcept { return a.same_as(b); }
};

}  // namespace v0
}  // namespace btreemapped
