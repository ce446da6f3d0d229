// A field of a type that no codec decodes, and that is no plain struct either.
// expect: btreemapped: a field.s type has no codec
#include <cstddef>
#include <cstdint>

#include <btreemapped/replica.hpp>

class Money {
 public:
  Money() = default;
  explicit Money(std::int64_t cents) : cents_(cents) {}

 private:
  std::int64_t cents_ = 0;
};
struct Row {
  std::int32_t id;
  Money price;
};

std::size_t size(const btreemapped::Replica<Row, 1>& rows) { return rows.size(); }
