#pragma once

#include <algorithm>
#include <chrono>
#include <cstddef>
#include <cstdint>
#include <functional>
#include <memory>
#include <string>
#include <utility>
#include <vector>

#include <btreemapped/change.hpp>
#include <btreemapped/detail/loop/attempt.hpp>
#include <btreemapped/detail/loop/driver_parts.hpp>
#include <btreemapped/detail/loop/failure.hpp>
#include <btreemapped/detail/loop/heal_timer.hpp>
#include <btreemapped/detail/loop/notifier.hpp>
#include <btreemapped/detail/loop/preflight_verdict.hpp>
#include <btreemapped/detail/loop/stream_fsm.hpp>
#include <btreemapped/detail/table.hpp>
#include <btreemapped/detail/transaction.hpp>
#include <btreemapped/lsn.hpp>
#include <btreemapped/preflight.hpp>
#include <btreemapped/status.hpp>

namespace btreemapped {
inline namespace v0 {
namespace detail {

/// The way to a stream: what the driver does from connecting until the stream starts.
class Opening {
 public:
  using Clock = std::chrono::steady_clock;
  using Time = Clock::time_point;

  Opening(DriverParts& parts, std::function<void()> on_synced) : parts_(parts), on_synced_(std::move(on_synced)) {}

  void connect() {
    std::vector<Table*> tables;
    for (const auto& table : parts_.store->tables()) tables.push_back(table.get());
    Attempt::Plan plan = parts_.slot.plan(std::move(tables));
    plan.settle = [to = parts_.tokens](auto& snapshot, const auto& server) { return to->settle(snapshot, server); };
    parts_.runner.begin(std::make_shared<Attempt>(parts_.options, parts_.store, std::move(plan)),
                        parts_.options.on_thread_start);
    parts_.runner.on_link(&Attempt::connect, [this](const Attempt::Greeting& greeting) {
      parts_.board.wal_block_size.store(std::max<std::uint64_t>(greeting.wal_block_size, 1));
      parts_.slot.connected(parts_.runner.attempt());
      parts_.notifier->post({EventKind::connected, {}, "connected", 0, {}});
      parts_.fsm.connected(greeting.sender_timeout);
    });
  }

  void resume() {
    const auto work = [from = parts_.slot.resumption()](Attempt& attempt) { return attempt.resume(from); };
    parts_.runner.on_link(work, [this, asked_at = Clock::now()](const Attempt::Resumed& resumed) {
      for (Table* const table : resumed.altered)
        parts_.health.expire(*table, HealTimer::Cause::altered, altered(*table));
      parts_.health.resume(parts_.runner.attempt().followed());
      parts_.tokens->resumed(parts_.runner.attempt().identity());
      const Lsn position = parts_.slot.resumption().position;
      parts_.board.begin(position);
      parts_.board.lag.asked(resumed.log_end, asked_at, position);
      parts_.fsm.resumed(resumed.sends_last_commit);
    });
  }

  void check() {
    parts_.runner.on_link(&Attempt::check, [this](const Attempt::Findings& findings) { judge(findings); });
  }

  void create_slot() {
    parts_.slot_wait.begin(Clock::now());
    parts_.slot.creating();
    parts_.runner.on_link(&Attempt::create_slot, [this](Lsn consistent_point) {
      parts_.slot_wait.end();
      parts_.slot.created(consistent_point);
      parts_.board.lag.snapshot_made(Clock::now());
      parts_.fsm.slot_created(consistent_point);
    });
  }

  void copy() {
    const auto work = [notifier = parts_.notifier](Attempt& attempt) {
      return attempt.copy(
          [&](const Table& table, std::string message) { notifier->post(copying(table, std::move(message))); });
    };
    parts_.runner.on_link(work, [this](Copied& copied) {
      if (!parts_.synced && !copied.faults.empty()) throw_faults(copied.faults);
      for (const Fault& fault : copied.faults) parts_.health.fail_in_copy(fault);
      parts_.pending.emplace();
      parts_.pending->commit_lsn = parts_.pending->end_lsn = copied.position;
      for (const Commit::Change& each : copied.changes) parts_.pending->rejoined.push_back(each.table);
      parts_.pending->changes = std::move(copied.changes);
      parts_.pending->tokens = std::move(copied.tokens);
      differences_ = parts_.pending->size();
      parts_.fsm.copied();
    });
  }

  void publish_copy(Time until) {
    if (!parts_.store->publish(*parts_.pending, until, parts_.stop)) return;
    parts_.health.heal_all(*parts_.pending, parts_.synced, differences_);
    parts_.policy.copied();
    parts_.board.begin(parts_.pending->end_lsn);
    parts_.tokens->published(*parts_.pending);
    parts_.pending.reset();
    parts_.fsm.published(Clock::now());
  }

  void start_stream() {
    parts_.runner.on_link(&Attempt::start, [this] {
      parts_.buffer.begin_session(parts_.runner.attempt().followed(), names_of(parts_.runner.attempt().tables()));
      parts_.care.begin(Clock::now());
      parts_.slot.started(parts_.runner.attempt());
      parts_.end_of_log.begin();
      parts_.fsm.stream_started(Clock::now());
      // Else what it resumes may still turn out to be another history's.
      if (!parts_.fsm.awaits_landmark()) follow();
    });
  }

  /// There is a stream that can be relied upon.
  void follow() {
    parts_.board.follow();
    parts_.board.enter(parts_.fsm.state());  // before anybody is told
    if (!std::exchange(parts_.synced, true)) on_synced_();
    if (parts_.fsm.resumes()) {
      for (const Followed& each : parts_.buffer.followed()) parts_.store->resume(*each.table);
      parts_.store->tell_waiters();
      return parts_.notifier->post({EventKind::resumed, {}, "goes on where it was", 0, parts_.store->lsn()});
    }
    const bool all = parts_.runner.attempt().followed().size() == parts_.store->tables().size();
    parts_.notifier->post(
        {EventKind::synced,
         {},
         all ? "all tables are copied and follow" : "all tables but those that failed are copied and follow",
         0,
         parts_.store->lsn()});
  }

 private:
  /// Before the first complete copy everything must be right; later only the tables that are not stay behind.
  void judge(const Attempt::Findings& findings) {
    require_fit(findings, parts_.runner.attempt().followed().empty(),
                parts_.synced ? Strictness::any_table : Strictness::every_table, *parts_.notifier);
    parts_.health.begin_anew();
    parts_.care.forget_doubts();
    for (std::size_t i = 0; i < findings.tables.size(); ++i) {
      std::vector<Problem> own;
      for (const Problem& problem : findings.tables[i])
        if (problem.severity == Problem::Severity::error) own.push_back(problem);
      if (!own.empty()) parts_.health.fail(*parts_.store->tables()[i], detail::describe(own));
    }
    parts_.fsm.preflight_passed();
  }

  DriverParts& parts_;
  const std::function<void()> on_synced_;
  std::size_t differences_ = 0;  // rows that the copy changes
};

}  // namespace detail
}  // namespace v0
}  // namespace btreemapped
