#pragma once

#include <algorithm>
#include <chrono>
#include <cstdint>
#include <string_view>
#include <utility>
#include <variant>

#include <btreemapped/detail/loop/backoff.hpp>
#include <btreemapped/detail/loop/liveness.hpp>
#include <btreemapped/detail/wire/frame.hpp>
#include <btreemapped/detail/wire/message.hpp>
#include <btreemapped/error.hpp>
#include <btreemapped/lsn.hpp>
#include <btreemapped/state.hpp>

namespace btreemapped {
inline namespace v0 {
namespace detail {

/// Decides what a Replicator does next: a state machine that sees frames and positions, never rows, sockets or clocks.
/// The driver asks next(now), does what it says, and tells the outcome by one of the events.
class StreamFsm {
 public:
  using Clock = std::chrono::steady_clock;
  using Time = Clock::time_point;
  using Duration = Clock::duration;

  using Settings = Backoff::Settings;

  enum class Step : std::uint8_t {
    connect,
    resume,  ///< find out whether the stream can go on where it was; then resumed(), or failed()
    preflight,
    create_slot,
    copy,
    publish_copy,  ///< until `until`, then say published() or nothing
    start_stream,
    receive,        ///< one frame, or wait until `until`
    stage,          ///< message()
    publish,        ///< the transaction that commit() ends, until `until`; then published() or nothing
    advance,        ///< to `position`: nothing that concerns us happened before it
    send_feedback,  ///< `position`, `ask_reply`
    wait,           ///< for an event, or until `until`
    give_up,        ///< the connection: the server has been silent for too long
    finish,
  };

  struct Action {
    Step step = Step::wait;
    Time until = Time::max();
    Lsn position{};
    bool ask_reply = false;
  };

  /// The last transaction that is visible, by which the history that it belongs to can be told from another one. After
  /// a copy there is none: both positions are the copy's.
  struct Landmark {
    Lsn commit_lsn{};
    Lsn end_lsn{};
    std::int64_t time = 0;
    std::uint32_t xid = 0;
  };

  explicit StreamFsm(const Settings& settings) : backoff_(settings) {}

  [[nodiscard]] ReplicatorState state() const noexcept {
    switch (phase_) {
      case Phase::connecting: return ReplicatorState::connecting;
      case Phase::resuming:
      case Phase::checking: return ReplicatorState::preflight;
      case Phase::creating_slot: return ReplicatorState::creating_slot;
      case Phase::copying:
      case Phase::publishing_copy: return ReplicatorState::copying;
      case Phase::starting: return resumes_ ? ReplicatorState::preflight : ReplicatorState::copying;
      case Phase::streaming: return ReplicatorState::streaming;
      case Phase::backing_off: return ReplicatorState::backing_off;
      case Phase::finished: return ReplicatorState::stopped;
    }
    return ReplicatorState::stopped;
  }

  /// The message of Step::stage. Lifetime: the frame that it came in.
  [[nodiscard]] const wire::Message& message() const noexcept { return message_; }
  /// The bytes that message() was parsed from. Lifetime: the same.
  [[nodiscard]] std::string_view payload() const noexcept { return payload_; }
  [[nodiscard]] const wire::Commit& commit() const noexcept { return commit_; }
  /// The transaction that commit() ends.
  [[nodiscard]] std::uint32_t xid() const noexcept { return xid_; }
  /// Everything committed before this position has been received, applied, acknowledged.
  [[nodiscard]] Lsn received() const noexcept { return received_; }
  [[nodiscard]] Lsn applied() const noexcept { return applied_; }
  [[nodiscard]] Lsn acknowledged() const noexcept { return acknowledged_; }
  /// All transactions that have begun to arrive are applied.
  [[nodiscard]] bool at_boundary() const noexcept {
    return phase_ == Phase::streaming && !half_received_ && !staging_ && !commit_pending_ && !advance_pending_;
  }
  /// Does this attempt, or while backing off the next one, go on where the stream was?
  [[nodiscard]] bool resumes() const noexcept { return resumes_; }
  [[nodiscard]] const Landmark& landmark() const noexcept { return landmark_; }
  /// Is it still open whether the resumed stream is of the history that it claims to be?
  [[nodiscard]] bool awaits_landmark() const noexcept { return awaits_landmark_; }
  /// When the next attempt begins; meaningful while backing off.
  [[nodiscard]] Time retry_at() const noexcept { return retry_at_; }
  [[nodiscard]] Time last_frame_at() const noexcept { return liveness_.last_heard(); }

  /// What the last frame says of the server: how far its log goes at least, and the time there.
  struct Heard {
    Lsn position{};
    std::int64_t clock = 0;  ///< see wire::from_pg_clock()
  };
  [[nodiscard]] const Heard& heard() const noexcept { return heard_; }

  /// What to do now. Asking twice without an event between gives the same work only once, then waits for its outcome.
  [[nodiscard]] Action next(Time now) {
    switch (phase_) {
      case Phase::connecting: return once(Step::connect);
      case Phase::resuming: return once(Step::resume);
      case Phase::checking: return once(Step::preflight);
      case Phase::creating_slot: return once(Step::create_slot);
      case Phase::copying:
        if (!asked_once_) backoff_.begin_copy(now);
        return once(Step::copy);
      case Phase::publishing_copy: return {Step::publish_copy, now + longest_publish};
      case Phase::starting: return once(Step::start_stream);
      case Phase::streaming: return next_streaming(now);
      case Phase::backing_off:
        if (now < retry_at_) return {Step::wait, retry_at_};
        enter(Phase::connecting);
        return once(Step::connect);
      case Phase::finished: return {Step::finish};
    }
    return {Step::finish};
  }

  // What has happened. An event that does not belong to the phase (a late answer) changes nothing.

  /// Units: wal_sender_timeout as the server has it; zero means it never ends a silent connection.
  void connected(Duration wal_sender_timeout) {
    if (phase_ != Phase::connecting) return;
    liveness_.configure(wal_sender_timeout);
    enter(resumes_ ? Phase::resuming : Phase::checking);
  }

  /// The slot still has all that commits from the landmark on: the stream goes on there, without a copy.
  /// `sends_landmark`: the stream begins with the landmark itself, and must show it before anything new.
  void resumed(bool sends_landmark) {
    if (phase_ != Phase::resuming) return;
    consistent_point_ = landmark_.end_lsn;
    awaits_landmark_ = sends_landmark;
    enter(Phase::starting);
  }

  void preflight_passed() { proceed(Phase::checking, Phase::creating_slot); }

  void slot_created(Lsn consistent_point) {
    if (phase_ != Phase::creating_slot) return;
    consistent_point_ = consistent_point;
    landmark_ = {consistent_point, consistent_point};
    awaits_landmark_ = false;
    enter(Phase::copying);
  }

  void copied() { proceed(Phase::copying, Phase::publishing_copy); }

  void stream_started(Time now) {
    if (phase_ != Phase::starting) return;
    received_ = applied_ = acknowledged_ = consistent_point_;
    if (resumes_) acknowledged_ = Lsn{};  // the server may have forgotten in a crash what it was told before
    half_received_ = staging_ = false;
    commit_pending_ = advance_pending_ = false;
    liveness_.begin(now);
    enter(Phase::streaming);
  }

  /// One CopyData of the stream. Anything but Errc::ok means that the connection cannot be trusted any more.
  [[nodiscard]] Errc frame(Time now, std::string_view bytes) {
    if (phase_ != Phase::streaming) return Errc::ok;
    wire::Frame parsed;
    if (const Errc error = wire::parse_frame(bytes, parsed); error != Errc::ok) return error;
    liveness_.heard(now);
    if (const auto* const keepalive = std::get_if<wire::Keepalive>(&parsed)) {
      heard_ = {keepalive->wal_end, keepalive->clock};
      if (keepalive->reply_requested) liveness_.reply_requested();
      if (awaits_landmark_ && keepalive->wal_end > consistent_point_) return Errc::invalid_message;
      // Inside a transaction the position says nothing yet of that transaction; outside, all before it is applied.
      if (!half_received_ && keepalive->wal_end > received_) {
        received_ = keepalive->wal_end;
        advance_pending_ = true;
      }
      return Errc::ok;
    }
    const auto& data = std::get<wire::XLogData>(parsed);
    heard_ = {data.end, data.clock};
    payload_ = data.payload;
    if (const Errc error = wire::parse_message(data.payload, message_); error != Errc::ok) return error;
    return std::visit([this](const auto& message) { return take(message); }, message_);
  }

  /// Nothing more can be read without waiting: the moment to acknowledge what has been applied.
  void drained(Time now) noexcept { liveness_.drained(now); }

  void staged() noexcept { staging_ = false; }

  /// The copy, or the transaction, is visible.
  void published(Time now) {
    if (phase_ == Phase::publishing_copy) {
      backoff_.end_copy(now);
      enter(Phase::starting);
    } else if (phase_ == Phase::streaming && commit_pending_) {
      commit_pending_ = false;
      applied_ = std::max(applied_, commit_.end_lsn);
      landmark_ = {commit_.commit_lsn, commit_.end_lsn, commit_.commit_time, xid_};
      liveness_.excuse(now);
    }
  }

  void advanced() noexcept {
    if (phase_ != Phase::streaming || !std::exchange(advance_pending_, false)) return;
    applied_ = std::max(applied_, received_);
  }

  void feedback_sent(Time now, const Action& feedback) {
    if (phase_ != Phase::streaming) return;
    acknowledged_ = std::max(acknowledged_, feedback.position);
    liveness_.feedback_sent(now, feedback.ask_reply);
  }

  /// The attempt or the connection has failed. With `resumes` the next attempt is to go on where the stream was.
  void failed(Time now, bool retry, bool resumes = false) {
    if (phase_ == Phase::finished) return;
    if (!retry) {
      enter(Phase::finished);
      return;
    }
    if (phase_ == Phase::backing_off) return;
    if (phase_ == Phase::copying || phase_ == Phase::publishing_copy) backoff_.end_copy(now);
    if (phase_ == Phase::streaming) backoff_.healthy_for(liveness_.lived());
    resumes_ = resumes;
    retry_at_ = backoff_.next_attempt(now, !resumes_);
    enter(Phase::backing_off);
  }

  void stop() { enter(Phase::finished); }

 private:
  enum class Phase : std::uint8_t {
    connecting,
    resuming,
    checking,
    creating_slot,
    copying,
    publishing_copy,
    starting,
    streaming,
    backing_off,
    finished,
  };

  static constexpr Duration longest_publish = std::chrono::milliseconds{100};

  void enter(Phase phase) noexcept {
    phase_ = phase;
    asked_once_ = false;
  }

  void proceed(Phase from, Phase to) noexcept {
    if (phase_ == from) enter(to);
  }

  Action once(Step step) noexcept { return std::exchange(asked_once_, true) ? Action{Step::wait} : Action{step}; }

  [[nodiscard]] Action next_streaming(Time now) const {
    if (!staging_ && !commit_pending_ && liveness_.given_up()) return {Step::give_up};
    const Lsn safe = awaits_landmark_ ? Lsn{} : applied_;  // it would vouch for what is not known yet
    const bool unacknowledged = safe > acknowledged_;
    if (liveness_.owes_feedback(now) || (unacknowledged && liveness_.may_acknowledge(now)))
      return {Step::send_feedback, now, safe, liveness_.must_ask()};
    if (staging_) return {Step::stage};
    if (commit_pending_) {
      const Time due = liveness_.feedback_due();
      return {Step::publish, unacknowledged ? std::min(due, liveness_.acknowledge_at()) : due};
    }
    if (advance_pending_) return {Step::advance, now, received_};
    return {Step::receive, liveness_.due()};
  }

  // The order that the protocol promises: Begin, changes, Commit, never nested, in the order of the commits.
  // None of these is const, or it would lose to the template.

  Errc take(const wire::Begin& begin) noexcept {
    if (half_received_) return Errc::invalid_message;
    half_received_ = true;
    begin_lsn_ = begin.commit_lsn;
    xid_ = begin.xid;
    // What committed before the copy's position, or before a resumed one, is visible. Anything else that comes from
    // before the applied position contradicts what the server said, and skipping it could lose it.
    skipping_ = begin.commit_lsn < consistent_point_;
    if (begin.commit_lsn == landmark_.commit_lsn && begin.commit_time == landmark_.time && begin.xid == landmark_.xid)
      awaits_landmark_ = false;
    if (!skipping_ && (awaits_landmark_ || begin.commit_lsn < applied_)) return Errc::invalid_message;
    staging_ = !skipping_;
    return Errc::ok;
  }

  Errc take(const wire::Commit& commit) noexcept {
    if (!half_received_ || commit.commit_lsn != begin_lsn_ || commit.end_lsn < commit.commit_lsn)
      return Errc::invalid_message;
    half_received_ = false;
    commit_ = commit;
    commit_pending_ = !skipping_;
    if (commit_pending_) received_ = std::max(received_, commit.end_lsn);
    return Errc::ok;
  }

  Errc take(const wire::LogicalMessage& message) noexcept {
    if (!message.transactional) return Errc::ok;
    if (!half_received_) return Errc::invalid_message;
    staging_ = !skipping_;
    return Errc::ok;
  }

  Errc take(const wire::Origin&) noexcept { return half_received_ ? Errc::ok : Errc::invalid_message; }
  Errc take(const wire::Type&) noexcept { return Errc::ok; }

  Errc take(const wire::Relation&) noexcept {
    staging_ = true;  // also of a skipped transaction: the server sends it once
    return Errc::ok;
  }

  template <class RowChange>
  Errc take(const RowChange&) noexcept {
    if (!half_received_) return Errc::invalid_message;
    staging_ = !skipping_;
    return Errc::ok;
  }

  Backoff backoff_;
  Phase phase_ = Phase::connecting;
  bool asked_once_ = false;  // has the work of this phase been given out?
  Time retry_at_{};
  bool resumes_ = false;  // this attempt, or else the next one

  Liveness liveness_{};
  Heard heard_{};

  wire::Message message_{};
  std::string_view payload_{};
  wire::Commit commit_{};
  Lsn begin_lsn_{};
  std::uint32_t xid_ = 0;
  bool half_received_ = false;  // between Begin and Commit
  bool skipping_ = false;
  bool staging_ = false;
  bool commit_pending_ = false;
  bool advance_pending_ = false;

  Landmark landmark_{};
  bool awaits_landmark_ = false;
  Lsn consistent_point_{};
  Lsn received_{};
  Lsn applied_{};
  Lsn acknowledged_{};
};

}  // namespace detail
}  // namespace v0
}  // namespace btreemapped
