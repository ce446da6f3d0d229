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
#include <optional>
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
/// slot: nested reads cost an increment and never wait. A plain std::shared_mutex would starve the writer: four readers
/// holding it 20 us each kept one out for 5 s on glibc.
///
/// The writer closes the gate to new outermost reads for a window of 64 ms at most, and enters when every slot is
/// free. If reads stay longer than that, the gate is open to all until those very reads have ended, so that one that
/// stays for ever delays the writer only; then comes a window as long as they would have needed. Without that, two
/// readers whose scans of 150 ms overlapped kept the writer out for 10 s.
class ReadLock {
 public:
  using Clock = std::chrono::steady_clock;
  using Thread = std::uintptr_t;

  struct alignas(64) Slot {
    std::atomic<Thread> owner{0};
    std::atomic<std::uint64_t> turn{0};  // which read it is: tells the writer whether one has stayed
    std::uint32_t depth = 0;             // the owner's alone
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
    if (Slot* const slot = try_to_enter(self, home, false)) return slot;
    const Clock::time_point patience_end = Clock::now() + fair_wait;
    for (std::optional<HeldUp> counted;;) {
      wait_at_gate(self);
      if (Slot* const slot = try_to_enter(self, home, true)) return slot;
      if (!counted && Clock::now() >= patience_end) counted.emplace(held_up_);
    }
  }

  void unlock_shared(Slot* slot) noexcept {
    if (--slot->depth != 0) return;
    give_back(slot);
  }

  /// Is the calling thread inside a read of any store that this one knows of?
  [[nodiscard]] bool this_thread_reads() const { return holds_any_read(this_thread(), nullptr); }

  /// Tries until the deadline to get in alone. False when readers were still inside, or `stop` became true. The next
  /// call goes on where this one ended; who makes none calls give_up().
  [[nodiscard]] bool lock_until(Clock::time_point deadline, const std::atomic<bool>& stop) {
    if (phase_ == Phase::idle) {
      waiting_since_ = Clock::now();
      yield_to_held_up_readers(std::min(deadline, waiting_since_ + fair_wait));
    }
    for (;;) {
      if (phase_ == Phase::outwaiting && !outwait_until(deadline, stop)) return false;
      if (phase_ != Phase::draining) close_gate();
      if (drain_until(std::min(deadline, window_end_), stop)) {
        phase_ = Phase::idle;
        closed_for_ = usual_window;
        return true;
      }
      if (stop.load(std::memory_order_relaxed)) {
        give_up();
        return false;
      }
      if (Clock::now() < window_end_) return false;  // the gate stays closed for the rest of the window
      remember_reads();
      open_gate();
      phase_ = Phase::outwaiting;
    }
  }

  /// There will be no further call of lock_until() for what the last one waited for.
  void give_up() {
    phase_ = Phase::idle;
    closed_for_ = usual_window;
    open_gate();
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
  /// What the writer does to get in: has closed the gate, or lets all in until reads that stayed have ended.
  enum class Phase : std::uint8_t { idle, draining, outwaiting };

  class HeldUp {
   public:
    explicit HeldUp(std::atomic<int>& count) noexcept : count_(count) {
      count_.fetch_add(1, std::memory_order_relaxed);
    }
    HeldUp(const HeldUp&) = delete;
    HeldUp& operator=(const HeldUp&) = delete;
    ~HeldUp() { count_.fetch_sub(1, std::memory_order_relaxed); }

   private:
    std::atomic<int>& count_;
  };

  static constexpr std::size_t slot_count = 64;
  static constexpr std::size_t window = 8;
  // Longer than a brief read takes whose thread is kept from its processor for a while.
  static constexpr Clock::duration usual_window = std::chrono::milliseconds{64};
  static constexpr Clock::duration longest_window = std::chrono::seconds{1};  // after twice as long outside
  static constexpr Clock::duration fair_wait = std::chrono::milliseconds{4};

  static Thread this_thread() noexcept { return static_cast<Thread>(pthread_self()); }

  static std::size_t home_of(Thread thread) noexcept {
    // Thread handles are addresses of aligned control blocks: their low bits say nothing.
    return static_cast<std::size_t>((static_cast<std::uint64_t>(thread) >> 6U) * 0x9E37'79B9'7F4A'7C15U >> 58U);
  }

  /// A slot, if the writer lets this thread in now. One that has waited is let in before a writer that only waits.
  Slot* try_to_enter(Thread self, std::size_t home, bool has_waited) {
    Slot* const slot = claim(self, home);
    const Writer writer = writer_.load(std::memory_order_seq_cst);
    if (writer == Writer::absent ||
        (writer == Writer::waiting && (has_waited || !gate_is_closed() || holds_any_read(self, this)))) {
      slot->depth = 1;
      return slot;
    }
    give_back(slot);
    return nullptr;
  }

  Slot* claim(Thread self, std::size_t home) {
    for (std::size_t step = 0; step < window; ++step) {
      Slot& slot = slots_[(home + step) % slot_count];
      Thread nobody = 0;
      if (slot.owner.load(std::memory_order_relaxed) == 0 &&
          slot.owner.compare_exchange_strong(nobody, self, std::memory_order_seq_cst)) {
        slot.turn.store(slot.turn.load(std::memory_order_relaxed) + 1, std::memory_order_relaxed);
        return &slot;
      }
    }
    const std::lock_guard guard(spill_mutex_);
    Slot& slot = spilled_[self];
    slot.owner.store(self, std::memory_order_relaxed);
    slot.turn.store(++spilled_turn_, std::memory_order_relaxed);
    spilled_count_.fetch_add(1, std::memory_order_seq_cst);
    return &slot;
  }

  void give_back(Slot* slot) noexcept {
    if (slot >= slots_.data() && slot < slots_.data() + slots_.size()) {
      slot->owner.store(0, std::memory_order_release);
    } else if (!fork_.in_child()) {  // where the mutex may have been inherited locked
      const std::lock_guard guard(spill_mutex_);
      spilled_.erase(slot->owner.load(std::memory_order_relaxed));
      spilled_count_.fetch_sub(1, std::memory_order_release);
    }
    // Without a fence the flag may be read too early and a wake-up be lost; the writer looks again by itself soon.
    if (writer_.load(std::memory_order_relaxed) == Writer::waiting && !fork_.in_child()) drained_.notify_one();
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

  [[nodiscard]] bool gate_is_closed() const noexcept {
    return Clock::now().time_since_epoch().count() < closed_until_.load(std::memory_order_relaxed);
  }

  void close_gate() {
    phase_ = Phase::draining;
    window_begin_ = Clock::now();
    window_end_ = window_begin_ + closed_for_;
    closed_until_.store(window_end_.time_since_epoch().count(), std::memory_order_relaxed);
  }

  /// Readers that several commits have held up come first: a writer with the next one always in hand would shut them
  /// out again before they are awake.
  void yield_to_held_up_readers(Clock::time_point deadline) const {
    while (held_up_.load(std::memory_order_relaxed) != 0 && Clock::now() < deadline) std::this_thread::yield();
  }

  void remember_reads() {
    for (std::size_t i = 0; i < slot_count; ++i) {
      const bool taken = slots_[i].owner.load(std::memory_order_relaxed) != 0;
      stayed_[i] = taken ? slots_[i].turn.load(std::memory_order_relaxed) : 0;
    }
    const std::lock_guard guard(spill_mutex_);
    spilled_stayed_ = spilled_turn_;
  }

  [[nodiscard]] bool remembered_reads_stay() {
    for (std::size_t i = 0; i < slot_count; ++i)
      if (stayed_[i] != 0 && slots_[i].owner.load(std::memory_order_relaxed) != 0 &&
          slots_[i].turn.load(std::memory_order_relaxed) == stayed_[i])
        return true;
    const std::lock_guard guard(spill_mutex_);
    return std::any_of(spilled_.begin(), spilled_.end(), [this](const auto& each) {
      return each.second.turn.load(std::memory_order_relaxed) <= spilled_stayed_;
    });
  }

  /// Waits with the gate open until the reads that outlasted the window have ended, and measures by them the next one.
  bool outwait_until(Clock::time_point deadline, const std::atomic<bool>& stop) {
    while (remembered_reads_stay()) {
      const Clock::time_point now = Clock::now();
      if (stop.load(std::memory_order_relaxed) || now >= deadline) return false;
      const auto pause = std::clamp<Clock::duration>((now - window_begin_) / 8, std::chrono::microseconds{100},
                                                     std::chrono::milliseconds{10});
      std::unique_lock lock(mutex_);
      gate_.wait_until(lock, std::min(deadline, now + pause), [&] { return stop.load(std::memory_order_relaxed); });
    }
    const Clock::time_point now = Clock::now();
    const Clock::duration most = std::clamp((now - waiting_since_) / 2, usual_window, longest_window);
    closed_for_ = std::clamp(2 * (now - window_begin_), usual_window, most);
    return true;
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

  /// Waits for a writer that is inside; for one that waits only while its window lasts, and not at all with a read of
  /// another store. So a thread always gets in that reads a store made by another shared library, unknown here.
  void wait_at_gate(Thread self) {
    const bool reads_elsewhere = holds_any_read(self, this);
    std::unique_lock lock(mutex_);
    for (Writer writer = writer_.load(); writer != Writer::absent; writer = writer_.load()) {
      if (writer == Writer::waiting && (reads_elsewhere || !gate_is_closed())) return;
      gate_.wait_for(lock, std::chrono::milliseconds{1});
    }
  }

  std::array<Slot, slot_count> slots_{};
  alignas(64) std::atomic<Writer> writer_{Writer::absent};
  std::atomic<Clock::rep> closed_until_{0};  // while the writer waits
  std::atomic<int> held_up_{0};              // readers that have waited long, and whose turn it is
  ForkWatch fork_;
  ReadLockList* list_;
  ReadLock* next_ = nullptr;
  ReadLock* previous_ = nullptr;

  std::mutex mutex_;  // only for waiting
  std::condition_variable gate_;
  std::condition_variable drained_;

  // The writer's alone.
  Phase phase_ = Phase::idle;
  Clock::time_point waiting_since_{};
  Clock::time_point window_begin_{};
  Clock::time_point window_end_{};
  Clock::duration closed_for_ = usual_window;
  std::array<std::uint64_t, slot_count> stayed_{};  // the reads that outlasted the window; zero: none
  std::uint64_t spilled_stayed_ = 0;                // and the spilled ones up to this turn

  std::mutex spill_mutex_;  // for readers whose window is taken
  std::map<Thread, Slot> spilled_;
  std::uint64_t spilled_turn_ = 0;
  std::atomic<std::size_t> spilled_count_{0};
};

}  // namespace detail
}  // namespace v0
}  // namespace btreemapped
