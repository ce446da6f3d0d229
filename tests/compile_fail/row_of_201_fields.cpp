// Boost.PFR reflects 200 fields and no more.
// expect: btreemapped: a row can have at most 200 fields
#include <cstddef>

#include <btreemapped/replica.hpp>

#define TEN_FIELDS(n) int f##n##0, f##n##1, f##n##2, f##n##3, f##n##4, f##n##5, f##n##6, f##n##7, f##n##8, f##n##9;

struct Row {
  TEN_FIELDS(0) TEN_FIELDS(1) TEN_FIELDS(2) TEN_FIELDS(3) TEN_FIELDS(4)
  TEN_FIELDS(5) TEN_FIELDS(6) TEN_FIELDS(7) TEN_FIELDS(8) TEN_FIELDS(9)
  TEN_FIELDS(10) TEN_FIELDS(11) TEN_FIELDS(12) TEN_FIELDS(13) TEN_FIELDS(14)
  TEN_FIELDS(15) TEN_FIELDS(16) TEN_FIELDS(17) TEN_FIELDS(18) TEN_FIELDS(19)
  int one_too_many;
};

std::size_t size(const btreemapped::Replica<Row, 1>& rows) { return rows.size(); }
