#pragma once

#include <chrono>
#include <cstddef>
#include <cstdint>
#include <functional>
#include <memory>
#include <string>
#include <string_view>
#include <utility>

#include <libpq-fe.h>
#include <poll.h>

#include <btreemapped/detail/interrupt.hpp>
#include <btreemapped/detail/pq/connection.hpp>
#include <btreemapped/detail/shape.hpp>
#include <btreemapped/detail/sql/copy_query.hpp>
#include <btreemapped/detail/sql/quote.hpp>
#include <btreemapped/detail/sql/rows.hpp>
#include <btreemapped/error.hpp>

namespace btreemapped {
inline namespace v0 {
namespace detail {
namespace pq {

/// Who is told, and how often, that nothing comes. The server may be looking for rows, or stuck: there is no telling.
struct OnSilence {
  std::chrono::milliseconds interval{};
  std::function<void()> tell{};
};

/// A session that sees the database as an exported snapshot shows it, and copies tables out of it.
class SnapshotCopy {
 public:
  /// `conninfo` is pinned to the server that exported the snapshot, and names the same database.
  /// Throws: SlotError (the snapshot is gone: retryable, with another slot), ConnectionError, StoppedError.
  [[nodiscard]] static SnapshotCopy open(std::string_view conninfo, std::string_view snapshot,
                                         std::shared_ptr<Interrupt> interrupt, Deadline deadline) {
    SnapshotCopy copy{Connection::open(conninfo, std::move(interrupt), deadline)};
    constexpr std::string_view doing = "cannot import the slot's snapshot";
    copy.connection_.exec("BEGIN ISOLATION LEVEL REPEATABLE READ READ ONLY NOT DEFERRABLE", doing, deadline);
    try {
      copy.connection_.exec("SET TRANSACTION SNAPSHOT " + sql::literal(snapshot), doing, deadline);
    } catch (const SchemaError& error) {
      // The session that exported it has ended, or has gone on.
      throw SlotError(error.what(), {.sqlstate = error.sqlstate(), .retryable = true});
    }
    return copy;
  }

  /// Keeps a table from being truncated, rewritten or renamed until the end of the transaction, which goes on after a
  /// failure: so all tables that cannot be had are found in one go.
  /// Throws: SchemaError with the table (sqlstate 55P03: somebody held it for `lock_timeout`), ConnectionError,
  /// StoppedError.
  void lock(const sql::CopySource& source, std::chrono::milliseconds lock_timeout, Deadline deadline) {
    const std::string doing = "cannot read table " + to_string(source.table);
    connection_.send_query("SAVEPOINT one_table; SET LOCAL lock_timeout = " + std::to_string(lock_timeout.count()) +
                               "; " + sql::lock_query(source) +
                               "; SET LOCAL lock_timeout = 0; RELEASE SAVEPOINT one_table",
                           doing, deadline);
    try {
      finish(doing, source.table, deadline);
    } catch (const SchemaError&) {
      connection_.exec("ROLLBACK TO SAVEPOINT one_table; RELEASE SAVEPOINT one_table", doing, deadline);
      throw;
    }
  }

  /// A query through the snapshot.
  sql::Rows query(const std::string& sql, Deadline deadline) {
    return connection_.exec(sql, "cannot read the catalog through the slot's snapshot", deadline);
  }

  /// Calls `on_line(std::string_view)` with each row as COPY's text format has it, with its newline; returns their
  /// number. The view is valid during the call. What the callback throws ends the session; what the server refuses
  /// ends only this copy.
  /// Throws: SchemaError with the table, ConnectionError, StoppedError.
  template <class OnLine>
  std::uint64_t copy(const sql::CopySource& source, OnLine&& on_line, const OnSilence& on_silence = {},
                     Deadline deadline = no_deadline) {
    const std::string doing = "cannot copy table " + to_string(source.table);
    connection_.exec("SAVEPOINT one_table", doing, deadline);
    try {
      const std::uint64_t lines = copy_lines(source, doing, on_line, on_silence, deadline);
      connection_.exec("RELEASE SAVEPOINT one_table", doing, deadline);
      return lines;
    } catch (const SchemaError&) {
      // Not what a callback throws: that has closed the session.
      if (connection_.is_open())
        connection_.exec("ROLLBACK TO SAVEPOINT one_table; RELEASE SAVEPOINT one_table", doing, deadline);
      throw;
    }
  }

  /// Ends the transaction and with it snapshot and locks.
  void commit(Deadline deadline) { connection_.exec("COMMIT", "cannot end the copy", deadline); }

  [[nodiscard]] Connection& connection() noexcept { return connection_; }

 private:
  explicit SnapshotCopy(Connection connection) : connection_(std::move(connection)) {}

  template <class OnLine>
  std::uint64_t copy_lines(const sql::CopySource& source, const std::string& doing, OnLine& on_line,
                           const OnSilence& on_silence, Deadline deadline) {
    connection_.send_query(sql::copy_query(source), doing, deadline);
    wait_for_data(on_silence);
    const ResultPtr begun = connection_.next_result(doing, deadline);
    if (!begun) connection_.throw_lost(doing);
    const ExecStatusType status = PQresultStatus(begun.get());
    if (status != PGRES_COPY_OUT) {
      while (status == PGRES_FATAL_ERROR && connection_.next_result(doing, deadline)) continue;
      connection_.throw_result<SchemaError>(*begun, doing, {.table = to_string(source.table)});
    }
    std::uint64_t lines = 0;
    bool lost = false;
    try {
      while (true) {
        char* data = nullptr;
        const int length = PQgetCopyData(connection_.native(), &data, 1);
        const std::unique_ptr<char, decltype(&PQfreemem)> line{data, &PQfreemem};
        if (length > 0) {
          connection_.interrupt().check();
          on_line(std::string_view{data, static_cast<std::size_t>(length)});
          ++lines;
        } else if (length == -1) {
          break;
        } else if (length < -1 || lost) {
          connection_.throw_lost(doing);
        } else {
          wait_for_data(on_silence);
          connection_.wait(POLLIN, doing, deadline);
          lost = PQconsumeInput(connection_.native()) == 0;  // but its last words may still be unread
        }
      }
    } catch (...) {
      connection_.close();
      throw;
    }
    finish(doing, source.table, deadline);
    return lines;
  }

  void wait_for_data(const OnSilence& on_silence) const {
    if (!on_silence.tell) return;
    const auto patience = [&] { return std::chrono::steady_clock::now() + on_silence.interval; };
    while (wait_for_socket(connection_.socket(), POLLIN, connection_.interrupt(), patience()) == 0) on_silence.tell();
  }

  /// Takes in what is left of a statement on a table.
  void finish(std::string_view doing, const TableName& table, Deadline deadline) {
    ResultPtr failed{nullptr, &PQclear};
    while (ResultPtr result = connection_.next_result(doing, deadline)) {
      const ExecStatusType status = PQresultStatus(result.get());
      if (status != PGRES_COMMAND_OK && status != PGRES_TUPLES_OK && !failed) failed = std::move(result);
    }
    if (failed) connection_.throw_result<SchemaError>(*failed, doing, {.table = to_string(table)});
  }

  Connection connection_;
};

}  // namespace pq
}  // namespace detail
}  // namespace v0
}  // namespace btreemapped
