// Nor is one with a base class taken apart.
// expect: btreemapped: a field.s type has no codec
#include <cstddef>
#include <cstdint>

#include <btreemapped/replica.hpp>

struct Major {
  int major;
};
struct Version : Major {
  int minor;
};

struct Row {
  std::int32_t id;
  Version version;
};

std::size_t size(const btreemapped::Replica<Row, 1>& rows) { return rows.size(); }
