#pragma once

#include <cstddef>
#include <span>
#include <string>
#include <vector>

#include <btreemapped/detail/sql/quote.hpp>
#include <btreemapped/detail/sql/rows.hpp>
#include <btreemapped/detail/sql/session.hpp>

namespace btreemapped {
inline namespace v0 {
namespace detail {
namespace sql {

/// Who holds what one of our backends waits for.
struct Blocker {
  int pid = 0;             ///< 0: a prepared transaction
  std::string prepared{};  ///< its global identifier
  std::string role{};      ///< these three are empty where our role may not know
  std::string application_name{};
  std::string state{};
};

/// Who keeps the backend `pid` waiting at this moment; empty when it does not wait. Works for an ordinary role.
/// Source: https://www.postgresql.org/docs/current/functions-info.html
[[nodiscard]] inline std::vector<Blocker> find_blockers(Session& session, int pid) {
  const std::string waiting = std::to_string(pid);
  const Rows rows = session.query("cannot find out what holds up the session", R"sql(
SELECT DISTINCT b.pid, NULL, a.usename, a.application_name, a.state
FROM pg_catalog.unnest(pg_catalog.pg_blocking_pids()sql" + waiting + R"sql()) b(pid)
LEFT JOIN pg_catalog.pg_stat_activity a ON a.pid = b.pid
WHERE b.pid <> 0
UNION ALL
SELECT 0, p.gid, p.owner, NULL, NULL
FROM pg_catalog.pg_locks mine
JOIN pg_catalog.pg_locks theirs ON theirs.granted AND theirs.pid IS NULL AND theirs.locktype = mine.locktype
  AND theirs.transactionid IS NOT DISTINCT FROM mine.transactionid
  AND theirs.database IS NOT DISTINCT FROM mine.database AND theirs.relation IS NOT DISTINCT FROM mine.relation
JOIN pg_catalog.pg_locks own ON own.virtualtransaction = theirs.virtualtransaction AND own.pid IS NULL
  AND own.locktype = 'transactionid' AND own.granted
JOIN pg_catalog.pg_prepared_xacts p ON p.transaction = own.transactionid
WHERE NOT mine.granted AND mine.pid = )sql" + waiting + R"sql(
ORDER BY 1, 2)sql");
  std::vector<Blocker> out;
  for (std::size_t row = 0; row < rows.size(); ++row) {
    out.push_back(
        {rows.number<int>(row, 0), rows.string(row, 1), rows.string(row, 2), rows.string(row, 3), rows.string(row, 4)});
  }
  return out;
}

/// "held up by ...", with the SQL that ends each of them; empty for none.
[[nodiscard]] inline std::string describe(std::span<const Blocker> blockers) {
  std::string out;
  for (const Blocker& each : blockers) {
    out += out.empty() ? "held up by " : "; and by ";
    if (each.pid == 0) {
      out += "prepared transaction " + literal(each.prepared) + ": COMMIT PREPARED " + literal(each.prepared) +
             " or ROLLBACK PREPARED " + literal(each.prepared);
      continue;
    }
    out += "backend " + std::to_string(each.pid);
    std::string details = each.role;
    for (const std::string& more : {each.application_name, each.state})
      if (!more.empty()) details += (details.empty() ? "" : ", ") + more;
    if (!details.empty()) out += " (" + details + ")";
    out += ": SELECT pg_terminate_backend(" + std::to_string(each.pid) + ")";
  }
  return out;
}

}  // namespace sql
}  // namespace detail
}  // namespace v0
}  // namespace btreemapped
