#pragma once

#include <algorithm>
#include <array>
#include <cstddef>
#include <stdexcept>
#include <string>

#include "support/process.hpp"

namespace soak {

/// Tells whether memory grows while the same is done again and again, in the thirds of a run: what the first one has
/// needed is needed again, the second and the last one must be alike.
class Memory {
 public:
  /// `passed` is the share of the run that has passed, up to 1.
  /// Throws: when this is much more than in the first third.
  void add(const test::Resources& now, double passed) {
    if (test::sanitized) return;
    Third& first = thirds_[0];
    Third& third = first.looks == 0 ? first : thirds_[std::min<std::size_t>(static_cast<std::size_t>(passed * 3), 2)];
    third.add(now);
    if (third.most_allocated > first.most_allocated + allocated_tolerance ||
        third.most_resident > first.most_resident + resident_tolerance)
      throw std::runtime_error("memory grows: " + report());
  }

  /// Is there a trend? No answer where too little has been seen.
  [[nodiscard]] bool grows() const {
    const auto [first, second, last] = thirds_;
    return second.looks >= enough && last.looks >= enough && last.mean() > second.mean() + trend_tolerance;
  }

  [[nodiscard]] std::string report() const {
    std::string out = "kB allocated (resident) at most in each third:";
    for (const Third& third : thirds_)
      out +=
          " " + std::to_string(third.most_allocated / 1024) + " (" + std::to_string(third.most_resident / 1024) + ")";
    out += "; allocated on average:";
    for (const Third& third : thirds_) out += " " + std::to_string(third.mean() / 1024);
    return out;
  }

 private:
  // Tables of about three megabytes grow and shrink as chance has it.
  static constexpr std::size_t allocated_tolerance = std::size_t{4} << 20;
  static constexpr std::size_t resident_tolerance = std::size_t{16} << 20;
  static constexpr std::size_t trend_tolerance = std::size_t{512} << 10;
  static constexpr std::size_t enough = 20;

  struct Third {
    std::size_t looks = 0;
    std::size_t sum = 0;
    std::size_t most_allocated = 0;
    std::size_t most_resident = 0;

    void add(const test::Resources& now) {
      ++looks;
      sum += now.allocated_bytes;
      most_allocated = std::max(most_allocated, now.allocated_bytes);
      most_resident = std::max(most_resident, now.resident_bytes);
    }
    [[nodiscard]] std::size_t mean() const { return looks == 0 ? 0 : sum / looks; }
  };

  std::array<Third, 3> thirds_{};
};

}  // namespace soak
