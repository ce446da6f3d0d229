#pragma once

#include <chrono>
#include <thread>

#include "support/threads.hpp"

namespace test {

/// For what announces itself by no event: asks until the answer is yes, or false when it does not come in time.
template <class Predicate>
bool eventually(Predicate&& predicate, std::chrono::milliseconds deadline = patience) {
  const auto end = std::chrono::steady_clock::now() + deadline;
  while (!predicate()) {
    if (std::chrono::steady_clock::now() >= end) return false;
    std::this_thread::sleep_for(std::chrono::milliseconds{1});  // leaves the processor to what is waited for
  }
  return true;
}

}  // namespace test
