#pragma once

#include <algorithm>
#include <string>
#include <vector>

#include <btreemapped/finding.hpp>

namespace btreemapped {
inline namespace v0 {

/// What doctor() has seen.
struct Diagnosis {
  std::string server{};               ///< "PostgreSQL 15.18 at 10.0.0.5 port 5432"; empty if it was not reached
  std::string role{};                 ///< as which it let us in
  std::vector<std::string> tables{};  ///< "schema.table", those that were looked at
  std::vector<Finding> findings{};    ///< errors first, then warnings, then notes

  /// Will a Replicator start? It does with warnings and notes.
  [[nodiscard]] bool can_follow() const noexcept {
    return std::none_of(findings.begin(), findings.end(),
                        [](const Finding& each) { return each.severity == Finding::Severity::error; });
  }
};

}  // namespace v0
}  // namespace btreemapped
