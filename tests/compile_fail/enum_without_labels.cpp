// An enum whose labels nobody has listed.
// expect: btreemapped: an enum.s labels are not listed
#include <cstddef>
#include <cstdint>

#include <btreemapped/replica.hpp>

enum class Color { red, green };
struct Row {
  std::int32_t id;
  Color color;
};

std::size_t size(const btreemapped::Replica<Row, 1>& rows) { return rows.size(); }
