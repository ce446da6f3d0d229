#pragma once

#include <cstddef>
#include <memory>
#include <string>
#include <utility>
#include <vector>

#include <btreemapped/detail/loop/catalog_watch.hpp>
#include <btreemapped/detail/shape.hpp>
#include <btreemapped/detail/sql/copy_guard.hpp>
#include <btreemapped/detail/transaction.hpp>
#include <btreemapped/error.hpp>
#include <btreemapped/lsn.hpp>

namespace btreemapped {
inline namespace v0 {
namespace detail {

/// Whether tables that are to be copied wait for each other: those of the first copies belong together.
enum class CopyBond { together, alone };

/// What a guard's report means for the tables that it is about: those that may be copied are so as what the snapshot
/// shows; the others each get a fault.
/// Throws: SchemaError, retryable, for tables that belong together, when one changed after the slot was made, or
/// somebody holds it.
inline std::vector<Fault> heed_guard(const sql::GuardReport& report, Lsn position, CopyBond bond,
                                     std::vector<Followed>& followed) {
  std::vector<Fault> faults;
  const auto again = [&](std::size_t table, const std::string& what, const std::string& sqlstate) {
    if (bond == CopyBond::together) {
      const std::string name = to_string(followed[table].shape->table);
      throw SchemaError(what, {.sqlstate = sqlstate, .table = name, .retryable = true});
    }
    faults.push_back({followed[table].table, {}, what, position, true, sqlstate, sqlstate.empty()});
  };
  const auto altered = [&](std::size_t i) {
    again(i, "table " + to_string(followed[i].shape->table) + " was altered before it was to be copied", "");
  };
  std::vector<bool> found(followed.size(), false);
  for (const sql::GuardFinding& finding : report.findings) {
    const std::size_t i = finding.table;
    found[i] = true;
    if (finding.retryable) again(i, finding.what, finding.sqlstate);
    else if (!has_same_definition(followed[i], report.fingerprints[i])) altered(i);
    else faults.push_back({followed[i].table, {}, finding.what, position, false, finding.sqlstate});
  }
  for (std::size_t i = 0; i < followed.size(); ++i) {
    if (found[i]) continue;
    if (!has_same_definition(followed[i], report.fingerprints[i])) {
      altered(i);
      continue;
    }
    auto copied = std::make_shared<TableShape>(*followed[i].shape);
    copied->fingerprint = report.fingerprints[i];
    followed[i].shape = std::move(copied);
  }
  return faults;
}

}  // namespace detail
}  // namespace v0
}  // namespace btreemapped
