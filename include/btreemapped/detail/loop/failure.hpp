#pragma once

#include <exception>
#include <string>
#include <utility>
#include <vector>

#include <btreemapped/detail/shape.hpp>
#include <btreemapped/detail/sql/server_error.hpp>
#include <btreemapped/detail/table.hpp>
#include <btreemapped/detail/transaction.hpp>
#include <btreemapped/error.hpp>
#include <btreemapped/lsn.hpp>

namespace btreemapped {
inline namespace v0 {
namespace detail {

[[nodiscard]] inline std::string message_of(const std::exception_ptr& reason) {
  try {
    std::rethrow_exception(reason);
  } catch (const std::exception& error) {
    return error.what();
  } catch (...) {
    return "unknown error";
  }
}

/// Empty where it was not the server that failed.
[[nodiscard]] inline std::string sqlstate_of(const std::exception_ptr& reason) {
  try {
    std::rethrow_exception(reason);
  } catch (const Error& error) {
    return std::string(error.sqlstate());
  } catch (...) {
    return {};
  }
}

/// The stream goes on, but only a copy of all tables will do.
class RebuildNeeded : public SchemaError {
 public:
  using SchemaError::SchemaError;
};

/// Is it the connection that was lost, or could not be had?
[[nodiscard]] inline bool is_of_connection(const std::exception_ptr& reason) {
  try {
    std::rethrow_exception(reason);
  } catch (const ConnectionError& error) {
    return sql::is_connection_failure(error.sqlstate());
  } catch (...) {
    return false;
  }
}

/// Did the server have no slot or walsender to spare for a copy beside the stream? The copy of all tables that takes
/// its place mends what it was for.
[[nodiscard]] inline bool is_for_want_of_room(const std::exception_ptr& reason) {
  try {
    std::rethrow_exception(reason);
  } catch (const RebuildNeeded& error) {
    return error.sqlstate() == "53300" || error.sqlstate() == "53400";
  } catch (...) {
    return false;
  }
}

/// May a stream that has ended for this reason go on where it was, with the slot that it had? Not where it would end
/// in the same way again.
[[nodiscard]] inline bool leaves_slot_usable(const std::exception_ptr& reason) {
  try {
    std::rethrow_exception(reason);
  } catch (const ConnectionError& error) {
    // What a standby replays may end a stream, also by giving up its slot: a look at that tells.
    return sql::is_connection_failure(error.sqlstate()) || sql::has_class(error.sqlstate(), "40");
  } catch (const RebuildNeeded&) {
    return false;
  } catch (const ProtocolError&) {
    return false;
  } catch (const Error& error) {
    return error.retryable();
  } catch (...) {
    return false;
  }
}

/// A table whose catalog entries are not those of its copy.
[[nodiscard]] inline std::string altered(const Table& table) {
  return to_string(table.name()) + " or its publication was altered; it is copied afresh";
}

/// Where, what, and at which position.
[[nodiscard]] inline std::string describe(const Fault& fault) {
  std::string text = to_string(fault.table->name());
  if (!fault.column.empty()) text += ", column " + fault.column;
  return text + ": " + fault.what + " (at " + to_string(fault.lsn) + ")";
}

/// These tables cannot be copied.
/// Throws: DecodeError, or SchemaError where the server refuses the first of them for another reason than its values.
[[noreturn]] inline void throw_faults(const std::vector<Fault>& faults) {
  std::string message = "not all tables can be copied";
  for (const Fault& fault : faults) message += "\n  " + describe(fault);
  const Fault& first = faults.front();
  ErrorContext context{
      .sqlstate = first.sqlstate, .table = to_string(first.table->name()), .column = first.column, .lsn = first.lsn};
  const bool of_values = first.sqlstate.empty() || sql::has_class(first.sqlstate, "22");
  if (of_values) throw DecodeError(message, std::move(context));
  throw SchemaError(message, std::move(context));
}

}  // namespace detail
}  // namespace v0
}  // namespace btreemapped
