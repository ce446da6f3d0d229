#pragma once

#include <algorithm>
#include <atomic>
#include <chrono>
#include <cstddef>
#include <cstdint>
#include <functional>
#include <memory>
#include <mutex>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include <btreemapped/change.hpp>
#include <btreemapped/detail/interrupt.hpp>
#include <btreemapped/detail/loop/catalog_watch.hpp>
#include <btreemapped/detail/loop/checked_options.hpp>
#include <btreemapped/detail/loop/control_session.hpp>
#include <btreemapped/detail/loop/copier.hpp>
#include <btreemapped/detail/loop/copy_progress.hpp>
#include <btreemapped/detail/loop/durable_slot.hpp>
#include <btreemapped/detail/loop/guard_verdict.hpp>
#include <btreemapped/detail/loop/primary_nudge.hpp>
#include <btreemapped/detail/loop/table_catalog.hpp>
#include <btreemapped/detail/pq/conninfo.hpp>
#include <btreemapped/detail/pq/snapshot_copy.hpp>
#include <btreemapped/detail/pq/stream.hpp>
#include <btreemapped/detail/shape.hpp>
#include <btreemapped/detail/sql/copy_guard.hpp>
#include <btreemapped/detail/sql/log_end.hpp>
#include <btreemapped/detail/sql/mutual_wait.hpp>
#include <btreemapped/detail/sql/server_error.hpp>
#include <btreemapped/detail/sql/session.hpp>
#include <btreemapped/detail/sql/visibility.hpp>
#include <btreemapped/detail/store.hpp>
#include <btreemapped/detail/table.hpp>
#include <btreemapped/detail/transaction.hpp>
#include <btreemapped/error.hpp>
#include <btreemapped/lsn.hpp>
#include <btreemapped/options.hpp>
#include <btreemapped/preflight.hpp>

namespace btreemapped {
inline namespace v0 {
namespace detail {

/// A server: a connection string that leads to no other one, and its identity, to be sure.
struct StreamSource {
  std::string connection{};
  std::string system_identifier{};  ///< empty: any will do
};

/// One attempt to copy tables at one snapshot, and to follow them from there: from connecting to the start of the
/// stream. Its sessions, and the work on them that may block. A worker thread does one step after the other; the stream
/// then belongs to the driver.
class Attempt {
 public:
  /// Reads what else is to be seen through the snapshot: which tokens it shows.
  using Settle = std::function<std::vector<std::string>(pq::SnapshotCopy& snapshot, const pq::SystemIdentity& server)>;

  /// What is to be copied, from where.
  struct Plan {
    StreamSource source{};
    std::string slot_name{};
    std::vector<Table*> tables{};
    bool follows = true;                  ///< a stream is to begin where the copy ends
    CopyReader reader{};                  ///< if the rows are not to take the place of those that are served
    Settle settle{};                      ///< empty: nothing
    bool durable = false;                 ///< the slot is to outlive this attempt
    bool failover = false;                ///< and its server
    std::vector<sql::Backend> earlier{};  ///< sessions of attempts with this slot that the server may not have missed
  };

  Attempt(const Options& options, std::shared_ptr<Store> store, Plan plan)
      : plan_(std::move(plan)),
        publications_(publication_names(options)),
        create_publication_(options.create_publication && plan_.follows),
        use_(plan_.follows ? ServerUse{options.never_ahead, !options.durable_slot, options.failover_slot}
                           : ServerUse{}),
        slot_timeout_(options.slot_timeout),
        lock_timeout_(options.lock_timeout),
        answer_timeout_(options.answer_timeout),
        store_(std::move(store)),
        control_(interrupt_, catalog_lock_timeout(options)),
        nudge_(options.primary_connection, interrupt_) {}

  /// Ends whatever step is under way; it throws StoppedError. From any thread. Afterwards nobody looks at the rows that
  /// are served: a worker may be left behind, and they will change.
  void interrupt() noexcept {
    interrupt_->interrupt();
    const std::lock_guard lock(rows_mutex_);
  }

  /// The same, as the server does not answer; but does not wait for who looks at the rows, who may wait for the caller.
  void give_up() noexcept {
    given_up_.store(true);
    interrupt_->interrupt();
  }
  [[nodiscard]] bool is_given_up() const noexcept { return given_up_.load(); }

  /// Has a question to the catalog gone unanswered for answer_timeout? A process of the server may be stuck, or
  /// something between, of which TCP knows nothing. From any thread.
  [[nodiscard]] bool is_unanswered(Deadline now) const noexcept {
    return now - interrupt_->asking_since(now) >= answer_timeout_;
  }

  static constexpr const char* unanswered =
      "the server has not answered a question about its catalog within answer_timeout";

  struct Greeting {
    std::chrono::milliseconds sender_timeout{};
    std::uint64_t wal_block_size = 0;
  };

  Greeting connect() {
    stream_.emplace(pq::ReplicationStream::open(plan_.source.connection, interrupt_, no_deadline));
    backend_pid_ = stream_->connection().backend_pid();
    identity_ = stream_->identify_system(no_deadline);
    if (!plan_.source.system_identifier.empty() && plan_.source.system_identifier != identity_.system_identifier)
      throw_two_servers();
    plan_.source.system_identifier = identity_.system_identifier;
    pinned_ = pq::pinned_to(pq::with_defaults(plan_.source.connection), stream_->connection().address());
    control_.open(pinned_);
    const sql::Rows block = stream_->connection().exec("SHOW wal_block_size", "cannot read wal_block_size");
    Greeting greeting{stream_->sender_timeout(no_deadline), block.number<std::uint64_t>(0, 0)};
    if (plan_.durable)
      add_backends(control_.ask([&](sql::Session& session) { return evict(session, backend_pid_, plan_.earlier); }));
    return greeting;
  }

  /// With a durable slot: our sessions, also those that are still to end. From any thread.
  [[nodiscard]] std::vector<sql::Backend> backends() const {
    const std::lock_guard lock(backends_mutex_);
    return backends_;
  }

  /// The very server that connect() reached, for further attempts.
  [[nodiscard]] StreamSource source() const { return {pinned_, plan_.source.system_identifier}; }
  [[nodiscard]] bool is_durable() const noexcept { return plan_.durable; }
  [[nodiscard]] const pq::SystemIdentity& identity() const noexcept { return identity_; }
  [[nodiscard]] const std::vector<Table*>& tables() const noexcept { return plan_.tables; }

  struct Resumed {
    std::vector<Table*> altered{};
    Lsn log_end{};                   ///< of the server
    bool sends_last_commit = false;  ///< the stream begins with it, once more
  };

  /// In the place of check(), create_slot() and copy(): makes sure that the stream can go on where it was. Gives the
  /// tables that have been altered meanwhile; start() follows the others.
  /// Throws: SlotError, retryable where the slot may still be had as it was.
  Resumed resume(const Resumption& from) {
    Resumed out;
    const Lsn confirmed = control_.ask([&](sql::Session& session) {
      lock_slot(session, plan_.slot_name);
      out.log_end = require_same_history(*stream_, session, identity_, from);
      out.altered = find_altered(session, from.followed, publications_);
      const Lsn kept = require_slot_at(session, plan_.slot_name, from.position);
      // A standby that has been promoted since shows its slots as its own, and may have another history.
      const pq::SystemIdentity now = stream_->identify_system(no_deadline);
      if (now.timeline != identity_.timeline)
        out.log_end = require_same_history(*stream_, session, identity_ = now, from);
      return kept;
    });
    followed_ = from.followed;
    for (const Table* const table : out.altered) forget(*table);
    if (followed_.empty() && !out.altered.empty()) throw SlotError("all tables or their publication were altered");
    resumes_at_ = from.position;
    // What the server has of the slot is ours if it has our word on the last commit. Else it was thrown back, by a
    // crash, or by a restore from a backup, after which it may write another history: the last commit must come again.
    out.sends_last_commit = confirmed < from.last_commit_end;
    begin_ = out.sends_last_commit ? from.last_commit : from.last_commit_end;
    return out;
  }

  using Findings = PreflightFindings;

  /// Looks at server, publication and tables before any slot exists. Only tables without an error are followed.
  Findings check() {
    TableCatalog catalog = control_.ask([&](sql::Session& session) {
      const auto read = [&] { return read_table_catalog(session, plan_.tables, publications_, backend_pid_); };
      TableCatalog found = read();
      const bool missing = create_publication_ && !found.server.publications.front().exists;
      return missing && !found.server.in_recovery &&
                     create_publication(session, found, plan_.tables, publications_.front())
                 ? read()
                 : found;
    });
    if (catalog.server.system_identifier != plan_.source.system_identifier) throw_two_servers();
    on_standby_.store(catalog.server.in_recovery);
    return judge_catalog(catalog, plan_.tables, use_, followed_);
  }

  /// Blocks and locks: until the transactions that are writing now have ended, or slot_timeout.
  Lsn create_slot() {
    const Deadline deadline = std::chrono::steady_clock::now() + slot_timeout_ + std::chrono::seconds{1};
    if (plan_.durable) control_.ask([&](sql::Session& session) { claim_slot(session, plan_.slot_name); });
    using Life = pq::ReplicationStream::SlotLife;
    const Life life = plan_.failover ? Life::failover : (plan_.durable ? Life::durable : Life::temporary);
    const auto while_waiting = [&] {
      if (on_standby_) nudge_.give(identity_.system_identifier, deadline);
      if (plan_.reader) awaited_ = who_blocks();  // there is nobody else to ask meanwhile
    };
    slot_ = stream_->create_slot(plan_.slot_name, slot_timeout_, deadline, life, while_waiting);
    nudge_.end();
    awaited_.clear();
    return slot_.consistent_point;
  }

  /// For whom create_slot() waits; to be asked on another thread meanwhile. Empty where that cannot be found out: no
  /// attempt fails for want of an explanation.
  std::string who_blocks() {
    try {
      std::string found =
          control_.ask([&](sql::Session& session) { return sql::explain_wait(session, backend_pid_, plan_.follows); });
      return found.empty() && on_standby_ ? nudge_.explanation() : found;
    } catch (const Error&) {
      return {};
    }
  }

  /// With a reader: for whom create_slot() waited in vain.
  [[nodiscard]] const std::string& awaited() const noexcept { return awaited_; }

  /// Copies all followed tables as the slot's snapshot shows them, after making sure that it shows them whole: a
  /// TRUNCATE or rewrite between slot and copy would leave it silently empty.
  Copied copy(const OnProgress& on_progress) {
    Copied out;
    out.position = slot_.consistent_point;
    pq::SnapshotCopy snapshot = pq::SnapshotCopy::open(pinned_, slot_.snapshot, interrupt_, no_deadline);
    if (plan_.follows) stream_->release_snapshot(no_deadline);
    else stream_.reset();  // and with it the slot: no log is held back for the sake of a copy
    guard(snapshot, out.faults);
    if (plan_.settle) out.tokens = plan_.settle(snapshot, identity_);
    Copier copier({snapshot, plan_.reader, plan_.follows, on_progress, answer_timeout_, rows_mutex_, *interrupt_}, out);
    for (const Followed& each : followed_) copier.copy(each);
    if (use_.never_ahead) wait_until_visible(snapshot);
    snapshot.commit(no_deadline);
    for (const Fault& fault : out.faults) forget(*fault.table);
    return out;
  }

  void start() {
    try {
      stream_->start(plan_.slot_name, begin_, publications_, std::chrono::steady_clock::now() + answer_timeout_);
    } catch (const ConnectionError& error) {
      if (!resumes_at_ && error.sqlstate() == "57P01") require_shutdown();
      throw;
    }
    timeline_.store(identity_.timeline);
    if (!plan_.durable) return;
    control_.ask([&](sql::Session& session) {
      // The server would pass over in silence what somebody else has read until now.
      if (resumes_at_) require_slot_at(session, plan_.slot_name, resumes_at_, backend_pid_);
      see_timeline(session);
    });
  }

  /// The driver's, once started.
  [[nodiscard]] pq::ReplicationStream& stream() { return *stream_; }
  /// What has been copied, and as what; the driver's, once copied.
  [[nodiscard]] const std::vector<Followed>& followed() const noexcept { return followed_; }

  /// Asks on the control session, and once more where it fails: the price of a failure may be a copy of all tables.
  template <class Question>
  auto ask_again(Question question) {
    return control_.insist(question, [&](sql::Session& session) {
      if (!plan_.durable) return;
      add_backends(evict(session, backend_pid_, {}));
      // Who has the lock meanwhile cannot have the slot, as long as the stream is there.
      session.query("cannot lock the replication slot", sql::slot_lock_query(plan_.slot_name));
    });
  }

  CatalogLook look(const WatchList& list) {
    return ask_again([&](sql::Session& session) {
      if (plan_.durable) see_timeline(session);
      return look_at_catalog(session, list, publications_, backend_pid_);
    });
  }

  /// Do those who read the server see this yet: a transaction's xid, or all of a snapshot? Nothing while the server has
  /// no room for a session to ask in.
  /// Throws: SchemaError when it waits for us.
  template <class Subject>
  [[nodiscard]] std::optional<bool> is_visible(const Subject& subject) {
    try {
      return sql::heed_visibility(
          ask_again([&](sql::Session& session) { return sql::read_visibility(session, subject); }));
    } catch (const ConnectionError& error) {
      if (error.sqlstate() != sql::too_many_connections) throw;
      return std::nullopt;
    }
  }

  /// Whoever finds no room to ask in waits for so long; each look is a login.
  static constexpr std::chrono::milliseconds pause_without_room{500};

  /// Does the stream go on without a control session? With a durable slot nothing is lost by that: the server may shut
  /// down, and have said goodbye to everything but the stream. And one that has no room for another session is there.
  [[nodiscard]] bool outlives(const ConnectionError& error) const noexcept {
    return plan_.durable || error.sqlstate() == sql::too_many_connections;
  }

  /// On which all is that the stream has brought: a standby that is promoted goes on with it.
  [[nodiscard]] std::uint32_t timeline() const noexcept { return timeline_.load(); }

  /// Readable when the server ends the idle control session, as it does with all sessions when it shuts down.
  [[nodiscard]] int control_socket() const { return control_.socket(); }

 private:
  [[noreturn]] static void throw_two_servers() {
    throw ConnectionError("two connections reached two different servers; name one server in the connection string",
                          {.retryable = true});
  }

  void add_backends(const std::vector<sql::Backend>& backends) {
    const std::lock_guard lock(backends_mutex_);
    backends_.insert(backends_.end(), backends.begin(), backends.end());
  }

  /// The session with the slot was ended during the copy, as the server does when it shuts down.
  /// Throws: SlotError if it goes on.
  void require_shutdown() {
    control_.ask([](sql::Session& session) { return sql::read_log_end(session); });
    throw SlotError(
        "the server ended the session with the slot; if it had to keep too much of its log during the copy, "
        "raise max_slot_wal_keep_size",
        {.sqlstate = "55000", .retryable = true});
  }

  /// A slot's snapshot shows what the log has of commits, also of those whose writers are still waiting for a standby.
  /// The session to ask in may have been ended, as idle for as long as the copy has taken.
  void wait_until_visible(pq::SnapshotCopy& snapshot) {
    const std::string copied = sql::read_snapshot(snapshot);
    std::chrono::milliseconds pause{1};
    while (true) {
      const std::optional<bool> visible = is_visible(copied);
      if (visible == true) return;
      const auto now = std::chrono::steady_clock::now();
      wait_for_socket(-1, 0, *interrupt_, now + (visible ? pause : pause_without_room));
      pause = std::min(2 * pause, std::chrono::milliseconds{50});
    }
  }

  void see_timeline(sql::Session& session) {
    if (const auto now = read_timeline(session, plan_.slot_name, backend_pid_)) timeline_.store(*now);
  }

  void forget(const Table& table) {
    std::erase_if(followed_, [&](const Followed& each) { return each.table == &table; });
  }

  /// Leaves out the tables that cannot be had, or not now.
  void guard(pq::SnapshotCopy& snapshot, std::vector<Fault>& faults) {
    std::vector<sql::CopySource> sources;
    for (const Followed& each : followed_) sources.push_back(copy_source_of(each));
    const sql::GuardReport report = control_.ask([&](sql::Session& session) {
      return sql::guard_copy(snapshot, session, sources, publications_, lock_timeout_, no_deadline);
    });
    const CopyBond bond = plan_.follows ? CopyBond::together : CopyBond::alone;
    faults = heed_guard(report, slot_.consistent_point, bond, followed_);
    for (const Fault& fault : faults) forget(*fault.table);
  }

  Plan plan_;
  const std::vector<std::string> publications_;
  const bool create_publication_;
  const ServerUse use_;
  const std::chrono::milliseconds slot_timeout_;
  const std::chrono::milliseconds lock_timeout_;
  const std::chrono::milliseconds answer_timeout_;
  const std::shared_ptr<Store> store_;  // also keeps the tables that a left-behind step may still write to

  const std::shared_ptr<Interrupt> interrupt_ = std::make_shared<Interrupt>();
  std::atomic<bool> given_up_{false};
  std::optional<pq::ReplicationStream> stream_{};
  int backend_pid_ = 0;
  std::mutex rows_mutex_{};
  mutable std::mutex backends_mutex_{};
  std::vector<sql::Backend> backends_{};
  ControlSession control_;  // a late answer to who_blocks() may overlap the next step
  PrimaryNudge nudge_;
  std::atomic<bool> on_standby_{false};
  std::string pinned_{};
  pq::SystemIdentity identity_{};
  std::atomic<std::uint32_t> timeline_{0};
  std::vector<Followed> followed_{};
  pq::CreatedSlot slot_{};
  std::string awaited_{};
  Lsn resumes_at_{};  // all before it is visible, of a stream that goes on where it was
  Lsn begin_{};       // of its messages
};

}  // namespace detail
}  // namespace v0
}  // namespace btreemapped
