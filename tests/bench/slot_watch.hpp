#pragma once

#include <algorithm>
#include <chrono>
#include <cstddef>
#include <iostream>
#include <string>
#include <utility>
#include <vector>

#include "bench/times.hpp"
#include "support/database.hpp"

namespace bench {

/// Watches what a slot holds back of the server's log, in MB and in seconds of its writing.
class SlotWatch {
 public:
  /// `condition` on pg_replication_slots finds the slot.
  SlotWatch(std::string name, std::string condition) : name_(std::move(name)), condition_(std::move(condition)) {}

  void look(test::Database& database) {
    const test::SqlRow row = database
                                 .rows(
                                     "SELECT pg_current_wal_lsn() - '0/0', confirmed_flush_lsn - '0/0', "
                                     "restart_lsn - '0/0' FROM pg_replication_slots WHERE " +
                                     condition_)
                                 .at(0);
    const auto now = Clock::now();
    const double end = std::stod(row[0].value());
    const double restart = std::stod(row[2].value());
    ends_.emplace_back(now, end);
    unconfirmed_ = std::max(unconfirmed_, (end - std::stod(row[1].value())) / megabyte);
    retained_.push_back((end - restart) / megabyte);
    // What is behind a position was written after the last look that found the end at or before it.
    const auto later =
        std::find_if(ends_.begin(), ends_.end(), [&](const auto& each) { return each.second > restart; });
    const auto written = later == ends_.begin() || later == ends_.end() ? later : std::prev(later);
    if (written != ends_.end()) age_ = std::max(age_, std::chrono::duration<double>(now - written->first).count());
  }

  /// The most that was not confirmed, in MB.
  [[nodiscard]] double unconfirmed() const noexcept { return unconfirmed_; }
  /// The greatest age of log that was retained, in seconds.
  [[nodiscard]] double age() const noexcept { return age_; }
  /// The most that was retained in the second half of the looks, as a multiple of the most in the first half.
  [[nodiscard]] double growth() const {
    const std::size_t half = retained_.size() / 2;
    return most_retained(half, retained_.size()) / most_retained(0, half);
  }

  void print() const {
    const std::size_t half = retained_.size() / 2;
    std::cout << "  " << name_ << ": confirmed at most " << unconfirmed_ << " MB behind the end; retained at most "
              << most_retained(0, half) << " MB in the first half of that time and "
              << most_retained(half, retained_.size()) << " MB in the second, the oldest of it written " << age_
              << " s before\n";
  }

 private:
  static constexpr double megabyte = 1 << 20;

  [[nodiscard]] double most_retained(std::size_t from, std::size_t to) const {
    return *std::max_element(retained_.begin() + static_cast<std::ptrdiff_t>(from),
                             retained_.begin() + static_cast<std::ptrdiff_t>(to));
  }

  const std::string name_;
  const std::string condition_;
  std::vector<std::pair<Clock::time_point, double>> ends_{};
  std::vector<double> retained_{};
  double unconfirmed_ = 0;
  double age_ = 0;
};

}  // namespace bench
