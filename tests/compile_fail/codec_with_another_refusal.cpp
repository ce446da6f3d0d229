// A codec whose words on a refusal could not be asked for would have written them in vain.
// expect: btreemapped: accepts, same, sql_name or refusal of this codec is not declared as the comment
#include <string_view>

#include <btreemapped/codec.hpp>

struct Money {};

template <>
struct btreemapped::codec<Money> {
  static Errc decode(std::string_view, Money&) { return Errc::ok; }
  static const char* refusal(const SqlType&) { return ""; }
};

bool accepts(const btreemapped::SqlType& type) { return btreemapped::detail::accepts_type<Money>(type); }
