// Fields of a base class are not reflected.
// expect: btreemapped: a row cannot have a base class
#include <cstddef>
#include <cstdint>
#include <string>

#include <btreemapped/replica.hpp>

struct Base {
  std::int32_t id;
};
struct Row : Base {
  std::string text;
};

std::size_t size(const btreemapped::Replica<Row, 1>& rows) { return rows.size(); }
