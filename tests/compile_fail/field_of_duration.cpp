// An interval has months and days, whose length depends on where they begin.
// expect: btreemapped: a field.s type has no codec
#include <chrono>
#include <cstddef>

#include <btreemapped/replica.hpp>

struct Row {
  int id;
  std::chrono::microseconds duration;
};

std::size_t size(const btreemapped::Replica<Row, 1>& rows) { return rows.size(); }
