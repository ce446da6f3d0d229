// A key field must have an order.
// expect: btreemapped: a key field.s type has no operator<
#include <cstddef>
#include <string>
#include <string_view>

#include <btreemapped/replica.hpp>

struct Point {
  double x;
  double y;
  bool operator==(const Point&) const = default;
};
template <>
struct btreemapped::codec<Point> {
  static Errc decode(std::string_view, Point&) { return Errc::ok; }
};
struct Row {
  Point at;
  std::string text;
};

std::size_t size(const btreemapped::Replica<Row, 1>& rows) { return rows.size(); }
