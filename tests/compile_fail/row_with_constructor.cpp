// A row with a constructor cannot be reflected.
// expect: btreemapped: a row must be an aggregate
#include <cstddef>
#include <cstdint>

#include <btreemapped/replica.hpp>

struct Row {
  explicit Row(int given) : id(given) {}
  std::int32_t id;
};

std::size_t size(const btreemapped::Replica<Row, 1>& rows) { return rows.size(); }
