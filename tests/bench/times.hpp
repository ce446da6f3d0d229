#pragma once

#include <algorithm>
#include <chrono>
#include <cstddef>
#include <iomanip>
#include <iostream>
#include <string>
#include <utility>
#include <vector>

namespace bench {

using Clock = std::chrono::steady_clock;

inline double milliseconds(Clock::duration time) { return std::chrono::duration<double, std::milli>(time).count(); }

/// How long something takes, many times, in ms.
class Times {
 public:
  template <class Function>
  void measure(Function&& function) {
    const auto begin = Clock::now();
    std::forward<Function>(function)();
    times_.push_back(milliseconds(Clock::now() - begin));
  }

  [[nodiscard]] double quantile(double part) const {
    std::vector<double> sorted = times_;
    std::sort(sorted.begin(), sorted.end());
    return sorted.at(static_cast<std::size_t>(part * static_cast<double>(sorted.size() - 1)));
  }
  [[nodiscard]] double median() const { return quantile(0.5); }

  void print(const std::string& what) const {
    std::cout << "  " << what << ": " << std::setprecision(3) << median() << " ms p50, " << quantile(0.99)
              << " ms p99 of " << times_.size() << "\n"
              << std::setprecision(1);
  }

  void print_beside(const Times& peer, const std::string& name_of_peer, const std::string& what) const {
    print(what);
    std::cout << std::setprecision(2) << "    that is " << median() / peer.median() << " and "
              << quantile(0.99) / peer.quantile(0.99) << " of " << name_of_peer << "\n"
              << std::setprecision(1);
  }

 private:
  std::vector<double> times_{};
};

}  // namespace bench
