#pragma once

#include <cstddef>
#include <string>
#include <string_view>

#include <btreemapped/detail/shape.hpp>
#include <btreemapped/error.hpp>

namespace btreemapped {
inline namespace v0 {
namespace detail {

/// Takes one name from the front of `text`: quoted as in SQL, or all up to the next dot.
[[nodiscard]] inline std::string take_identifier(std::string_view& text) {
  std::string name;
  if (!text.starts_with('"')) {
    name = text.substr(0, text.find('.'));
    text.remove_prefix(name.size());
    return name;
  }
  for (std::size_t at = 1; at < text.size(); ++at) {
    if (text[at] == '"') {
      if (at + 1 == text.size() || text[at + 1] != '"') {
        text.remove_prefix(at + 1);
        return name;
      }
      ++at;
    }
    name += text[at];
  }
  throw UsageError("a quoted name has no closing quote in add_replica()");
}

/// "name", "schema.name", either part quoted where it holds a dot or a quote. Case is kept in both forms.
/// Throws: UsageError.
[[nodiscard]] inline TableName parse_table_name(std::string_view text, std::string_view declared_schema) {
  std::string first = take_identifier(text);
  TableName table{std::string(declared_schema.empty() ? "public" : declared_schema), first};
  if (text.starts_with('.')) {
    text.remove_prefix(1);
    table = {first, take_identifier(text)};
  }
  if (!text.empty() || table.schema.empty() || table.name.empty())
    throw UsageError("add_replica() wants \"table\" or \"schema.table\"; the row can declare a table name, too");
  return table;
}

}  // namespace detail
}  // namespace v0
}  // namespace btreemapped
