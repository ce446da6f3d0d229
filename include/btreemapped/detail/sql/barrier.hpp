#pragma once

#include <cstddef>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include <btreemapped/detail/interrupt.hpp>
#include <btreemapped/detail/pq/snapshot_copy.hpp>
#include <btreemapped/detail/sql/quote.hpp>
#include <btreemapped/detail/sql/rows.hpp>
#include <btreemapped/detail/sql/session.hpp>
#include <btreemapped/error.hpp>
#include <btreemapped/lsn.hpp>

namespace btreemapped {
inline namespace v0 {
namespace detail {
namespace sql {

/// What lets the commit of whoever runs it be recognised in the stream: gives one row, of the transaction's number.
/// Source: https://www.postgresql.org/docs/current/functions-admin.html
[[nodiscard]] inline std::string token_query(std::string_view prefix, std::string_view id) {
  return "SELECT pg_catalog.pg_current_xact_id()::pg_catalog.text, pg_catalog.pg_logical_emit_message(true, " +
         literal(prefix) + ", " + literal(id) + "::pg_catalog.text)";
}

/// The transactions, of those given, that have committed and that the snapshot shows. One that the server does not know
/// (yet, or any more) is none of them.
/// Throws: ConnectionError, StoppedError.
[[nodiscard]] inline std::vector<std::uint64_t> find_visible(pq::SnapshotCopy& snapshot,
                                                             const std::vector<std::uint64_t>& xids,
                                                             Deadline deadline) {
  std::vector<std::uint64_t> out;
  if (xids.empty()) return out;
  const std::string list =
      comma_separated(xids, [](std::uint64_t xid) { return "('" + std::to_string(xid) + "'::pg_catalog.xid8)"; });
  // A number from the future, to ask for whose status would be an error, is not visible.
  const Rows rows = snapshot.query(
      "SELECT xid::pg_catalog.text FROM (VALUES " + list +
          ") t(xid) WHERE CASE WHEN pg_catalog.pg_visible_in_snapshot(xid, pg_catalog.pg_current_snapshot()) "
          "THEN pg_catalog.pg_xact_status(xid) = 'committed' ELSE false END",
      deadline);
  for (std::size_t row = 0; row < rows.size(); ++row) out.push_back(rows.number<std::uint64_t>(row, 0));
  return out;
}

}  // namespace sql
}  // namespace detail
}  // namespace v0
}  // namespace btreemapped
