// A struct is taken apart for a composite type only if each of its fields has a codec; the message names the field.
// expect: check_field\(\) \[with Row = Price; .*Field = long double
// expect-clang: check_field<Price, 1.*, long double>
#include <cstddef>
#include <cstdint>

#include <btreemapped/replica.hpp>

struct Price {
  std::int64_t cents;
  long double rate;
};
struct Row {
  std::int32_t id;
  Price price;
};

std::size_t size(const btreemapped::Replica<Row, 1>& rows) { return rows.size(); }
