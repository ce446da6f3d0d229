// A codec that changes a copy would leave every row with a default value.
// expect: btreemapped: decode of this codec must be
#include <string_view>

#include <btreemapped/codec.hpp>

struct Color {
  int number = 0;
  bool operator==(const Color&) const = default;
};

template <>
struct btreemapped::codec<Color> {
  static Errc decode(std::string_view text, Color out) {
    out.number = text == "red" ? 1 : 2;
    return Errc::ok;
  }
};

btreemapped::Errc decode(std::string_view text, Color& out) {
  return btreemapped::detail::decode_text(text, btreemapped::SqlType{}, out);
}
