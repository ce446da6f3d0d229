// The struct declares a key of one field, the replica wants two.
// expect: btreemapped: Replica<Row, Arity> contradicts the key or arity that the row declares
#include <cstddef>
#include <cstdint>

#include <btreemapped/replica.hpp>

struct Row {
  std::int32_t id;
  std::int32_t year;

  static constexpr auto key = btreemapped::key<&Row::year>;
};

std::size_t size(const btreemapped::Replica<Row, 2>& rows) { return rows.size(); }
