#pragma once

#include <cstddef>
#include <filesystem>
#include <fstream>
#include <iterator>
#include <string>

#include <malloc.h>
#include <unistd.h>

namespace test {

/// What this process holds of the system.
struct Resources {
  std::size_t descriptors = 0;
  std::size_t threads = 0;
  std::size_t resident_bytes = 0;
  std::size_t allocated_bytes = 0;  ///< and not freed
};

inline Resources resources() {
  const auto entries = [](const char* folder) {
    return static_cast<std::size_t>(std::distance(std::filesystem::directory_iterator{folder}, {}));
  };
  ::malloc_trim(0);  // what is free is not resident
  const auto heap = ::mallinfo2();
  std::ifstream statm{"/proc/self/statm"};
  std::size_t total = 0;
  std::size_t resident = 0;
  statm >> total >> resident;
  // One of the descriptors is that of the look itself, and another one statm's.
  return {entries("/proc/self/fd") - 2, entries("/proc/self/task"),
          resident * static_cast<std::size_t>(::sysconf(_SC_PAGESIZE)), heap.uordblks + heap.hblkhd};
}

/// Memory that a sanitizer keeps is no leak.
#if defined(__SANITIZE_ADDRESS__) || defined(__SANITIZE_THREAD__)
inline constexpr bool sanitized = true;
#elif defined(__has_feature)
#if __has_feature(address_sanitizer) || __has_feature(thread_sanitizer)
inline constexpr bool sanitized = true;
#else
inline constexpr bool sanitized = false;
#endif
#else
inline constexpr bool sanitized = false;
#endif

}  // namespace test
