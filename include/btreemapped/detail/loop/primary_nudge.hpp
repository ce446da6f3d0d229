#pragma once

#include <algorithm>
#include <chrono>
#include <memory>
#include <mutex>
#include <optional>
#include <string>
#include <utility>

#include <btreemapped/detail/interrupt.hpp>
#include <btreemapped/detail/pq/connection.hpp>
#include <btreemapped/detail/pq/conninfo.hpp>
#include <btreemapped/detail/sql/quote.hpp>
#include <btreemapped/detail/sql/rows.hpp>
#include <btreemapped/error.hpp>

namespace btreemapped {
inline namespace v0 {
namespace detail {

/// Has the primary log which transactions run, for which a slot on a standby waits: a busy primary does so every 15
/// seconds, an idle one never.
/// Source: https://www.postgresql.org/docs/current/logicaldecoding-explanation.html#LOGICALDECODING-REPLICATION-SLOTS
class PrimaryNudge {
 public:
  /// `conninfo`: of the primary; empty where nobody has said how to reach it.
  PrimaryNudge(std::string conninfo, std::shared_ptr<Interrupt> interrupt)
      : conninfo_(std::move(conninfo)), interrupt_(std::move(interrupt)) {}

  /// Once more. A primary that cannot be had is no failure: the slot may come all the same.
  /// Throws: StoppedError.
  void give(const std::string& system_identifier, Deadline deadline) {
    if (conninfo_.empty()) return;
    deadline = std::min(deadline, std::chrono::steady_clock::now() + patience);
    try {
      if (!session_) session_.emplace(connect(system_identifier, deadline));
      session_->exec("SELECT pg_catalog.pg_log_standby_snapshot()", "cannot call pg_log_standby_snapshot()", deadline);
      note({});
    } catch (const StoppedError&) {
      throw;
    } catch (const Error& error) {
      session_.reset();
      std::string trouble = error.what();
      if (error.sqlstate() == "42501")
        trouble += ": GRANT EXECUTE ON FUNCTION pg_log_standby_snapshot() TO " + role() + "; there, in that database";
      note(std::move(trouble));
    }
  }

  /// The slot is there, or given up.
  void end() noexcept { session_.reset(); }

  /// What a slot on a standby waits for. From any thread.
  [[nodiscard]] std::string explanation() const {
    static constexpr const char* record = "waiting for the primary to log which transactions run";
    if (conninfo_.empty()) {
      return std::string{record} +
             ", which an idle one does not: SELECT pg_log_standby_snapshot(); there, or set "
             "Options::primary_connection";
    }
    const std::lock_guard lock(mutex_);
    if (trouble_.empty()) return "waiting for transactions that are writing on the primary";
    return std::string{record} + ", to which Options::primary_connection did not bring it: " + trouble_;
  }

 private:
  static constexpr std::chrono::seconds patience{5};

  pq::Connection connect(const std::string& system_identifier, Deadline deadline) const {
    static constexpr pq::ConninfoOverride plain[] = {{"replication", ""}};
    pq::Connection session = pq::Connection::open(pq::with_overrides(conninfo_, plain), interrupt_, deadline);
    const sql::Rows found = session.exec("SELECT system_identifier FROM pg_catalog.pg_control_system()",
                                         "cannot identify the primary", deadline);
    if (found.empty() || found.text(0, 0) != system_identifier)
      throw ConnectionError("it leads to another cluster than the standby's");
    return session;
  }

  [[nodiscard]] std::string role() const {
    const pq::Conninfo effective = pq::effective_conninfo(conninfo_);
    const std::string* const user = pq::find_option(effective, "user");
    return sql::identifier(user == nullptr ? "" : *user);
  }

  void note(std::string trouble) {
    const std::lock_guard lock(mutex_);
    trouble_ = std::move(trouble);
  }

  const std::string conninfo_;
  const std::shared_ptr<Interrupt> interrupt_;
  std::optional<pq::Connection> session_{};
  mutable std::mutex mutex_{};
  std::string trouble_{"not asked yet"};
};

}  // namespace detail
}  // namespace v0
}  // namespace btreemapped
