// A declared arity of 0 is no declaration that another one may fill in.
// expect: btreemapped: table, schema, column_name, arity or key of this row is not declared as
#include <cstddef>
#include <cstdint>

#include <btreemapped/replica.hpp>

struct Row {
  std::int32_t id;

  static constexpr std::size_t arity = 0;
};

std::size_t size(const btreemapped::Replica<Row, 1>& rows) { return rows.size(); }
