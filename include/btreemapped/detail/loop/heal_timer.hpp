#pragma once

#include <algorithm>
#include <chrono>

namespace btreemapped {
inline namespace v0 {
namespace detail {

/// When to copy afresh for the sake of tables that have failed: soon where a copy should mend it, seldom where the
/// table holds what the row cannot, and ever more seldom while it does not help.
class HealTimer {
 public:
  using Clock = std::chrono::steady_clock;
  using Time = Clock::time_point;

  void schedule(Time now, bool healable) {
    if (now - last_attempt_ > quiet) factor_ = 1;
    const Clock::duration wait =
        std::min<Clock::duration>(factor_ * (healable ? first_wait : first_long_wait), longest_wait);
    due_ = std::min(due_, now + wait);
  }

  /// Time::max() while nothing is to be healed.
  [[nodiscard]] Time due() const noexcept { return due_; }

  void begin_attempt() {
    last_attempt_ = due_;
    due_ = Time::max();
    factor_ = std::min(2 * factor_, 1024);
  }

 private:
  static constexpr std::chrono::milliseconds first_wait{100};
  static constexpr std::chrono::seconds first_long_wait{30};
  static constexpr std::chrono::minutes longest_wait{10};
  static constexpr std::chrono::minutes quiet{20};

  Time due_ = Time::max();
  Time last_attempt_{};
  int factor_ = 1;
};

}  // namespace detail
}  // namespace v0
}  // namespace btreemapped
