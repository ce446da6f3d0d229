// A row without fields has no columns.
// expect: btreemapped: a row needs at least one field
#include <cstddef>
#include <cstdint>

#include <btreemapped/replica.hpp>

struct Row {
  static constexpr std::int32_t id = 0;
};

std::size_t size(const btreemapped::Replica<Row, 1>& rows) { return rows.size(); }
