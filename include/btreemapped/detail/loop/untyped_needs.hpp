#pragma once

#include <algorithm>
#include <array>
#include <string>
#include <utility>
#include <vector>

#include <btreemapped/detail/shape.hpp>

namespace btreemapped {
inline namespace v0 {
namespace detail {

/// What a row type would ask of a table that fits it in all but its key, for each key that the table may have: the
/// likeliest first. One without a key where no unique index makes one.
[[nodiscard]] inline std::vector<std::vector<FieldNeed>> untyped_needs(const TableShape& shape) {
  const auto fits = [&](const ColumnShape& column) {
    return column.selectable && (column.published || !shape.published) && !column.computed;
  };
  // A role that may read nothing of it is to be told so.
  const bool readable = std::any_of(shape.columns.begin(), shape.columns.end(),
                                    [](const ColumnShape& column) { return column.selectable; });
  const auto needs_of = [&](const std::vector<std::string>& key) {
    std::vector<FieldNeed> out;
    for (const ColumnShape& column : shape.columns) {
      const bool in_key = std::find(key.begin(), key.end(), column.name) != key.end();
      if (in_key || fits(column) || !readable) out.push_back({column.name, {}, nullptr, true, in_key});
    }
    return out;
  };

  std::vector<UniqueIndexShape> indexes = shape.unique_indexes;
  const auto rank = [](const UniqueIndexShape& index) {
    return std::array{!index.immediate, !index.all_not_null, !index.primary};
  };
  std::stable_sort(indexes.begin(), indexes.end(),
                   [&](const auto& left, const auto& right) { return rank(left) < rank(right); });
  std::vector<std::vector<FieldNeed>> out;
  for (const UniqueIndexShape& index : indexes) out.push_back(needs_of(index.columns));
  if (out.empty()) out.push_back(needs_of({}));
  return out;
}

}  // namespace detail
}  // namespace v0
}  // namespace btreemapped
