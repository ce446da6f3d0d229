#pragma once

#include <atomic>
#include <chrono>
#include <condition_variable>
#include <cstddef>
#include <cstdint>
#include <memory>
#include <mutex>
#include <utility>
#include <vector>

#include <btreemapped/change.hpp>
#include <btreemapped/detail/read_lock.hpp>
#include <btreemapped/detail/table.hpp>
#include <btreemapped/lsn.hpp>

namespace btreemapped {
inline namespace v0 {
namespace detail {

/// The tables of one Replicator and the one lock that makes its commits whole. Atomics and locks live here.
class Store {
 public:
  using Clock = std::chrono::steady_clock;

  explicit Store(bool readable_before_copy) : readable_before_copy_(readable_before_copy) {}

  /// A read of all the store's tables at one commit, for as long as it lives, on the thread that made it.
  class [[nodiscard]] Pin {
   public:
    /// Throws: UsageError in a forked child.
    /// Blocks and locks: never for the network; for an applier that is changing the map, unless this thread reads
    /// already.
    explicit Pin(const Store& store) : lock_(store.lock_), slot_(lock_.lock_shared()) {}
    Pin(const Pin&) = delete;
    Pin& operator=(const Pin&) = delete;
    ~Pin() { lock_.unlock_shared(slot_); }

   private:
    ReadLock& lock_;
    ReadLock::Slot* slot_;
  };

  /// Before the start only.
  Table& add(std::unique_ptr<Table> table) { return *tables_.emplace_back(std::move(table)); }
  [[nodiscard]] const std::vector<std::unique_ptr<Table>>& tables() const noexcept { return tables_; }

  [[nodiscard]] bool readable_before_copy() const noexcept { return readable_before_copy_; }
  /// The number of commits published so far.
  [[nodiscard]] std::uint64_t sequence() const noexcept { return sequence_.load(std::memory_order_acquire); }
  /// Every commit of the source before this position is visible.
  [[nodiscard]] Lsn lsn() const noexcept { return Lsn{lsn_.load(std::memory_order_acquire)}; }
  /// The longest time that a commit has waited for readers.
  [[nodiscard]] Clock::duration longest_wait() const noexcept { return Clock::duration{longest_wait_.load()}; }
  [[nodiscard]] bool this_thread_reads() const { return lock_.this_thread_reads(); }

  /// Makes a commit visible. False when the deadline came first: call it again with the same commit, nothing has been
  /// seen of it yet. Once begun, a commit is finished even if `stop` is set.
  /// Blocks and locks: the applier's alone; waits for readers until the deadline.
  [[nodiscard]] bool publish(Commit& commit, Clock::time_point deadline, const std::atomic<bool>& stop) {
    if (!publishing_) {
      const Clock::time_point begin = Clock::now();
      if (wait_began_ == Clock::time_point{}) wait_began_ = begin;
      if (!lock_.lock_until(deadline, stop)) return false;
      const Clock::rep waited = (Clock::now() - std::exchange(wait_began_, {})).count();
      if (waited > longest_wait_.load(std::memory_order_relaxed)) longest_wait_.store(waited);
      publishing_ = true;
      next_change_ = 0;
    }
    for (; next_change_ < commit.changes.size(); ++next_change_)
      if (!commit.changes[next_change_].delta->apply(deadline)) return false;
    for (const Commit::Change& each : commit.changes)
      if (each.table->journal() != nullptr) each.table->take_notes(*each.delta, commit.commit_lsn);
    for (const Commit::Detached& each : commit.detached) detach(*each.table, each.state, Clock::now());
    for (Table* const table : commit.rejoined) table->set_copied();
    sequence_.fetch_add(1, std::memory_order_release);
    // A copy says where it is, also when it comes from a server that is not as far as the one before.
    if (commit.rejoined.empty()) move_to(commit.end_lsn);
    else lsn_.store(commit.end_lsn.value(), std::memory_order_seq_cst);
    publishing_ = false;
    lock_.unlock();
    tell_waiters();
    return true;
  }

  /// The commit that publish() could not begin will not come again: nobody waits for readers any more.
  void abandon() {
    wait_began_ = {};
    lock_.give_up();
  }

  /// Has a commit been begun that publish() must still finish?
  [[nodiscard]] bool publishing() const noexcept { return publishing_; }

  /// Nothing of the source before this position changes a row that is held: the same rows hold at a later position.
  void advance(Lsn lsn) {
    move_to(lsn);
    tell_waiters();
  }

  /// The connection is lost or ended: every live table goes on as it is, stale.
  void mark_stale(Clock::time_point now) noexcept {
    for (const auto& table : tables_)
      if (table->state() == TableState::live) table->set_not_live(TableState::stale, now);
  }

  /// The table goes on where it was. The applier's, between two commits.
  void resume(Table& table) noexcept { table.set_live(); }

  /// The table stops following and keeps what it has: stale, or failed. The applier's, between two commits.
  void detach(Table& table, TableState state, Clock::time_point now) noexcept {
    if (table.copied() && !table.detached_at()) table.detached_at_.store(lsn().value(), std::memory_order_release);
    table.set_not_live(state, now);
  }

  enum class Waited : std::uint8_t { reached, timeout, closed };

  /// Waits until every commit before `lsn` is visible.
  [[nodiscard]] Waited wait_for(Lsn target, Clock::time_point deadline) {
    return wait_until([&] { return lsn_.load(std::memory_order_seq_cst) >= target.value(); }, deadline);
  }

  /// Waits for what comes about by a commit, or is told by tell_waiters().
  template <class Condition>
  [[nodiscard]] Waited wait_until(Condition&& reached, Clock::time_point deadline) {
    std::unique_lock lock(waiting_mutex_);
    ++waiting_;
    const bool in_time = waiting_condition_.wait_until(lock, deadline, [&] { return reached() || closed_; });
    --waiting_;
    if (reached()) return Waited::reached;
    return in_time ? Waited::closed : Waited::timeout;
  }

  /// Something that wait_until() may wait for has come about; it is told by sequentially consistent atomics.
  void tell_waiters() {
    // A waiter counts itself before it looks, which is sequentially consistent, too: none is missed.
    if (waiting_.load(std::memory_order_seq_cst) == 0) return;
    const std::lock_guard lock(waiting_mutex_);
    waiting_condition_.notify_all();
  }

  /// Nothing will be published any more.
  void close() {
    const std::lock_guard lock(waiting_mutex_);
    closed_ = true;
    waiting_condition_.notify_all();
  }

  /// Ends a wait for readers at once; the stop flag given to publish() must have been set before.
  void wake() { lock_.wake_writer(); }

 private:
  void move_to(Lsn lsn) noexcept {
    if (lsn.value() > lsn_.load(std::memory_order_relaxed)) lsn_.store(lsn.value(), std::memory_order_seq_cst);
  }

  mutable ReadLock lock_;
  std::vector<std::unique_ptr<Table>> tables_;
  const bool readable_before_copy_;

  std::atomic<std::uint64_t> sequence_{0};
  std::atomic<std::uint64_t> lsn_{0};
  std::atomic<Clock::rep> longest_wait_{0};

  // The applier's alone.
  bool publishing_ = false;
  std::size_t next_change_ = 0;
  Clock::time_point wait_began_{};

  std::mutex waiting_mutex_;
  std::condition_variable waiting_condition_;
  std::atomic<int> waiting_{0};
  bool closed_ = false;
};

}  // namespace detail
}  // namespace v0
}  // namespace btreemapped
