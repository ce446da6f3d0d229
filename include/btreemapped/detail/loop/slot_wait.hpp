#pragma once

#include <algorithm>
#include <chrono>
#include <memory>
#include <string>
#include <utility>

#include <btreemapped/detail/loop/attempt.hpp>
#include <btreemapped/detail/loop/attempt_runner.hpp>
#include <btreemapped/detail/loop/notifier.hpp>
#include <btreemapped/detail/loop/status_board.hpp>
#include <btreemapped/options.hpp>
#include <btreemapped/status.hpp>

namespace btreemapped {
inline namespace v0 {
namespace detail {

/// Finds out, while a slot is being created, for whom the server waits, and tells it. The driver's.
class SlotWait {
 public:
  using Clock = std::chrono::steady_clock;
  using Time = Clock::time_point;

  /// `board` is told, too, if it is for all tables.
  SlotWait(const Options& options, std::shared_ptr<Notifier> notifier, AttemptRunner& runner,
           StatusBoard* board = nullptr)
      : first_look_(std::min<Clock::duration>(interval, options.slot_timeout / 2)),
        notifier_(std::move(notifier)),
        runner_(runner),
        board_(board) {}

  /// `table` is the one that waits; empty where all do.
  void begin(Time now, std::string table = {}) {
    table_ = std::move(table);
    look_at_ = now + first_look_;
  }

  /// The slot is there, or is given up.
  void end() noexcept {
    look_at_ = Time::max();
    blockers_.clear();
  }

  /// When look() has something to do.
  [[nodiscard]] Time due() const noexcept { return look_at_; }

  void look(Time now) {
    if (now < look_at_) return;
    look_at_ = now + interval;
    runner_.on_control(&Attempt::who_blocks, [this](const std::string& blockers) {
      if (look_at_ == Time::max() || blockers.empty()) return;
      blockers_ = blockers;
      const std::string message = "creating the slot waits; it is " + blockers;
      if (board_ != nullptr) board_->set_error(message);
      notifier_->post({EventKind::slot_waiting, table_, message, 0, {}});
    });
  }

  /// What an error message may add, if the slot did not come.
  [[nodiscard]] std::string explanation() const { return blockers_.empty() ? blockers_ : "; it was " + blockers_; }

 private:
  static constexpr std::chrono::seconds interval{1};

  const Clock::duration first_look_;
  const std::shared_ptr<Notifier> notifier_;
  AttemptRunner& runner_;
  StatusBoard* const board_;
  std::string table_{};
  Time look_at_ = Time::max();
  std::string blockers_{};
};

}  // namespace detail
}  // namespace v0
}  // namespace btreemapped
