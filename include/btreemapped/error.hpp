#pragma once

#include <cstdint>
#include <optional>
#include <stdexcept>
#include <string>
#include <string_view>
#include <utility>

#include <btreemapped/lsn.hpp>

namespace btreemapped {
inline namespace v0 {

/// Why bytes or text could not be turned into a value. Decoders return it and throw nothing but std::bad_alloc.
enum class Errc : std::uint8_t {
  ok,
  truncated,         ///< the message ends before its last field
  trailing_bytes,    ///< the message goes on after its last field
  invalid_length,    ///< a length or count that cannot be
  unknown_message,   ///< a message type that this library does not know
  invalid_message,   ///< a known message with a field that cannot be
  invalid_text,      ///< text that is not a value of the column's type
  out_of_range,      ///< a valid value of the column's type that the field's type cannot hold
  invalid_encoding,  ///< text that is not UTF-8
  unexpected_null,   ///< NULL for a field that is not std::optional
  value_not_sent,    ///< an unchanged TOAST value that is neither in the stream nor held
  column_count,      ///< a row with another number of columns than its relation
  attribute_count,   ///< a composite value with another number of attributes than its type had
  missing_key,       ///< an old image that does not carry the key columns
  row_not_held,      ///< an update or delete of a row that the replica does not hold
  duplicate_key,     ///< two rows with one key at the end of a transaction or of a copy
};

/// A phrase for an error message: what happened, without a value.
[[nodiscard]] constexpr std::string_view describe(Errc error) noexcept {
  switch (error) {
    case Errc::ok: return "no error";
    case Errc::truncated: return "the message ends early";
    case Errc::trailing_bytes: return "the message has bytes after its end";
    case Errc::invalid_length: return "the message has an impossible length";
    case Errc::unknown_message: return "the message has an unknown type";
    case Errc::invalid_message: return "the message has an impossible field";
    case Errc::invalid_text: return "the text is not a value of this type";
    case Errc::out_of_range: return "the value does not fit the C++ type of the field";
    case Errc::invalid_encoding: return "the text is not UTF-8";
    case Errc::unexpected_null: return "NULL for a field that is not std::optional";
    case Errc::value_not_sent: return "an unchanged TOAST value is neither in the stream nor held";
    case Errc::attribute_count: return "the composite value has more or fewer attributes than its type had";
    case Errc::column_count: return "the row has another number of columns than its relation";
    case Errc::missing_key: return "the old row does not carry the key columns";
    case Errc::row_not_held: return "an update or delete of a row that is not held";
    case Errc::duplicate_key: return "two rows with the same key";
  }
  return "an unknown error";
}

/// What an Error knows beside its message; members are empty where they do not apply.
struct ErrorContext {
  std::string sqlstate{};
  std::string table{};
  std::string column{};
  std::optional<Lsn> lsn{};
  bool retryable = false;
};

/// The base of all that the library throws, except std::bad_alloc and what user callbacks throw.
class Error : public std::runtime_error {
 public:
  /// `message` says what, where and the next step; never a cell's value or a password.
  explicit Error(const std::string& message, ErrorContext context = {})
      : std::runtime_error(message), context_(std::move(context)) {}

  /// The server's five-character code, or empty.
  [[nodiscard]] const std::string& sqlstate() const noexcept { return context_.sqlstate; }
  /// "schema.table", or empty.
  [[nodiscard]] const std::string& table() const noexcept { return context_.table; }
  /// The column's name, or empty.
  [[nodiscard]] const std::string& column() const noexcept { return context_.column; }
  /// The position in the server's log that it is about, where there is one.
  [[nodiscard]] std::optional<Lsn> lsn() const noexcept { return context_.lsn; }
  /// True when the same attempt may succeed later without anybody's help.
  [[nodiscard]] bool retryable() const noexcept { return context_.retryable; }

 private:
  ErrorContext context_;
};

/// No connection to the server, or a lost one.
class ConnectionError : public Error {
 public:
  using Error::Error;
};

/// The server sent what the replication protocol does not allow.
class ProtocolError : public Error {
 public:
  using Error::Error;
};

/// Server, publication, table and struct do not fit together; the message lists every problem with its remedy.
class SchemaError : public Error {
 public:
  using Error::Error;
};

/// A value or row that cannot be represented faithfully.
class DecodeError : public Error {
 public:
  using Error::Error;
};

/// The replication slot could not be created or is lost.
class SlotError : public Error {
 public:
  using Error::Error;
};

/// A read before the first complete copy.
class NotReadyError : public Error {
 public:
  using Error::Error;
};

/// A read over several replicas that are not all at the same commit.
class StaleError : public Error {
 public:
  using Error::Error;
};

/// What was waited for can no longer happen: the Replicator has been stopped.
class StoppedError : public Error {
 public:
  using Error::Error;
};

/// The caller's mistake.
class UsageError : public Error {
 public:
  using Error::Error;
};

}  // namespace v0
}  // namespace btreemapped
