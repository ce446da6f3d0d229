#pragma once

#include <chrono>
#include <memory>
#include <mutex>
#include <string>
#include <utility>

#include <btreemapped/detail/interrupt.hpp>
#include <btreemapped/detail/sql/server_error.hpp>
#include <btreemapped/detail/sql/session.hpp>
#include <btreemapped/error.hpp>

namespace btreemapped {
inline namespace v0 {
namespace detail {

/// The control session of an Attempt: for whichever worker has a question, one at a time.
class ControlSession {
 public:
  ControlSession(std::shared_ptr<Interrupt> interrupt, std::chrono::milliseconds lock_timeout)
      : interrupt_(std::move(interrupt)), lock_timeout_(lock_timeout) {}

  void open(std::string conninfo) {
    const std::lock_guard lock(mutex_);
    conninfo_ = std::move(conninfo);
    session_ = std::make_unique<sql::Session>(conninfo_, interrupt_, lock_timeout_);
  }

  template <class Question>
  auto ask(Question&& question) {
    const std::lock_guard lock(mutex_);
    if (session_ == nullptr) throw ConnectionError("the control session is lost", {.retryable = true});
    return question(*session_);
  }

  /// Asks once more if it fails, in a new session which it first gives to `reopened`.
  /// Throws: ConnectionError when it is the server that has gone, with the code that a new session is refused with, or
  /// where nobody refuses it, the one that the old session has ended with.
  template <class Question, class Reopened>
  auto insist(Question&& question, Reopened&& reopened) {
    const std::lock_guard lock(mutex_);
    std::string end;
    try {
      if (session_ != nullptr) return question(*session_);
    } catch (const Error& error) {
      interrupt_->check();
      session_.reset();
      end = error.sqlstate();
    }
    try {
      session_ = std::make_unique<sql::Session>(conninfo_, interrupt_, lock_timeout_);
    } catch (const ConnectionError& error) {
      if (!error.sqlstate().empty() || !sql::is_connection_failure(end)) throw;
      throw ConnectionError(error.what(), {.sqlstate = end, .retryable = error.retryable()});
    }
    reopened(*session_);
    return question(*session_);
  }

  /// Readable when the server ends the idle session, as it does with all sessions when it shuts down.
  [[nodiscard]] int socket() const { return session_ == nullptr ? -1 : session_->socket(); }

 private:
  const std::shared_ptr<Interrupt> interrupt_;
  const std::chrono::milliseconds lock_timeout_;
  std::string conninfo_{};
  std::mutex mutex_{};
  std::unique_ptr<sql::Session> session_{};
};

}  // namespace detail
}  // namespace v0
}  // namespace btreemapped
