#pragma once

#include <algorithm>
#include <chrono>
#include <cstddef>
#include <map>
#include <memory>
#include <set>
#include <string>
#include <utility>
#include <vector>

#include <btreemapped/change.hpp>
#include <btreemapped/detail/fault.hpp>
#include <btreemapped/detail/loop/failure.hpp>
#include <btreemapped/detail/loop/heal_timer.hpp>
#include <btreemapped/detail/loop/notifier.hpp>
#include <btreemapped/detail/loop/status_board.hpp>
#include <btreemapped/detail/store.hpp>
#include <btreemapped/detail/table.hpp>
#include <btreemapped/lsn.hpp>
#include <btreemapped/state.hpp>
#include <btreemapped/status.hpp>

namespace btreemapped {
inline namespace v0 {
namespace detail {

/// The tables that have stopped following: tells everybody, and knows when to copy which of them afresh.
class TableHealth {
 public:
  using Clock = std::chrono::steady_clock;
  using Time = Clock::time_point;
  using Cause = HealTimer::Cause;

  TableHealth(std::shared_ptr<Store> store, std::shared_ptr<Notifier> notifier, StatusBoard& board)
      : store_(std::move(store)), notifier_(std::move(notifier)), board_(board) {}

  /// A change could not be taken in; the commit that is about to be published detaches the table.
  void fail_at_commit(const Fault& fault) {
    tell(*fault.table, state_after(fault), describe(fault) + outlook(fault), fault.lsn);
    schedule(*fault.table, cause_of(fault));
    if (fault.oversized) patients_[fault.table].dropped_at = fault.lsn;
  }

  /// The table could not be copied while others could.
  void fail_in_copy(const Fault& fault) {
    stop(*fault.table, state_after(fault), describe(fault) + outlook(fault));
    schedule(*fault.table, cause_of(fault));
  }

  /// The rows that are held may no longer be those of the table. Between two commits.
  void expire(Table& table, Cause cause, const std::string& why) {
    stop(table, table.state() == TableState::failed ? TableState::failed : TableState::stale, why);
    schedule(table, cause);
  }

  /// The table cannot be followed as it is; the catalog watch sees when it can.
  void fail(Table& table, const std::string& why) {
    patients_[&table].fits = false;
    stop(table, TableState::failed, why);
  }

  /// The table could be followed by now.
  void fit(Table& table) {
    Patient& patient = patients_[&table];
    if (!std::exchange(patient.fits, true)) patient.timer.schedule(Clock::now(), Cause::altered);
  }

  /// The table is live, after so many of its rows have changed.
  void heal(Table& table, std::size_t rows = 0) {
    Patient& patient = patients_[&table];
    patient.fits = true;
    patient.dropped_at = Lsn{};
    patient.timer.copied(Clock::now());
    if (board_.set_table_error(table, {}))
      notifier_->post({EventKind::table_healed, to_string(table.name()), "follows again", rows, store_->lsn()});
  }

  /// A copy of all tables is visible, after `rows` have changed. `again`: it is not the first one.
  void heal_all(const Commit& copy, bool again, std::size_t rows) {
    for (Table* const table : copy.rejoined) heal(*table);
    if (!again) return;
    board_.rebuilt();
    notifier_->post(
        {EventKind::rebuilt, {}, "rows that were not as shown: " + std::to_string(rows), rows, copy.end_lsn});
  }

  /// When to copy afresh; Time::max() while that would help nobody.
  [[nodiscard]] Time due() const noexcept {
    Time first = Time::max();
    for (const auto& [table, patient] : patients_) first = std::min(first, patient.timer.due());
    return first;
  }

  /// The tables of which an attempt begins, with those that are due in a moment: what was altered together is copied
  /// together. Those that one transaction was too large for always are.
  [[nodiscard]] std::vector<Table*> take_due(Time now) {
    std::set<Lsn> dropped;
    for (const auto& [table, patient] : patients_)
      if (now + moment >= patient.timer.due()) dropped.insert(patient.dropped_at);
    dropped.erase(Lsn{});
    std::vector<Table*> due;
    for (auto& [table, patient] : patients_) {
      const bool comes_along = patient.timer.due() != Time::max() && dropped.contains(patient.dropped_at);
      if (now + moment < patient.timer.due() && !comes_along) continue;
      patient.timer.begin_attempt();
      due.push_back(table);
    }
    return due;
  }

  /// Those that cannot be followed as they are.
  [[nodiscard]] std::vector<Table*> misfits() const {
    std::vector<Table*> out;
    for (const auto& [table, patient] : patients_)
      if (!patient.fits) out.push_back(table);
    return out;
  }

  /// The stream goes on where it was, for these. The others stay behind, and those of them that were being copied
  /// alone are still to be.
  void resume(const std::vector<Followed>& followed) {
    for (const auto& table : store_->tables()) {
      const auto is_it = [&](const Followed& each) { return each.table == table.get(); };
      if (std::any_of(followed.begin(), followed.end(), is_it)) continue;
      store_->detach(*table, table->state(), Clock::now());
      Patient& patient = patients_[table.get()];
      if (patient.fits) patient.timer.again(Clock::now());
    }
  }

  /// All tables are judged anew and copied: what was known of each counts no more.
  void begin_anew() {
    for (auto& [table, patient] : patients_) {
      patient.fits = true;
      patient.dropped_at = Lsn{};
      patient.timer.copied(Clock::now());
    }
  }

 private:
  static constexpr std::chrono::milliseconds moment{50};

  struct Patient {
    HealTimer timer{};
    bool fits = true;  // as far as we know
    Lsn dropped_at{};  // the transaction that was too large for it and others
  };

  static TableState state_after(const Fault& fault) { return fault.healable ? TableState::stale : TableState::failed; }
  static Cause cause_of(const Fault& fault) {
    return fault.altered ? Cause::altered : fault.healable ? Cause::divergence : Cause::value;
  }

  static const char* outlook(const Fault& fault) {
    if (fault.healable) return "; it is copied afresh";
    return fault.column.empty() ? "; it keeps its last commit until it can be copied"
                                : "; it keeps its last commit until that value is gone from the table";
  }

  void schedule(Table& table, Cause cause) { patients_[&table].timer.schedule(Clock::now(), cause); }

  void stop(Table& table, TableState state, const std::string& why) {
    store_->detach(table, state, Clock::now());
    tell(table, state, why, store_->lsn());
  }

  void tell(const Table& table, TableState state, std::string why, Lsn lsn) {
    board_.set_table_error(table, why);
    const EventKind kind = state == TableState::failed ? EventKind::table_failed : EventKind::table_stale;
    notifier_->post({kind, to_string(table.name()), std::move(why), 0, lsn});
  }

  const std::shared_ptr<Store> store_;
  const std::shared_ptr<Notifier> notifier_;
  StatusBoard& board_;
  std::map<Table*, Patient> patients_{};
};

}  // namespace detail
}  // namespace v0
}  // namespace btreemapped
