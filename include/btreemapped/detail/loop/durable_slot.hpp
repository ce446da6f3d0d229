#pragma once

#include <algorithm>
#include <charconv>
#include <cstdint>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <system_error>
#include <utility>
#include <vector>

#include <btreemapped/detail/interrupt.hpp>
#include <btreemapped/detail/pq/connection.hpp>
#include <btreemapped/detail/pq/stream.hpp>
#include <btreemapped/detail/pq/timeline.hpp>
#include <btreemapped/detail/sql/log_end.hpp>
#include <btreemapped/detail/sql/quote.hpp>
#include <btreemapped/detail/sql/rows.hpp>
#include <btreemapped/detail/sql/session.hpp>
#include <btreemapped/detail/sql/slots.hpp>
#include <btreemapped/detail/transaction.hpp>
#include <btreemapped/error.hpp>
#include <btreemapped/lsn.hpp>

namespace btreemapped {
inline namespace v0 {
namespace detail {

// What an Attempt does with a slot that outlives it. All of it blocks.

/// Where a stream was when it was lost, and what must be as it was for it to go on from there.
struct Resumption {
  std::string system_identifier{};
  std::uint32_t timeline = 0;
  Lsn position{};     ///< all commits before it are visible
  Lsn last_commit{};  ///< the last of them that the stream has shown, or the copy's position
  Lsn last_commit_end{};
  std::vector<Followed> followed{};  ///< and these tables show them
};

/// Ends those of our earlier sessions that the server has not missed yet: they would still use the slot, and its lock.
/// Gives those that are there now: `sender`, `control`, and what could not be ended.
inline std::vector<sql::Backend> evict(sql::Session& control, int sender, std::span<const sql::Backend> earlier) {
  if (!earlier.empty()) control.query("cannot end our earlier sessions", sql::eviction_query(earlier));
  std::vector<int> pids{sender, control.backend_pid()};
  for (const sql::Backend& each : earlier) pids.push_back(each.pid);
  std::vector<sql::Backend> out =
      sql::read_backends(control.query("cannot identify our sessions", sql::backends_query(pids)));
  std::erase_if(out, [&](const sql::Backend& each) {
    const bool is_new = each.pid == sender || each.pid == control.backend_pid();
    return !is_new && std::find(earlier.begin(), earlier.end(), each) == earlier.end();
  });
  return out;
}

/// Takes the lock that says to other processes of this library whose the slot is. It ends with the control session.
/// Throws: SlotError with SQLSTATE 55006.
inline void lock_slot(sql::Session& control, const std::string& slot) {
  constexpr std::string_view doing = "cannot lock the replication slot";
  if (control.query(doing, sql::slot_lock_query(slot)).flag(0, 0)) return;
  const sql::Rows holder = control.query(doing, sql::slot_lock_holder_query(slot));
  const std::string who =
      holder.empty() ? "another process" : sql::describe_session(holder.number<int>(0, 0), holder.text(0, 1));
  throw SlotError("replication slot " + sql::identifier(slot) + " belongs to " + who +
                      ", which holds its lock; stop that process, or name another slot",
                  {.sqlstate = "55006", .retryable = true});
}

/// What makes a slot somebody else's; empty if it may be ours.
inline std::string why_foreign(const sql::SlotFacts& slot) {
  if (slot.type != "logical") return "is a " + slot.type + " one";
  if (slot.plugin != "pgoutput") return "has the plugin " + slot.plugin;
  if (!slot.in_this_database) return "belongs to database " + slot.database;
  return {};
}

/// Throws: SlotError for a slot that somebody else uses, or that is not of our making.
inline void require_free(const std::string& name, const sql::SlotFacts& slot, int own_pid = 0) {
  if (const std::string why = why_foreign(slot); !why.empty()) {
    throw SlotError("replication slot " + sql::identifier(name) + " is not ours: it " + why +
                        "; name another slot, or SELECT pg_drop_replication_slot(" + sql::literal(name) + ")",
                    {.sqlstate = "55000"});
  }
  if (slot.synced) {
    throw SlotError("replication slot " + sql::identifier(name) +
                        " is the primary's, which this standby keeps for its promotion; until then connect to the "
                        "primary, by target_session_attrs=read-write",
                    {.sqlstate = "55006", .retryable = true});
  }
  if (slot.active_pid == 0 || slot.active_pid == own_pid) return;
  throw SlotError("replication slot " + sql::identifier(name) + " is in use by " +
                      sql::describe_session(slot.active_pid, slot.active_name) +
                      "; end that session, or name another slot",
                  {.sqlstate = "55006", .retryable = true});
}

inline std::optional<sql::SlotFacts> look_at_slot(sql::Session& control, const std::string& name) {
  return sql::read_slot(control.query("cannot read the replication slot", sql::slot_query(name)));
}

/// Makes room for a new slot of this name: one of ours, of another attempt or another life, goes.
/// Throws: SlotError, as lock_slot() and require_free().
inline void claim_slot(sql::Session& control, const std::string& name) {
  lock_slot(control, name);
  const std::optional<sql::SlotFacts> found = look_at_slot(control, name);
  if (!found) return;
  require_free(name, *found);
  control.query("cannot drop the replication slot", sql::drop_slot_query(name));
}

/// Makes sure that the slot still has all that commits at `position` or later.
/// Gives the position that the server has kept of it, which a crash may have thrown back.
/// Throws: SlotError; retryable where somebody else uses it.
inline Lsn require_slot_at(sql::Session& control, const std::string& name, Lsn position, int own_pid = 0) {
  const std::optional<sql::SlotFacts> found = look_at_slot(control, name);
  const std::string slot = "replication slot " + sql::identifier(name);
  if (!found) throw SlotError(slot + " is gone", {.sqlstate = "42704"});
  require_free(name, *found, own_pid);
  if (!found->lost.empty()) {
    throw SlotError("the server has given up " + slot + " (" + found->lost +
                        "); if it kept too little of its log, raise max_slot_wal_keep_size",
                    {.sqlstate = "55000"});
  }
  if (!found->confirmed || *found->confirmed > position) {
    throw SlotError("somebody else has read from " + slot + ": it is at " +
                        to_string(found->confirmed.value_or(Lsn{})) + ", and this stream was at " + to_string(position),
                    {.sqlstate = "55000"});
  }
  return *found->confirmed;
}

/// Makes sure that what the server has at `from.position` is what the stream had there. Gives the end of its log.
/// Throws: SlotError; retryable for a standby that is not as far yet.
inline Lsn require_same_history(pq::ReplicationStream& stream, sql::Session& control, const pq::SystemIdentity& now,
                                const Resumption& from) {
  const auto refuse = [](const std::string& why) {
    throw SlotError("the stream cannot go on where it was: " + why, {.sqlstate = "55000"});
  };
  if (now.system_identifier != from.system_identifier) refuse("another server is at this address");
  if (now.timeline < from.timeline) refuse("the server is on an earlier timeline");
  if (now.timeline > from.timeline) {
    const std::optional<Lsn> left = pq::left_at(stream.timeline_history(now.timeline, no_deadline), from.timeline);
    if (!left) refuse("the server's timeline does not come from the stream's");
    else if (*left < from.position) refuse("the server's timeline left the stream's before the stream's position");
  }
  const sql::LogEnd end = sql::read_log_end(control);
  if (end.is_standby && stream.connection().server_version() < 160000)
    throw SlotError("the server is a standby, from which PostgreSQL 15 cannot stream; waiting for its promotion",
                    {.retryable = true});
  if (end.readable >= from.position) return end.readable;
  if (end.is_standby)
    throw SlotError("the standby has not replayed " + to_string(from.position) + " yet", {.retryable = true});
  throw SlotError(
      "the stream cannot go on where it was: the server's log ends before the stream's "
      "position, as after a restore from a backup",
      {.sqlstate = "55000"});
}

/// The timeline on which the server of this stream writes by now; nothing for a standby.
inline std::optional<std::uint32_t> read_timeline(sql::Session& control, const std::string& slot, int sender) {
  const sql::Rows rows = control.query("cannot read the server's timeline", sql::timeline_query(slot, sender));
  std::uint32_t timeline = 0;
  if (rows.empty()) return std::nullopt;
  const std::string_view digits = rows.text(0, 0);
  const auto [end, error] = std::from_chars(digits.data(), digits.data() + digits.size(), timeline, 16);
  return error == std::errc{} && timeline > 0 ? std::optional{timeline} : std::nullopt;
}

/// Drops a slot that nobody will need any more, if it is still the one that had not got beyond `position`.
/// Best effort: throws whatever comes in its way.
inline void drop_slot(const std::string& conninfo, const std::string& name, std::span<const sql::Backend> backends,
                      Lsn position, std::shared_ptr<Interrupt> interrupt, Deadline deadline) {
  constexpr std::string_view doing = "cannot drop the replication slot";
  pq::Connection session = pq::Connection::open(conninfo, std::move(interrupt), deadline);
  if (!backends.empty()) session.exec(sql::eviction_query(backends), doing, deadline);
  // Whoever has the lock by now has made the slot his.
  if (!session.exec(sql::slot_lock_query(name), doing, deadline).flag(0, 0)) return;
  const std::optional<sql::SlotFacts> found = sql::read_slot(session.exec(sql::slot_query(name), doing, deadline));
  const bool is_ours = found && found->active_pid == 0 && why_foreign(*found).empty() &&
                       (!found->confirmed || *found->confirmed <= position);
  if (is_ours) session.exec(sql::drop_slot_query(name), doing, deadline);
}

}  // namespace detail
}  // namespace v0
}  // namespace btreemapped
