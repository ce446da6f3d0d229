#pragma once

#include <algorithm>
#include <chrono>
#include <exception>
#include <functional>
#include <future>
#include <memory>
#include <optional>
#include <type_traits>
#include <utility>

#include <btreemapped/detail/loop/attempt.hpp>
#include <btreemapped/detail/loop/mailbox.hpp>
#include <btreemapped/detail/loop/worker.hpp>
#include <btreemapped/error.hpp>
#include <btreemapped/options.hpp>

namespace btreemapped {
inline namespace v0 {
namespace detail {

/// Runs the steps of one attempt on worker threads and brings their outcome back to the driver's mailbox.
class AttemptRunner {
 public:
  using OnFailure = std::function<void(const std::exception_ptr&)>;

  using Time = std::chrono::steady_clock::time_point;

  /// What a step or its continuation throws goes to `on_failure`, on the driver.
  AttemptRunner(const Options& options, std::shared_ptr<Mailbox> mailbox, OnFailure on_failure)
      : look_interval_(options.answer_timeout / 4 + std::chrono::milliseconds{1}),
        mailbox_(std::move(mailbox)),
        on_failure_(std::move(on_failure)) {}

  void begin(std::shared_ptr<Attempt> attempt, const std::function<void()>& on_thread_start) {
    end();
    attempt_ = std::move(attempt);
    look_at_ = Time{};
    link_.emplace("btm-link", on_thread_start);
    control_.emplace("btm-control", on_thread_start);
  }

  /// Gives the attempt up.
  /// Blocks and locks: until the interrupted steps have ended, for a moment; one that cannot be woken is left behind.
  void end() {
    if (attempt_ == nullptr) return;
    attempt_->interrupt();
    control_.reset();
    link_.reset();
    attempt_.reset();
  }

  [[nodiscard]] bool active() const noexcept { return attempt_ != nullptr; }
  [[nodiscard]] Attempt& attempt() const { return *attempt_; }

  /// The steps one after the other: connect, check, copy, start.
  template <class Work, class Then>
  void on_link(Work work, Then then) {
    post(*link_, std::move(work), std::move(then));
  }

  /// When look() has something to do.
  [[nodiscard]] Time due() const noexcept { return attempt_ == nullptr ? Time::max() : look_at_; }

  /// A question to the catalog that is not answered is a failure.
  void look(Time now) {
    if (now < due()) return;
    look_at_ = now + look_interval_;
    if (attempt_->is_unanswered(now))
      on_failure_(std::make_exception_ptr(ConnectionError(Attempt::unanswered, {.retryable = true})));
  }

  /// Questions to the catalog, meanwhile.
  template <class Work, class Then>
  void on_control(Work work, Then then) {
    post(*control_, std::move(work), std::move(then));
  }

  /// Frees what takes long to free, meanwhile.
  template <class Garbage>
  void drop(Garbage garbage) {
    control_->post([garbage = std::make_shared<Garbage>(std::move(garbage))] {});
  }

 private:
  /// Runs `work` there and then `then` with its result on the driver.
  template <class Work, class Then>
  void post(Worker& worker, Work work, Then then) {
    using Result = std::invoke_result_t<Work, Attempt&>;
    const auto task = std::make_shared<std::packaged_task<Result(Attempt&)>>(std::move(work));
    worker.post([attempt = attempt_, mailbox = mailbox_, task, then = std::move(then), this] {
      (*task)(*attempt);
      // A letter that is never opened must not keep the sessions open.
      mailbox->post([asked = std::weak_ptr<Attempt>(attempt), task, then, this] {
        if (attempt_ == nullptr || asked.lock() != attempt_) return;  // an answer that nobody waits for any more
        const std::shared_ptr<Attempt> kept = attempt_;
        try {
          std::future<Result> outcome = task->get_future();
          if constexpr (std::is_void_v<Result>) {
            outcome.get();
            then();
          } else {
            auto result = outcome.get();
            then(result);
          }
        } catch (...) {
          on_failure_(std::current_exception());
        }
      });
    });
  }

  const std::chrono::milliseconds look_interval_;
  const std::shared_ptr<Mailbox> mailbox_;
  const OnFailure on_failure_;
  std::shared_ptr<Attempt> attempt_{};
  Time look_at_{};
  std::optional<Worker> link_{};
  std::optional<Worker> control_{};
};

}  // namespace detail
}  // namespace v0
}  // namespace btreemapped
