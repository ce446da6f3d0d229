#pragma once

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
  std::chrono::nanoseconds stale_for{0};  ///< how long it has not been following; zero while live
  std::string last_error{};               ///< why it failed; empty once it is live again
};

/// A Replicator at one moment. Plain values, cheap enough to ask once a second.
struct Status {
  ReplicatorState state = ReplicatorState::idle;
  std::vector<TableStatus> tables{};                     ///< in the order of add_replica()
  Lsn received{};                                        ///< all commits before it have arrived
  Lsn applied{};                                         ///< all commits before it are visible
  Lsn acknowledged{};                                    ///< the server may forget its log before it
  std::uint64_t commits = 0;                             ///< published, with copies counted as one each
  std::uint64_t reconnects = 0;                          ///< connections lost or given up since the start
  std::chrono::nanoseconds since_last_message{0};        ///< from the server; zero while there is no stream
  std::chrono::nanoseconds longest_wait_for_readers{0};  ///< the longest time that a commit has waited for reads
  std::uint64_t hook_errors = 0;                         ///< exceptions that hooks have thrown
  std::uint64_t dropped_events = 0;                      ///< events for which the hooks were too slow
  std::string last_error{};                              ///< of the connection; empty while streaming
};

/// What an Event tells.
enum class EventKind : std::uint8_t {
  connected,     ///< to the server; the checks follow
  warning,       ///< of the preflight: replication goes on
  slot_waiting,  ///< for transactions that were open before, or for another user of the slot; `message` names them
  copying,       ///< progress; several may be merged into the newest
  synced,        ///< all tables are copied and follow, but for those that have failed
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
  std::size_t rows = 0;   ///< of `copying`: copied so far
  Lsn lsn{};              ///< the position it is about, where there is one
};

}  // namespace v0
}  // namespace btreemapped
