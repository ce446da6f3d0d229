#pragma once

#include <chrono>
#include <cstddef>
#include <span>
#include <string>
#include <vector>

#include <btreemapped/detail/interrupt.hpp>
#include <btreemapped/detail/pq/snapshot_copy.hpp>
#include <btreemapped/detail/shape.hpp>
#include <btreemapped/detail/sql/copy_query.hpp>
#include <btreemapped/detail/sql/fingerprint.hpp>
#include <btreemapped/detail/sql/rows.hpp>
#include <btreemapped/detail/sql/session.hpp>
#include <btreemapped/error.hpp>

namespace btreemapped {
inline namespace v0 {
namespace detail {
namespace sql {

/// A table that must not be copied under this snapshot.
struct GuardFinding {
  std::size_t table = 0;   ///< its place among the sources
  std::string what{};      ///< with the table's name
  std::string sqlstate{};  ///< why it could not be locked; empty when it has changed since the snapshot
  bool retryable = true;   ///< a new slot and snapshot may do
};

struct GuardReport {
  std::vector<GuardFinding> findings{};
  std::vector<std::string> fingerprints{};  ///< of each source, as the snapshot sees it

  [[nodiscard]] bool ok() const noexcept { return findings.empty(); }
};

/// Locks all tables for the copy, and then makes sure that neither their storage nor their definition has changed since
/// the snapshot: TRUNCATE and rewriting ALTERs do not honour snapshots and would make a copy silently empty. All tables
/// are tried, so that one report names all that cannot be had. `second` is any other session on the same database.
/// Throws: ConnectionError, StoppedError.
[[nodiscard]] inline GuardReport guard_copy(pq::SnapshotCopy& copy, Session& second,
                                            std::span<const CopySource> sources,
                                            std::span<const std::string> publications,
                                            std::chrono::milliseconds lock_timeout, Deadline deadline) {
  GuardReport report;
  std::vector<TableName> names;
  std::vector<bool> found(sources.size(), false);
  const auto add = [&](std::size_t table, std::string what, std::string sqlstate, bool retryable) {
    // A table that cannot be had because it has changed may be had as it is now, or preflight says what it lacks.
    for (GuardFinding& known : report.findings) known.retryable |= known.table == table && retryable;
    if (!found[table]) report.findings.push_back({table, std::move(what), std::move(sqlstate), retryable});
    found[table] = true;
  };

  for (std::size_t n = 0; n < sources.size(); ++n) {
    names.push_back(sources[n].table);
    try {
      copy.lock(sources[n], lock_timeout, deadline);
    } catch (const SchemaError& error) {
      add(n, error.what(), error.sqlstate(), error.retryable());
    }
  }

  const Rows moved = copy.query(moved_storage_query(names), deadline);
  for (std::size_t row = 0; row < moved.size(); ++row) {
    const auto n = moved.number<std::size_t>(row, 0);
    add(n, "table " + to_string(names.at(n)) + " was truncated or rewritten after the slot had been created", "", true);
  }

  const std::string query = fingerprint_query(names, publications);
  report.fingerprints = read_fingerprints(copy.query(query, deadline), names.size());
  const auto now = read_fingerprints(second.query("cannot read the catalog", query), names.size());
  for (std::size_t n = 0; n < names.size(); ++n) {
    const auto mapped = [&](const std::string& each) {
      return fingerprint_of(each, sources[n].columns, sources[n].key);
    };
    if (mapped(now[n]) != mapped(report.fingerprints[n]))
      add(n, "table " + to_string(names[n]) + " was altered after the slot had been created", "", true);
  }
  return report;
}

}  // namespace sql
}  // namespace detail
}  // namespace v0
}  // namespace btreemapped
