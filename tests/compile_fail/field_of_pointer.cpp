// A pointer would refer to the bytes of a message that is gone.
// expect: btreemapped: a field is a view or pointer and would dangle
#include <cstddef>
#include <cstdint>

#include <btreemapped/replica.hpp>

struct Row {
  std::int32_t id;
  const char* text;
};

std::size_t size(const btreemapped::Replica<Row, 1>& rows) { return rows.size(); }
