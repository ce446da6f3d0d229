#pragma once

#include <algorithm>
#include <chrono>

namespace btreemapped {
inline namespace v0 {
namespace detail {

/// When to copy afresh for the sake of tables that have failed: soon where a copy should mend it, seldom where the
/// table holds what the row cannot, and ever more seldom while it does not help. What fails is scheduled, an attempt is
/// begun when it is due, and any copy that is made, asked for or not, serves all that was scheduled before.
class HealTimer {
 public:
  using Clock = std::chrono::steady_clock;
  using Time = Clock::time_point;

  void schedule(Time now, bool healable) {
    if (now - last_copy_ > quiet) factor_ = 1;
    const Clock::duration wait =
        std::min<Clock::duration>(factor_ * (healable ? first_wait : first_long_wait), longest_wait);
    due_ = std::min(due_, now + wait);
  }

  /// Time::max() while nothing is to be healed.
  [[nodiscard]] Time due() const noexcept { return due_; }

  void begin_attempt() {
    due_ = Time::max();
    factor_ = std::min(2 * factor_, 1024);
  }

  /// All tables have been copied, for this reason or for another. Counts from here, as a copy may take hours.
  void copied(Time now) noexcept {
    due_ = Time::max();
    last_copy_ = now;
  }

 private:
  static constexpr std::chrono::milliseconds first_wait{100};
  static constexpr std::chrono::seconds first_long_wait{30};
  static constexpr std::chrono::minutes longest_wait{10};
  static constexpr std::chrono::minutes quiet{20};

  Time due_ = Time::max();
  Time last_copy_{};
  int factor_ = 1;
};

}  // namespace detail
}  // namespace v0
}  // namespace btreemapped
