#pragma once

#include <algorithm>
#include <chrono>
#include <cstddef>
#include <deque>
#include <map>
#include <string>
#include <string_view>
#include <utility>

#include <btreemapped/error.hpp>

namespace btreemapped {
inline namespace v0 {
namespace detail {

/// Counts how often all tables had to be copied afresh for the same reason: what has not helped several times within an
/// hour will not help the next time, and costs the server a read of everything.
class RebuildBudget {
 public:
  using Clock = std::chrono::steady_clock;
  using Time = Clock::time_point;

  explicit RebuildBudget(std::size_t most_per_hour) : most_(most_per_hour) {}

  /// A rebuild has become necessary for this reason. False when it is one too many.
  [[nodiscard]] bool take(Time now, std::string_view reason) {
    std::deque<Time>& times = times_[without_numbers(reason)];
    while (!times.empty() && now - times.front() >= window) times.pop_front();
    if (times.size() >= most_) return false;
    times.push_back(now);
    forget_old(now);
    return true;
  }

  /// What to say when it was one too many.
  [[nodiscard]] Error error(const std::string& reason, std::string sqlstate) const {
    return Error("all tables were copied afresh " + std::to_string(most_) +
                     " times within an hour for the same reason, which a copy does not mend: " + reason +
                     "; mend it and start again, or raise Options::max_rebuilds_per_hour",
                 {.sqlstate = std::move(sqlstate)});
  }

  /// The same words for the same reason at another position, of another pid or table.
  [[nodiscard]] static std::string without_numbers(std::string_view text) {
    const auto is_digit = [](char c) { return c >= '0' && c <= '9'; };
    std::string out;
    while (!text.empty()) {
      const std::string_view word = text.substr(0, text.find(' '));
      text.remove_prefix(std::min(word.size() + 1, text.size()));
      if (std::none_of(word.begin(), word.end(), is_digit)) out.append(word).append(" ");
    }
    return out;
  }

 private:
  static constexpr std::chrono::hours window{1};

  void forget_old(Time now) {
    std::erase_if(times_, [&](const auto& each) { return each.second.empty() || now - each.second.back() >= window; });
  }

  const std::size_t most_;
  std::map<std::string, std::deque<Time>> times_{};
};

}  // namespace detail
}  // namespace v0
}  // namespace btreemapped
