// A C array is many fields to Boost.PFR; std::array or std::string is one.
// expect: [0-9]+ names provided for structured binding
// expect-clang: decomposes into 2 elements, but [0-9]+ names were provided
#include <cstddef>
#include <cstdint>

#include <btreemapped/replica.hpp>

struct Row {
  std::int32_t id;
  char text[8];
};

std::size_t size(const btreemapped::Replica<Row, 1>& rows) { return rows.size(); }
