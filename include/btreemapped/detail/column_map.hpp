#pragma once

#include <cstddef>
#include <optional>
#include <span>
#include <string>
#include <vector>

#include <btreemapped/detail/shape.hpp>
#include <btreemapped/detail/wire/message.hpp>

namespace btreemapped {
inline namespace v0 {
namespace detail {

/// Where the tuples of one relation carry the fields of one row type.
struct ColumnMap {
  struct Column {
    std::size_t position = 0;  ///< in the tuple
    SqlType type{};
    bool in_identity = false;
  };

  std::vector<Column> fields{};  ///< one per field, in the struct's order
  std::size_t width = 0;         ///< the number of columns of a tuple
  /// Do the fields hold every column of the replica identity?
  bool holds_identity = true;
};

/// For the copy, which asks for exactly the mapped columns in the order of the fields.
/// The table has been checked: every needed column is there.
[[nodiscard]] inline ColumnMap map_copied_columns(std::span<const FieldNeed> needs, const TableShape& table) {
  ColumnMap map;
  map.width = needs.size();
  for (const FieldNeed& need : needs) {
    const ColumnShape* const column = table.find(need.column);
    map.fields.push_back({map.fields.size(), column != nullptr ? column->type : SqlType{}, false});
  }
  return map;
}

/// A relation that no longer looks as the table did when it was copied.
struct SchemaChange {
  std::string column{};
  std::string what{};
};

/// For the stream: finds the columns by name in a Relation message and holds them against the table as it was copied.
[[nodiscard]] inline std::optional<SchemaChange> map_streamed_columns(std::span<const FieldNeed> needs,
                                                                      const TableShape& table,
                                                                      const wire::Relation& relation, ColumnMap& map) {
  if (relation.schema != table.table.schema || relation.name != table.table.name)
    return SchemaChange{{}, "the table has been renamed or moved to another schema"};
  map.fields.assign(needs.size(), {});
  map.width = relation.columns.size();
  map.holds_identity = true;
  std::vector<bool> found(needs.size(), false);
  std::size_t position = 0;
  for (const wire::RelationColumn& column : relation.columns) {
    bool is_mapped = false;
    for (std::size_t field = 0; field < needs.size(); ++field) {
      if (needs[field].column != column.name) continue;
      const ColumnShape* const copied = table.find(column.name);
      // Another typmod may have rewritten the held rows: numeric(10,1) rounds what numeric(10,2) held.
      if (copied == nullptr || copied->type.oid != column.type_oid || copied->typmod != column.typmod)
        return SchemaChange{needs[field].column, "the column's type has changed"};
      map.fields[field] = {position, copied->type, column.in_identity || relation.replica_identity == 'f'};
      is_mapped = found[field] = true;
    }
    if (column.in_identity && !is_mapped) map.holds_identity = false;
    ++position;
  }
  for (std::size_t field = 0; field < needs.size(); ++field) {
    if (!found[field]) return SchemaChange{needs[field].column, "the column is no longer there or no longer published"};
    if (needs[field].key && !map.fields[field].in_identity)
      return SchemaChange{needs[field].column, "the replica identity no longer carries this key column"};
  }
  return std::nullopt;
}

}  // namespace detail
}  // namespace v0
}  // namespace btreemapped
