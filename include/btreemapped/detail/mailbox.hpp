#pragma once

#include <atomic>
#include <cerrno>
#include <cstdint>
#include <functional>
#include <mutex>
#include <system_error>
#include <utility>
#include <vector>

#include <sys/eventfd.h>
#include <unistd.h>

namespace btreemapped {
inline namespace v0 {
namespace detail {

/// Letters to the thread that drives a Replicator: closures that it runs, and a descriptor on which it can wait for
/// them.
class Mailbox {
 public:
  using Letter = std::function<void()>;

  Mailbox() : fd_(::eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK)) {
    if (fd_ < 0) throw std::system_error(errno, std::generic_category(), "btreemapped: eventfd");
  }
  Mailbox(const Mailbox&) = delete;
  Mailbox& operator=(const Mailbox&) = delete;
  ~Mailbox() { ::close(fd_); }

  /// From any thread.
  void post(Letter letter) {
    const std::lock_guard lock(mutex_);
    letters_.push_back(std::move(letter));
    waiting_.store(true, std::memory_order_release);
    const std::uint64_t one = 1;
    [[maybe_unused]] const auto written = ::write(fd_, &one, sizeof one);
  }

  /// Runs what has come, in order. One load when nothing has.
  void open() {
    if (!waiting_.load(std::memory_order_acquire)) return;
    std::vector<Letter> letters;
    {
      const std::lock_guard lock(mutex_);
      // Under the lock, so that the descriptor is readable exactly while a letter waits.
      std::uint64_t count = 0;
      [[maybe_unused]] const auto got = ::read(fd_, &count, sizeof count);
      letters.swap(letters_);
      waiting_.store(false, std::memory_order_release);
    }
    for (const Letter& letter : letters) letter();
  }

  /// Readable while a letter waits.
  [[nodiscard]] int fd() const noexcept { return fd_; }

 private:
  int fd_;
  std::mutex mutex_;
  std::vector<Letter> letters_;
  std::atomic<bool> waiting_{false};
};

}  // namespace detail
}  // namespace v0
}  // namespace btreemapped
