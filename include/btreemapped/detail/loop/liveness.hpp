#pragma once

#include <algorithm>
#include <chrono>
#include <optional>

namespace btreemapped {
inline namespace v0 {
namespace detail {

/// When the server must hear from us again, and when its silence has lasted too long.
/// Source: https://www.postgresql.org/docs/current/runtime-config-replication.html
class Liveness {
 public:
  using Clock = std::chrono::steady_clock;
  using Time = Clock::time_point;
  using Duration = Clock::duration;

  /// Units: wal_sender_timeout as the server has it; zero means it never ends a silent connection.
  void configure(Duration wal_sender_timeout) noexcept {
    feedback_interval_ = longest_feedback_interval;
    silence_limit_ = silence_limit_without_timeout;
    if (wal_sender_timeout <= Duration::zero()) return;
    feedback_interval_ = std::min(feedback_interval_, wal_sender_timeout / 3);
    silence_limit_ = 2 * wal_sender_timeout;
  }

  /// The stream begins.
  void begin(Time now) noexcept {
    reply_owed_ = drained_ = false;
    begun_at_ = heard_at_ = feedback_at_ = now;
    feedback_due_ = now + feedback_interval_;
    heard_since_feedback_ = true;
    asked_at_.reset();
  }

  void heard(Time now) noexcept {
    heard_at_ = now;
    heard_since_feedback_ = true;
    asked_at_.reset();
    drained_ = false;
  }

  void reply_requested() noexcept { reply_owed_ = true; }

  /// Nothing more can be read without waiting.
  void drained(Time now) noexcept {
    drained_ = true;
    drained_at_ = now;
  }

  /// We did not read until now: that silence was ours.
  void excuse(Time now) noexcept {
    if (asked_at_) asked_at_ = now;
  }

  void feedback_sent(Time now, bool asks_reply) noexcept {
    reply_owed_ = false;
    if (asks_reply && !asked_at_) asked_at_ = now;
    heard_since_feedback_ = false;
    feedback_at_ = now;
    feedback_due_ = now + feedback_interval_;
  }

  /// Has a request gone unanswered for too long? Counted up to the last look, not up to now: after a pause of ours the
  /// answer may be there, unread.
  [[nodiscard]] bool given_up() const noexcept {
    return asked_at_ && drained_ && drained_at_ - *asked_at_ > silence_limit_;
  }

  [[nodiscard]] bool owes_feedback(Time now) const noexcept { return reply_owed_ || now >= feedback_due_; }

  /// Is an advanced position to be told? When there is nothing more to read, and under load in short intervals: a
  /// synchronous writer may be waiting for it.
  [[nodiscard]] bool may_acknowledge(Time now) const noexcept { return drained_ || now >= acknowledge_at(); }
  [[nodiscard]] Time acknowledge_at() const noexcept { return feedback_at_ + longest_unacknowledged; }

  /// Should the next feedback ask for a reply?
  [[nodiscard]] bool must_ask() const noexcept { return !heard_since_feedback_; }

  [[nodiscard]] Time feedback_due() const noexcept { return feedback_due_; }
  /// When there is something to say or to decide, however silent the server is.
  [[nodiscard]] Time due() const noexcept {
    return asked_at_ ? std::min(feedback_due_, *asked_at_ + silence_limit_) : feedback_due_;
  }

  [[nodiscard]] Time last_heard() const noexcept { return heard_at_; }
  /// For how long has the stream been alive? While it was only silent, until it was given up, it was not.
  [[nodiscard]] Duration lived() const noexcept { return heard_at_ - begun_at_; }

 private:
  static constexpr Duration longest_feedback_interval = std::chrono::seconds{10};
  static constexpr Duration silence_limit_without_timeout = std::chrono::seconds{30};
  static constexpr Duration longest_unacknowledged = std::chrono::milliseconds{10};

  Duration feedback_interval_ = longest_feedback_interval;
  Duration silence_limit_ = silence_limit_without_timeout;
  Time begun_at_{};
  Time heard_at_{};
  Time feedback_at_{};
  Time feedback_due_{};
  std::optional<Time> asked_at_{};  // since when has a request for a reply been unanswered?
  bool heard_since_feedback_ = true;
  bool reply_owed_ = false;
  bool drained_ = false;
  Time drained_at_{};
};

}  // namespace detail
}  // namespace v0
}  // namespace btreemapped
