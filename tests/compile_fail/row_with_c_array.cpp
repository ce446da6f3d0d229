// A C array is as many fields as it has elements; a std::string is one.
// expect: btreemapped: a row cannot have a C array
#include <cstddef>
#include <cstdint>

#include <btreemapped/replica.hpp>

struct Row {
  std::int32_t id;
  char text[8];
};

std::size_t size(const btreemapped::Replica<Row, 1>& rows) { return rows.size(); }
