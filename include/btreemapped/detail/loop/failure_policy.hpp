#pragma once

#include <algorithm>
#include <chrono>
#include <exception>
#include <utility>

#include <btreemapped/detail/loop/failure.hpp>
#include <btreemapped/detail/loop/rebuild_budget.hpp>
#include <btreemapped/error.hpp>
#include <btreemapped/options.hpp>

namespace btreemapped {
inline namespace v0 {
namespace detail {

/// After which failures to go on. The driver's.
class FailurePolicy {
 public:
  using Clock = std::chrono::steady_clock;

  explicit FailurePolicy(const Options& options)
      : patience_for_name_(options.slot_timeout), budget_(options.max_rebuilds_per_hour) {}

  /// Can an attempt that has ended for this reason succeed by itself later?
  [[nodiscard]] bool is_retryable(const std::exception_ptr& reason) {
    const Clock::time_point now = Clock::now();
    const Clock::time_point since = std::exchange(name_taken_since_, Clock::time_point::max());
    try {
      std::rethrow_exception(reason);
    } catch (const SlotError& error) {
      // Our predecessor with a slot of this name may be about to go, or the server not to have noticed that it has.
      const bool name_taken = error.sqlstate() == "42710" || error.sqlstate() == "55006";
      if (!name_taken) return error.retryable();
      name_taken_since_ = std::min(since, now);
      return now - name_taken_since_ < patience_for_name_;
    } catch (const Error& error) {
      return error.retryable();
    } catch (...) {
      return false;
    }
  }

  /// All tables have been copied.
  void copied() noexcept { copied_ = true; }

  /// All tables must be copied once more; or else why that would be one time too many: what ends copy after copy will
  /// end the next one, too, unless it is the connection.
  [[nodiscard]] std::exception_ptr forbid_rebuild(const std::exception_ptr& reason, bool in_copy) {
    const bool counts = std::exchange(copied_, false) || (in_copy && !is_retryable(reason));
    if (!counts || is_of_connection(reason) || is_for_want_of_room(reason)) return nullptr;
    if (budget_.take(Clock::now(), message_of(reason))) return nullptr;
    return std::make_exception_ptr(budget_.error(message_of(reason), sqlstate_of(reason)));
  }

 private:
  const Clock::duration patience_for_name_;
  Clock::time_point name_taken_since_ = Clock::time_point::max();
  RebuildBudget budget_;
  bool copied_ = false;  // since the last rebuild that was judged
};

}  // namespace detail
}  // namespace v0
}  // namespace btreemapped
