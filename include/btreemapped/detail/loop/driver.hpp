#pragma once

#include <algorithm>
#include <atomic>
#include <chrono>
#include <cstddef>
#include <cstdint>
#include <exception>
#include <functional>
#include <memory>
#include <optional>
#include <random>
#include <span>
#include <string>
#include <utility>
#include <vector>

#include <poll.h>

#include <btreemapped/change.hpp>
#include <btreemapped/detail/loop/attempt.hpp>
#include <btreemapped/detail/loop/attempt_runner.hpp>
#include <btreemapped/detail/loop/checked_options.hpp>
#include <btreemapped/detail/loop/end_of_log.hpp>
#include <btreemapped/detail/loop/failure.hpp>
#include <btreemapped/detail/loop/failure_policy.hpp>
#include <btreemapped/detail/loop/loss.hpp>
#include <btreemapped/detail/loop/mailbox.hpp>
#include <btreemapped/detail/loop/notifier.hpp>
#include <btreemapped/detail/loop/preflight_verdict.hpp>
#include <btreemapped/detail/loop/slot_keeper.hpp>
#include <btreemapped/detail/loop/slot_wait.hpp>
#include <btreemapped/detail/loop/status_board.hpp>
#include <btreemapped/detail/loop/stream_fsm.hpp>
#include <btreemapped/detail/loop/table_care.hpp>
#include <btreemapped/detail/loop/table_health.hpp>
#include <btreemapped/detail/loop/token_board.hpp>
#include <btreemapped/detail/loop/verifier.hpp>
#include <btreemapped/detail/loop/visibility_gate.hpp>
#include <btreemapped/detail/store.hpp>
#include <btreemapped/detail/transaction.hpp>
#include <btreemapped/detail/wire/frame.hpp>
#include <btreemapped/error.hpp>
#include <btreemapped/lsn.hpp>
#include <btreemapped/options.hpp>
#include <btreemapped/preflight.hpp>
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

  /// Whom the driver works for. All of it outlives the driver.
  struct Surroundings {
    const Options& options;
    const std::shared_ptr<Store>& store;
    const std::shared_ptr<Notifier>& notifier;
    const std::shared_ptr<Mailbox>& mailbox;
    StatusBoard& board;
    const std::shared_ptr<TokenBoard>& tokens;
    const std::atomic<bool>& stop;
  };

  Driver(const Surroundings& around, std::function<void()> on_synced)
      : options_(around.options),
        store_(around.store),
        notifier_(around.notifier),
        mailbox_(*around.mailbox),
        board_(around.board),
        tokens_(around.tokens),
        stop_(around.stop),
        on_synced_(std::move(on_synced)),
        health_(store_, notifier_, board_),
        fsm_({options_.shortest_backoff, options_.longest_backoff, std::random_device{}()}),
        runner_(options_, around.mailbox, [](const std::exception_ptr& reason) { std::rethrow_exception(reason); }),
        slot_(options_),
        policy_(options_),
        slot_wait_(options_, notifier_, runner_),
        gate_(options_.never_ahead, runner_),
        buffer_(options_.max_transaction_bytes),
        care_(options_, store_, notifier_, around.mailbox, health_, runner_, buffer_, board_),
        end_of_log_(store_, care_) {
    buffer_.expect_tokens(tokens_->family());
  }

  /// Goes on until `stop` is set, the mailbox woken, or following has become impossible; then answers why.
  [[nodiscard]] std::exception_ptr drive() {
    for (bool going = true; going;) {
      try {
        mailbox_.open();
        if (stop_.load(std::memory_order_relaxed)) fsm_.stop();
        const Time now = Clock::now();
        const Action action = fsm_.next(now);
        board_.enter(fsm_.state());
        going = perform(action, now);
        board_.log_bytes.store(care_.log_bytes(), std::memory_order_relaxed);
        if (!pending_) board_.transaction_bytes.store(buffer_.bytes(), std::memory_order_relaxed);
      } catch (...) {
        lose(std::current_exception());
      }
    }
    end_attempt();
    slot_.drop();
    return fatal_;
  }

  // Letters of those who wait for a commit.

  void tell_end_of_log(const std::shared_ptr<EndOfLog>& wanted) { end_of_log_.add(wanted); }

  // Letters of those who verify.

  /// Turns the journals on, of the tables that follow; the others are told why not. Where the stream comes from.
  [[nodiscard]] StreamSource begin_verification(std::vector<Verified>& verified) {
    const bool streaming = fsm_.state() == ReplicatorState::streaming;
    for (Verified& each : verified) {
      each.copies = each.table->copies();
      if (!streaming) each.report.why = "the Replicator is not connected";
      else if (!buffer_.follows(*each.table)) each.report.why = "the table does not follow";
      else each.table->set_journal(each.verification->journal());
    }
    return streaming ? runner_.attempt().source() : StreamSource{};
  }

  /// Turns them off. A table that differs may have to be copied afresh.
  void end_verification(const std::vector<Verified>& verified, bool heal) {
    for (const Verified& each : verified) {
      each.table->set_journal(nullptr);
      if (heal && each.report.verdict == Verdict::different) care_.doubt(*each.table, describe_difference(each.report));
    }
  }

 private:
  using Step = StreamFsm::Step;
  using Action = StreamFsm::Action;

  static constexpr std::chrono::milliseconds side_look_interval{100};

  // What the state machine asks for.
  bool perform(const Action& action, Time now) {
    switch (action.step) {
      case Step::connect: connect(); return true;
      case Step::resume: resume(); return true;
      case Step::preflight: check(); return true;
      case Step::create_slot: create_slot(); return true;
      case Step::copy: copy(); return true;
      case Step::publish_copy: publish_copy(action.until); return true;
      case Step::start_stream: start_stream(); return true;
      case Step::receive: receive(action.until, now); return true;
      case Step::stage: stage(); return true;
      case Step::publish: publish(action.until); return true;
      case Step::advance:
        store_->advance(action.position);
        fsm_.advanced();
        board_.lag.reached(action.position, wire::from_pg_clock(fsm_.heard().clock));
        return true;
      case Step::send_feedback: send_feedback(action); return true;
      case Step::wait: wait(action.until); return true;
      case Step::give_up:
        throw SilentServer("the server has not answered for twice wal_sender_timeout", {.retryable = true});
      case Step::finish: return false;
    }
    return false;
  }

  void connect() {
    std::vector<Table*> tables;
    for (const auto& table : store_->tables()) tables.push_back(table.get());
    Attempt::Plan plan = slot_.plan(std::move(tables));
    plan.settle = [to = tokens_](auto& snapshot, const auto& server) { return to->settle(snapshot, server); };
    runner_.begin(std::make_shared<Attempt>(options_, store_, std::move(plan)), options_.on_thread_start);
    runner_.on_link(&Attempt::connect, [this](const Attempt::Greeting& greeting) {
      board_.wal_block_size.store(std::max<std::uint64_t>(greeting.wal_block_size, 1));
      slot_.connected(greeting, runner_.attempt());
      notifier_->post({EventKind::connected, {}, "connected", 0, {}});
      fsm_.connected(greeting.sender_timeout);
    });
  }

  void resume() {
    const auto work = [from = slot_.resumption()](Attempt& attempt) { return attempt.resume(from); };
    runner_.on_link(work, [this](const Attempt::Resumed& resumed) {
      for (Table* const table : resumed.altered) health_.expire(*table, HealTimer::Cause::altered, altered(*table));
      health_.resume(runner_.attempt().followed());
      tokens_->resumed(runner_.attempt().identity());
      pending_.emplace();
      pending_->commit_lsn = pending_->end_lsn = slot_.resumption().position;
      for (const Followed& each : runner_.attempt().followed()) pending_->resumed.push_back(each.table);
      fsm_.resumed(resumed.sends_last_commit);
    });
  }

  void check() {
    runner_.on_link(&Attempt::check, [this](const Attempt::Findings& findings) { judge(findings); });
  }

  /// Before the first complete copy everything must be right; later only the tables that are not stay behind.
  void judge(const Attempt::Findings& findings) {
    require_fit(findings, runner_.attempt().followed().empty(),
                synced_ ? Strictness::any_table : Strictness::every_table, *notifier_);
    health_.begin_anew();
    for (std::size_t i = 0; i < findings.tables.size(); ++i) {
      std::vector<Problem> own;
      for (const Problem& problem : findings.tables[i])
        if (problem.severity == Problem::Severity::error) own.push_back(problem);
      if (!own.empty()) health_.fail(*store_->tables()[i], detail::describe(own));
    }
    fsm_.preflight_passed();
  }

  void create_slot() {
    slot_wait_.begin(Clock::now());
    slot_.creating();
    runner_.on_link(&Attempt::create_slot, [this](Lsn consistent_point) {
      slot_wait_.end();
      slot_.created(consistent_point);
      board_.lag.snapshot_made(Clock::now());
      fsm_.slot_created(consistent_point);
    });
  }

  void copy() {
    const auto work = [notifier = notifier_](Attempt& attempt) {
      return attempt.copy([&](const Table& table) { notifier->post(copying(table)); });
    };
    runner_.on_link(work, [this](Attempt::Copied& copied) {
      if (!synced_ && !copied.faults.empty()) throw_faults(copied.faults);
      for (const Fault& fault : copied.faults) health_.fail_in_copy(fault);
      pending_.emplace();
      pending_->commit_lsn = pending_->end_lsn = copied.position;
      for (const Commit::Change& each : copied.changes) pending_->rejoined.push_back(each.table);
      pending_->changes = std::move(copied.changes);
      pending_->tokens = std::move(copied.tokens);
      differences_ = pending_->size();
      fsm_.copied();
    });
  }

  void publish_copy(Time until) {
    const bool nothing_follows = fsm_.resumes() && pending_->empty();
    if (!nothing_follows && !store_->publish(*pending_, until, stop_)) return;
    if (!fsm_.resumes()) {
      health_.heal_all(*pending_, synced_, differences_);
      policy_.copied();
    }
    board_.begin(pending_->end_lsn);
    tokens_->published(*pending_);
    pending_.reset();
    fsm_.published(Clock::now());
  }

  void start_stream() {
    runner_.on_link(&Attempt::start, [this] {
      buffer_.begin_session(runner_.attempt().followed(), names_of(runner_.attempt().tables()));
      care_.begin(Clock::now());
      slot_.started(runner_.attempt());
      end_of_log_.begin();
      fsm_.stream_started(Clock::now());
      board_.follow();
      if (!std::exchange(synced_, true)) on_synced_();
      if (fsm_.resumes()) return notifier_->post({EventKind::resumed, {}, "goes on where it was", 0, store_->lsn()});
      const bool all = runner_.attempt().followed().size() == store_->tables().size();
      notifier_->post(
          {EventKind::synced,
           {},
           all ? "all tables are copied and follow" : "all tables but those that failed are copied and follow",
           0,
           store_->lsn()});
    });
  }

  void receive(Time until, Time now) {
    care_.look_aside(now);  // however busy the stream is
    pq::ReplicationStream& stream = runner_.attempt().stream();
    if (care_.tend(now, until, fsm_.at_boundary(), fsm_.applied(), stop_)) return stream.require_peer();
    if (const auto bytes = stream.receive()) {
      board_.last_message_at.store(now.time_since_epoch().count(), std::memory_order_relaxed);
      const Errc error = fsm_.frame(now, *bytes);
      if (error != Errc::ok && fsm_.awaits_landmark())
        throw SlotError("the server's log no longer has the last commit, as after a restore from a backup",
                        {.sqlstate = "55000"});
      require(error);
      board_.lag.heard(fsm_.heard().position, wire::from_pg_clock(fsm_.heard().clock), Clock::now());
      return;
    }
    fsm_.drained(now);
    if (fsm_.next(now).step != Step::receive) return;
    pollfd fds[3] = {{stream.socket(), static_cast<short>(stream.wants_write() ? POLLIN | POLLOUT : POLLIN), 0},
                     {mailbox_.fd(), POLLIN, 0},
                     {care_.fd(), POLLIN, 0}};
    ::poll(fds, 3, poll_timeout(std::min(until, care_.due())));
    if ((fds[0].revents & POLLOUT) != 0) stream.flush();
    if (fds[2].revents != 0) care_.control_has_spoken();
  }

  void stage() {
    require(buffer_.stage(fsm_.message(), fsm_.payload()));
    fsm_.staged();
    if (buffer_.take_relation_seen()) care_.relation_seen(Clock::now());
  }

  void publish(Time until) {
    if (!pending_) {
      board_.received.store(fsm_.received().value(), std::memory_order_relaxed);
      pending_ = buffer_.finish(fsm_.commit(), std::min(until, Clock::now() + side_look_interval));
      if (!pending_) return care_.look_aside(Clock::now());
      for (const Fault& fault : buffer_.take_faults()) health_.fail_at_commit(fault);
    }
    if (const Time now = Clock::now(); !gate_.lets_through(fsm_.xid(), now)) {
      care_.look_aside(now);
      return wait(std::min({until, gate_.due(), now + side_look_interval}));
    }
    if (pending_->empty()) {
      store_->advance(pending_->end_lsn);
    } else if (!store_->publish(*pending_, std::min(until, Clock::now() + side_look_interval), stop_)) {
      runner_.attempt().stream().require_peer();
      return care_.look_aside(Clock::now());
    }
    tokens_->published(*pending_);
    board_.lag.applied(pending_->end_lsn, pending_->time);
    care_.drop(std::move(*pending_));
    pending_.reset();
    gate_.close();
    fsm_.published(Clock::now());
  }

  void send_feedback(const Action& action) {
    const auto now = std::chrono::time_point_cast<std::chrono::microseconds>(std::chrono::system_clock::now());
    const wire::StatusUpdate update{action.position, action.position, action.position, wire::to_pg_clock(now),
                                    action.ask_reply};
    runner_.attempt().stream().send(wire::encode(update));
    fsm_.feedback_sent(Clock::now(), action);
    board_.acknowledged.store(fsm_.acknowledged().value(), std::memory_order_relaxed);
  }

  void wait(Time until) {
    runner_.look(Clock::now());
    slot_wait_.look(Clock::now());
    pollfd fds[1] = {{mailbox_.fd(), POLLIN, 0}};
    ::poll(fds, 1, poll_timeout(std::min({until, slot_wait_.due(), runner_.due()})));
  }

  // Failures.
  static void require(Errc error) {
    if (error == Errc::ok) return;
    throw ProtocolError("the replication stream makes no sense: " + std::string(v0::describe(error)),
                        {.retryable = true});
  }

  /// The attempt, or the stream, has ended. Terminal only when it cannot succeed by itself and nothing is served yet.
  void lose(const std::exception_ptr& reason) {
    bool retry = !stop_.load() && (synced_ || policy_.is_retryable(reason));
    const ReplicatorState state = fsm_.state();
    end_attempt();
    store_->mark_stale(Clock::now());
    const std::string message = message_of(reason) + slot_wait_.explanation();
    slot_wait_.end();
    board_.set_error(message);
    const bool resumes = retry && slot_.resumes_after(reason);
    if (!retry && !stop_.load()) fatal_ = reason;
    if (retry && !resumes) fatal_ = policy_.forbid_rebuild(reason, state == ReplicatorState::copying);
    retry = retry && fatal_ == nullptr;
    fsm_.failed(Clock::now(), retry, resumes);
    if (!retry) return;
    const bool was_streaming = state == ReplicatorState::streaming;
    if (was_streaming) board_.lose(cause_of(reason), message);
    const bool waits = sqlstate_of(reason) == "55006";
    const EventKind kind = was_streaming ? EventKind::stale : (waits ? EventKind::slot_waiting : EventKind::retrying);
    notifier_->post({kind, {}, message, 0, store_->lsn()});
  }

  void end_attempt() {
    // A commit that has begun to change the maps must end before anything else happens.
    while (store_->publishing()) {
      Commit& begun = pending_ ? *pending_ : *care_.rejoining();
      if (!store_->publish(begun, Time::max(), stop_)) continue;
      tokens_->published(begun);
      if (pending_) fsm_.published(Clock::now());
    }
    store_->abandon();
    pending_.reset();
    gate_.close();
    if (options_.durable_slot) care_.settle_doubts();
    slot_.lost(buffer_.followed_before(), store_->lsn(), fsm_.landmark());
    care_.end();
    end_of_log_.end();
    buffer_.begin_session({});
    runner_.end();
  }

  const Options& options_;
  const std::shared_ptr<Store> store_;
  const std::shared_ptr<Notifier> notifier_;
  Mailbox& mailbox_;
  StatusBoard& board_;
  const std::shared_ptr<TokenBoard> tokens_;
  const std::atomic<bool>& stop_;
  const std::function<void()> on_synced_;

  TableHealth health_;
  StreamFsm fsm_;
  AttemptRunner runner_;
  SlotKeeper slot_;
  FailurePolicy policy_;
  SlotWait slot_wait_;
  VisibilityGate gate_;
  TransactionBuffer buffer_;
  TableCare care_;
  EndOfLogQuery end_of_log_;
  std::optional<Commit> pending_{};  // what is being published
  std::size_t differences_ = 0;      // rows that the copy changes
  bool synced_ = false;              // once is for ever
  std::exception_ptr fatal_ = nullptr;
};

}  // namespace detail
}  // namespace v0
}  // namespace btreemapped
