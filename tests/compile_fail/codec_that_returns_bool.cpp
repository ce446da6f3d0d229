// What went wrong must be said, and true could mean either.
// expect: btreemapped: decode of a field.s codec is not
#include <cstddef>
#include <string_view>

#include <btreemapped/replica.hpp>

struct Color {
  int number = 0;
  bool operator==(const Color&) const = default;
};

template <>
struct btreemapped::codec<Color> {
  static bool decode(std::string_view, Color&) { return true; }
};

struct Row {
  int id;
  Color color;
};

std::size_t size(const btreemapped::Replica<Row, 1>& rows) { return rows.size(); }
