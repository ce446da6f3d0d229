// A row is made empty before it is filled.
// expect: btreemapped: a row must be default-constructible
#include <cstddef>
#include <cstdint>
#include <string>
#include <string_view>

#include <btreemapped/replica.hpp>

struct Text {
  explicit Text(const char* given) : text(given) {}
  std::string text;
};
template <>
struct btreemapped::codec<Text> {
  static Errc decode(std::string_view, Text&) { return Errc::ok; }
};

struct Row {
  std::int32_t id;
  Text text;
};

std::size_t size(const btreemapped::Replica<Row, 1>& rows) { return rows.size(); }
