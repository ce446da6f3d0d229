// A codec whose judgement of types could not be asked for would let every type in.
// expect: btreemapped: accepts, same, sql_name or refusal of this codec is not declared as the comment
#include <string_view>

#include <btreemapped/codec.hpp>

struct Money {};

template <>
struct btreemapped::codec<Money> {
  static Errc decode(std::string_view, Money&) { return Errc::ok; }
  static bool accepts(Oid) { return false; }
};

bool accepts(const btreemapped::SqlType& type) { return btreemapped::detail::accepts_type<Money>(type); }
