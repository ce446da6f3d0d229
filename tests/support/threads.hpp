#pragma once

#include <chrono>
#include <cstddef>
#include <cstdlib>
#include <exception>
#include <functional>
#include <future>
#include <iostream>
#include <mutex>
#include <thread>
#include <utility>
#include <vector>

namespace test {

/// How long a test waits for what must happen. Reached only when it does not.
inline constexpr std::chrono::seconds patience{60};

/// Runs each function on a thread of its own until all have ended, and throws what the first of them threw. If they do
/// not end in time the process does, with a message: a stuck thread can be neither joined nor left behind.
inline void run_together(std::vector<std::function<void()>> functions) {
  std::mutex mutex;
  std::exception_ptr first_error;
  std::vector<std::thread> threads;
  std::vector<std::future<void>> ends;
  for (std::function<void()>& function : functions) {
    std::promise<void> end;
    ends.push_back(end.get_future());
    threads.emplace_back([&mutex, &first_error, function = std::move(function), end = std::move(end)]() mutable {
      try {
        function();
      } catch (...) {
        const std::lock_guard lock(mutex);
        if (first_error == nullptr) first_error = std::current_exception();
      }
      end.set_value();
    });
  }
  const auto deadline = std::chrono::steady_clock::now() + patience;
  for (std::size_t i = 0; i < ends.size(); ++i) {
    if (ends[i].wait_until(deadline) == std::future_status::ready) continue;
    std::cerr << "thread " << i << " of " << ends.size() << " is stuck" << std::endl;
    std::abort();
  }
  for (std::thread& thread : threads) thread.join();
  if (first_error != nullptr) std::rethrow_exception(first_error);
}

}  // namespace test
