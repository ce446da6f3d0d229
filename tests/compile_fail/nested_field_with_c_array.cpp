// A struct that cannot be taken apart is told as one without a codec, and not by what fails in Boost.PFR.
// expect: btreemapped: a field.s type has no codec
#include <cstddef>
#include <cstdint>

#include <btreemapped/replica.hpp>

struct Version {
  int numbers[3];
};

struct Row {
  std::int32_t id;
  Version version;
};

std::size_t size(const btreemapped::Replica<Row, 1>& rows) { return rows.size(); }
