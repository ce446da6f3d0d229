#pragma once

#include <cstdint>
#include <string>
#include <string_view>

#include <btreemapped/detail/sql/blockers.hpp>
#include <btreemapped/detail/sql/rows.hpp>
#include <btreemapped/detail/sql/session.hpp>

namespace btreemapped {
inline namespace v0 {
namespace detail {
namespace sql {

/// A condition: do commits wait for a standby of our application_name? Every role may ask.
inline constexpr std::string_view names_us = R"sql(EXISTS (
  SELECT FROM pg_catalog.regexp_split_to_table(
      pg_catalog.lower(pg_catalog.current_setting('synchronous_standby_names')), '[ ,()"]+') word
  WHERE word IN ('*', pg_catalog.lower(pg_catalog.current_setting('application_name')))))sql";

/// Do those for whom we wait wait for us?
enum class MutualWait : std::uint8_t {
  no,
  perhaps,  ///< what they wait for is hidden from our role
  yes,
};

/// A transaction that waits for a synchronous standby has committed, and yet goes on for those who wait for its end, as
/// the creation of a slot does. If we are that standby, and the slot is ours, neither ever ends. `pid` is our backend.
[[nodiscard]] inline MutualWait find_mutual_wait(Session& session, int pid) {
  const Rows rows = session.query("cannot find out what holds up the session", R"sql(
WITH RECURSIVE chain(pid) AS (
  SELECT b FROM pg_catalog.unnest(pg_catalog.pg_blocking_pids()sql" + std::to_string(pid) +
                                                                                   R"sql()) b
  UNION
  SELECT b FROM chain c CROSS JOIN LATERAL pg_catalog.unnest(pg_catalog.pg_blocking_pids(c.pid)) b WHERE c.pid <> 0)
SELECT COALESCE(pg_catalog.bool_or(a.wait_event = 'SyncRep'), false),
  -- the session that commits a prepared transaction is not in anybody's way, it only knows who is
  COALESCE(pg_catalog.bool_or(c.pid = 0 OR a.state IS NULL), false)
FROM chain c LEFT JOIN pg_catalog.pg_stat_activity a ON a.pid = c.pid
WHERE )sql" + std::string{names_us});
  if (rows.flag(0, 0)) return MutualWait::yes;
  return rows.flag(0, 1) ? MutualWait::perhaps : MutualWait::no;
}

/// What it is, and what ends it; empty for none.
[[nodiscard]] inline std::string describe(MutualWait wait) {
  if (wait == MutualWait::no) return {};
  return std::string{wait == MutualWait::yes ? "; its commit waits" : "; its commit may be waiting"} +
         " for a synchronous standby of our application_name, which waits for it: that does not end by itself. ALTER "
         "SYSTEM SET synchronous_standby_names = ''; SELECT pg_reload_conf(); -- until the tables follow again, or end "
         "just the waits: SELECT pg_cancel_backend(pid) FROM pg_stat_activity WHERE wait_event = 'SyncRep';";
}

/// For whom the backend `pid`, which creates a slot, waits, with what ends that; empty when it does not wait. Nobody
/// waits for us for long where there is a stream already, and the slot is not for that.
[[nodiscard]] inline std::string explain_wait(Session& session, int pid, bool for_stream) {
  std::string out = describe(find_blockers(session, pid));
  if (for_stream && !out.empty()) out += describe(find_mutual_wait(session, pid));
  return out;
}

}  // namespace sql
}  // namespace detail
}  // namespace v0
}  // namespace btreemapped
