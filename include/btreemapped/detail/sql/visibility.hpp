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

namespace btreemapped {
inline namespace v0 {
namespace detail {
namespace sql {

struct Visibility {
  bool visible = false;
  bool waits_for_us = false;  ///< commits wait for a standby of our application_name
};

/// Does a new snapshot of the server see what this transaction has committed? The stream tells the lower half of its
/// number only.
[[nodiscard]] inline Visibility read_visibility(Session& session, std::uint32_t xid) {
  const Rows rows = session.query("cannot look for a transaction", R"sql(
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
  if (rows.empty()) return {};
  return {rows.flag(0, 0), rows.flag(0, 1)};
}

/// What a copy shows, for read_visibility().
[[nodiscard]] inline std::string read_snapshot(pq::SnapshotCopy& copy) {
  const Rows rows = copy.query("SELECT pg_catalog.pg_current_snapshot()", no_deadline);
  return rows.empty() ? std::string{} : rows.string(0, 0);
}

/// Does a new snapshot of the server see all that this one shows as committed?
[[nodiscard]] inline Visibility read_visibility(Session& session, std::string_view snapshot) {
  const Rows rows =
      session.query("cannot look for what has been copied", R"sql(
SELECT pg_catalog.pg_snapshot_xmax(now) >= pg_catalog.pg_snapshot_xmax(copied) AND NOT EXISTS (
    SELECT FROM pg_catalog.pg_snapshot_xip(now) xid WHERE pg_catalog.pg_visible_in_snapshot(xid, copied)), )sql" +
                                                                std::string{names_us} + R"sql(
FROM (SELECT pg_catalog.pg_current_snapshot() AS now, )sql" + literal(snapshot) +
                                                                R"sql(::pg_catalog.pg_snapshot AS copied) s)sql");
  if (rows.empty()) return {};
  return {rows.flag(0, 0), rows.flag(0, 1)};
}

}  // namespace sql
}  // namespace detail
}  // namespace v0
}  // namespace btreemapped
