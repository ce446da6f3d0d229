#pragma once

#include <optional>
#include <string_view>

#include <btreemapped/codec.hpp>
#include <btreemapped/detail/codec/builtin_oid.hpp>
#include <btreemapped/detail/shape.hpp>
#include <btreemapped/error.hpp>
#include <btreemapped/uuid.hpp>

namespace btreemapped {
inline namespace v0 {

/// uuid
template <>
struct codec<Uuid> {
  static constexpr std::string_view sql_name = "uuid";

  [[nodiscard]] static bool accepts(const SqlType& type) noexcept { return type.base == detail::uuid_oid; }

  [[nodiscard]] static Errc decode(std::string_view text, Uuid& out) noexcept {
    const std::optional<Uuid> parsed = Uuid::parse(text);
    if (!parsed) return Errc::invalid_text;
    out = *parsed;
    return Errc::ok;
  }
};

}  // namespace v0
}  // namespace btreemapped
