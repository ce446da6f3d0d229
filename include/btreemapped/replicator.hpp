#pragma once

#include <chrono>
#include <cstddef>
#include <future>
#include <memory>
#include <stop_token>
#include <string_view>
#include <utility>
#include <vector>

#include <btreemapped/barrier.hpp>
#include <btreemapped/detail/loop/engine.hpp>
#include <btreemapped/detail/loop/examination.hpp>
#include <btreemapped/detail/table_name.hpp>
#include <btreemapped/detail/typed_table.hpp>
#include <btreemapped/detail/typed_verification.hpp>
#include <btreemapped/diagnosis.hpp>
#include <btreemapped/error.hpp>
#include <btreemapped/lsn.hpp>
#include <btreemapped/options.hpp>
#include <btreemapped/replica.hpp>
#include <btreemapped/row.hpp>
#include <btreemapped/state.hpp>
#include <btreemapped/status.hpp>
#include <btreemapped/verification.hpp>

namespace btreemapped {
inline namespace v0 {

/// Keeps replicas equal to their tables: copies them under one snapshot, then follows the server's stream of commits,
/// and does so anew whenever the connection was lost. Add replicas, then start() or run() it, once.
///
/// All members may be called from any thread. Reads go through the replicas and need no Replicator.
class Replicator {
 public:
  /// Connects to nothing yet: that is what start() and run() do.
  /// Throws: Error when the system gives no file descriptor.
  explicit Replicator(Options options) : engine_(std::make_shared<detail::Engine>(std::move(options))) {}

  Replicator(const Replicator&) = delete;
  Replicator& operator=(const Replicator&) = delete;

  /// Stops. In a forked child it does nothing at all.
  /// Blocks and locks: as stop().
  ~Replicator() { detail::Engine::leave(std::move(engine_)); }

  /// A replica of a table. `table` is "name", "schema.name" or, where a name holds a dot, "\"odd.schema\".name";
  /// without a schema it is the row's declared schema, or public. Names are taken as they are written.
  /// Throws: UsageError after start(), run() or stop(), or for a name that cannot be read.
  /// Lifetime: the replica outlives the Replicator.
  template <class Row, std::size_t Arity = detail::declared_arity_v<Row>>
  Replica<Row, Arity> add_replica(std::string_view table = detail::declared_table<Row>()) {
    using Table = detail::TypedTable<Row, Arity>;
    detail::TableName name = detail::parse_table_name(table, detail::declared_schema<Row>());
    const std::shared_ptr<detail::Store> store = engine_->store();
    auto added = std::make_unique<Table>(*store, std::move(name));
    const Table* const typed = added.get();
    engine_->add(std::move(added));
    return Replica<Row, Arity>(std::shared_ptr<const Table>(store, typed));
  }

  /// Looks whether the replicas can be followed, and will be for long: at all that is checked before a copy, and at the
  /// way to the server, its settings, and rights of the role that are missing or too many. It changes nothing, creates
  /// no slot, and may be called before start() as well as later. The free doctor() does the same without row types.
  /// Throws: UsageError for options that cannot work, and in a forked child. What the server says is a finding.
  /// Blocks and locks: as doctor().
  [[nodiscard]] Diagnosis doctor() const {
    const bool has_slot = status().state == ReplicatorState::streaming;
    std::vector<detail::Subject> subjects;
    for (const auto& table : engine_->store()->tables()) subjects.push_back({table->name(), table->needs()});
    return detail::Examination(engine_->options(), std::move(subjects), has_slot ? 1 : 2).run();
  }

  /// Follows in the background.
  /// Throws: UsageError for a second start, a start after stop(), no replicas, options that cannot work, or in a forked
  /// child; Error when the system gives no thread.
  void start() { engine_->start(); }

  /// Follows on the caller's thread until `stop` is requested or stop() is called.
  /// Throws: what made it end, if it was not asked to; UsageError as start(), and inside a read.
  void run(std::stop_token stop = {}) {
    const std::shared_ptr<detail::Engine> engine = engine_;  // a hook may destroy the Replicator meanwhile
    engine->run(std::move(stop));
  }

  /// Ends the following, for good; replicas stay readable. Idempotent. From a hook, or a callback of this library's
  /// threads, it only asks.
  /// Throws: UsageError in a forked child.
  /// Blocks and locks: until the threads have ended, which is prompt wherever they are, and until the hook has returned
  /// from a call that is under way; not for readers.
  void stop() { engine_->stop(); }

  /// Ready once every replica has its first complete copy. Throws from get(): SchemaError or another Error that tells
  /// why that cannot be, StoppedError if the Replicator was stopped before.
  /// Lifetime: latched; may be asked for before the start, and outlives the Replicator.
  [[nodiscard]] std::shared_future<void> synced() const { return engine_->synced(); }

  /// What it is doing, how far it is, and what went wrong last.
  /// Throws: UsageError in a forked child.
  /// Blocks and locks: as a read of a replica.
  [[nodiscard]] Status status() const { return engine_->status(); }

  /// Compares every replica with its table, in every row and value, as both were at one commit, while both go on.
  /// Readers go on; a commit waits for some 200 rows to be compared at most. It needs another slot and another
  /// walsender for a moment, and a session for the time of the copy.
  /// Throws: UsageError inside a read, before start(), and in a forked child; StoppedError. What keeps a table from
  /// being judged is not thrown, but said in its report.
  /// Blocks and locks: until it is done; one verification at a time.
  [[nodiscard]] std::vector<TableVerification> verify(const VerifyOptions& options = {}) {
    std::vector<detail::Verified> verified;
    for (const auto& table : engine_->store()->tables()) verified.push_back(engine_->to_verify(*table, options));
    engine_->verify(verified, options);
    std::vector<TableVerification> reports;
    for (detail::Verified& each : verified) reports.push_back(std::move(each.report));
    return reports;
  }

  /// The same for one replica, with the keys of the rows that differ.
  /// Throws: as verify(); UsageError for a replica of another Replicator.
  template <class Row, std::size_t Arity>
  [[nodiscard]] ReplicaVerification<typename Replica<Row, Arity>::key_type> verify(const Replica<Row, Arity>& replica,
                                                                                   const VerifyOptions& options = {}) {
    std::vector<detail::Verified> verified{engine_->to_verify(replica.table(), options)};
    engine_->verify(verified, options);
    ReplicaVerification<typename Replica<Row, Arity>::key_type> report;
    static_cast<TableVerification&>(report) = std::move(verified.front().report);
    const auto& keys = static_cast<const detail::TypedVerification<Row, Arity>&>(*verified.front().verification).keys();
    report.missing_keys = keys.missing;
    report.extra_keys = keys.extra;
    report.different_keys = keys.different;
    return report;
  }

  /// Waits until every commit of the source before `lsn` is visible in every table. For reading one's own writes, take
  /// `lsn` from `SELECT pg_current_wal_insert_lsn()` after the commit.
  /// The result tells how far it has come and why no further: the timeout was first, or a table has failed.
  /// Throws: UsageError inside a read, as the applier might wait for that read, and in a forked child; StoppedError
  /// when the Replicator has ended.
  /// Blocks and locks: until then, or for the timeout; where it is not reached, then as status().
  Reached wait_for(Lsn lsn, std::chrono::milliseconds timeout) const { return engine_->wait_for(lsn, timeout); }

  /// Waits until the transaction in which the token's SQL was run is visible in every table; it need not have changed
  /// any of them. One that is rolled back never is. Over a lost connection the result comes from the copy that follows.
  /// Throws: as the other; UsageError for a token of another Replicator.
  /// Blocks and locks: as the other.
  Reached wait_for(const Token& token, std::chrono::milliseconds timeout) const {
    return engine_->wait_for(*token.state_, timeout);
  }

  /// Waits until all that was committed on the server before the call is visible in every table, however it was
  /// committed. Asks the server once, and again after a lost connection.
  /// Throws: as wait_for(); UsageError before start().
  /// Blocks and locks: as wait_for().
  Reached catch_up(std::chrono::milliseconds timeout) const { return engine_->catch_up(timeout); }

  /// A new token, for one transaction of whoever writes. It may be made before start().
  /// Throws: UsageError in a forked child.
  [[nodiscard]] Token token() const { return Token(engine_->make_token()); }

 private:
  std::shared_ptr<detail::Engine> engine_;
};

}  // namespace v0
}  // namespace btreemapped
