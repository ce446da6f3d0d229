#pragma once

#include <algorithm>
#include <chrono>
#include <memory>
#include <new>
#include <string>
#include <string_view>
#include <utility>

#include <libpq-fe.h>
#include <poll.h>
#include <sys/types.h>
#include <unistd.h>

#include <btreemapped/detail/interrupt.hpp>
#include <btreemapped/detail/pq/conninfo.hpp>
#include <btreemapped/detail/sql/rows.hpp>
#include <btreemapped/detail/sql/server_error.hpp>
#include <btreemapped/detail/sql/settings.hpp>
#include <btreemapped/error.hpp>

namespace btreemapped {
inline namespace v0 {
namespace detail {
namespace pq {

using ResultPtr = std::unique_ptr<PGresult, decltype(&PQclear)>;

/// A non-blocking libpq session with pinned settings. Every wait ends at once when its Interrupt is interrupted (throws
/// StoppedError) and at its deadline (throws ConnectionError); the session is closed then, which is how a query is
/// given up. Only open() may block beyond that, in name resolution: call it where it can be abandoned.
class Connection {
 public:
  /// Tries the servers of the connection string in their order, each address for connect_timeout, until one lets us in.
  /// Throws: ConnectionError, StoppedError, UsageError (the string cannot be read).
  [[nodiscard]] static Connection open(std::string_view conninfo, std::shared_ptr<Interrupt> interrupt,
                                       Deadline deadline) {
    std::string failures;
    ErrorContext context{.retryable = true};
    for (const Candidate& host : candidates(conninfo)) {
      interrupt->check();
      for (const Candidate& server : addresses_of(host)) {
        try {
          Connection connection{server.conninfo, interrupt};
          connection.finish_connecting(std::min(deadline, std::chrono::steady_clock::now() + server.timeout));
          connection.pin_settings(deadline);
          return connection;
        } catch (const ConnectionError& error) {
          // Another server would answer the same about a wrong password.
          if (!error.retryable()) throw;
          const std::string failure = error.what();
          if (failures.find(failure) == std::string::npos) failures += (failures.empty() ? "" : "\n") + failure;
          context.sqlstate = error.sqlstate();
          if (std::chrono::steady_clock::now() >= deadline) throw ConnectionError(failures, context);
        }
      }
    }
    throw ConnectionError(failures, context);
  }

  Connection(Connection&& other) noexcept
      : connection_(std::exchange(other.connection_, nullptr)),
        interrupt_(std::move(other.interrupt_)),
        socket_(std::move(other.socket_)),
        owner_(other.owner_) {}
  Connection& operator=(Connection&& other) noexcept {
    std::swap(connection_, other.connection_);
    std::swap(interrupt_, other.interrupt_);
    std::swap(socket_, other.socket_);
    std::swap(owner_, other.owner_);
    return *this;
  }
  ~Connection() { close(); }

  /// Gives the session up. The server ends whatever it does for it: at once, or when it next looks at its socket.
  void close() noexcept {
    PGconn* const connection = std::exchange(connection_, nullptr);
    socket_ = {};
    // A forked child shares the socket: saying goodbye there would end its parent's session, so it leaks the object.
    if (connection != nullptr && ::getpid() == owner_) PQfinish(connection);
  }

  /// Hands the session over, for blocking use; the caller closes it.
  /// Throws: ConnectionError.
  [[nodiscard]] PGconn* release() {
    if (PQsetnonblocking(connection_, 0) != 0) throw_lost(connecting);
    socket_ = {};
    return std::exchange(connection_, nullptr);
  }

  /// Ends a session that was handed over.
  static void finish(PGconn* released) noexcept { PQfinish(released); }

  /// Runs one or several statements, none of which takes long, and returns the rows of the last.
  /// Throws: ConnectionError, StoppedError, SchemaError (the server refuses the statement).
  sql::Rows exec(const std::string& sql, std::string_view doing = "a query failed", Deadline deadline = no_deadline) {
    deadline = std::min(deadline, std::chrono::steady_clock::now() + answer_patience);
    send_query(sql, doing, deadline);
    return collect<SchemaError>(doing, deadline);
  }

  /// The steps of exec(), for statements that are more than a query.
  void send_query(const std::string& sql, std::string_view doing, Deadline deadline) {
    interrupt_->check();
    require_open(doing);
    if (PQsendQuery(connection_, sql.c_str()) == 0) throw_lost(doing);
    while (true) {
      const int left = PQflush(connection_);
      if (left == 0) return;
      if (left < 0) throw_lost(doing);
      // The server may be unable to read before we do.
      if ((wait(POLLIN | POLLOUT, doing, deadline) & POLLIN) != 0 && PQconsumeInput(connection_) == 0)
        throw_lost(doing);
    }
  }

  /// Whether the next result of a query is there, or comes before `until`. Goes on waiting where wait() gives up.
  [[nodiscard]] bool has_result(std::string_view doing, Deadline until) {
    require_open(doing);
    while (PQisBusy(connection_) != 0) {
      if (wait_for_socket(PQsocket(connection_), POLLIN, *interrupt_, until) == 0) return false;
      if (PQconsumeInput(connection_) == 0) break;
    }
    return true;
  }

  /// The next result of a query; null after the last.
  [[nodiscard]] ResultPtr next_result(std::string_view doing, Deadline deadline) {
    require_open(doing);
    while (PQisBusy(connection_) != 0) {
      wait(POLLIN, doing, deadline);
      // Of a lost connection the last words may still be unread.
      if (PQconsumeInput(connection_) == 0) break;
    }
    return {PQgetResult(connection_), &PQclear};
  }

  /// All remaining results: the rows of the last, or the first error as a Failure.
  template <class Failure>
  sql::Rows collect(std::string_view doing, Deadline deadline) {
    ResultPtr last{nullptr, &PQclear};
    ResultPtr failed{nullptr, &PQclear};
    while (ResultPtr result = next_result(doing, deadline)) {
      const ExecStatusType status = PQresultStatus(result.get());
      if (status == PGRES_TUPLES_OK || status == PGRES_COMMAND_OK || status == PGRES_EMPTY_QUERY) {
        last = std::move(result);
      } else if (!failed) {
        failed = std::move(result);
        // Neither copy state can be left from here.
        if (status == PGRES_COPY_BOTH || status == PGRES_COPY_IN || status == PGRES_COPY_OUT) break;
      }
    }
    if (failed) throw_result<Failure>(*failed, doing);
    return to_rows(last.get());
  }

  /// Throws what a failed result says.
  template <class Failure>
  [[noreturn]] void throw_result(const PGresult& result, std::string_view doing, ErrorContext context = {}) {
    const char* const sqlstate = PQresultErrorField(&result, PG_DIAG_SQLSTATE);
    const char* const primary = PQresultErrorField(&result, PG_DIAG_MESSAGE_PRIMARY);
    if (sqlstate == nullptr && PQresultStatus(&result) != PGRES_FATAL_ERROR) {
      close();
      throw ProtocolError(std::string{doing} + ": the server answered with something that was not asked for");
    }
    sql::throw_server_error<Failure>(doing, sqlstate == nullptr ? "" : sqlstate,
                                     primary == nullptr ? PQresultErrorMessage(&result) : primary, std::move(context));
  }

  /// Throws for a connection that libpq has found broken: what the server said last, or else what libpq says.
  [[noreturn]] void throw_lost(std::string_view doing) {
    const bool ready =
        connection_ != nullptr && (PQstatus(connection_) == CONNECTION_BAD || PQisBusy(connection_) == 0);
    throw_lost(doing, {ready ? PQgetResult(connection_) : nullptr, &PQclear});
  }

  /// The same, with the last words of the server; they may be null.
  [[noreturn]] void throw_lost(std::string_view doing, ResultPtr last) {
    if (connection_ == nullptr)
      throw ConnectionError(std::string{doing} + ": the connection is closed", {.retryable = true});
    const std::string said = PQerrorMessage(connection_);
    const char* const sqlstate = PQresultErrorField(last.get(), PG_DIAG_SQLSTATE);
    const char* const primary = PQresultErrorField(last.get(), PG_DIAG_MESSAGE_PRIMARY);
    close();
    interrupt_->check();  // which has shut it down
    if (sqlstate != nullptr && primary != nullptr) sql::throw_server_error<ConnectionError>(doing, sqlstate, primary);
    sql::throw_server_error<ConnectionError>(doing, "", said.empty() ? "the connection is lost" : said);
  }

  /// Waits for the socket; closes the session when interrupted or when the deadline comes first.
  short wait(int events, std::string_view doing, Deadline deadline) {
    if (PQsocket(connection_) < 0) throw_lost(doing);
    short ready = 0;
    try {
      ready = wait_for_socket(PQsocket(connection_), static_cast<short>(events), *interrupt_, deadline);
    } catch (...) {
      close();
      throw;
    }
    if (ready != 0) return ready;
    close();
    throw ConnectionError(std::string{doing} + ": the server has not answered in time", {.retryable = true});
  }

  void require_open(std::string_view doing) {
    if (connection_ == nullptr) throw_lost(doing);
  }

  [[nodiscard]] Address address() const {
    const auto text = [](const char* value) { return std::string{value == nullptr ? "" : value}; };
    return {text(PQhost(connection_)), text(PQhostaddr(connection_)), text(PQport(connection_))};
  }
  [[nodiscard]] int server_version() const noexcept { return PQserverVersion(connection_); }
  [[nodiscard]] bool has_tls() const noexcept { return PQsslInUse(connection_) != 0; }
  [[nodiscard]] bool has_gss_encryption() const noexcept { return PQgssEncInUse(connection_) != 0; }
  [[nodiscard]] int backend_pid() const noexcept { return PQbackendPID(connection_); }
  [[nodiscard]] int socket() const noexcept { return PQsocket(connection_); }
  [[nodiscard]] bool is_open() const noexcept { return connection_ != nullptr; }
  [[nodiscard]] PGconn* native() const noexcept { return connection_; }
  [[nodiscard]] const Interrupt& interrupt() const noexcept { return *interrupt_; }

  [[nodiscard]] static sql::Rows to_rows(const PGresult* result) {
    sql::Rows rows;
    if (result == nullptr) return rows;
    const int columns = PQnfields(result);
    for (int row = 0; row < PQntuples(result); ++row) {
      sql::Rows::Row out;
      for (int column = 0; column < columns; ++column) {
        if (PQgetisnull(result, row, column) != 0) {
          out.emplace_back();
        } else {
          out.emplace_back(std::in_place, PQgetvalue(result, row, column),
                           static_cast<std::size_t>(PQgetlength(result, row, column)));
        }
      }
      rows.add(std::move(out));
    }
    return rows;
  }

 private:
  static constexpr std::chrono::seconds answer_patience{60};
  static constexpr std::string_view connecting = "cannot connect";

  Connection(const std::string& conninfo, std::shared_ptr<Interrupt> interrupt)
      : connection_(nullptr), interrupt_(std::move(interrupt)), owner_(::getpid()) {
    interrupt_->check();
    connection_ = PQconnectStart(conninfo.c_str());
    if (connection_ == nullptr) throw std::bad_alloc();
    PQsetNoticeReceiver(connection_, [](void*, const PGresult*) {}, nullptr);
    // The only way to learn the SQLSTATE of a refused connection.
    PQsetErrorVerbosity(connection_, PQERRORS_VERBOSE);
  }

  void finish_connecting(Deadline deadline) {
    if (PQstatus(connection_) == CONNECTION_BAD) throw_refused();
    PostgresPollingStatusType next = PGRES_POLLING_WRITING;
    while (next != PGRES_POLLING_OK) {
      if (next == PGRES_POLLING_FAILED) throw_refused();
      wait(next == PGRES_POLLING_READING ? POLLIN : POLLOUT, where(), deadline);
      next = PQconnectPoll(connection_);
    }
    PQsetErrorVerbosity(connection_, PQERRORS_DEFAULT);
    socket_ = Interrupt::Socket{interrupt_, PQsocket(connection_)};
    if (PQsetnonblocking(connection_, 1) != 0) throw_lost(connecting);
  }

  void pin_settings(Deadline deadline) {
    exec(sql::pinned_settings(server_version()), "cannot set up the session", deadline);
    try {
      exec(std::string{sql::notice_lost_client}, "cannot set up the session", deadline);
    } catch (const SchemaError&) {
      // The server's platform cannot; it then notices when it next writes to us.
    }
  }

  [[nodiscard]] std::string where() const {
    const Address at = address();
    return at.host.empty() ? std::string{connecting} : "cannot connect to " + at.host + " port " + at.port;
  }

  [[noreturn]] void throw_refused() {
    const bool password_missing = PQconnectionNeedsPassword(connection_) != 0;
    std::string said = last_attempt(PQerrorMessage(connection_));
    const std::string sqlstate = take_sqlstate(said);
    const std::string doing = where();
    close();
    if (password_missing) {
      throw ConnectionError(
          doing + ": the server wants a password; put it into the connection string or a password file",
          {.sqlstate = sqlstate});
    }
    sql::throw_server_error<ConnectionError>(doing, sqlstate, said);
  }

  /// libpq reports each address of a host on lines of its own; the last one is why it gave up.
  [[nodiscard]] static std::string last_attempt(std::string_view said) {
    constexpr std::string_view head = "connection to server ";
    constexpr std::string_view failed = " failed: ";
    const std::size_t start = said.rfind(head);
    if (start != std::string_view::npos) said.remove_prefix(start);
    const std::size_t reason = start == std::string_view::npos ? start : said.find(failed);
    return std::string{reason == std::string_view::npos ? said : said.substr(reason + failed.size())};
  }

  /// Cuts "FATAL:  28P01: " down to "FATAL:  " and returns the code; empty when the text did not come from the server.
  [[nodiscard]] static std::string take_sqlstate(std::string& said) {
    constexpr std::size_t length = 5;
    for (std::size_t at = said.find(":  "); at != std::string::npos; at = said.find(":  ", at + 1)) {
      const std::size_t start = at + 3;
      if (said.size() < start + length + 2 || said.compare(start + length, 2, ": ") != 0) continue;
      const auto is_code = [](char c) { return (c >= '0' && c <= '9') || (c >= 'A' && c <= 'Z'); };
      const std::string code = said.substr(start, length);
      if (!std::all_of(code.begin(), code.end(), is_code)) continue;
      said.erase(start, length + 2);
      return code;
    }
    return {};
  }

  PGconn* connection_;
  std::shared_ptr<Interrupt> interrupt_;
  Interrupt::Socket socket_{};  // the server learns at once that nobody is there, whatever our thread is busy with
  ::pid_t owner_;
};

}  // namespace pq
}  // namespace detail
}  // namespace v0
}  // namespace btreemapped
