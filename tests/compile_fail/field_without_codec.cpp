// A field of a type that no codec decodes.
// expect: btreemapped: a field.s type has no codec
#include <cstddef>
#include <cstdint>

#include <btreemapped/replica.hpp>

struct Money {
  std::int64_t cents;
};
struct Row {
  std::int32_t id;
  Money price;
};

std::size_t size(const btreemapped::Replica<Row, 1>& rows) { return rows.size(); }
