// A column's name is read after the function has returned: a std::string would be gone.
// expect: btreemapped: table, schema, column_name, arity or key of this row is not declared as
#include <cstddef>
#include <cstdint>
#include <string>
#include <string_view>

#include <btreemapped/replica.hpp>

struct Row {
  std::int32_t id;
};

template <>
struct btreemapped::table_traits<Row> {
  static std::string column_name(std::string_view field) { return "_" + std::string(field); }
};

std::size_t size(const btreemapped::Replica<Row, 1>& rows) { return rows.size(); }
