#pragma once

#include <optional>
#include <string_view>
#include <utility>

#include <btreemapped/error.hpp>

namespace btreemapped {
inline namespace v0 {
namespace detail {

/// Decodes a type that reads what PostgreSQL prints by a `parse` of its own.
template <class T>
[[nodiscard]] constexpr Errc decode_parsed(std::string_view text, T& out) noexcept(noexcept(T::parse(text))) {
  std::optional<T> parsed = T::parse(text);
  if (!parsed) return Errc::invalid_text;
  out = *std::move(parsed);
  return Errc::ok;
}

}  // namespace detail
}  // namespace v0
}  // namespace btreemapped
