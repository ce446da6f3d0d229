// One struct declares an arity and a key of another size.
// expect: btreemapped: the declared arity and the declared key disagree
#include <cstddef>
#include <cstdint>

#include <btreemapped/replica.hpp>

struct Row {
  std::int32_t id;
  std::int32_t year;

  static constexpr std::size_t arity = 2;
  static constexpr auto key = btreemapped::key<&Row::year>;
};

std::size_t size(const btreemapped::Replica<Row>& rows) { return rows.size(); }
