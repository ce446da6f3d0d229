#pragma once

#include <atomic>
#include <chrono>
#include <condition_variable>
#include <cstddef>
#include <cstdint>
#include <deque>
#include <functional>
#include <mutex>
#include <string>
#include <utility>

#include <btreemapped/detail/shape.hpp>
#include <btreemapped/detail/table.hpp>
#include <btreemapped/status.hpp>

namespace btreemapped {
inline namespace v0 {
namespace detail {

/// How far the copy of a table is.
[[nodiscard]] inline Event copying(const Table& table, std::string message) {
  Event event{EventKind::copying, to_string(table.name()), std::move(message), table.copied_rows(), {}};
  event.bytes = table.copied_bytes();
  event.expected_rows = table.expected_rows();
  return event;
}

/// Events on their way to the hook: a bounded queue, so that a slow hook costs events and never replication.
class Notifier {
 public:
  explicit Notifier(std::function<void(const Event&)> hook) : hook_(std::move(hook)) {}

  [[nodiscard]] bool wanted() const noexcept { return static_cast<bool>(hook_); }

  /// Progress of a table that is still queued is replaced by the newest.
  void post(Event event) {
    if (!hook_) return;
    const std::lock_guard lock(mutex_);
    if (closed_) return;
    if (event.kind == EventKind::copying) {
      for (auto queued = queue_.rbegin(); queued != queue_.rend(); ++queued) {
        if (queued->kind != EventKind::copying) break;
        if (queued->table != event.table) continue;
        *queued = std::move(event);
        return;
      }
    }
    // The last place is kept for the word that some are missing, the one after it for the end.
    if (queue_.size() + 1 >= capacity && event.kind != EventKind::stopped) {
      dropped_.fetch_add(1, std::memory_order_relaxed);
      if (queue_.back().kind != EventKind::hook_lagging)
        queue_.push_back(
            {EventKind::hook_lagging, {}, "on_event is slower than events come; some were dropped", 0, {}});
    } else {
      queue_.push_back(std::move(event));
    }
    condition_.notify_one();
  }

  /// The body of the notifier thread: runs until close() and the queue is empty. Where the hook is slow, what is
  /// queued then is dropped after a moment, but for the last event.
  void run() {
    for (;;) {
      std::unique_lock lock(mutex_);
      condition_.wait(lock, [this] { return closed_ || !queue_.empty(); });
      if (queue_.empty()) return;
      if (closed_ && queue_.size() > 1 && Clock::now() >= patience_ends_) {
        dropped_.fetch_add(queue_.size() - 1, std::memory_order_relaxed);
        queue_.erase(queue_.begin(), queue_.end() - 1);
      }
      const Event event = std::move(queue_.front());
      queue_.pop_front();
      lock.unlock();
      try {
        hook_(event);
      } catch (...) {
        errors_.fetch_add(1, std::memory_order_relaxed);
      }
    }
  }

  /// Lets run() end after what is queued; nothing is told after that.
  void close() {
    const std::lock_guard lock(mutex_);
    if (!std::exchange(closed_, true)) patience_ends_ = Clock::now() + patience;
    condition_.notify_one();
  }

  /// Units: bytes, of the events that wait.
  [[nodiscard]] std::size_t bytes() const {
    const std::lock_guard lock(mutex_);
    std::size_t bytes = 0;
    for (const Event& each : queue_) bytes += sizeof each + each.table.size() + each.message.size();
    return bytes;
  }
  [[nodiscard]] std::uint64_t errors() const noexcept { return errors_.load(std::memory_order_relaxed); }
  [[nodiscard]] std::uint64_t dropped() const noexcept { return dropped_.load(std::memory_order_relaxed); }

 private:
  using Clock = std::chrono::steady_clock;

  static constexpr std::size_t capacity = 1024;
  static constexpr std::chrono::milliseconds patience{250};

  const std::function<void(const Event&)> hook_;
  mutable std::mutex mutex_;
  std::condition_variable condition_;
  std::deque<Event> queue_;
  bool closed_ = false;
  Clock::time_point patience_ends_{};
  std::atomic<std::uint64_t> errors_{0};
  std::atomic<std::uint64_t> dropped_{0};
};

}  // namespace detail
}  // namespace v0
}  // namespace btreemapped
