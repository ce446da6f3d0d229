#pragma once

#include <string>
#include <string_view>

#include <btreemapped/detail/shape.hpp>
#include <btreemapped/error.hpp>

namespace btreemapped {
inline namespace v0 {
namespace detail {
namespace sql {

/// Text in quotes, with each quote inside doubled.
[[nodiscard]] inline std::string quoted(std::string_view text, char quote) {
  if (text.find('\0') != std::string_view::npos) throw UsageError("a name must not contain a zero byte");
  std::string out{quote};
  for (const char c : text) {
    if (c == quote) out += quote;
    out += c;
  }
  return out += quote;
}

[[nodiscard]] inline std::string identifier(std::string_view name) { return quoted(name, '"'); }

[[nodiscard]] inline std::string identifier(const TableName& table) {
  return identifier(table.schema) + '.' + identifier(table.name);
}

/// A string constant that reads the same whatever standard_conforming_strings says.
[[nodiscard]] inline std::string literal(std::string_view text) {
  std::string out = quoted(text, '\'');
  if (text.find('\\') == std::string_view::npos) return out;
  for (std::size_t at = 0; (at = out.find('\\', at)) != std::string::npos; at += 2) out.insert(at, 1, '\\');
  return 'E' + out;
}

/// Each element as `quote` writes it, separated by commas.
template <class Range, class Quote>
[[nodiscard]] std::string comma_separated(const Range& range, Quote quote) {
  std::string out;
  for (const auto& each : range) {
    if (!out.empty()) out += ", ";
    out += quote(each);
  }
  return out;
}

/// A list for IN (...) that may be empty.
template <class Range>
[[nodiscard]] std::string literal_list(const Range& texts) {
  std::string out = comma_separated(texts, [](const std::string& text) { return literal(text); });
  return out.empty() ? "NULL" : out;
}

}  // namespace sql
}  // namespace detail
}  // namespace v0
}  // namespace btreemapped
