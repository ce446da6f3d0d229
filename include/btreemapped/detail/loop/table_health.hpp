#pragma once

#include <chrono>
#include <memory>
#include <string>
#include <utility>

#include <btreemapped/detail/loop/failure.hpp>
#include <btreemapped/detail/loop/heal_timer.hpp>
#include <btreemapped/detail/loop/notifier.hpp>
#include <btreemapped/detail/loop/status_board.hpp>
#include <btreemapped/detail/store.hpp>
#include <btreemapped/detail/table.hpp>
#include <btreemapped/detail/transaction.hpp>
#include <btreemapped/status.hpp>

namespace btreemapped {
inline namespace v0 {
namespace detail {

/// The tables that have stopped following: tells everybody, and knows when to try again.
class TableHealth {
 public:
  using Clock = std::chrono::steady_clock;

  TableHealth(std::shared_ptr<Store> store, std::shared_ptr<Notifier> notifier, StatusBoard& board)
      : store_(std::move(store)), notifier_(std::move(notifier)), board_(board) {}

  /// A change could not be taken in; the commit that is about to be published detaches the table.
  void fail_at_commit(const Fault& fault) {
    tell(*fault.table, describe(fault) + (fault.healable ? "; it will be copied afresh" : until_value_is_gone),
         fault.lsn);
    timer_.schedule(Clock::now(), fault.healable);
  }

  /// The table could not be copied while the others could.
  void fail_in_copy(const Fault& fault) {
    fail(*fault.table, describe(fault) + (fault.healable         ? ""
                                          : fault.column.empty() ? until_it_can_be_copied
                                                                 : until_value_is_gone));
    timer_.schedule(Clock::now(), fault.healable);
  }

  /// The table cannot be followed as it is; the catalog watch sees when it can.
  void fail(Table& table, std::string why) {
    store_->mark_failed(table, Clock::now());
    tell(table, std::move(why), store_->lsn());
  }

  /// The table is live.
  void heal(Table& table) {
    if (board_.set_table_error(table, {}))
      notifier_->post({EventKind::table_healed, to_string(table.name()), "follows again", 0, store_->lsn()});
  }

  /// When to copy afresh; Time::max() while that would help nobody.
  [[nodiscard]] Clock::time_point due() const noexcept { return timer_.due(); }
  void begin_attempt() { timer_.begin_attempt(); }
  /// All tables have been copied, but for those that fail_in_copy() names next: no failure from before waits any more.
  void copied() noexcept { timer_.copied(Clock::now()); }

 private:
  static constexpr const char* until_value_is_gone =
      "; it keeps its last commit until that value is gone from the table";
  static constexpr const char* until_it_can_be_copied = "; it keeps its last commit until it can be copied";

  void tell(const Table& table, std::string why, Lsn lsn) {
    board_.set_table_error(table, why);
    notifier_->post({EventKind::table_failed, to_string(table.name()), std::move(why), 0, lsn});
  }

  const std::shared_ptr<Store> store_;
  const std::shared_ptr<Notifier> notifier_;
  StatusBoard& board_;
  HealTimer timer_{};
};

}  // namespace detail
}  // namespace v0
}  // namespace btreemapped
