#pragma once

#include <chrono>
#include <cstddef>
#include <functional>
#include <string>
#include <vector>

#include <btreemapped/status.hpp>

namespace btreemapped {
inline namespace v0 {

/// How a Replicator connects and behaves. Only `connection` and `publication` (or `publications`) have to be set.
/// Durations are positive; what is longer than the server can take, 24 days, means just that.
struct Options {
  /// A libpq connection string or URI, so TLS, service files, password files and several hosts work as with psql,
  /// but hosts are tried in their order, whatever load_balance_hosts says. Timeouts for connecting are libpq's, too:
  /// `connect_timeout`, here 10 s unless set.
  std::string connection{};
  /// The publication that publishes the tables, unquoted.
  std::string publication{};
  /// Several publications, in the place of one. A table may be in any of them; where it is in more than one, what they
  /// publish of it adds up, except that all must publish the same columns.
  std::vector<std::string> publications{};
  /// Creates the publication for just the added tables if there is none of this name. The role must own the tables.
  bool create_publication = false;
  /// The name of the replication slot: [a-z0-9_], at most 63 bytes. Empty: a unique one for each attempt.
  std::string slot_name{};
  /// Makes the slot outlive a lost connection, so that the stream goes on where it was, without a copy. Needs a
  /// `slot_name` that no other process has. What it costs: while this process is away the server keeps its log for it,
  /// without end unless `max_slot_wal_keep_size` says otherwise. It is dropped by stop(), and when following has become
  /// impossible; that of a process that has crashed is dropped by the next one that starts with its name, or must be by
  /// you: SELECT pg_drop_replication_slot('name'). A slot of this name is taken for this library's, and may be dropped,
  /// when it is one of pgoutput in this database, nobody uses it, and no other Replicator of its name is here; others
  /// are left alone.
  /// A must where writers wait for this Replicator, as synchronous_standby_names has its application_name.
  bool durable_slot = false;
  /// Makes the durable slot one that standbys keep as well, so that the stream goes on, without a copy, on the one that
  /// is promoted. From PostgreSQL 17 on; server and standbys have to be set up for it, see the README. Only with
  /// `synchronized_standby_slots` there is nothing here that the promoted standby does not have: without it, tables are
  /// copied afresh where there was.
  bool failover_slot = false;
  /// Where `connection` leads to a standby: a connection string of its primary, on which pg_log_standby_snapshot() is
  /// called while a slot is being created. Without it the slot waits until the primary logs which transactions run by
  /// itself: about 15 s where it is busy, for ever where it is idle. The role needs EXECUTE on that function there.
  std::string primary_connection{};
  /// Lets reads before the first complete copy see an empty table, instead of NotReadyError.
  bool empty_until_synced = false;

  /// Shows a commit, or a copy, only once those who read the primary see all of it, too: for source databases whose
  /// writers wait for a standby, where the stream has a commit before they have. Costs a question to the server for
  /// each transaction.
  bool never_ahead = false;

  /// For creating the slot, which waits for every transaction that is writing at that moment; and at the start for
  /// another process that still has one of its name.
  std::chrono::milliseconds slot_timeout{30'000};
  /// For an answer of the server to a question about its catalog. Beyond it the connection is given up, as nobody would
  /// notice what the stream does not show.
  std::chrono::milliseconds answer_timeout{30'000};
  /// For the locks that the copy needs on its tables; a waiting ALTER TABLE or TRUNCATE is in their way.
  std::chrono::milliseconds lock_timeout{10'000};
  /// How often within an hour all tables may be copied afresh for the same reason, other than a lost connection,
  /// before that reason ends the Replicator.
  std::size_t max_rebuilds_per_hour = 5;
  /// The pause before the first new attempt after a lost connection; it doubles with each failure. Tables are not
  /// copied again sooner than the last copy took.
  std::chrono::milliseconds shortest_backoff{100};
  /// The longest pause between two attempts, also where `shortest_backoff` is longer.
  std::chrono::milliseconds longest_backoff{15'000};
  /// How often the catalog is compared with what was copied: the longest time for which a schema change that the
  /// stream does not show can go unnoticed.
  std::chrono::milliseconds catalog_watch_interval{10'000};
  /// The most that a transaction may take here before it commits, as about what its rows take in memory. Of a larger
  /// one the rest is dropped: the tables that it touches show their last commit, flagged stale, are copied afresh
  /// together and come back in one commit, while all others go on.
  /// Units: bytes
  std::size_t max_transaction_bytes = std::size_t{1} << 30;
  /// The most that may be kept of the changes that come for a table while it is copied afresh and the others go on.
  /// Beyond it all tables are copied afresh, with the server keeping the changes.
  /// Units: bytes
  std::size_t max_log_bytes = std::size_t{1} << 30;

  /// Told of every Event, in order, on a thread of its own. It may read replicas, call stop() (which then only asks)
  /// and throw (which is counted and ignored). Where it is too slow, events are dropped and counted; stop() waits for
  /// a call that is under way, and gives those that are still queued a moment.
  std::function<void(const Event&)> on_event{};
  /// Called first on every thread that the library starts.
  std::function<void()> on_thread_start{};
};

}  // namespace v0
}  // namespace btreemapped
