// In a codec a name is looked up in the library first: this decodes another type than it is for.
// expect: btreemapped: decode of a field.s codec is not .*write ::Money
#include <cstddef>
#include <string_view>

#include <btreemapped/replica.hpp>

struct Money {
  int cents = 0;
  bool operator==(const Money&) const = default;
};

template <>
struct btreemapped::codec<Money> {
  static Errc decode(std::string_view, Money&) { return Errc::ok; }
};

struct Row {
  int id;
  Money price;
};

std::size_t size(const btreemapped::Replica<Row, 1>& rows) { return rows.size(); }
