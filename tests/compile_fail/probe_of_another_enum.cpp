// An enumerator of another type.
// expect: btreemapped: a value cannot stand for its key field without loss
#include <string>
#include <string_view>

#include <btreemapped/replica.hpp>

enum class Color { red };
enum class Shade { dark };
template <>
struct btreemapped::codec<Color> {
  static Errc decode(std::string_view, Color&) { return Errc::ok; }
};
struct Row {
  Color color;
  std::string text;
};

bool dark(const btreemapped::Replica<Row, 1>& rows) { return rows.contains(Shade::dark); }
