// Nothing can refer to a bit-field.
// expect: cannot bind bit-field
// expect-clang: reference cannot bind to bit-field
#include <cstddef>
#include <cstdint>

#include <btreemapped/replica.hpp>

struct Row {
  std::int32_t id;
  std::int32_t flags : 4;
};

std::size_t size(const btreemapped::Replica<Row, 1>& rows) { return rows.size(); }
