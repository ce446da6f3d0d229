#pragma once

#include <algorithm>
#include <chrono>
#include <cstdint>
#include <optional>
#include <random>
#include <utility>

namespace btreemapped {
inline namespace v0 {
namespace detail {

/// How long to wait before the next attempt: longer after each failure, and long enough that to copy takes the server
/// no more than half of its time, whatever comes of the copies.
class Backoff {
 public:
  using Clock = std::chrono::steady_clock;
  using Time = Clock::time_point;
  using Duration = Clock::duration;

  struct Settings {
    Duration shortest_backoff = std::chrono::milliseconds{100};
    Duration longest_backoff = std::chrono::seconds{15};
    std::uint32_t jitter_seed = 0;
  };

  explicit Backoff(const Settings& settings)
      : shortest_(settings.shortest_backoff), longest_(settings.longest_backoff), jitter_(settings.jitter_seed) {}

  void begin_copy(Time now) noexcept { copy_began_ = now; }
  /// Whatever has come of it. Nothing where none has been begun.
  void end_copy(Time now) noexcept {
    if (copy_began_) copy_not_before_ = now + (now - *std::exchange(copy_began_, {}));
  }

  /// Things have been well for so long.
  void healthy_for(Duration time) noexcept {
    if (time > longest_) attempts_ = 0;
  }

  /// After one more failure. `copies`: the attempt is to copy the tables.
  [[nodiscard]] Time next_attempt(Time now, bool copies) {
    const int factor = 1 << std::min(attempts_++, 16U);
    // Compared before it is multiplied: hours times 65,536 are more than the clock can count.
    const Duration delay = shortest_ <= longest_ / factor ? shortest_ * factor : longest_;
    // Jitter, so that a thousand clients of one restarted server do not come back in step.
    const auto half = delay.count() / 2;
    const Time at = now + Duration{half + std::uniform_int_distribution<Duration::rep>{0, half}(jitter_)};
    return copies ? std::max(at, copy_not_before_) : at;
  }

 private:
  const Duration shortest_;
  const Duration longest_;
  std::minstd_rand jitter_;
  unsigned attempts_ = 0;
  std::optional<Time> copy_began_{};
  Time copy_not_before_{};
};

}  // namespace detail
}  // namespace v0
}  // namespace btreemapped
