#pragma once

#include <array>
#include <chrono>
#include <cstddef>
#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include <btreemapped/lsn.hpp>
#include <btreemapped/state.hpp>

namespace btreemapped {
inline namespace v0 {

/// One replica, as Replicator::status() sees it.
struct TableStatus {
  std::string table{};  ///< "schema.table"
  TableState state = TableState::pending;
  std::size_t rows = 0;                   ///< served now
  std::size_t copied_rows = 0;            ///< of the copy that is being made, or of the last one
  std::size_t copied_bytes = 0;           ///< of the same, as text
  std::size_t expected_rows = 0;          ///< of the same: the server's own estimate of the table; zero if it has none
  std::uint64_t copies = 0;               ///< that were complete
  std::chrono::nanoseconds stale_for{0};  ///< how long it has not been following; zero while live
  std::string last_error{};               ///< why it alone does not follow; empty once it is live again
};

/// Why a stream ended.
enum class LossCause : std::uint8_t {
  connection_lost,  ///< the network failed, or the server went without a word
  server_ended,     ///< the server shut down or crashed, or an administrator ended the session
  server_silent,    ///< no answer for twice wal_sender_timeout
  slot,             ///< the server had something to say against the slot
  schema,           ///< tables or publication changed in a way that only a copy of all tables mends
  protocol,         ///< what came made no sense
  other,            ///< such as a lack of memory
};
inline constexpr std::size_t loss_causes = 7;

/// The cause in words.
[[nodiscard]] constexpr std::string_view to_string(LossCause cause) noexcept {
  switch (cause) {
    case LossCause::connection_lost: return "connection lost";
    case LossCause::server_ended: return "ended by the server";
    case LossCause::server_silent: return "server silent";
    case LossCause::slot: return "slot";
    case LossCause::schema: return "schema";
    case LossCause::protocol: return "protocol";
    case LossCause::other: return "other";
  }
  return "unknown";
}

/// A count for each cause.
struct CauseCounts {
  std::array<std::uint64_t, loss_causes> counts{};  ///< in the order of LossCause

  [[nodiscard]] constexpr std::uint64_t operator[](LossCause cause) const noexcept {
    return counts[static_cast<std::size_t>(cause)];
  }
};

/// What is held beside the rows that are served.
/// Units: bytes, about.
struct MemoryStatus {
  std::size_t transaction = 0;  ///< of the transaction that is arriving; at most Options::max_transaction_bytes
  std::size_t change_log = 0;   ///< what has come for tables that are copied afresh; at most Options::max_log_bytes
  std::size_t journals = 0;     ///< of verify(); at most Options::max_log_bytes for each table
  std::size_t events = 0;       ///< that wait for on_event
};

/// A Replicator at one moment. Plain values, cheap enough to ask once a second.
struct Status {
  ReplicatorState state = ReplicatorState::idle;
  std::chrono::system_clock::time_point state_since{};  ///< since when it is in this state
  std::vector<TableStatus> tables{};                    ///< in the order of add_replica()

  std::chrono::nanoseconds stale_for{0};  ///< how long there has been no stream, after there was one; else zero
  std::string stale_reason{};             ///< why the stream ended; empty while there is one
  std::string last_error{};               ///< of the newest attempt; empty while streaming

  Lsn received{};               ///< all commits before it have arrived
  Lsn applied{};                ///< all commits before it are visible
  Lsn acknowledged{};           ///< the server may forget its log before it
  Lsn server{};                 ///< how far the server's log is known to go: by its messages, and by a look at it every
                                ///< Options::catalog_watch_interval
  std::uint64_t lag_bytes = 0;  ///< of log between `applied` and `server`, whoever wrote it
  /// The age of what is shown: every commit that is older is visible. Zero while all that is known of is applied. The
  /// server's commit times are put on our clock by `clock_offset`.
  std::chrono::nanoseconds lag{0};
  /// How far our clock is ahead of the server's, with the way of its fastest message; zero until it is known.
  std::chrono::nanoseconds clock_offset{0};

  std::uint64_t commits = 0;                             ///< published, with copies counted as one each
  std::uint64_t reconnects = 0;                          ///< streams that have ended, since the start
  CauseCounts reconnects_by_cause{};                     ///< the same, by what ended them
  std::uint64_t rebuilds = 0;                            ///< copies of all tables after the first one
  CauseCounts rebuilds_by_cause{};                       ///< the same, by what ended the stream before
  std::chrono::nanoseconds since_last_message{0};        ///< from the server; zero while there is no stream
  std::chrono::nanoseconds longest_wait_for_readers{0};  ///< the longest time that a commit has waited for reads
  MemoryStatus memory{};
  std::uint64_t hook_errors = 0;     ///< exceptions that hooks have thrown
  std::uint64_t dropped_events = 0;  ///< events for which the hooks were too slow
};

/// What an Event tells.
enum class EventKind : std::uint8_t {
  connected,     ///< to the server; the checks follow
  warning,       ///< of the preflight: replication goes on
  slot_waiting,  ///< for transactions that were open before, or for another user of the slot; `message` names them
  copying,       ///< progress; several may be merged into the newest
  synced,        ///< all tables are copied and follow, but for those that have failed; also after a lost stream
  rebuilt,       ///< the copy of all tables after a lost stream is visible; `rows` of it were not as shown before
  resumed,       ///< the stream goes on where it was lost; nothing had to be copied
  stale,         ///< the stream is lost or given up; reads go on with the last commit
  retrying,      ///< an attempt to follow has failed before its stream began; another one will be made
  table_stale,   ///< one table is being copied afresh; it shows its last commit meanwhile, and the others go on
  table_failed,  ///< one table has stopped following until the problem that `message` names is solved
  table_healed,  ///< a table that was stale or had failed alone is live again
  hook_lagging,  ///< events were dropped, as hooks were too slow
  stopped,       ///< for good: by stop(), or by an error that `message` names
};

/// The kind in words.
[[nodiscard]] constexpr std::string_view to_string(EventKind kind) noexcept {
  switch (kind) {
    case EventKind::connected: return "connected";
    case EventKind::warning: return "warning";
    case EventKind::slot_waiting: return "slot waiting";
    case EventKind::copying: return "copying";
    case EventKind::synced: return "synced";
    case EventKind::resumed: return "resumed";
    case EventKind::rebuilt: return "rebuilt";
    case EventKind::stale: return "stale";
    case EventKind::retrying: return "retrying";
    case EventKind::table_stale: return "table stale";
    case EventKind::table_failed: return "table failed";
    case EventKind::table_healed: return "table healed";
    case EventKind::hook_lagging: return "hook lagging";
    case EventKind::stopped: return "stopped";
  }
  return "unknown";
}

/// Something that an operator may want to know. No event holds a cell's value or a password.
struct Event {
  EventKind kind = EventKind::connected;
  std::string table{};    ///< "schema.table", where it is about one
  std::string message{};  ///< what, where and what to do
  std::size_t rows = 0;   ///< of `copying`: copied so far; of `rebuilt` and `table_healed`: that differed or changed
  Lsn lsn{};              ///< the position it is about, where there is one

  std::size_t bytes = 0;          ///< of `copying`: copied so far, as text
  std::size_t expected_rows = 0;  ///< of `copying`: the server's own estimate of the table; zero if it has none
};

}  // namespace v0
}  // namespace btreemapped
