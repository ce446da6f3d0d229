#pragma once

#include <algorithm>
#include <span>
#include <string>
#include <utility>
#include <vector>

#include <btreemapped/detail/loop/examination.hpp>
#include <btreemapped/detail/table_name.hpp>
#include <btreemapped/diagnosis.hpp>
#include <btreemapped/options.hpp>

namespace btreemapped {
inline namespace v0 {

/// Looks whether tables can be followed with these options, and will be for long: at the way to the server, the role,
/// the server, the publications and the tables. Without row types, it judges what holds for any. It changes nothing and
/// creates no slot. Replicator::doctor() asks the same for replicas, and judges their columns, too.
/// `tables` are named as for add_replica(); none: all that the publications publish.
/// Throws: UsageError for options that cannot work, or a name that cannot be read. What the server says is a finding.
/// Blocks and locks: for some queries of the catalog, on three connections; as long as connect_timeout where nobody
/// answers.
[[nodiscard]] inline Diagnosis doctor(const Options& options, std::span<const std::string> tables = {}) {
  std::vector<detail::Subject> subjects;
  for (const std::string& table : tables) subjects.push_back({detail::parse_table_name(table, {}), {}});
  return detail::Examination(options, std::move(subjects)).run();
}

}  // namespace v0
}  // namespace btreemapped
