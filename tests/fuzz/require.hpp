#pragma once

#include <cstdio>
#include <cstdlib>

namespace fuzz {

/// Ends the process, which is how libFuzzer learns of a finding, unless the property holds.
inline void require(bool holds, const char* property) {
  if (holds) return;
  std::fprintf(stderr, "does not hold: %s\n", property);
  std::abort();
}

}  // namespace fuzz
