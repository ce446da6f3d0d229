#pragma once

#include <string>
#include <string_view>
#include <utility>

#include <btreemapped/error.hpp>

namespace btreemapped {
inline namespace v0 {
namespace detail {
namespace sql {

[[nodiscard]] inline bool has_class(std::string_view sqlstate, std::string_view two) noexcept {
  return sqlstate.substr(0, 2) == two;
}

inline constexpr std::string_view too_many_connections = "53300";

/// Can the same attempt succeed later without anybody's help? No code at all is what a lost connection leaves.
/// Source: https://www.postgresql.org/docs/current/errcodes-appendix.html
[[nodiscard]] inline bool is_retryable(std::string_view sqlstate) noexcept {
  // Classes: connection, resources, the system below the server, the server's own faults.
  for (const std::string_view passing : {"08", "53", "58", "XX"})
    if (has_class(sqlstate, passing)) return true;
  if (sqlstate.empty()) return true;
  static constexpr std::string_view passing[] = {
      "57P01",           // the server shuts down, or somebody ended our backend
      "57P02",           // another backend crashed
      "57P03",           // the server starts up
      "57P05",           // idle session timeout
      "57014",           // somebody cancelled the query
      "55006",           // the slot is still held by a backend that has not noticed our absence
      "55P03",           // lock timeout
      "40001", "40P01",  // serialization failure, deadlock
      "25P03", "25P04",  // a timeout ended the transaction
  };
  for (const std::string_view each : passing)
    if (sqlstate == each) return true;
  return false;
}

/// Does the code speak of the connection, and not of what was asked over it?
[[nodiscard]] inline bool is_connection_failure(std::string_view sqlstate) noexcept {
  return sqlstate.empty() || has_class(sqlstate, "08") || has_class(sqlstate, "28") || has_class(sqlstate, "3D") ||
         (has_class(sqlstate, "57") && sqlstate != "57014") || sqlstate == too_many_connections ||
         sqlstate == "25P03" || sqlstate == "25P04";
}

/// Messages of these classes quote the value that they complain of.
[[nodiscard]] inline bool may_quote_values(std::string_view sqlstate) noexcept {
  return has_class(sqlstate, "22") || has_class(sqlstate, "23") || has_class(sqlstate, "P0");
}

[[nodiscard]] inline std::string_view next_step(std::string_view sqlstate) noexcept {
  if (has_class(sqlstate, "28")) return "check user, password and the server's pg_hba.conf";
  if (sqlstate == "3D000") return "create the database or name another one in the connection string";
  if (sqlstate == too_many_connections) return "raise max_connections or end idle sessions";
  if (sqlstate == "53400") return "raise max_replication_slots and restart the server, or drop unused slots";
  if (sqlstate == "55P03") return "end the session that holds the lock, or raise the lock timeout";
  if (sqlstate == "42501") return "grant the right to the role that connects";
  return {};
}

/// One line of the server's or the client library's text: neither details nor a copy of the query.
[[nodiscard]] inline std::string first_line(std::string_view text) {
  const std::size_t end = text.find('\n');
  std::string line{text.substr(0, end)};
  while (!line.empty() && (line.back() == ' ' || line.back() == '\r' || line.back() == '.')) line.pop_back();
  return line;
}

/// "cannot do this: what the server said (SQLSTATE 12345); next step", without anything that may be a value.
[[nodiscard]] inline std::string server_error_message(std::string_view doing, std::string_view sqlstate,
                                                      std::string_view said) {
  std::string message{doing};
  message += ": ";
  message += may_quote_values(sqlstate) ? std::string{"the server refuses a value"} : first_line(said);
  if (!sqlstate.empty()) {
    message += " (SQLSTATE ";
    message += sqlstate;
    message += ")";
  }
  if (const std::string_view step = next_step(sqlstate); !step.empty()) {
    message += "; ";
    message += step;
  }
  return message;
}

/// Throws ConnectionError if the code speaks of the connection, else a Failure.
/// `context` may carry table and column; code and retryable() are filled in here.
template <class Failure>
[[noreturn]] void throw_server_error(std::string_view doing, std::string_view sqlstate, std::string_view said,
                                     ErrorContext context = {}) {
  context.sqlstate = sqlstate;
  context.retryable = is_retryable(sqlstate);
  const std::string message = server_error_message(doing, sqlstate, said);
  if (is_connection_failure(sqlstate)) throw ConnectionError(message, std::move(context));
  throw Failure(message, std::move(context));
}

}  // namespace sql
}  // namespace detail
}  // namespace v0
}  // namespace btreemapped
