// A codec whose judgement of differences could not be asked for would be passed over.
// expect: btreemapped: accepts, same, sql_name or refusal of this codec is not declared as the comment
#include <string_view>

#include <btreemapped/codec.hpp>

struct Color {};

template <>
struct btreemapped::codec<Color> {
  static Errc decode(std::string_view, Color&) { return Errc::ok; }
  static int same(const Color&, const Color&) { return 1; }
};

bool accepts(const btreemapped::SqlType& type) { return btreemapped::detail::accepts_type<Color>(type); }
