// A schema as a function would be overlooked, and the table looked for in "public".
// expect: btreemapped: table, schema, column_name, arity or key of this row is not declared as
#include <cstddef>
#include <cstdint>
#include <string_view>

#include <btreemapped/replica.hpp>

struct Row {
  std::int32_t id;
};

template <>
struct btreemapped::table_traits<Row> {
  static constexpr std::string_view schema() { return "sales"; }
};

std::size_t size(const btreemapped::Replica<Row, 1>& rows) { return rows.size(); }
