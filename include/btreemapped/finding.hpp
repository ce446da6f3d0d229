#pragma once

#include <cstdint>
#include <string>
#include <string_view>

namespace btreemapped {
inline namespace v0 {

/// What doctor() and the checks before each copy find: what is wrong, and the SQL, setting or step that mends it.
/// No finding holds a cell's value or a password.
struct Finding {
  enum class Severity : std::uint8_t {
    note,     ///< good to know
    warning,  ///< it will be followed, but something may go wrong later, or more is allowed than is needed
    error,    ///< it cannot be followed
  };

  Severity severity = Severity::error;
  std::string table{};   ///< "schema.table", empty for connection, role and server
  std::string column{};  ///< empty for the whole table
  std::string what{};
  std::string remedy{};
};

/// The severity in words.
[[nodiscard]] constexpr std::string_view to_string(Finding::Severity severity) noexcept {
  switch (severity) {
    case Finding::Severity::note: return "note";
    case Finding::Severity::warning: return "warning";
    case Finding::Severity::error: return "error";
  }
  return "unknown";
}

/// "error: public.cars, column color: there is no such column", and the remedy on a line of its own.
[[nodiscard]] inline std::string to_string(const Finding& finding) {
  std::string out{to_string(finding.severity)};
  if (!finding.table.empty()) out += ": " + finding.table;
  if (!finding.column.empty()) out += ", column " + finding.column;
  out += ": " + finding.what;
  if (!finding.remedy.empty()) out += "\n  " + finding.remedy;
  return out;
}

}  // namespace v0
}  // namespace btreemapped
