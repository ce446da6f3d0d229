// A row with a private field cannot be reflected.
// expect: btreemapped: a row must be an aggregate
#include <cstddef>
#include <cstdint>

#include <btreemapped/replica.hpp>

class Row {
  std::int32_t id = 0;
};

std::size_t size(const btreemapped::Replica<Row, 1>& rows) { return rows.size(); }
