// A position is not a number: nobody passes a row count for one.
// expect: could not convert|conversion from .* to non-scalar type|cannot convert
// expect-clang: no viable conversion
#include <btreemapped/lsn.hpp>

btreemapped::Lsn lsn = 42U;
