// Column names that could not be asked for would be overlooked, and the fields' names taken.
// expect: btreemapped: table, schema, column_name, arity or key of this row is not declared as
#include <cstddef>
#include <cstdint>
#include <string>

#include <btreemapped/replica.hpp>

struct Row {
  std::int32_t id;
};

template <>
struct btreemapped::table_traits<Row> {
  static std::string column_name(const std::string& field) { return "_" + field; }
};

std::size_t size(const btreemapped::Replica<Row, 1>& rows) { return rows.size(); }
