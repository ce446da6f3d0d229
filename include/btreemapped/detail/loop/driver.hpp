#pragma once

#include <algorithm>
#include <atomic>
#include <chrono>
#include <exception>
#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include <poll.h>

#include <btreemapped/change.hpp>
#include <btreemapped/detail/loop/attempt.hpp>
#include <btreemapped/detail/loop/driver_parts.hpp>
#include <btreemapped/detail/loop/end_of_log.hpp>
#include <btreemapped/detail/loop/failure.hpp>
#include <btreemapped/detail/loop/loss.hpp>
#include <btreemapped/detail/loop/mailbox.hpp>
#include <btreemapped/detail/loop/opening.hpp>
#include <btreemapped/detail/loop/stream_fsm.hpp>
#include <btreemapped/detail/loop/verifier.hpp>
#include <btreemapped/detail/loop/visibility_gate.hpp>
#include <btreemapped/detail/store.hpp>
#include <btreemapped/detail/transaction.hpp>
#include <btreemapped/detail/wire/frame.hpp>
#include <btreemapped/error.hpp>
#include <btreemapped/lsn.hpp>
#include <btreemapped/state.hpp>
#include <btreemapped/status.hpp>
#include <btreemapped/verification.hpp>

namespace btreemapped {
inline namespace v0 {
namespace detail {

/// The thread that asks the state machine what to do and does it. It owns the stream, the transaction buffer and the
/// store's writing side, and blocks in nothing but poll() and, for slices, in waiting for readers. What may block
/// otherwise is a step of an Attempt, on a worker.
class Driver {
 public:
  using Clock = std::chrono::steady_clock;
  using Time = Clock::time_point;

  Driver(const Surroundings& around, std::function<void()> on_synced)
      : mailbox_(*around.mailbox),
        parts_(around),
        opening_(parts_, std::move(on_synced)),
        gate_(parts_.options.never_ahead, parts_.care) {}

  /// Goes on until `stop` is set, the mailbox woken, or following has become impossible; then answers why.
  [[nodiscard]] std::exception_ptr drive() {
    for (bool going = true; going;) {
      try {
        mailbox_.open();
        if (parts_.stop.load(std::memory_order_relaxed)) parts_.fsm.stop();
        const Time now = Clock::now();
        if (now >= look_at_verification_) look_at_verification(now);
        const Action action = parts_.fsm.next(now);
        parts_.board.enter(parts_.fsm.state());
        going = perform(action, now);
        parts_.board.log_bytes.store(parts_.care.log_bytes(), std::memory_order_relaxed);
        if (!parts_.pending) parts_.board.transaction_bytes.store(parts_.buffer.bytes(), std::memory_order_relaxed);
      } catch (...) {
        lose(std::current_exception());
      }
    }
    end_attempt();
    parts_.slot.drop();
    return fatal_;
  }

  // Letters of those who wait for a commit.

  void tell_end_of_log(const std::shared_ptr<EndOfLog>& wanted) { parts_.end_of_log.add(wanted); }

  // Letters of those who verify.

  /// Turns the journals on, of the tables that follow; the others are told why not. Where the stream comes from.
  [[nodiscard]] StreamSource begin_verification(std::vector<Verified>& verified) {
    const bool streaming = parts_.fsm.state() == ReplicatorState::streaming;
    for (Verified& each : verified) {
      each.copies = each.table->copies();
      if (!streaming) each.report.why = "the Replicator is not connected";
      else if (!parts_.buffer.follows(*each.table)) each.report.why = "the table does not follow";
      else each.table->set_journal(each.verification->journal());
    }
    return streaming ? parts_.runner.attempt().source() : StreamSource{};
  }

  /// Ends it where the server does not answer: the thread that verifies waits for that out of our sight.
  void watch_verification(const std::shared_ptr<Attempt>& attempt) {
    verifying_ = attempt;
    look_at_verification_ = Clock::now();
  }

  /// Turns them off. A table that differs may have to be copied afresh.
  void end_verification(const std::vector<Verified>& verified, bool heal) {
    look_at_verification_ = Time::max();
    for (const Verified& each : verified) {
      each.table->set_journal(nullptr);
      if (heal && each.report.verdict == Verdict::different)
        parts_.care.doubt(*each.table, describe_difference(each.report));
    }
  }

 private:
  using Step = StreamFsm::Step;
  using Action = StreamFsm::Action;

  static constexpr std::chrono::milliseconds side_look_interval{100};
  static constexpr std::chrono::milliseconds verification_look_interval{250};

  // What the state machine asks for.
  bool perform(const Action& action, Time now) {
    switch (action.step) {
      case Step::connect: opening_.connect(); return true;
      case Step::resume: opening_.resume(); return true;
      case Step::preflight: opening_.check(); return true;
      case Step::create_slot: opening_.create_slot(); return true;
      case Step::copy: opening_.copy(); return true;
      case Step::publish_copy: opening_.publish_copy(action.until); return true;
      case Step::start_stream: opening_.start_stream(); return true;
      case Step::receive: receive(action.until, now); return true;
      case Step::stage: stage(); return true;
      case Step::publish: publish(action.until); return true;
      case Step::advance:
        parts_.store->advance(action.position);
        parts_.fsm.advanced();
        parts_.board.lag.reached(action.position, wire::from_pg_clock(parts_.fsm.heard().clock));
        return true;
      case Step::send_feedback: send_feedback(action); return true;
      case Step::wait: wait(action.until); return true;
      case Step::give_up:
        throw SilentServer("the server has not answered for twice wal_sender_timeout", {.retryable = true});
      case Step::finish: return false;
    }
    return false;
  }

  void look_at_verification(Time now) {
    const std::shared_ptr<Attempt> attempt = verifying_.lock();
    look_at_verification_ = attempt == nullptr ? Time::max() : now + verification_look_interval;
    if (attempt != nullptr && attempt->is_unanswered(now)) attempt->give_up();
  }

  void receive(Time until, Time now) {
    parts_.care.look_aside(now);  // however busy the stream is
    parts_.end_of_log.look(now);
    pq::ReplicationStream& stream = parts_.runner.attempt().stream();
    if (parts_.care.tend(now, until, parts_.fsm.at_boundary(), parts_.fsm.applied(), parts_.stop))
      return stream.require_peer();
    if (const auto bytes = stream.receive()) {
      parts_.board.last_message_at.store(now.time_since_epoch().count(), std::memory_order_relaxed);
      const bool in_doubt = parts_.fsm.awaits_landmark();
      const Errc error = parts_.fsm.frame(now, *bytes);
      if (error != Errc::ok && in_doubt)
        throw SlotError("the server's log no longer has the last commit, as after a restore from a backup",
                        {.sqlstate = "55000"});
      require(error);
      if (in_doubt && !parts_.fsm.awaits_landmark()) opening_.follow();
      parts_.board.lag.heard(parts_.fsm.heard().position, wire::from_pg_clock(parts_.fsm.heard().clock), Clock::now());
      return;
    }
    parts_.fsm.drained(now);
    if (parts_.fsm.next(now).step != Step::receive) return;
    pollfd fds[3] = {{stream.socket(), static_cast<short>(stream.wants_write() ? POLLIN | POLLOUT : POLLIN), 0},
                     {mailbox_.fd(), POLLIN, 0},
                     {parts_.care.fd(), POLLIN, 0}};
    ::poll(fds, 3, poll_timeout(std::min({until, parts_.care.due(), parts_.end_of_log.due(), look_at_verification_})));
    if ((fds[0].revents & POLLOUT) != 0) stream.flush();
    if (fds[2].revents != 0) parts_.care.control_has_spoken();
  }

  void stage() {
    require(parts_.buffer.stage(parts_.fsm.message(), parts_.fsm.payload()));
    parts_.fsm.staged();
    if (parts_.buffer.take_relation_seen()) parts_.care.relation_seen(Clock::now());
  }

  void publish(Time until) {
    if (!parts_.pending) {
      parts_.board.received.store(parts_.fsm.received().value(), std::memory_order_relaxed);
      parts_.pending = parts_.buffer.finish(parts_.fsm.commit(), std::min(until, Clock::now() + side_look_interval));
      if (!parts_.pending) return parts_.care.look_aside(Clock::now());
      for (const Fault& fault : parts_.buffer.take_faults()) parts_.health.fail_at_commit(fault);
    }
    if (const Time now = Clock::now(); !gate_.lets_through(parts_.fsm.xid(), now)) {
      parts_.care.look_aside(now);
      return wait(std::min({until, gate_.due(), now + side_look_interval}));
    }
    if (parts_.pending->empty()) {
      parts_.store->advance(parts_.pending->end_lsn);
    } else if (!parts_.store->publish(*parts_.pending, std::min(until, Clock::now() + side_look_interval),
                                      parts_.stop)) {
      parts_.runner.attempt().stream().require_peer();
      return parts_.care.look_aside(Clock::now());
    }
    parts_.tokens->published(*parts_.pending);
    parts_.board.lag.applied(parts_.pending->end_lsn, parts_.pending->time);
    parts_.care.drop(std::move(*parts_.pending));
    parts_.pending.reset();
    gate_.close();
    parts_.fsm.published(Clock::now());
  }

  void send_feedback(const Action& action) {
    const auto now = std::chrono::time_point_cast<std::chrono::microseconds>(std::chrono::system_clock::now());
    const wire::StatusUpdate update{action.position, action.position, action.position, wire::to_pg_clock(now),
                                    action.ask_reply};
    parts_.runner.attempt().stream().send(wire::encode(update));
    parts_.fsm.feedback_sent(Clock::now(), action);
    parts_.board.acknowledged.store(parts_.fsm.acknowledged().value(), std::memory_order_relaxed);
  }

  void wait(Time until) {
    parts_.runner.look(Clock::now());
    parts_.slot_wait.look(Clock::now());
    pollfd fds[1] = {{mailbox_.fd(), POLLIN, 0}};
    ::poll(fds, 1, poll_timeout(std::min({until, parts_.slot_wait.due(), parts_.runner.due(), look_at_verification_})));
  }

  // Failures.
  static void require(Errc error) {
    if (error == Errc::ok) return;
    throw ProtocolError("the replication stream makes no sense: " + std::string(v0::describe(error)),
                        {.retryable = true});
  }

  /// The attempt, or the stream, has ended. Terminal only when it cannot succeed by itself and nothing is served yet.
  void lose(const std::exception_ptr& reason) {
    bool retry = !parts_.stop.load() && (parts_.synced || parts_.policy.is_retryable(reason));
    const ReplicatorState state = parts_.fsm.state();
    const bool was_streaming = state == ReplicatorState::streaming;
    LossCause cause = cause_of(reason);
    // The control session may hear of a shutdown too late to be told what it is; the stream's last words tell.
    if (was_streaming && cause == LossCause::connection_lost && parts_.runner.attempt().stream().was_ended())
      cause = LossCause::server_ended;
    end_attempt();
    parts_.store->mark_stale(Clock::now());
    const std::string message = message_of(reason) + parts_.slot_wait.explanation();
    parts_.slot_wait.end();
    parts_.board.set_error(message);
    const bool resumes = retry && parts_.slot.resumes_after(reason);
    if (!retry && !parts_.stop.load()) fatal_ = reason;
    if (retry && !resumes) fatal_ = parts_.policy.forbid_rebuild(reason, state == ReplicatorState::copying);
    retry = retry && fatal_ == nullptr;
    parts_.fsm.failed(Clock::now(), retry, resumes);
    if (!retry) return;
    if (was_streaming) parts_.board.lose(cause);
    if (parts_.store->sequence() > 0) parts_.board.set_stale(message);
    const bool waits = sqlstate_of(reason) == "55006";
    const EventKind kind = was_streaming ? EventKind::stale : (waits ? EventKind::slot_waiting : EventKind::retrying);
    parts_.notifier->post({kind, {}, message, 0, parts_.store->lsn()});
  }

  void end_attempt() {
    // A commit that has begun to change the maps must end before anything else happens.
    while (parts_.store->publishing()) {
      Commit& begun = parts_.pending ? *parts_.pending : *parts_.care.rejoining();
      if (!parts_.store->publish(begun, Time::max(), parts_.stop)) continue;
      parts_.tokens->published(begun);
      if (parts_.pending) parts_.fsm.published(Clock::now());
    }
    parts_.store->abandon();
    parts_.pending.reset();
    gate_.close();
    const bool was_streaming = parts_.fsm.state() == ReplicatorState::streaming;
    if (was_streaming && parts_.options.durable_slot) parts_.care.settle_doubts();
    if (parts_.runner.active())
      parts_.slot.lost(parts_.runner.attempt(), parts_.buffer.followed_before(), parts_.store->lsn(),
                       parts_.fsm.landmark());
    parts_.care.end();
    parts_.end_of_log.end();
    parts_.buffer.begin_session({});
    parts_.runner.end();
  }

  Mailbox& mailbox_;
  DriverParts parts_;
  Opening opening_;
  VisibilityGate gate_;
  std::weak_ptr<Attempt> verifying_{};
  Time look_at_verification_ = Time::max();
  std::exception_ptr fatal_ = nullptr;
};

}  // namespace detail
}  // namespace v0
}  // namespace btreemapped
