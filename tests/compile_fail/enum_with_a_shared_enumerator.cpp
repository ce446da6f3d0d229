// Two labels of one enumerator could not be told apart.
// expect: btreemapped: enum_labels lists a label or an enumerator twice
#include <cstddef>
#include <cstdint>

#include <btreemapped/replica.hpp>

enum class Color { red, green };
template <>
struct btreemapped::enum_labels<Color> {
  static constexpr EnumLabel<Color> list[] = {{"red", Color::red}, {"rouge", Color::red}, {"green", Color::green}};
};
struct Row {
  std::int32_t id;
  Color color;
};

std::size_t size(const btreemapped::Replica<Row, 1>& rows) { return rows.size(); }
