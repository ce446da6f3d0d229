// A char is a letter to C++ and no integer to us.
// expect: btreemapped: a field.s type has no codec
#include <cstddef>
#include <cstdint>

#include <btreemapped/replica.hpp>

struct Row {
  std::int32_t id;
  char letter;
};

std::size_t size(const btreemapped::Replica<Row, 1>& rows) { return rows.size(); }
