#pragma once

#include <algorithm>
#include <chrono>
#include <cstdint>

namespace btreemapped {
inline namespace v0 {
namespace detail {

/// When to copy a table afresh: soon where a copy should mend it, seldom where the table holds what the row cannot, and
/// ever more seldom while it does not help. A failure is scheduled, an attempt is begun when it is due, and any copy
/// that is made, asked for or not, serves what was scheduled before.
class HealTimer {
 public:
  using Clock = std::chrono::steady_clock;
  using Time = Clock::time_point;

  enum class Cause : std::uint8_t {
    altered,     ///< the table itself has changed: no sign of trouble, unless it does so again at once
    divergence,  ///< the stream does not fit what is held, or an attempt has failed
    value,       ///< the table holds what the row cannot
    asked,       ///< somebody wants it copied now
  };

  void schedule(Time now, Cause cause) {
    if (cause == Cause::asked) {
      due_ = now;
      cause_ = cause;
      return;
    }
    int& factor = cause == Cause::altered ? factor_of_altered_ : factor_;
    if (!tried_ && now - last_copy_ > (cause == Cause::altered ? short_quiet : quiet)) factor = 1;
    const Clock::duration first = cause == Cause::value ? Clock::duration{first_long_wait} : first_wait;
    const Clock::duration most = cause == Cause::altered ? Clock::duration{longest_short_wait} : longest_wait;
    const Time due = now + std::min<Clock::duration>(factor * first, most);
    if (due >= due_) return;
    due_ = due;
    cause_ = cause;
  }

  /// Time::max() while nothing is to be healed.
  [[nodiscard]] Time due() const noexcept { return due_; }

  void begin_attempt() {
    due_ = Time::max();
    tried_ = true;
    if (cause_ == Cause::asked) return;
    int& factor = cause_ == Cause::altered ? factor_of_altered_ : factor_;
    factor = std::min(2 * factor, 1024);
  }

  /// The attempt that was begun has come to nothing, by no fault of the table.
  void again(Time now) {
    if (due_ == Time::max()) schedule(now, cause_);
  }

  /// The table has been copied, for this reason or for another. Counts from here, as a copy may take hours.
  void copied(Time now) noexcept {
    due_ = Time::max();
    last_copy_ = now;
    tried_ = false;
  }

 private:
  static constexpr std::chrono::milliseconds first_wait{100};
  static constexpr std::chrono::seconds first_long_wait{30};
  static constexpr std::chrono::minutes longest_wait{10};
  static constexpr std::chrono::seconds longest_short_wait{2};  // nothing was read that would have to be read again
  static constexpr Clock::duration short_quiet = std::chrono::seconds{5};
  static constexpr Clock::duration quiet = std::chrono::minutes{20};

  Time due_ = Time::max();
  Time last_copy_{};
  bool tried_ = false;               // since then, and in vain
  Cause cause_ = Cause::divergence;  // of what is due
  // A table that is altered often is none that fails often.
  int factor_ = 1;
  int factor_of_altered_ = 1;
};

}  // namespace detail
}  // namespace v0
}  // namespace btreemapped
