// Boost.PFR reflects 200 fields and no more.
// expect: btreemapped: a row can have at most 200 fields
#include <cstddef>

#include <btreemapped/replica.hpp>

#define FIFTY_FIELDS(n)                                                                                               \
  int n##00, n##01, n##02, n##03, n##04, n##05, n##06, n##07, n##08, n##09, n##10, n##11, n##12, n##13, n##14, n##15, \
      n##16, n##17, n##18, n##19, n##20, n##21, n##22, n##23, n##24, n##25, n##26, n##27, n##28, n##29, n##30, n##31, \
      n##32, n##33, n##34, n##35, n##36, n##37, n##38, n##39, n##40, n##41, n##42, n##43, n##44, n##45, n##46, n##47, \
      n##48, n##49

struct Row {
  FIFTY_FIELDS(a);
  FIFTY_FIELDS(b);
  FIFTY_FIELDS(c);
  FIFTY_FIELDS(d);
  int one_too_many;
};

std::size_t size(const btreemapped::Replica<Row, 1>& rows) { return rows.size(); }
