#pragma once

#include <atomic>
#include <cstddef>
#include <cstdint>
#include <deque>
#include <functional>
#include <mutex>
#include <utility>

#include <sys/eventfd.h>
#include <unistd.h>

#include <btreemapped/detail/interrupt.hpp>

namespace btreemapped {
inline namespace v0 {
namespace detail {

/// Letters to the thread that drives a Replicator: closures that it runs, and a descriptor on which it can wait for
/// them.
class Mailbox {
 public:
  using Letter = std::function<void()>;

  Mailbox() : fd_(::eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK)) {
    if (fd_ < 0) throw_system_error("eventfd");
  }
  Mailbox(const Mailbox&) = delete;
  Mailbox& operator=(const Mailbox&) = delete;
  ~Mailbox() { ::close(fd_); }

  /// From any thread.
  void post(Letter letter) {
    const std::lock_guard lock(mutex_);
    letters_.push_back(std::move(letter));
    waiting_.store(letters_.size(), std::memory_order_release);
    const std::uint64_t one = 1;
    [[maybe_unused]] const auto written = ::write(fd_, &one, sizeof one);
  }

  /// Runs what has come, in order. One load when nothing has. What a letter throws is thrown, and those behind it
  /// wait on.
  void open() {
    for (std::size_t left = waiting_.load(std::memory_order_acquire); left != 0; --left) take_first()();
  }

  /// Nobody will open what has come.
  void burn() {
    const std::lock_guard lock(mutex_);
    letters_.clear();
    waiting_.store(0, std::memory_order_release);
  }

  /// Readable while a letter waits.
  [[nodiscard]] int fd() const noexcept { return fd_; }

 private:
  Letter take_first() {
    const std::lock_guard lock(mutex_);
    Letter letter = std::move(letters_.front());
    letters_.pop_front();
    waiting_.store(letters_.size(), std::memory_order_release);
    if (letters_.empty()) {
      // Under the lock, so that the descriptor is readable exactly while a letter waits.
      std::uint64_t count = 0;
      [[maybe_unused]] const auto got = ::read(fd_, &count, sizeof count);
    }
    return letter;
  }

  int fd_;
  std::mutex mutex_;
  std::deque<Letter> letters_;
  std::atomic<std::size_t> waiting_{0};
};

}  // namespace detail
}  // namespace v0
}  // namespace btreemapped
