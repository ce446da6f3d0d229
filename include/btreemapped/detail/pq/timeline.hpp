#pragma once

#include <algorithm>
#include <charconv>
#include <cstddef>
#include <cstdint>
#include <optional>
#include <string_view>
#include <system_error>

#include <btreemapped/lsn.hpp>

namespace btreemapped {
inline namespace v0 {
namespace detail {
namespace pq {

/// Where a history left a timeline, as TIMELINE_HISTORY tells it of a later one: what commits on the earlier timeline
/// at or after this position is not part of it. Empty where the earlier one is not among its ancestors.
/// Source: https://www.postgresql.org/docs/current/continuous-archiving.html#BACKUP-TIMELINES
[[nodiscard]] inline std::optional<Lsn> left_at(std::string_view history, std::uint32_t timeline) {
  const auto next = [](std::string_view& text, std::string_view ends) {
    text.remove_prefix(std::min(text.find_first_not_of(" \t"), text.size()));
    const std::string_view out = text.substr(0, text.find_first_of(ends));
    text.remove_prefix(out.size());
    return out;
  };
  while (!history.empty()) {
    std::string_view line = history.substr(0, history.find('\n'));
    history.remove_prefix(std::min(line.size() + 1, history.size()));
    const std::string_view number = next(line, " \t");
    std::uint32_t parent = 0;
    const auto [end, error] = std::from_chars(number.data(), number.data() + number.size(), parent);
    if (error != std::errc{} || end != number.data() + number.size()) continue;  // a comment, or an empty line
    if (parent == timeline) return Lsn::parse(next(line, " \t\r"));
  }
  return std::nullopt;
}

}  // namespace pq
}  // namespace detail
}  // namespace v0
}  // namespace btreemapped
