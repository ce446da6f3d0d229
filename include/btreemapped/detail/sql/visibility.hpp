#pragma once

#include <cstdint>
#include <string>
#include <string_view>

#include <btreemapped/detail/interrupt.hpp>
#include <btreemapped/detail/pq/snapshot_copy.hpp>
#include <btreemapped/detail/sql/mutual_wait.hpp>
#include <btreemapped/detail/sql/quote.hpp>
#include <btreemapped/detail/sql/rows.hpp>
#include <btreemapped/detail/sql/session.hpp>
#include <btreemapped/error.hpp>

namespace btreemapped {
inline namespace v0 {
namespace detail {
namespace sql {

/// What read_visibility() has found: is it visible?
/// Throws: SchemaError where it never will be, as it waits for us.
[[nodiscard]] inline bool heed_visibility(const Rows& rows) {
  const bool is_visible = !rows.empty() && rows.flag(0, 0);
  if (is_visible || rows.empty() || !rows.flag(0, 1)) return is_visible;
  throw SchemaError(
      "commits have begun to wait for a standby of this very name (synchronous_standby_names), which with never_ahead "
      "waits for them: take our application_name out of it, ALTER SYSTEM SET synchronous_standby_names = ''; SELECT "
      "pg_reload_conf(); -- or set never_ahead = false",
      {.retryable = true});
}

/// Does a new snapshot of the server see what this transaction has committed? The stream tells the lower half of its
/// number only. Gives what heed_visibility() takes.
[[nodiscard]] inline Rows read_visibility(Session& session, std::uint32_t xid) {
  return session.query("cannot look for a transaction", R"sql(
WITH now AS (SELECT s, pg_catalog.pg_snapshot_xmax(s)::text::pg_catalog.numeric AS xmax
  FROM pg_catalog.pg_current_snapshot() s),
near AS (SELECT s, xmax, xmax - xmax % 4294967296 + )sql" + std::to_string(xid) +
                                                            R"sql( AS xid FROM now)
SELECT pg_catalog.pg_visible_in_snapshot((CASE
    WHEN xid - xmax > 2147483648 THEN xid - 4294967296
    WHEN xmax - xid > 2147483648 THEN xid + 4294967296
    ELSE xid END)::text::pg_catalog.xid8, s), )sql" + std::string{names_us} +
                                                            R"sql(
FROM near)sql");
}

/// What a copy shows, for read_visibility().
[[nodiscard]] inline std::string read_snapshot(pq::SnapshotCopy& copy) {
  const Rows rows = copy.query("SELECT pg_catalog.pg_current_snapshot()", no_deadline);
  return rows.empty() ? std::string{} : rows.string(0, 0);
}

/// Does a new snapshot of the server see all that this one shows as committed?
[[nodiscard]] inline Rows read_visibility(Session& session, std::string_view snapshot) {
  return session.query("cannot look for what has been copied", R"sql(
SELECT pg_catalog.pg_snapshot_xmax(now) >= pg_catalog.pg_snapshot_xmax(copied) AND NOT EXISTS (
    SELECT FROM pg_catalog.pg_snapshot_xip(now) xid WHERE pg_catalog.pg_visible_in_snapshot(xid, copied)), )sql" +
                                                                   std::string{names_us} + R"sql(
FROM (SELECT pg_catalog.pg_current_snapshot() AS now, )sql" + literal(snapshot) +
                                                                   R"sql(::pg_catalog.pg_snapshot AS copied) s)sql");
}

}  // namespace sql
}  // namespace detail
}  // namespace v0
}  // namespace btreemapped
