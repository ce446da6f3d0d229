#pragma once

#include <algorithm>
#include <atomic>
#include <cerrno>
#include <chrono>
#include <cstdint>
#include <memory>
#include <mutex>
#include <string>
#include <system_error>
#include <utility>
#include <vector>

#include <fcntl.h>
#include <poll.h>
#include <sys/eventfd.h>
#include <sys/socket.h>
#include <sys/types.h>
#include <unistd.h>

#include <btreemapped/error.hpp>

namespace btreemapped {
inline namespace v0 {
namespace detail {

using Deadline = std::chrono::steady_clock::time_point;
inline constexpr Deadline no_deadline = Deadline::max();

/// Throws Error for a call that the system refuses, for want of descriptors or memory for most.
[[noreturn]] inline void throw_system_error(const char* call, int code = errno) {
  throw Error(std::string("the system refuses ") + call + ": " + std::generic_category().message(code),
              {.retryable = true});
}

/// Ends, from any thread and for good, whatever waits for a socket under it.
/// Operations that see it throw StoppedError. Shared by all that wait, since an abandoned thread may outlive its owner.
class Interrupt {
 public:
  Interrupt() : fd_(::eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK)), owner_(::getpid()) {
    if (fd_ < 0) throw_system_error("eventfd");
  }
  Interrupt(const Interrupt&) = delete;
  Interrupt& operator=(const Interrupt&) = delete;
  ~Interrupt() { ::close(fd_); }

  /// Idempotent.
  void interrupt() noexcept {
    // The descriptors are shared with a forked child, which must not end its parent's work.
    if (::getpid() != owner_) return;
    const std::lock_guard lock{mutex_};
    interrupted_.store(true, std::memory_order_release);
    const std::uint64_t one = 1;
    [[maybe_unused]] const auto written = ::write(fd_, &one, sizeof one);
    for (const int socket : sockets_) ::shutdown(socket, SHUT_RDWR);
  }

  [[nodiscard]] bool interrupted() const noexcept { return interrupted_.load(std::memory_order_acquire); }

  /// Readable once interrupted; never read from it.
  [[nodiscard]] int fd() const noexcept { return fd_; }

  /// Throws StoppedError once interrupted.
  void check() const {
    if (interrupted()) throw StoppedError("stopped");
  }

  /// While it lives, somebody waits for an answer out of our sight, where no deadline can be kept.
  class Asking {
   public:
    explicit Asking(Interrupt& interrupt) noexcept : interrupt_(interrupt) {
      interrupt_.asking_since_.store(std::chrono::steady_clock::now().time_since_epoch().count());
    }
    Asking(const Asking&) = delete;
    Asking& operator=(const Asking&) = delete;
    ~Asking() { interrupt_.asking_since_.store(0); }

   private:
    Interrupt& interrupt_;
  };

  /// Since when, so that whoever can do without the answer may interrupt(); `now` where nobody waits.
  [[nodiscard]] Deadline asking_since(Deadline now) const noexcept {
    const auto since = asking_since_.load();
    return since == 0 ? now : Deadline{Deadline::duration{since}};
  }

  /// Registers a socket on which a thread blocks out of our sight, to be shut down by interrupt().
  class Socket {
   public:
    Socket() noexcept = default;
    /// Keeps a duplicate: the owner of `fd` may close it at any time, and its number would be somebody else's then.
    Socket(std::shared_ptr<Interrupt> interrupt, int fd)
        : interrupt_(std::move(interrupt)), fd_(::fcntl(fd, F_DUPFD_CLOEXEC, 0)) {
      if (fd_ < 0) throw_system_error("dup");
      const std::lock_guard lock{interrupt_->mutex_};
      interrupt_->sockets_.push_back(fd_);
      if (interrupt_->interrupted()) ::shutdown(fd_, SHUT_RDWR);
    }
    Socket(Socket&& other) noexcept : interrupt_(std::move(other.interrupt_)), fd_(std::exchange(other.fd_, -1)) {}
    Socket& operator=(Socket&& other) noexcept {
      std::swap(interrupt_, other.interrupt_);
      std::swap(fd_, other.fd_);
      return *this;
    }
    ~Socket() {
      if (fd_ < 0) return;
      // In a forked child the lock may be held by a thread that does not exist there.
      if (::getpid() == interrupt_->owner_) {
        const std::lock_guard lock{interrupt_->mutex_};
        std::erase(interrupt_->sockets_, fd_);
      }
      ::close(fd_);
    }

    /// Its duplicate.
    [[nodiscard]] int fd() const noexcept { return fd_; }

   private:
    std::shared_ptr<Interrupt> interrupt_{};
    int fd_ = -1;
  };

 private:
  std::atomic<bool> interrupted_{false};
  std::atomic<Deadline::rep> asking_since_{0};
  int fd_;
  ::pid_t owner_;
  std::mutex mutex_;
  std::vector<int> sockets_;
};

/// poll()'s timeout until a deadline: rounded up, so that nobody spins in the last millisecond.
[[nodiscard]] inline int poll_timeout(Deadline deadline) noexcept {
  if (deadline == no_deadline) return -1;
  const auto now = std::chrono::steady_clock::now();
  if (deadline <= now) return 0;  // Deadline::min() says "at once", and is too far away to be subtracted from
  const auto left = std::chrono::ceil<std::chrono::milliseconds>(deadline - now).count();
  return static_cast<int>(std::clamp<std::int64_t>(left, 0, 60 * 60 * 1000));
}

/// Waits until `fd` has one of `events` and returns those it has; 0 when the deadline comes first.
/// Throws: StoppedError.
inline short wait_for_socket(int fd, short events, const Interrupt& interrupt, Deadline deadline) {
  while (true) {
    pollfd fds[2] = {{fd, events, 0}, {interrupt.fd(), POLLIN, 0}};
    const int ready = ::poll(fds, 2, poll_timeout(deadline));
    interrupt.check();
    if (ready > 0 && fds[0].revents != 0) return fds[0].revents;
    if (ready < 0 && errno != EINTR) throw_system_error("poll");
    if (deadline != no_deadline && std::chrono::steady_clock::now() >= deadline) return 0;
  }
}

}  // namespace detail
}  // namespace v0
}  // namespace btreemapped
