#pragma once

#include <atomic>
#include <chrono>
#include <condition_variable>
#include <functional>
#include <memory>
#include <mutex>
#include <string>
#include <system_error>
#include <thread>
#include <utility>

#include <pthread.h>
#include <csignal>

#include <btreemapped/detail/interrupt.hpp>

namespace btreemapped {
inline namespace v0 {
namespace detail {

/// A named thread that takes no signals, as those belong to the application, and that can be left behind when it is
/// stuck where nobody can wake it (name resolution). What it uses must then be its own.
class Thread {
 public:
  Thread() = default;

  /// Units: a name has at most 15 characters.
  Thread(const char* name, std::function<void()> on_start, std::function<void()> body)
      : done_(std::make_shared<Done>()) {
    sigset_t all;
    sigset_t before;
    sigfillset(&all);
    pthread_sigmask(SIG_SETMASK, &all, &before);  // inherited by the new thread: not even its first moment takes one
    try {
      thread_ = std::thread(
          [name = std::string(name), done = done_, on_start = std::move(on_start), body = std::move(body)]() mutable {
            done->begin();
            pthread_setname_np(pthread_self(), name.c_str());
            call_quietly(on_start);
            body();
            body = nullptr;  // what they hold goes before anybody is told that the thread has ended
            on_start = nullptr;
            done->set();
          });
    } catch (const std::system_error& error) {
      pthread_sigmask(SIG_SETMASK, &before, nullptr);
      throw_system_error("a thread", error.code().value());
    } catch (...) {
      pthread_sigmask(SIG_SETMASK, &before, nullptr);
      throw;
    }
    pthread_sigmask(SIG_SETMASK, &before, nullptr);
  }

  Thread(Thread&&) noexcept = default;
  Thread& operator=(Thread&&) noexcept = default;
  ~Thread() { join(); }

  /// From any thread, also while another one joins.
  [[nodiscard]] bool is_current() const noexcept { return done_ != nullptr && done_->runs_here(); }

  void join() {
    if (!thread_.joinable()) return;
    if (is_current()) thread_.detach();
    else thread_.join();
  }

  /// Joins if the body ends in time, and leaves the thread behind else.
  void join_or_leave(std::chrono::milliseconds patience) {
    if (!thread_.joinable()) return;
    if (done_->wait(patience)) join();
    else thread_.detach();
  }

  static void call_quietly(const std::function<void()>& function) noexcept {
    if (!function) return;
    try {
      function();
    } catch (...) {  // a hook's failure must not end the process
    }
  }

 private:
  class Done {
   public:
    void begin() noexcept { thread_.store(std::this_thread::get_id(), std::memory_order_relaxed); }
    [[nodiscard]] bool runs_here() const noexcept {
      return thread_.load(std::memory_order_relaxed) == std::this_thread::get_id();
    }
    void set() {
      thread_.store({}, std::memory_order_relaxed);  // another thread may get this id now
      const std::lock_guard lock(mutex_);
      done_ = true;
      condition_.notify_all();
    }
    bool wait(std::chrono::milliseconds patience) {
      std::unique_lock lock(mutex_);
      return condition_.wait_for(lock, patience, [this] { return done_; });
    }

   private:
    std::atomic<std::thread::id> thread_{};
    std::mutex mutex_;
    std::condition_variable condition_;
    bool done_ = false;
  };

  std::shared_ptr<Done> done_{};
  std::thread thread_{};
};

}  // namespace detail
}  // namespace v0
}  // namespace btreemapped
