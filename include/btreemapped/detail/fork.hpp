#pragma once

#include <atomic>
#include <cstdint>

#include <pthread.h>

namespace btreemapped {
inline namespace v0 {
namespace detail {

/// Tells a forked child from its parent by one relaxed load; getpid() would be a system call at every read.
class ForkWatch {
 public:
  ForkWatch() noexcept : counter_(&counter()), born_(counter_->load(std::memory_order_relaxed)) {}

  /// True in a child forked after this object was made: its threads do not exist there, its sockets are the parent's.
  [[nodiscard]] bool in_child() const noexcept { return counter_->load(std::memory_order_relaxed) != born_; }

 private:
  static std::atomic<std::uint32_t>& counter() noexcept {
    static constinit std::atomic<std::uint32_t> forks{0};
    static const bool registered = pthread_atfork(nullptr, nullptr, [] { forks.fetch_add(1); }) == 0;
    static_cast<void>(registered);
    return forks;
  }

  // Kept as a pointer: each shared library may have a counter of its own, an object asks the one it was born with.
  const std::atomic<std::uint32_t>* counter_;
  std::uint32_t born_;
};

}  // namespace detail
}  // namespace v0
}  // namespace btreemapped
