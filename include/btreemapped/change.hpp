#pragma once

#include <chrono>
#include <cstddef>
#include <memory>
#include <string>
#include <vector>

#include <btreemapped/detail/table.hpp>
#include <btreemapped/lsn.hpp>
#include <btreemapped/state.hpp>

namespace btreemapped {
inline namespace v0 {
namespace detail {

/// All that becomes visible in one step: a transaction of the source, or a set of fresh copies.
struct Commit {
  struct Change {
    Table* table = nullptr;
    std::unique_ptr<Delta> delta;
  };
  struct Detached {
    Table* table = nullptr;
    TableState state = TableState::stale;  ///< failed where a fresh copy would not help

    friend bool operator==(const Detached&, const Detached&) = default;
  };

  Lsn commit_lsn{};  ///< where the source committed
  Lsn end_lsn{};     ///< every commit of the source before this position is visible afterwards
  std::chrono::sys_time<std::chrono::microseconds> time{};
  std::vector<Change> changes{};
  std::vector<Detached> detached{};   ///< tables that stop following at this commit and keep the one before
  std::vector<Table*> rejoined{};     ///< tables that are live again, or for the first time
  std::vector<std::string> tokens{};  ///< ids of the Tokens of what becomes visible

  /// Units: rows, of all changes.
  [[nodiscard]] std::size_t size() const noexcept {
    std::size_t rows = 0;
    for (const Change& each : changes) rows += each.delta->size();
    return rows;
  }
  [[nodiscard]] bool empty() const noexcept { return changes.empty() && detached.empty() && rejoined.empty(); }
};

}  // namespace detail
}  // namespace v0
}  // namespace btreemapped
