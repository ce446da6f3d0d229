#pragma once

#include <chrono>
#include <cstddef>
#include <functional>
#include <memory>
#include <mutex>
#include <new>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include <btreemapped/change.hpp>
#include <btreemapped/detail/column_map.hpp>
#include <btreemapped/detail/fault.hpp>
#include <btreemapped/detail/interrupt.hpp>
#include <btreemapped/detail/loop/catalog_watch.hpp>
#include <btreemapped/detail/loop/copy_progress.hpp>
#include <btreemapped/detail/pq/snapshot_copy.hpp>
#include <btreemapped/detail/sql/server_error.hpp>
#include <btreemapped/detail/table.hpp>
#include <btreemapped/detail/transaction.hpp>
#include <btreemapped/detail/wire/copy_text.hpp>
#include <btreemapped/error.hpp>
#include <btreemapped/lsn.hpp>

namespace btreemapped {
inline namespace v0 {
namespace detail {

/// Says what becomes of the rows of a table, as they were at `position`.
using CopyReader = std::function<std::unique_ptr<TableCopy>(const Table& table, ColumnMap map, Lsn position)>;

struct Copied {
  Lsn position{};                         ///< of the snapshot
  std::vector<Commit::Change> changes{};  ///< what makes each table equal to its copy; sealed if a stream follows
  std::vector<Fault> faults{};            ///< tables that could not be copied
  std::vector<std::string> tokens{};      ///< that the snapshot shows
};

inline sql::CopySource copy_source_of(const Followed& followed) {
  return {followed.shape->table, followed.shape->kind, columns_of(*followed.table), followed.shape->row_filter,
          key_columns_of(*followed.table)};
}

/// Copies tables through one snapshot, and makes of each copy what it changes in the table. On a worker's thread.
class Copier {
 public:
  /// What it works with. All of it outlives the copier.
  struct Surroundings {
    pq::SnapshotCopy& snapshot;
    const CopyReader& reader;  ///< if the rows are not to take the place of those that are served
    bool follows;              ///< a stream begins where the copy ends
    const OnProgress& on_progress;
    std::chrono::milliseconds patience;  ///< with a server that sends nothing, before that is told
    std::mutex& rows_mutex;              ///< of whoever looks at the rows that are served
    const Interrupt& interrupt;
  };

  Copier(const Surroundings& around, Copied& out)
      : snapshot_(around.snapshot),
        reader_(around.reader),
        follows_(around.follows),
        on_progress_(around.on_progress),
        patience_(around.patience),
        rows_mutex_(around.rows_mutex),
        interrupt_(around.interrupt),
        out_(out) {}

  /// Throws: ConnectionError, StoppedError. What is wrong with the table is a fault.
  void copy(const Followed& followed) {
    Table& table = *followed.table;
    std::unique_ptr<TableCopy> copy;
    std::optional<Fault> fault = touching_rows(table, [&] {
      copy = make_copy(followed);
      return Failure{};
    });
    std::string scratch;
    std::vector<wire::Cell> cells;
    CopyProgress progress(table, reader_ ? OnProgress{} : on_progress_);
    auto silent_for = std::chrono::milliseconds{0};
    const auto tell_silence = [&] { progress.silent(silent_for += patience_, snapshot_.connection().backend_pid()); };
    try {
      bool again = !fault;
      while (again) {
        const auto add = [&](std::string_view line) {
          silent_for = {};
          if (fault) return;  // the rest is read and dropped, so that the session can go on with the next table
          fault = add_line(table, *copy, line, scratch, cells);
          if (!fault) progress.add(line.size(), copy->row_count());
        };
        snapshot_.copy(copy_source_of(followed), add, {patience_, tell_silence});
        again = !fault && copy->wants_another_pass();
      }
    } catch (const SchemaError& error) {
      // Some troubles count as passing, but are this table's: a value too large to be printed (XX000), a broken page.
      const bool of_table = sql::has_class(error.sqlstate(), "XX") || sql::has_class(error.sqlstate(), "58");
      if (error.retryable() && !of_table) throw;
      if (!fault) fault = Fault{&table, {}, error.what(), out_.position, false, error.sqlstate()};
    }
    const std::size_t rows = copy == nullptr ? 0 : copy->row_count();
    std::unique_ptr<Delta> change;
    if (!fault) copy->arrange();
    if (!fault) fault = touching_rows(table, [&] { return copy->finish(change, [this] { interrupt_.check(); }); });
    for (bool sealed = !follows_; !fault && !sealed;) {
      fault = touching_rows(table, [&] {
        const std::optional<Failure> outcome = change->seal(std::chrono::steady_clock::now() + seal_slice);
        sealed = outcome.has_value();
        return outcome.value_or(Failure{});
      });
    }
    if (fault) {
      out_.faults.push_back(std::move(*fault));
      return;
    }
    if (reader_) return;
    progress.finish(rows);
    out_.changes.push_back({&table, std::move(change)});
  }

 private:
  static constexpr std::chrono::milliseconds seal_slice{50};  // an interrupt() waits for it

  std::unique_ptr<TableCopy> make_copy(const Followed& followed) {
    Table& table = *followed.table;
    ColumnMap map = map_copied_columns(table.needs(), *followed.shape);
    if (reader_) return reader_(table, std::move(map), out_.position);
    const bool compare = !follows_ || table.row_count() > 0;
    return compare ? table.make_comparison(std::move(map)) : table.make_copy(std::move(map));
  }

  std::optional<Fault> add_line(Table& table, TableCopy& copy, std::string_view line, std::string& scratch,
                                std::vector<wire::Cell>& cells) {
    return touching_rows(table, [&] {
      if (const Errc error = wire::split_copy_line(line, scratch, cells); error != Errc::ok)
        throw ProtocolError("a line of COPY cannot be read: " + std::string(describe(error)),
                            {.table = to_string(table.name())});
      return copy.add(cells);
    });
  }

  /// For what may look at the rows that are served.
  template <class Step>
  std::optional<Fault> touching_rows(Table& table, Step&& step) {
    const std::lock_guard lock(rows_mutex_);
    interrupt_.check();
    try {
      if (const Failure failure = step()) return make_fault(table, failure, out_.position);
    } catch (const std::bad_alloc&) {
      return Fault{&table, {}, "out of memory", out_.position, true, {}};
    }
    return std::nullopt;
  }

  pq::SnapshotCopy& snapshot_;
  const CopyReader& reader_;
  const bool follows_;
  const OnProgress& on_progress_;
  const std::chrono::milliseconds patience_;
  std::mutex& rows_mutex_;
  const Interrupt& interrupt_;
  Copied& out_;
};

}  // namespace detail
}  // namespace v0
}  // namespace btreemapped
