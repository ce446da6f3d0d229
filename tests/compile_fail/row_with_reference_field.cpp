// A reference field has nothing to refer to.
// expect: btreemapped: a row must be default-constructible
#include <cstddef>
#include <cstdint>
#include <string>

#include <btreemapped/replica.hpp>

struct Row {
  std::int32_t id;
  std::string& text;
};

std::size_t size(const btreemapped::Replica<Row, 1>& rows) { return rows.size(); }
