#pragma once

#include <string>

#include <btreemapped/detail/table.hpp>
#include <btreemapped/error.hpp>
#include <btreemapped/lsn.hpp>

namespace btreemapped {
inline namespace v0 {
namespace detail {

/// Why a table stopped following. The others go on.
struct Fault {
  Table* table = nullptr;
  std::string column{};
  std::string what{};
  Lsn lsn{};               ///< the commit that could not be applied
  bool healable = true;    ///< would a fresh copy mend it? Not when the table holds a value that the row cannot
  std::string sqlstate{};  ///< where it was the server that refused
  bool altered = false;    ///< no fault at all: the table was altered while its copy was to begin
  bool oversized = false;  ///< the transaction was too large: what it touched is to come back together
};

[[nodiscard]] constexpr bool healed_by_copy(Errc error) noexcept {
  switch (error) {
    case Errc::invalid_text:
    case Errc::out_of_range:
    case Errc::invalid_encoding:
    case Errc::unexpected_null: return false;
    default: return true;
  }
}

[[nodiscard]] inline Fault make_fault(Table& table, const Failure& failure, Lsn lsn) {
  const bool at_field = failure.field != Failure::no_field;
  return {&table,
          at_field ? table.needs()[failure.field].column : std::string{},
          std::string(describe(failure.code)),
          lsn,
          healed_by_copy(failure.code),
          {}};
}

}  // namespace detail
}  // namespace v0
}  // namespace btreemapped
