#pragma once

#include <optional>
#include <string>
#include <vector>

#include <btreemapped/detail/shape.hpp>
#include <btreemapped/detail/sql/quote.hpp>

namespace btreemapped {
inline namespace v0 {
namespace detail {
namespace sql {

/// What to copy of one table: the mapped columns in the order of the fields.
struct CopySource {
  TableName table{};
  char kind = 'r';  ///< as TableShape::kind
  std::vector<std::string> columns{};
  std::optional<std::string> row_filter{};  ///< as TableShape::row_filter
  std::vector<std::string> key{};           ///< those of the columns that are the key
};

/// The rows that the stream would send too: of a plain table without those of its inheritance children, of a
/// partitioned table those of all partitions; none that the publications' row filters leave out.
[[nodiscard]] inline std::string select_source(const CopySource& source) {
  std::string sql =
      "SELECT " + comma_separated(source.columns, [](const std::string& name) { return identifier(name); });
  sql += source.kind == 'p' ? " FROM " : " FROM ONLY ";
  sql += identifier(source.table);
  if (source.row_filter) sql += " WHERE " + *source.row_filter;
  return sql;
}

[[nodiscard]] inline std::string copy_query(const CopySource& source) {
  return "COPY (" + select_source(source) + ") TO STDOUT";
}

/// Takes the lock of a read on the table and its partitions, with the rights of exactly these columns, and reads
/// nothing.
[[nodiscard]] inline std::string lock_query(const CopySource& source) { return select_source(source) + " LIMIT 0"; }

}  // namespace sql
}  // namespace detail
}  // namespace v0
}  // namespace btreemapped
