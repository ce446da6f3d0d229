// NULL is one thing, not two.
// expect: btreemapped: a field.s type has no codec
#include <cstddef>
#include <cstdint>
#include <optional>

#include <btreemapped/replica.hpp>

struct Row {
  std::int32_t id;
  std::optional<std::optional<std::int32_t>> value;
};

std::size_t size(const btreemapped::Replica<Row, 1>& rows) { return rows.size(); }
