#pragma once

#include <span>
#include <string>

#include <btreemapped/detail/shape.hpp>
#include <btreemapped/detail/sql/quote.hpp>
#include <btreemapped/detail/sql/session.hpp>
#include <btreemapped/error.hpp>

namespace btreemapped {
inline namespace v0 {
namespace detail {
namespace sql {

/// CREATE PUBLICATION for just these tables: no inheritance children, and partitioned tables under their own names.
[[nodiscard]] inline std::string create_publication_sql(const std::string& name, std::span<const TableShape> tables) {
  return "CREATE PUBLICATION " + identifier(name) + " FOR TABLE " +
         comma_separated(
             tables,
             [](const TableShape& shape) { return (shape.kind == 'p' ? "" : "ONLY ") + identifier(shape.table); }) +
         " WITH (publish = 'insert, update, delete, truncate', publish_via_partition_root = true)";
}

/// Creates a missing publication. Preflight has found the tables fit for it: publishing a table without a replica
/// identity would make the application's own updates fail, so that is refused here once more.
/// Throws: SchemaError, ConnectionError, StoppedError.
inline void create_publication(Session& session, const std::string& name, std::span<const TableShape> tables) {
  for (const TableShape& table : tables) {
    bool has_identity = table.replica_identity == 'f';
    for (const ColumnShape& column : table.columns) has_identity = has_identity || column.in_identity;
    if (!has_identity) {
      throw SchemaError("cannot create publication " + identifier(name) + ": table " + to_string(table.table) +
                            " has no replica identity, so its updates would fail: ALTER TABLE " +
                            identifier(table.table) + " REPLICA IDENTITY FULL;",
                        {.table = to_string(table.table)});
    }
  }
  try {
    session.query("cannot create the publication", create_publication_sql(name, tables), Session::Mode::read_write);
  } catch (const SchemaError& error) {
    // Somebody was faster; whether theirs will do is preflight's question.
    if (error.sqlstate() != "42710" && error.sqlstate() != "23505") throw;
  }
}

}  // namespace sql
}  // namespace detail
}  // namespace v0
}  // namespace btreemapped
