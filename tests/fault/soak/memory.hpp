#pragma once

#include <algorithm>
#include <array>
#include <cstddef>
#include <cstdint>
#include <stdexcept>
#include <string>
#include <vector>

#include "support/process.hpp"

namespace soak {

/// Tells whether memory grows while the same is done again and again: in the thirds of a run, of which the first one
/// needs what is needed again, and the other two must be alike; and from one Replicator to the next.
class Memory {
 public:
  /// While a Replicator follows. `passed` is the share of the run that has passed, up to 1; `lost` how many of the
  /// test's own sessions have been lost.
  /// Throws: when this is much more than in the first third.
  void add(const test::Resources& now, double passed, std::uint64_t lost) {
    if (test::sanitized) return;
    Third& first = thirds_[0];
    Third& third = first.looks == 0 ? first : thirds_[std::min<std::size_t>(static_cast<std::size_t>(passed * 3), 2)];
    third.add(now, lost);
    if (third.most_allocated > first.most_allocated + allocated_tolerance ||
        third.most_resident > first.most_resident + resident_tolerance)
      throw std::runtime_error("memory grows: " + report());
  }

  /// While there is no Replicator any more.
  /// Throws: when this is more than after the first one.
  void add_rest(const test::Resources& now, std::uint64_t lost) {
    if (test::sanitized) return;
    rests_.push_back({now.allocated_bytes, lost});
    if (rests_.back().allocated > rests_.front().allocated + rest_tolerance + leak(lost - rests_.front().lost))
      throw std::runtime_error("Replicators leave memory behind: " + report());
  }

  /// Is there a trend? No answer where too little has been seen.
  [[nodiscard]] bool grows() const {
    const auto& [first, second, last] = thirds_;
    return second.looks >= enough && last.looks >= enough &&
           last.mean_allocated() >
               second.mean_allocated() + trend_tolerance + leak(last.mean_lost() - second.mean_lost());
  }

  [[nodiscard]] std::string report() const {
    std::string out = "kB allocated (resident) at most in each third:";
    for (const Third& third : thirds_)
      out +=
          " " + std::to_string(third.most_allocated / 1024) + " (" + std::to_string(third.most_resident / 1024) + ")";
    out += "; allocated on average:";
    for (const Third& third : thirds_) out += " " + std::to_string(third.mean_allocated() / 1024);
    out += "; after each Replicator:";
    for (const Rest& rest : rests_) out += " " + std::to_string(rest.allocated / 1024);
    return out;
  }

 private:
  // Tables of about three megabytes grow and shrink as chance has it.
  static constexpr std::size_t allocated_tolerance = std::size_t{4} << 20;
  static constexpr std::size_t resident_tolerance = std::size_t{16} << 20;
  static constexpr std::size_t trend_tolerance = std::size_t{512} << 10;
  static constexpr std::size_t rest_tolerance = std::size_t{256} << 10;
  static constexpr std::size_t enough = 20;

  /// libpqxx 6.4 leaks a result for a session that is lost during a query, see support/libpqxx_leak.cpp.
  static std::size_t leak(std::uint64_t lost) { return lost * 2'300; }

  struct Third {
    std::size_t looks = 0;
    std::size_t sum = 0;
    std::uint64_t lost = 0;
    std::size_t most_allocated = 0;
    std::size_t most_resident = 0;

    void add(const test::Resources& now, std::uint64_t lost_now) {
      ++looks;
      sum += now.allocated_bytes;
      lost += lost_now;
      most_allocated = std::max(most_allocated, now.allocated_bytes);
      most_resident = std::max(most_resident, now.resident_bytes);
    }
    [[nodiscard]] std::size_t mean_allocated() const { return looks == 0 ? 0 : sum / looks; }
    [[nodiscard]] std::uint64_t mean_lost() const { return looks == 0 ? 0 : lost / looks; }
  };
  struct Rest {
    std::size_t allocated;
    std::uint64_t lost;
  };

  std::array<Third, 3> thirds_{};
  std::vector<Rest> rests_{};
};

}  // namespace soak
