#pragma once

#include <cstddef>
#include <optional>
#include <string>
#include <vector>

#include <btreemapped/detail/shape.hpp>

namespace btreemapped {
inline namespace v0 {
namespace detail {
namespace sql {

/// What one publication says of a table.
struct PublishedBy {
  std::string name{};
  std::optional<std::string> row_filter{};
};

/// A table's shape, and what else the catalog says that decides whether it can be followed.
struct TableFacts {
  TableShape shape{};                        ///< its oid is 0 if there is no such table
  std::vector<PublishedBy> publications{};   ///< those of the named ones that publish it under its own name
  bool leaf_publication_has_root = false;    ///< not only partitions were added to it
  std::string leaf_publication{};            ///< of the named ones the one that publishes its partitions by their names
  std::optional<TableName> published_as{};   ///< the partitioned table under whose name its rows are published instead
  bool column_lists_differ = false;          ///< from publication to publication, which the server refuses
  std::size_t expected_rows = 0;             ///< as of the last ANALYZE or VACUUM; zero if there was none
  bool schema_usable = true;                 ///< the role has USAGE on its schema
  std::vector<std::string> toastable{};      ///< columns whose values can be too long for their row
  std::vector<TableName> leaves{};           ///< of a partitioned table: its partitions that hold rows
  std::vector<TableName> unlogged_leaves{};  ///< partitions whose changes are not in the log: unlogged or foreign ones
  std::vector<TableName> weak_leaves{};      ///< partitions whose replica identity lacks columns of the table's own
};

}  // namespace sql
}  // namespace detail
}  // namespace v0
}  // namespace btreemapped
