#pragma once

#include <algorithm>
#include <array>
#include <atomic>
#include <chrono>
#include <condition_variable>
#include <cstddef>
#include <cstdint>
#include <map>
#include <mutex>
#include <thread>

#include <pthread.h>

#include <btreemapped/detail/fork.hpp>
#include <btreemapped/error.hpp>

namespace btreemapped {
inline namespace v0 {
namespace detail {

class ReadLock;

/// All read locks of the process, so that a thread can be asked whether it holds any. Only slow paths look here.
/// Reached through the locks, never directly: with hidden visibility each shared library has a list of its own.
struct ReadLockList {
  std::mutex mutex;
  ReadLock* first = nullptr;

  static ReadLockList& instance() noexcept {
    static constinit ReadLockList list;  // trivially destructible: safe to use at any time of a process's end
    // A child must not inherit the mutex locked by a thread that it does not have.
    static const bool registered =
        pthread_atfork([] { list.mutex.lock(); }, [] { list.mutex.unlock(); }, [] { list.mutex.unlock(); }) == 0;
    static_cast<void>(registered);
    return list;
  }
};

/// A reader/writer lock for many readers and one writer, the applier.
///
/// A reader marks a slot of its own, so readers share no cache line, and a thread that reads already is known by its
/// slot: nested reads cost an increment and never wait. The writer announces itself, which holds up new outermost
/// reads for a window of some milliseconds, and enters when every slot is free. A plain std::shared_mutex would starve
/// it: four readers holding it 20 us each kept a writer out for 5 s on glibc.
class ReadLock {
 public:
  using Clock = std::chrono::steady_clock;
  using Thread = std::uintptr_t;

  struct alignas(64) Slot {
    std::atomic<Thread> owner{0};
    std::uint32_t depth = 0;  // the owner's alone
  };

  ReadLock() : list_(&ReadLockList::instance()) {
    const std::lock_guard guard(list_->mutex);
    next_ = list_->first;
    if (next_ != nullptr) next_->previous_ = this;
    list_->first = this;
  }

  ReadLock(const ReadLock&) = delete;
  ReadLock& operator=(const ReadLock&) = delete;

  ~ReadLock() {
    const std::lock_guard guard(list_->mutex);
    if (next_ != nullptr) next_->previous_ = previous_;
    (previous_ != nullptr ? previous_->next_ : list_->first) = next_;
  }

  /// Begins a read of this thread; give the slot back to unlock_shared() on the same thread.
  /// Throws: UsageError in a forked child.
  [[nodiscard]] Slot* lock_shared() {
    if (fork_.in_child())
      throw UsageError("a replica cannot be read in a forked child; make a Replicator in the child");
    const Thread self = this_thread();
    const std::size_t home = home_of(self);
    for (std::size_t step = 0; step < window; ++step) {
      Slot& slot = slots_[(home + step) % slot_count];
      if (slot.owner.load(std::memory_order_relaxed) == self) {
        ++slot.depth;
        return &slot;
      }
    }
    if (spilled_count_.load(std::memory_order_relaxed) != 0)
      if (Slot* const slot = find_spilled(self)) {
        ++slot->depth;
        return slot;
      }
    for (bool waited = false;; waited = true) {
      Slot* const slot = claim(self, home);
      const Writer writer = writer_.load(std::memory_order_seq_cst);
      const bool reads_elsewhere = writer != Writer::absent && holds_any_read(self, this);
      if (writer == Writer::absent || (writer == Writer::waiting && (waited || reads_elsewhere))) {
        slot->depth = 1;
        return slot;
      }
      give_back(slot);
      wait_at_gate(reads_elsewhere ? std::chrono::milliseconds::zero() : gate_patience);
    }
  }

  void unlock_shared(Slot* slot) noexcept {
    if (--slot->depth != 0) return;
    give_back(slot);
  }

  /// Is the calling thread inside a read of any store that this one knows of?
  [[nodiscard]] bool this_thread_reads() const { return holds_any_read(this_thread(), nullptr); }

  /// Tries until the deadline to get in alone. False when readers were still inside, or `stop` became true.
  [[nodiscard]] bool lock_until(Clock::time_point deadline, const std::atomic<bool>& stop) {
    for (;;) {
      const Clock::time_point window_end = std::min(deadline, Clock::now() + closed_for_);
      if (drain_until(window_end, stop)) {
        closed_for_ = shortest_window;
        return true;
      }
      open_gate();
      if (stop.load(std::memory_order_relaxed) || Clock::now() >= deadline) return false;
      // A reader stays long: let the others in for as long as they were kept out, then wait longer.
      std::unique_lock lock(mutex_);
      gate_.wait_until(lock, std::min(deadline, Clock::now() + closed_for_),
                       [&] { return stop.load(std::memory_order_relaxed); });
      closed_for_ = std::min(2 * closed_for_, longest_window);
    }
  }

  void unlock() { open_gate(); }

  /// Makes lock_until() look at its stop flag now.
  void wake_writer() {
    const std::lock_guard guard(mutex_);
    drained_.notify_all();
    gate_.notify_all();
  }

 private:
  enum class Writer : std::uint8_t { absent, waiting, inside };

  static constexpr std::size_t slot_count = 64;
  static constexpr std::size_t window = 8;
  static constexpr std::chrono::microseconds shortest_window{4'000};
  static constexpr std::chrono::microseconds longest_window{64'000};
  static constexpr std::chrono::milliseconds gate_patience{64};

  static Thread this_thread() noexcept { return static_cast<Thread>(pthread_self()); }

  static std::size_t home_of(Thread thread) noexcept {
    // Thread handles are addresses of aligned control blocks: their low bits say nothing.
    return static_cast<std::size_t>((static_cast<std::uint64_t>(thread) >> 6U) * 0x9E37'79B9'7F4A'7C15U >> 58U);
  }

  Slot* claim(Thread self, std::size_t home) {
    for (std::size_t step = 0; step < window; ++step) {
      Slot& slot = slots_[(home + step) % slot_count];
      Thread nobody = 0;
      if (slot.owner.load(std::memory_order_relaxed) == 0 &&
          slot.owner.compare_exchange_strong(nobody, self, std::memory_order_seq_cst))
        return &slot;
    }
    const std::lock_guard guard(spill_mutex_);
    Slot& slot = spilled_[self];
    slot.owner.store(self, std::memory_order_relaxed);
    spilled_count_.fetch_add(1, std::memory_order_seq_cst);
    return &slot;
  }

  void give_back(Slot* slot) noexcept {
    if (slot >= slots_.data() && slot < slots_.data() + slots_.size()) {
      slot->owner.store(0, std::memory_order_release);
    } else {
      const std::lock_guard guard(spill_mutex_);
      spilled_.erase(slot->owner.load(std::memory_order_relaxed));
      spilled_count_.fetch_sub(1, std::memory_order_release);
    }
    // Without a fence the flag may be read too early and a wake-up be lost; the writer looks again by itself soon.
    if (writer_.load(std::memory_order_relaxed) == Writer::waiting) drained_.notify_one();
  }

  Slot* find_spilled(Thread thread) {
    const std::lock_guard guard(spill_mutex_);
    const auto found = spilled_.find(thread);
    return found == spilled_.end() ? nullptr : &found->second;
  }

  [[nodiscard]] bool held_by(Thread thread) {
    const std::size_t home = home_of(thread);
    for (std::size_t step = 0; step < window; ++step)
      if (slots_[(home + step) % slot_count].owner.load(std::memory_order_relaxed) == thread) return true;
    return spilled_count_.load(std::memory_order_relaxed) != 0 && find_spilled(thread) != nullptr;
  }

  bool holds_any_read(Thread thread, const ReadLock* except) const {
    const std::lock_guard guard(list_->mutex);
    for (ReadLock* lock = list_->first; lock != nullptr; lock = lock->next_)
      if (lock != except && lock->held_by(thread)) return true;
    return false;
  }

  [[nodiscard]] bool empty() const noexcept {
    for (const Slot& slot : slots_)
      if (slot.owner.load(std::memory_order_seq_cst) != 0) return false;
    return spilled_count_.load(std::memory_order_seq_cst) == 0;
  }

  bool drain_until(Clock::time_point deadline, const std::atomic<bool>& stop) {
    writer_.store(Writer::waiting, std::memory_order_seq_cst);
    for (int attempt = 0;; ++attempt) {
      if (empty()) {
        // A reader that came meanwhile either sees "inside" and leaves, or is seen by the second look.
        writer_.store(Writer::inside, std::memory_order_seq_cst);
        if (empty()) return true;
        writer_.store(Writer::waiting, std::memory_order_seq_cst);
      }
      if (stop.load(std::memory_order_relaxed) || Clock::now() >= deadline) return false;
      if (attempt < 64) {
        std::this_thread::yield();
      } else {
        std::unique_lock lock(mutex_);
        drained_.wait_for(lock, std::chrono::microseconds{100});
      }
    }
  }

  void open_gate() {
    const std::lock_guard guard(mutex_);
    writer_.store(Writer::absent, std::memory_order_seq_cst);
    gate_.notify_all();
  }

  /// Waits for a writer that is inside, and as long as the patience for one that waits.
  void wait_at_gate(Clock::duration patience) {
    std::unique_lock lock(mutex_);
    // Patience ends even if the writer never opens: a thread that reads another store, made by another shared
    // library, cannot be recognised and must not wait for ever.
    const Clock::time_point patience_end = Clock::now() + patience;
    for (Writer writer = writer_.load(); writer != Writer::absent; writer = writer_.load()) {
      if (writer == Writer::waiting && Clock::now() >= patience_end) return;
      gate_.wait_for(lock, std::chrono::milliseconds{1});
    }
  }

  std::array<Slot, slot_count> slots_{};
  alignas(64) std::atomic<Writer> writer_{Writer::absent};
  ForkWatch fork_;
  ReadLockList* list_;
  ReadLock* next_ = nullptr;
  ReadLock* previous_ = nullptr;

  std::mutex mutex_;  // only for waiting
  std::condition_variable gate_;
  std::condition_variable drained_;
  std::chrono::microseconds closed_for_ = shortest_window;  // the writer's alone

  std::mutex spill_mutex_;  // for readers whose window is taken
  std::map<Thread, Slot> spilled_;
  std::atomic<std::size_t> spilled_count_{0};
};

}  // namespace detail
}  // namespace v0
}  // namespace btreemapped
