// A struct is ordered by its fields, so that each of them must have an order.
// expect: btreemapped: a key field.s type has no operator<, or is made of one that has none
#include <cstddef>
#include <cstdint>
#include <string_view>
#include <vector>

#include <btreemapped/replica.hpp>

class Shape {
 public:
  bool operator==(const Shape&) const = default;
};
template <>
struct btreemapped::codec<Shape> {
  static Errc decode(std::string_view, Shape&) { return Errc::ok; }
};
struct Place {
  std::int32_t number;
  std::vector<Shape> shapes;
};
struct Row {
  Place place;
};

std::size_t size(const btreemapped::Replica<Row, 1>& rows) { return rows.size(); }
