// A column may hold microseconds, and its precision is not part of its type.
// expect: btreemapped: a field.s type has no codec
#include <chrono>
#include <cstddef>

#include <btreemapped/replica.hpp>

struct Row {
  int id;
  std::chrono::sys_seconds at;
};

std::size_t size(const btreemapped::Replica<Row, 1>& rows) { return rows.size(); }
