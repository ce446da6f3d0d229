#include <cstdio>

#include <btreemapped/lsn.hpp>
#include <btreemapped/version.hpp>

int main() {
  const auto lsn = btreemapped::Lsn::parse("16/B374D848");
  std::printf("btreemapped %d.%d.%d reads %s\n", BTREEMAPPED_VERSION_MAJOR, BTREEMAPPED_VERSION_MINOR,
              BTREEMAPPED_VERSION_PATCH, lsn ? to_string(*lsn).c_str() : "nothing");
  return lsn ? 0 : 1;
}
