// A const field could never be updated.
// expect: btreemapped: a row must be movable; const fields
#include <cstddef>
#include <cstdint>

#include <btreemapped/replica.hpp>

struct Row {
  std::int32_t id;
  const std::int32_t size = 1;
};

std::size_t size(const btreemapped::Replica<Row, 1>& rows) { return rows.size(); }
