// An empty key is no declaration that an arity may fill in.
// expect: btreemapped: table, schema, column_name, arity or key of this row is not declared as
#include <cstddef>
#include <cstdint>

#include <btreemapped/replica.hpp>

struct Row {
  std::int32_t id;

  static constexpr auto key = btreemapped::key<>;
};

std::size_t size(const btreemapped::Replica<Row, 1>& rows) { return rows.size(); }
