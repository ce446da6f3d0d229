#pragma once

#include <algorithm>
#include <chrono>
#include <cstddef>
#include <cstdint>
#include <functional>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <utility>

#include <libpq-fe.h>
#include <poll.h>

#include <btreemapped/detail/interrupt.hpp>
#include <btreemapped/detail/pq/connection.hpp>
#include <btreemapped/detail/pq/conninfo.hpp>
#include <btreemapped/detail/sql/quote.hpp>
#include <btreemapped/detail/sql/rows.hpp>
#include <btreemapped/detail/sql/server_error.hpp>
#include <btreemapped/error.hpp>
#include <btreemapped/lsn.hpp>

namespace btreemapped {
inline namespace v0 {
namespace detail {
namespace pq {

/// What IDENTIFY_SYSTEM tells of a server.
struct SystemIdentity {
  std::string system_identifier{};
  std::uint32_t timeline = 0;
  Lsn position{};
  std::string database{};
};

/// A new slot: the stream has exactly the transactions that commit at or after the point, the snapshot all others.
struct CreatedSlot {
  Lsn consistent_point{};
  std::string snapshot{};
};

/// Throws UsageError for a name that the server would refuse.
inline void check_slot_name(std::string_view name) {
  constexpr std::string_view allowed = "abcdefghijklmnopqrstuvwxyz0123456789_";
  if (name.empty() || name.size() > 63 || name.find_first_not_of(allowed) != std::string_view::npos)
    throw UsageError("a slot name has 1 to 63 of the characters a-z, 0-9 and _");
}

/// START_REPLICATION for the pgoutput plugin. The publications are identifiers inside one string constant. Messages
/// come from whoever writes them, ours and others'.
/// Source: https://www.postgresql.org/docs/current/protocol-replication.html
[[nodiscard]] inline std::string start_replication_sql(std::string_view slot, Lsn position,
                                                       std::span<const std::string> publications) {
  check_slot_name(slot);
  const std::string names =
      sql::comma_separated(publications, [](const std::string& name) { return sql::identifier(name); });
  return "START_REPLICATION SLOT " + sql::identifier(slot) + " LOGICAL " + btreemapped::to_string(position) +
         " (proto_version '1', publication_names " + sql::quoted(names, '\'') + ", messages 'true')";
}

/// The replication session: commands first, then the stream, which never blocks.
class ReplicationStream {
 public:
  /// Opens a session with replication=database, which is also the test whether the role may replicate.
  [[nodiscard]] static ReplicationStream open(std::string_view conninfo, std::shared_ptr<Interrupt> interrupt,
                                              Deadline deadline) {
    static constexpr ConninfoOverride replication[] = {{"replication", "database"}};
    const std::string text = with_overrides(conninfo, replication);
    try {
      return ReplicationStream{Connection::open(text, std::move(interrupt), deadline)};
    } catch (const ConnectionError& error) {
      if (error.sqlstate() != "42501") throw;
      const Conninfo effective = effective_conninfo(conninfo);
      const std::string* const user = find_option(effective, "user");
      const std::string role = sql::identifier(user == nullptr ? "" : *user);
      throw ConnectionError(std::string{error.what()} + ": ALTER ROLE " + role +
                                " REPLICATION; and CONNECT on the database, if that is what it lacks",
                            {.sqlstate = error.sqlstate()});
    }
  }

  explicit ReplicationStream(Connection connection) : connection_(std::move(connection)) {}

  [[nodiscard]] SystemIdentity identify_system(Deadline deadline) {
    const sql::Rows rows = connection_.exec("IDENTIFY_SYSTEM", "cannot identify the server", deadline);
    const auto position = rows.empty() ? std::nullopt : Lsn::parse(rows.text(0, 2));
    if (!position) throw ProtocolError("IDENTIFY_SYSTEM gave no position");
    return {rows.string(0, 0), rows.number<std::uint32_t>(0, 1), *position, rows.string(0, 3)};
  }

  /// The history of a timeline, a line per timeline that came before it: its number, where it was left, and why.
  [[nodiscard]] std::string timeline_history(std::uint32_t timeline, Deadline deadline) {
    const sql::Rows rows = connection_.exec("TIMELINE_HISTORY " + std::to_string(timeline),
                                            "cannot read the history of the server's timeline", deadline);
    return rows.empty() ? std::string{} : rows.string(0, 1);
  }

  /// The server ends a session that is silent for this long; zero: never.
  [[nodiscard]] std::chrono::milliseconds sender_timeout(Deadline deadline) {
    const sql::Rows rows =
        connection_.exec("SELECT setting FROM pg_catalog.pg_settings WHERE name = 'wal_sender_timeout'",
                         "cannot read wal_sender_timeout", deadline);
    return std::chrono::milliseconds{rows.empty() ? 0 : rows.number<std::int64_t>(0, 0)};
  }

  /// Whether a slot goes with its session, or with the server, or is kept by standbys, too.
  enum class SlotLife { temporary, durable, failover };

  /// Creates a slot and exports its snapshot, which lives until the next command or release_snapshot().
  /// Waits for every transaction that is writing. On a standby only the deadline ends that wait. Meanwhile calls
  /// `while_waiting`, if there is one, at once and then more and more seldom.
  /// Throws: SlotError (sqlstate 55P03: a transaction held it up for `lock_timeout`), ConnectionError, StoppedError.
  [[nodiscard]] CreatedSlot create_slot(std::string_view name, std::chrono::milliseconds lock_timeout,
                                        Deadline deadline, SlotLife life = SlotLife::temporary,
                                        const std::function<void()>& while_waiting = {}) {
    constexpr std::string_view doing = "cannot create the replication slot";
    check_slot_name(name);
    connection_.exec("SET lock_timeout = " + std::to_string(lock_timeout.count()), doing, deadline);
    connection_.send_query(
        "CREATE_REPLICATION_SLOT " + sql::identifier(name) + (life == SlotLife::temporary ? " TEMPORARY" : "") +
            " LOGICAL pgoutput (SNAPSHOT 'export'" + (life == SlotLife::failover ? ", FAILOVER true)" : ")"),
        doing, deadline);
    if (while_waiting) {
      std::chrono::milliseconds pause{20};
      while (!connection_.has_result(doing, std::min(deadline, std::chrono::steady_clock::now() + pause)) &&
             std::chrono::steady_clock::now() < deadline) {
        while_waiting();
        pause = std::min(2 * pause, std::chrono::milliseconds{1000});
      }
    }
    const sql::Rows rows = connection_.collect<SlotError>(doing, deadline);
    const auto point = rows.empty() ? std::nullopt : Lsn::parse(rows.text(0, 1));
    if (!point || rows.is_null(0, 2)) throw ProtocolError("CREATE_REPLICATION_SLOT gave no position or no snapshot");
    return {*point, rows.string(0, 2)};
  }

  /// Ends the exporting transaction, once all who need the snapshot have imported it.
  void release_snapshot(Deadline deadline) {
    connection_.exec("SET lock_timeout = 0", "cannot go on after creating the slot", deadline);
  }

  /// Begins to stream; only receive(), send() and flush() may follow. From PostgreSQL 18 on the server only warns of a
  /// publication that is gone, and leaves its changes out: the stream ends there, as it does by an error before 18.
  /// Throws: SlotError (sqlstate 55006: somebody else uses it), ConnectionError, StoppedError.
  void start(std::string_view slot, Lsn position, std::span<const std::string> publications, Deadline deadline) {
    constexpr std::string_view doing = "cannot start the replication stream";
    connection_.exec("SET client_min_messages = warning", doing, deadline);
    PQsetNoticeReceiver(connection_.native(), &ReplicationStream::note_warning, left_out_.get());
    connection_.send_query(start_replication_sql(slot, position, publications), doing, deadline);
    const ResultPtr result = connection_.next_result(doing, deadline);
    if (result && PQresultStatus(result.get()) == PGRES_COPY_BOTH) return;
    if (!result) connection_.throw_lost(doing);
    connection_.throw_result<SlotError>(*result, doing);
  }

  /// The next CopyData payload if one is there; valid until the next call. Never blocks. Before anybody waits for the
  /// socket, this must have said that nothing is there: what libpq has buffered makes no socket readable.
  /// Throws: ConnectionError when the stream has ended, whatever the reason.
  [[nodiscard]] std::optional<std::string_view> receive() {
    connection_.require_open(streaming);
    buffer_.reset();
    bool lost = false;
    for (const bool last : {false, true}) {
      char* data = nullptr;
      const int length = PQgetCopyData(connection_.native(), &data, 1);
      buffer_.reset(data);
      if (!left_out_->empty()) throw_left_out();
      if (length > 0) return std::string_view{data, static_cast<std::size_t>(length)};
      if (length < 0) throw_ended();
      // Of a lost connection the last words may still be unread.
      if (!last) lost = PQconsumeInput(connection_.native()) == 0;
    }
    if (lost) connection_.throw_lost(streaming);
    return std::nullopt;
  }

  /// Queues one CopyData payload and flushes what it can; false if some of it still waits for the socket.
  bool send(std::span<const char> payload) {
    connection_.require_open(streaming);
    const int queued = PQputCopyData(connection_.native(), payload.data(), static_cast<int>(payload.size()));
    if (queued < 0) connection_.throw_lost(streaming);
    // Not queued: a status update that finds the buffer full is superseded by the next one.
    if (queued == 0) wants_write_ = true;
    return flush();
  }

  /// False while output waits for the socket. libpq takes in what the server sends meanwhile, so neither side blocks.
  bool flush() {
    connection_.require_open(streaming);
    const int left = PQflush(connection_.native());
    if (left < 0) connection_.throw_lost(streaming);
    wants_write_ = left > 0;
    return !wants_write_;
  }

  /// Finds out without reading whether the server has hung up, for those who have no time for what it sent before.
  /// Throws: ConnectionError if it has.
  void require_peer() {
    pollfd peer{socket(), POLLRDHUP, 0};
    if (::poll(&peer, 1, 0) > 0)
      throw ConnectionError(std::string{streaming} + ": the connection was lost", {.retryable = true});
  }

  /// Whether the server has ended the stream by will, as it does when it shuts down: for a stream that is given up, as
  /// what has come is thrown away. Looks no further than a shutdown with nothing to catch up sends. Never blocks.
  [[nodiscard]] bool was_ended() {
    try {
      for (int messages = 0; messages < 1000 && receive(); ++messages) continue;
    } catch (const ConnectionError& error) {
      return error.sqlstate() == "57P01";
    }
    return false;
  }

  /// For poll(): always wait for POLLIN, and for POLLOUT while wants_write().
  [[nodiscard]] int socket() const noexcept { return connection_.socket(); }
  [[nodiscard]] bool wants_write() const noexcept { return wants_write_; }

  [[nodiscard]] Connection& connection() noexcept { return connection_; }
  void close() noexcept { connection_.close(); }

 private:
  static constexpr std::string_view streaming = "the replication stream has ended";

  /// The server has ended the copy: with an error, or by will, as it does when it shuts down.
  [[noreturn]] void throw_ended() {
    const bool ready = PQisBusy(connection_.native()) == 0;
    ResultPtr end{ready ? PQgetResult(connection_.native()) : nullptr, &PQclear};
    const ExecStatusType status = end ? PQresultStatus(end.get()) : PGRES_COMMAND_OK;
    if (status != PGRES_COMMAND_OK && status != PGRES_COPY_IN) connection_.throw_lost(streaming, std::move(end));
    connection_.close();
    throw ConnectionError(std::string{streaming} + ": the server has closed it",
                          {.sqlstate = "57P01", .retryable = true});
  }

  /// libpq's notice receiver: comes before the first message that lacks a change. Other warnings have the same code,
  /// such as that a slot of synchronized_standby_slots is not in use.
  static void note_warning(void* left_out, const PGresult* warning) {
    const char* const sqlstate = PQresultErrorField(warning, PG_DIAG_SQLSTATE);
    const char* const file = PQresultErrorField(warning, PG_DIAG_SOURCE_FILE);
    const char* const primary = PQresultErrorField(warning, PG_DIAG_MESSAGE_PRIMARY);
    if (sqlstate == nullptr || sqlstate != std::string_view{"55000"}) return;
    if (file == nullptr || !std::string_view{file}.ends_with("pgoutput.c")) return;
    *static_cast<std::string*>(left_out) = primary == nullptr ? "changes are left out" : primary;
  }

  [[noreturn]] void throw_left_out() {
    connection_.close();
    sql::throw_server_error<ConnectionError>(streaming, "42704", *left_out_);
  }

  Connection connection_;
  std::unique_ptr<std::string> left_out_ = std::make_unique<std::string>();
  std::unique_ptr<char, decltype(&PQfreemem)> buffer_{nullptr, &PQfreemem};
  bool wants_write_ = false;
};

}  // namespace pq
}  // namespace detail
}  // namespace v0
}  // namespace btreemapped
