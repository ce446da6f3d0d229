#pragma once

#include <cstddef>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include <btreemapped/detail/sql/quote.hpp>
#include <btreemapped/detail/sql/rows.hpp>
#include <btreemapped/error.hpp>
#include <btreemapped/lsn.hpp>

namespace btreemapped {
inline namespace v0 {
namespace detail {
namespace sql {

// Queries about a slot that outlives its session, and what they answer.

/// A session of the server, told apart from a later one with the same pid.
struct Backend {
  int pid = 0;
  std::string started{};  ///< a timestamptz

  friend bool operator==(const Backend&, const Backend&) = default;
};

/// Gives Backend, for those of `pids` that our role may know.
[[nodiscard]] inline std::string backends_query(std::span<const int> pids) {
  return "SELECT a.pid, a.backend_start::text FROM pg_catalog.pg_stat_activity a WHERE a.backend_start IS NOT NULL "
         "AND a.pid IN (" +
         comma_separated(pids, [](int pid) { return std::to_string(pid); }) + ")";
}

[[nodiscard]] inline std::vector<Backend> read_backends(const Rows& rows) {
  std::vector<Backend> out;
  for (std::size_t row = 0; row < rows.size(); ++row) out.push_back({rows.number<int>(row, 0), rows.string(row, 1)});
  return out;
}

/// Ends those of these sessions that are still there, and waits a moment for each.
[[nodiscard]] inline std::string eviction_query(std::span<const Backend> backends) {
  return "SELECT pg_catalog.pg_terminate_backend(a.pid, 500) FROM pg_catalog.pg_stat_activity a WHERE (a.pid, "
         "a.backend_start) IN (" +
         comma_separated(backends,
                         [](const Backend& each) {
                           return "(" + std::to_string(each.pid) + ", " + literal(each.started) + "::timestamptz)";
                         }) +
         ")";
}

/// A slot as the server shows it.
struct SlotFacts {
  std::string type{};      ///< logical or physical
  std::string plugin{};    ///< empty for a physical one
  std::string database{};  ///< likewise
  bool in_this_database = false;
  bool temporary = false;
  int active_pid = 0;         ///< 0: nobody uses it
  std::string active_name{};  ///< the application_name of that session, where our role may know it
  std::optional<Lsn> confirmed{};
  bool synced = false;  ///< a standby keeps it as its primary has it
  std::string lost{};   ///< why nothing can be had from it any more; empty if it can
};

/// Source: https://www.postgresql.org/docs/current/view-pg-replication-slots.html
[[nodiscard]] inline std::string slot_query(std::string_view slot) {
  // By jsonb, as 16 and 17 have columns that earlier versions do not know.
  return R"sql(
SELECT s.slot_type, s.plugin, s.database, s.database IS NOT DISTINCT FROM pg_catalog.current_database(), s.temporary,
  COALESCE(s.active_pid, 0), a.application_name, s.confirmed_flush_lsn,
  CASE
    WHEN j ->> 'invalidation_reason' IS NOT NULL THEN 'invalidation_reason ' || (j ->> 'invalidation_reason')
    WHEN j ->> 'conflicting' = 'true' THEN 'it conflicted with recovery'
    WHEN s.wal_status = 'lost' OR s.restart_lsn IS NULL THEN 'wal_status ' || COALESCE(s.wal_status, 'lost')
  END,
  j ->> 'synced' = 'true' AND pg_catalog.pg_is_in_recovery()
FROM pg_catalog.pg_replication_slots s
CROSS JOIN LATERAL pg_catalog.to_jsonb(s) j
LEFT JOIN pg_catalog.pg_stat_activity a ON a.pid = s.active_pid
WHERE s.slot_name = )sql" +
         literal(slot);
}

[[nodiscard]] inline std::optional<SlotFacts> read_slot(const Rows& rows) {
  if (rows.empty()) return std::nullopt;
  SlotFacts slot;
  slot.type = rows.text(0, 0);
  slot.plugin = rows.text(0, 1);
  slot.database = rows.text(0, 2);
  slot.in_this_database = rows.flag(0, 3);
  slot.temporary = rows.flag(0, 4);
  slot.active_pid = rows.number<int>(0, 5);
  slot.active_name = rows.text(0, 6);
  slot.confirmed = Lsn::parse(rows.text(0, 7));
  slot.lost = rows.text(0, 8);
  slot.synced = !rows.is_null(0, 9) && rows.flag(0, 9);
  return slot;
}

/// One row, of the timeline on which the server writes its log, in hexadecimal, if it is a primary and just this
/// session reads from the slot. A standby may have become one meanwhile.
[[nodiscard]] inline std::string timeline_query(std::string_view slot, int pid) {
  return "SELECT pg_catalog.substr(pg_catalog.pg_walfile_name(pg_catalog.pg_current_wal_flush_lsn()), 1, 8) "
         "FROM pg_catalog.pg_replication_slots s WHERE NOT pg_catalog.pg_is_in_recovery() AND s.active_pid = " +
         std::to_string(pid) + " AND s.slot_name = " + literal(slot);
}

[[nodiscard]] inline std::string drop_slot_query(std::string_view slot) {
  return "SELECT pg_catalog.pg_drop_replication_slot(" + literal(slot) + ")";
}

/// The key of the advisory lock, of this database, that the owner of a slot holds while it runs.
[[nodiscard]] inline std::string slot_lock_key(std::string_view slot) {
  return "pg_catalog.hashtextextended(" + literal("btreemapped slot " + std::string{slot}) + ", 0)";
}

/// One row: has the session got the lock now?
[[nodiscard]] inline std::string slot_lock_query(std::string_view slot) {
  return "SELECT pg_catalog.pg_try_advisory_lock(" + slot_lock_key(slot) + ")";
}

/// The pid of the session that holds the lock, and its application_name where our role may know it.
[[nodiscard]] inline std::string slot_lock_holder_query(std::string_view slot) {
  return "SELECT l.pid, a.application_name FROM pg_catalog.pg_locks l "
         "JOIN pg_catalog.pg_database d ON d.oid = l.database AND d.datname = pg_catalog.current_database() "
         "LEFT JOIN pg_catalog.pg_stat_activity a ON a.pid = l.pid "
         "WHERE l.locktype = 'advisory' AND l.granted AND l.objsubid = 1 AND ((l.classid::bigint << 32) | "
         "l.objid::bigint) = " +
         slot_lock_key(slot);
}

/// "pid 42 (its application_name)".
[[nodiscard]] inline std::string describe_session(int pid, std::string_view application_name) {
  std::string out = "pid " + std::to_string(pid);
  if (!application_name.empty()) out.append(" (").append(application_name).append(")");
  return out;
}

}  // namespace sql
}  // namespace detail
}  // namespace v0
}  // namespace btreemapped
