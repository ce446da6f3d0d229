#pragma once

#include <chrono>
#include <condition_variable>
#include <deque>
#include <functional>
#include <memory>
#include <mutex>
#include <utility>

#include <btreemapped/detail/loop/thread.hpp>

namespace btreemapped {
inline namespace v0 {
namespace detail {

/// A thread for work that may block, one job after the other. Jobs own what they use, so that a worker that is stuck
/// can be left behind.
class Worker {
 public:
  using Job = std::function<void()>;

  Worker(const char* name, std::function<void()> on_start)
      : queue_(std::make_shared<Queue>()), thread_(name, std::move(on_start), [queue = queue_] { queue->run(); }) {}
  Worker(Worker&&) noexcept = default;
  Worker& operator=(Worker&&) = delete;

  /// Jobs that have not begun are dropped. One that has should have been interrupted before.
  ~Worker() {
    if (queue_ == nullptr) return;
    queue_->close();
    thread_.join_or_leave(patience);
  }

  void post(Job job) { queue_->add(std::move(job)); }

 private:
  static constexpr std::chrono::milliseconds patience{250};

  class Queue {
   public:
    void add(Job job) {
      const std::lock_guard lock(mutex_);
      jobs_.push_back(std::move(job));
      condition_.notify_one();
    }
    void close() {
      const std::lock_guard lock(mutex_);
      closed_ = true;
      jobs_.clear();
      condition_.notify_one();
    }
    void run() {
      for (;;) {
        std::unique_lock lock(mutex_);
        condition_.wait(lock, [this] { return closed_ || !jobs_.empty(); });
        if (closed_) return;
        const Job job = std::move(jobs_.front());
        jobs_.pop_front();
        lock.unlock();
        job();
      }
    }

   private:
    std::mutex mutex_;
    std::condition_variable condition_;
    std::deque<Job> jobs_;
    bool closed_ = false;
  };

  std::shared_ptr<Queue> queue_;
  Thread thread_;
};

}  // namespace detail
}  // namespace v0
}  // namespace btreemapped
