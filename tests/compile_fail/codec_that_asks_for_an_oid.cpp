// A codec that wants to know the type in another way than it is told would never be told.
// expect: btreemapped: decode of this codec must be
#include <string_view>

#include <btreemapped/codec.hpp>

struct Color {
  int number = 0;
  bool operator==(const Color&) const = default;
};

template <>
struct btreemapped::codec<Color> {
  static Errc decode(std::string_view, Color&) { return Errc::ok; }
  static Errc decode(std::string_view, Oid, Color&) { return Errc::invalid_text; }
};

btreemapped::Errc decode(std::string_view text, Color& out) {
  return btreemapped::detail::decode_text(text, btreemapped::SqlType{}, out);
}
