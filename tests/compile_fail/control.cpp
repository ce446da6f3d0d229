// What the other files differ from compiles.
// expect: success
#include <btreemapped/lsn.hpp>

btreemapped::Lsn lsn{42U};
