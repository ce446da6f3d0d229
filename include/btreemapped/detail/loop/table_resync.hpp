#pragma once

#include <algorithm>
#include <chrono>
#include <cstddef>
#include <cstdint>
#include <exception>
#include <map>
#include <memory>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include <btreemapped/change.hpp>
#include <btreemapped/detail/change_log.hpp>
#include <btreemapped/detail/loop/attempt.hpp>
#include <btreemapped/detail/loop/attempt_runner.hpp>
#include <btreemapped/detail/loop/catalog_watch.hpp>
#include <btreemapped/detail/loop/checked_options.hpp>
#include <btreemapped/detail/loop/failure.hpp>
#include <btreemapped/detail/loop/mailbox.hpp>
#include <btreemapped/detail/loop/notifier.hpp>
#include <btreemapped/detail/loop/slot_wait.hpp>
#include <btreemapped/detail/loop/table_health.hpp>
#include <btreemapped/detail/store.hpp>
#include <btreemapped/detail/table.hpp>
#include <btreemapped/detail/transaction.hpp>
#include <btreemapped/detail/wire/message.hpp>
#include <btreemapped/error.hpp>
#include <btreemapped/lsn.hpp>
#include <btreemapped/options.hpp>
#include <btreemapped/preflight.hpp>
#include <btreemapped/state.hpp>
#include <btreemapped/status.hpp>

namespace btreemapped {
inline namespace v0 {
namespace detail {

/// Copies single tables afresh while the stream of the others goes on. What the stream says of them is written down
/// from before a second slot exists; the copy under that slot's snapshot is compared with the rows that are served,
/// what committed since is replayed on the difference, and the result is published as one commit, where the others are.
/// The driver's: all of it runs on the driver's thread, but for the steps of its own Attempt.
class TableResync {
 public:
  using Clock = std::chrono::steady_clock;
  using Time = Clock::time_point;

  TableResync(const Options& options, std::shared_ptr<Store> store, std::shared_ptr<Notifier> notifier,
              const std::shared_ptr<Mailbox>& mailbox, TableHealth& health, TransactionBuffer& stream)
      : options_(options),
        store_(std::move(store)),
        notifier_(std::move(notifier)),
        health_(health),
        stream_(stream),
        runner_(options_, mailbox, [this](const std::exception_ptr& reason) { fail(reason); }),
        slot_wait_(options, notifier_, runner_) {}

  [[nodiscard]] bool active() const noexcept { return phase_ != Phase::idle; }

  /// Begins with tables that the stream does not follow, on the server of `main`.
  void begin(const Attempt& main, std::vector<Table*> tables) {
    tables_ = std::move(tables);
    phase_ = Phase::checking;
    try {
      Attempt::Plan plan{main.source(), new_slot_name(options_, "_resync"), tables_, false};
      runner_.begin(std::make_shared<Attempt>(options_, store_, std::move(plan)), options_.on_thread_start);
    } catch (const Error& error) {  // no descriptor or thread to be had, which the stream can do without
      return fail_with(error.what());
    }
    runner_.on_link(&Attempt::connect, [this](const Attempt::Greeting&) {
      runner_.on_link(&Attempt::check, [this](const Attempt::Findings& findings) { judge(findings); });
    });
  }

  /// Gives up: the stream that it belongs to has ended.
  void end() {
    runner_.end();
    stream_.write_to(nullptr);
    log_.reset();
    replay_.begin_session({});
    ready_.reset();
    differences_.clear();
    tables_.clear();
    slot_wait_.end();
    phase_ = Phase::idle;
  }

  /// When work() has something to do although the stream is silent.
  [[nodiscard]] Time due() const noexcept {
    return phase_ >= Phase::replaying && !log_->empty() ? Time::min() : std::min(slot_wait_.due(), runner_.due());
  }

  /// Does a slice of what is to be done, until `until`. `at_boundary`: no transaction is half received, and all before
  /// `applied` is visible in the other tables.
  /// Throws: SchemaError when only a copy of all tables will do.
  void work(Time now, Time until, bool at_boundary, Lsn applied) {
    applied_ = applied;
    runner_.look(now);
    if (phase_ == Phase::idle) return;
    slot_wait_.look(now);
    if (log_ != nullptr && log_->overflowed())
      throw RebuildNeeded("the changes of a table that is being copied exceed max_log_bytes; copying all tables afresh",
                          {.retryable = true});
    if (phase_ < Phase::replaying || ready_) return;
    if (phase_ == Phase::finishing) return finish(applied, until);
    replay();
    if (phase_ < Phase::replaying || !log_->empty() || !at_boundary || applied < begin_) return;
    if (phase_ == Phase::replaying) return confirm();
    if (phase_ == Phase::confirmed) finish(applied, until);
  }

  /// Units: bytes, of what has been written down.
  [[nodiscard]] std::size_t log_bytes() const noexcept { return log_ == nullptr ? 0 : log_->bytes(); }

  /// Must the stream wait? Nothing of it may be applied before what is being finished is published.
  [[nodiscard]] bool finishing() const noexcept { return phase_ == Phase::finishing; }

  /// What is to be published before anything else; null while there is nothing.
  [[nodiscard]] Commit* ready() noexcept { return ready_ ? &*ready_ : nullptr; }

  /// ready() is visible: the tables follow the stream again. Gives what it has replaced.
  [[nodiscard]] Commit published() {
    Commit done = std::move(*ready_);
    for (const Followed& each : replay_.followed()) {
      stream_.attach(each);
      health_.heal(*each.table, differences_[each.table]);
    }
    end();
    return done;
  }

 private:
  enum class Phase : std::uint8_t {
    idle,
    checking,
    creating_slot,
    copying,
    replaying,
    confirming,
    confirmed,
    finishing
  };

  static constexpr std::size_t entries_per_slice = 256;

  /// Nothing is said of the server: the stream runs. Whether it has room for a second slot will be seen.
  void judge(const Attempt::Findings& findings) {
    for (std::size_t i = 0; i < findings.tables.size(); ++i) {
      std::vector<Problem> all = findings.tables[i];
      add_new(all, findings.publications);
      std::vector<Problem> errors;
      for (const Problem& problem : all)
        if (problem.severity == Problem::Severity::error) errors.push_back(problem);
      if (errors.empty()) continue;
      Table* const misfit = runner_.attempt().tables()[i];
      health_.fail(*misfit, detail::describe(errors));
      std::erase(tables_, misfit);
    }
    if (tables_.empty()) return end();
    // Before the slot exists, as the stream may pass its position before we know it.
    std::vector<ChangeLog::Subject> subjects;
    for (const Followed& each : runner_.attempt().followed()) subjects.push_back({each.shape->oid, each.shape->table});
    log_ = std::make_unique<ChangeLog>(std::move(subjects), options_.max_log_bytes);
    stream_.write_to(log_.get());
    log_begin_ = std::max(applied_, stream_.commit_lsn());
    phase_ = Phase::creating_slot;
    slot_wait_.begin(Clock::now(), to_string(tables_.front()->name()));
    runner_.on_link(&Attempt::create_slot, [this](Lsn) { copy(); });
  }

  void copy() {
    slot_wait_.end();
    phase_ = Phase::copying;
    const auto work = [notifier = notifier_](Attempt& attempt) {
      return attempt.copy(
          [&](const Table& table, std::string message) { notifier->post(copying(table, std::move(message))); });
    };
    runner_.on_link(work, [this](Copied& copied) {
      // On the server of the stream that cannot be; another one behind the same address may lag.
      if (copied.position < log_begin_)
        throw ConnectionError("the copy of a table comes from a server that is not as far as the stream",
                              {.retryable = true});
      begin_ = copied.position;
      replay_.begin_session(runner_.attempt().followed());
      for (Commit::Change& each : copied.changes) replay_.resume(*each.table, std::move(each.delta));
      phase_ = Phase::replaying;
      take_out(copied.faults);
    });
  }

  void replay() {
    for (std::size_t n = 0; n < entries_per_slice && !log_->empty(); ++n) {
      if (const Errc error = replay_.replay(log_->front(), begin_); error != Errc::ok)
        return fail_with("the changes that came meanwhile make no sense: " + std::string(v0::describe(error)));
      log_->pop();
    }
    take_out(replay_.take_faults());
  }

  /// What has changed in the catalog since the copy shows in no message.
  void confirm() {
    phase_ = Phase::confirming;
    const auto work = [list = WatchList{replay_.followed(), {}}](Attempt& attempt) { return attempt.look(list); };
    runner_.on_control(work, [this](const CatalogLook& seen) {
      phase_ = Phase::confirmed;
      for (Table* const table : seen.changed) {
        health_.expire(*table, HealTimer::Cause::altered, altered(*table));
        take_out(*table);
      }
      if (tables_.empty()) end();
    });
  }

  void finish(Lsn applied, Time until) {
    phase_ = Phase::finishing;
    wire::Commit position{};
    position.commit_lsn = position.end_lsn = applied;
    ready_ = replay_.finish(position, until);
    if (!ready_) return;
    ready_->time = std::chrono::time_point_cast<std::chrono::microseconds>(std::chrono::system_clock::now());
    ready_->detached.clear();  // they have been all the time
    take_out(replay_.take_faults());
    if (phase_ == Phase::idle) return;
    for (const Commit::Change& each : ready_->changes) {
      ready_->rejoined.push_back(each.table);
      differences_[each.table] = each.delta->size();
    }
  }

  /// These go on without us.
  void take_out(const std::vector<Fault>& faults) {
    for (const Fault& fault : faults) {
      health_.fail_in_copy(fault);
      take_out(*fault.table);
    }
    if (tables_.empty()) end();
  }
  void take_out(Table& table) {
    replay_.detach(table);
    std::erase(tables_, &table);
  }

  void fail_with(const std::string& why) {
    for (Table* const table : std::exchange(tables_, {}))
      health_.expire(*table, HealTimer::Cause::divergence, to_string(table->name()) + ": " + why + "; trying again");
    end();
  }

  /// A step has failed, for reasons that concern all tables of this attempt.
  void fail(const std::exception_ptr& reason) {
    const std::string why = message_of(reason) + slot_wait_.explanation();
    // Where there is no room for a second slot or walsender, those that we have must do, if that is worth it.
    const std::string sqlstate = sqlstate_of(reason);
    const bool no_room = sqlstate == "53400" || (sqlstate == "53300" && runner_.attempt().source().connection.empty());
    const auto is_stale = [](const Table* table) { return table->state() == TableState::stale; };
    if (no_room && std::any_of(tables_.begin(), tables_.end(), is_stale))
      throw RebuildNeeded(why + "; copying all tables afresh", {.sqlstate = sqlstate, .retryable = true});
    fail_with(why);
  }

  const Options& options_;
  const std::shared_ptr<Store> store_;
  const std::shared_ptr<Notifier> notifier_;
  TableHealth& health_;
  TransactionBuffer& stream_;

  Phase phase_ = Phase::idle;
  std::vector<Table*> tables_{};  // those that are still hoped for
  std::unique_ptr<ChangeLog> log_{};
  Lsn applied_{};    // of the stream, when it was last heard of
  Lsn log_begin_{};  // the log has all that commits from here on
  Lsn begin_{};      // everything committed before it is in the copy
  TransactionBuffer replay_{};
  std::optional<Commit> ready_{};
  std::map<const Table*, std::size_t> differences_{};  // rows that it changes
  AttemptRunner runner_;
  SlotWait slot_wait_;
};

}  // namespace detail
}  // namespace v0
}  // namespace btreemapped
