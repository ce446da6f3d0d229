// A key of one field, counted twice.
// expect: btreemapped: key<.* names a field twice
#include <cstddef>
#include <cstdint>

#include <btreemapped/replica.hpp>

struct Row {
  std::int32_t id;
  std::int32_t year;

  static constexpr auto key = btreemapped::key<&Row::year, &Row::year>;
};

std::size_t size(const btreemapped::Replica<Row>& rows) { return rows.size(); }
