#pragma once

#include <algorithm>
#include <span>
#include <string>

#include <btreemapped/detail/shape.hpp>
#include <btreemapped/detail/sql/quote.hpp>
#include <btreemapped/detail/sql/table_facts.hpp>

namespace btreemapped {
inline namespace v0 {
namespace detail {

[[nodiscard]] inline bool is_subset(std::span<const std::string> part, std::span<const std::string> whole) {
  return std::all_of(part.begin(), part.end(), [&](const std::string& each) {
    return std::find(whole.begin(), whole.end(), each) != whole.end();
  });
}

/// The smallest replica identity that carries these key columns, as ALTER TABLE spells it.
[[nodiscard]] inline std::string fitting_identity(const TableShape& shape, std::span<const std::string> key) {
  const UniqueIndexShape* best = nullptr;
  for (const UniqueIndexShape& index : shape.unique_indexes) {
    if (!index.immediate || !index.all_not_null || !is_subset(key, index.columns)) continue;
    if (best == nullptr || index.primary) best = &index;
  }
  if (best == nullptr || shape.kind == 'p') return best != nullptr && best->primary ? "DEFAULT" : "FULL";
  return best->primary ? "DEFAULT" : "USING INDEX " + sql::identifier(best->name);
}

/// Partitions do not follow when their table's identity is changed.
[[nodiscard]] inline std::string identity_sql(const sql::TableFacts& facts, const std::string& identity) {
  std::string sql = "ALTER TABLE " + sql::identifier(facts.shape.table) + " REPLICA IDENTITY " + identity + ";";
  for (const TableName& leaf : facts.leaves) {
    if (identity == "FULL") sql += " ALTER TABLE " + sql::identifier(leaf) + " REPLICA IDENTITY FULL;";
  }
  return sql;
}

}  // namespace detail
}  // namespace v0
}  // namespace btreemapped
