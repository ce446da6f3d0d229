#pragma once

#include <string_view>

#include <btreemapped/codec.hpp>
#include <btreemapped/detail/codec/builtin_oid.hpp>
#include <btreemapped/detail/codec/parsed.hpp>
#include <btreemapped/detail/shape.hpp>
#include <btreemapped/error.hpp>
#include <btreemapped/time_of_day.hpp>

namespace btreemapped {
inline namespace v0 {

/// time without time zone
template <>
struct codec<TimeOfDay> {
  static constexpr std::string_view sql_name = "time without time zone";

  [[nodiscard]] static bool accepts(const SqlType& type) noexcept { return type.base == detail::time_oid; }

  [[nodiscard]] static Errc decode(std::string_view text, TimeOfDay& out) noexcept {
    return detail::decode_parsed(text, out);
  }
};

/// time with time zone
template <>
struct codec<TimeTz> {
  static constexpr std::string_view sql_name = "time with time zone";

  [[nodiscard]] static bool accepts(const SqlType& type) noexcept { return type.base == detail::timetz_oid; }

  [[nodiscard]] static Errc decode(std::string_view text, TimeTz& out) noexcept {
    return detail::decode_parsed(text, out);
  }
};

}  // namespace v0
}  // namespace btreemapped
