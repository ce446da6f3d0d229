#pragma once

#include <chrono>
#include <cstddef>
#include <functional>
#include <string>
#include <utility>

#include <btreemapped/detail/table.hpp>

namespace btreemapped {
inline namespace v0 {
namespace detail {

/// Called while a table is copied, on the worker's thread, with a word on how that goes.
using OnProgress = std::function<void(const Table& table, std::string message)>;

/// Notes and tells now and then how far the copy of a table is.
class CopyProgress {
 public:
  /// Without `tell` nothing is noted either: the copy is not for the table.
  CopyProgress(Table& table, OnProgress tell) : table_(table), tell_(std::move(tell)) {
    if (tell_) table_.set_copied(0, 0);
  }

  /// A row has come, of that many bytes, and is the nth.
  void add(std::size_t bytes, std::size_t rows) {
    bytes_ += bytes;
    if (rows % rows_per_report == 0 || bytes_ >= next_report_) report(rows);
  }

  void finish(std::size_t rows) { report(rows); }

  /// Nothing has come for so long, from this process of the server.
  void silent(std::chrono::milliseconds time, int backend_pid) const {
    if (!tell_) return;
    const std::string pid = std::to_string(backend_pid);
    tell_(table_, "nothing has come for " + std::to_string(time.count()) + " ms: the server's process " + pid +
                      " looks for rows, or is stuck; SELECT * FROM pg_stat_activity WHERE pid = " + pid);
  }

 private:
  static constexpr std::size_t rows_per_report = 16'384;
  static constexpr std::size_t bytes_per_report = 8 * 1'048'576;

  void report(std::size_t rows) {
    next_report_ = bytes_ + bytes_per_report;
    if (!tell_) return;
    table_.set_copied(rows, bytes_);
    tell_(table_, "copying");
  }

  Table& table_;
  const OnProgress tell_;
  std::size_t bytes_ = 0;
  std::size_t next_report_ = bytes_per_report;
};

}  // namespace detail
}  // namespace v0
}  // namespace btreemapped
