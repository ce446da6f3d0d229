#pragma once

#include <chrono>
#include <cstddef>
#include <cstdint>
#include <functional>
#include <memory>
#include <optional>
#include <tuple>
#include <type_traits>
#include <utility>
#include <vector>

#include <btreemapped/detail/typed_table.hpp>
#include <btreemapped/error.hpp>
#include <btreemapped/lsn.hpp>
#include <btreemapped/range.hpp>
#include <btreemapped/read_guard.hpp>
#include <btreemapped/row.hpp>
#include <btreemapped/state.hpp>

namespace btreemapped {
inline namespace v0 {

/// A read-only view of one table, kept equal to it by the Replicator that made it. Cheap to copy, usable from any
/// thread, and readable after the Replicator is gone.
///
/// Rows are ordered by the key tuple as C++ orders it: text by its bytes, floats as PostgreSQL does (NaN last).
/// Every read takes one commit of the source as a whole. Reads may be nested, also over several Replicators.
/// Throws: every read throws NotReadyError before the first complete copy (see Options::empty_until_synced), and
/// UsageError in a forked child.
/// Blocks and locks: a read waits for nothing but an applier that is just then changing the map. The applier waits for
/// reads: a callback that stays for long delays commits, and other readers once, by 64 ms at most. Where long reads
/// overlap without a pause, a commit holds up new ones until those inside have ended, for a second at most.
template <class Row, std::size_t Arity = detail::declared_arity_v<Row>>
class Replica {
  using Model = detail::RowModel<Row, Arity>;
  using Table = detail::TypedTable<Row, Arity>;

 public:
  using row_type = Row;
  /// The key as a tuple of the key fields, which key_of makes of a row.
  using key_type = typename Model::key_type;
  /// What read() gives.
  using guard_type = ReadGuard<Row, Arity>;

  /// Made by Replicator::add_replica.
  explicit Replica(std::shared_ptr<const Table> table) noexcept : table_(std::move(table)) {}

  /// A copy of the row with this key. The arguments are the whole key, in key order.
  /// Complexity: O(log size); allocates only for the copy.
  template <class... Probes>
  [[nodiscard]] std::optional<Row> get(const Probes&... key) const {
    static_assert(std::is_copy_constructible_v<Row>,
                  "btreemapped: a move-only row has no get(); use get_with(key…, f)");
    const guard_type guard = read();
    const Row* const row = guard.find(key...);
    return row == nullptr ? std::nullopt : std::optional<Row>(*row);
  }

  /// get_with(key…, f): calls f(const Row&) if there is a row with this key. True if so when f returns void, else
  /// what f returned, as an optional.
  /// Complexity: O(log size), no allocation.
  template <class... Arguments>
  auto get_with(Arguments&&... key_and_function) const {
    using Last = std::tuple_element_t<sizeof...(Arguments) - 1, std::tuple<Arguments&...>>;
    static_assert(sizeof...(Arguments) > 1 && std::is_invocable_v<Last, const Row&>,
                  "btreemapped: get_with takes the whole key, then a function of const Row&");
    const auto arguments = std::forward_as_tuple(key_and_function...);
    return [&]<std::size_t... Index>(std::index_sequence<Index...>) {
      auto& f = std::get<sizeof...(Arguments) - 1>(arguments);
      using Result = std::invoke_result_t<decltype(f), const Row&>;
      const guard_type guard = read();
      const Row* const row = guard.find(std::get<Index>(arguments)...);
      if constexpr (std::is_void_v<Result>) {
        if (row != nullptr) std::invoke(f, *row);
        return row != nullptr;
      } else {
        using Value = std::remove_cvref_t<Result>;
        return row == nullptr ? std::optional<Value>() : std::optional<Value>(std::invoke(f, *row));
      }
    }(std::make_index_sequence<sizeof...(Arguments) - 1>{});
  }

  /// Is there a row with this key?
  /// Complexity: O(log size), no allocation.
  template <class... Probes>
  [[nodiscard]] bool contains(const Probes&... key) const {
    return read().contains(key...);
  }

  /// The number of rows.
  [[nodiscard]] std::size_t size() const { return read().size(); }
  /// Is there no row?
  [[nodiscard]] bool empty() const { return read().empty(); }

  /// Calls f(const Row&) for every row in key order, until it returns false. f returns void or exactly bool.
  /// Complexity: O(size), no allocation.
  template <class Function>
  void for_each(Function&& f) const {
    const guard_type guard = read();
    walk(guard.begin(), guard.end(), f);
  }

  /// for_rangeN(prefix…, range, f): calls f(const Row&), in key order, for the rows whose first N-1 key fields equal
  /// the prefix and whose Nth lies in the range, until it returns false. A value in the place of the range means
  /// equality; an open side of the range stays inside the prefix. f returns void or exactly bool.
  /// Complexity: O(log size) and the rows visited; no allocation.
  template <class... Arguments>
  void for_range1(Arguments&&... prefix_range_and_function) const
    requires(Arity >= 1)
  {
    visit<1>(prefix_range_and_function...);
  }
  template <class... Arguments>
  void for_range2(Arguments&&... prefix_range_and_function) const
    requires(Arity >= 2)
  {
    visit<2>(prefix_range_and_function...);
  }
  template <class... Arguments>
  void for_range3(Arguments&&... prefix_range_and_function) const
    requires(Arity >= 3)
  {
    visit<3>(prefix_range_and_function...);
  }
  template <class... Arguments>
  void for_range4(Arguments&&... prefix_range_and_function) const
    requires(Arity >= 4)
  {
    visit<4>(prefix_range_and_function...);
  }
  template <class... Arguments>
  void for_range5(Arguments&&... prefix_range_and_function) const
    requires(Arity >= 5)
  {
    visit<5>(prefix_range_and_function...);
  }
  template <class... Arguments>
  void for_range6(Arguments&&... prefix_range_and_function) const
    requires(Arity >= 6)
  {
    visit<6>(prefix_range_and_function...);
  }
  template <class... Arguments>
  void for_range7(Arguments&&... prefix_range_and_function) const
    requires(Arity >= 7)
  {
    visit<7>(prefix_range_and_function...);
  }
  template <class... Arguments>
  void for_range8(Arguments&&... prefix_range_and_function) const
    requires(Arity >= 8)
  {
    visit<8>(prefix_range_and_function...);
  }

  /// Copies of all rows in key order.
  /// Complexity: O(size); allocates for the copies.
  [[nodiscard]] std::vector<Row> to_vector() const {
    static_assert(std::is_copy_constructible_v<Row>,
                  "btreemapped: a move-only row has no to_vector(); use for_each(f)");
    const guard_type guard = read();
    std::vector<Row> rows;
    rows.reserve(guard.size());
    for (const Row& row : guard) rows.push_back(row);
    return rows;
  }

  /// Several reads at one commit.
  /// Throws: NotReadyError before the first complete copy; UsageError in a forked child.
  /// Lifetime: what is read through the guard lives as long as the guard; commits wait until it is gone. The guard
  /// needs this replica, a copy of it, or the Replicator.
  [[nodiscard]] guard_type read() const { return guard_type(*table_); }

  /// What the rows are worth now: pending, live, stale or failed.
  /// Complexity: as lsn(), sequence() and stale_for(), a load or two and no lock.
  [[nodiscard]] TableState state() const noexcept { return table_->state(); }
  /// Every commit of the source before this position is in the replica. It goes back only when, after a lost
  /// connection, the address leads to another server, or to one that lags behind.
  [[nodiscard]] Lsn lsn() const noexcept { return table_->lsn(); }
  /// The number of commits that the Replicator has published. Grows with every visible change.
  [[nodiscard]] std::uint64_t sequence() const noexcept { return table_->store().sequence(); }
  /// How long the replica has not been following its table; zero while it is live.
  [[nodiscard]] std::chrono::nanoseconds stale_for() const noexcept { return table_->stale_for(); }

 private:
  friend class Replicator;

  [[nodiscard]] const Table& table() const noexcept { return *table_; }

  template <class Iterator, class Function>
  static void walk(Iterator first, const Iterator last, Function& f) {
    static_assert(std::is_invocable_v<Function&, const Row&>, "btreemapped: a callback takes const Row&");
    if constexpr (std::is_invocable_v<Function&, const Row&>) {
      using Result = std::invoke_result_t<Function&, const Row&>;
      static_assert(std::is_void_v<Result> || std::is_same_v<Result, bool>,
                    "btreemapped: a callback returns void, or exactly bool, where false stops");
      for (; first != last; ++first) {
        if constexpr (std::is_void_v<Result>) {
          std::invoke(f, *first);
        } else {
          if (!std::invoke(f, *first)) return;
        }
      }
    }
  }

  template <std::size_t Level, class... Arguments>
  void visit(Arguments&... prefix_range_and_function) const {
    static_assert(sizeof...(Arguments) == Level + 1,
                  "btreemapped: for_rangeN takes N-1 values of the prefix, the range, and a function of const Row&");
    const auto arguments = std::tie(prefix_range_and_function...);
    const guard_type guard = read();
    [&]<std::size_t... Index>(std::index_sequence<Index...>) {
      const auto rows = guard.template range_at<Level>(std::get<Index>(arguments)...);
      walk(rows.begin(), rows.end(), std::get<Level>(arguments));
    }(std::make_index_sequence<Level>{});
  }

  std::shared_ptr<const Table> table_;
};

/// Lets read() go on although a replica is not at the commit of the others.
struct AllowStale {};
/// read(allow_stale, a, b, …, f).
inline constexpr AllowStale allow_stale{};

namespace detail {

/// Opens one guard after the other: a thread that reads never waits for another store's applier, so any order will do.
template <class Function, class... Guards>
auto read_together(bool, const std::tuple<const Guards&...>& guards, Function&& f) {
  return std::apply(std::forward<Function>(f), guards);
}
template <class... Guards, class Row, std::size_t Arity, class... Rest>
auto read_together(bool stale_allowed, const std::tuple<const Guards&...>& guards, const Replica<Row, Arity>& next,
                   Rest&&... rest) {
  const ReadGuard<Row, Arity> guard = next.read();
  // Each with each: the first one may be of another Replicator.
  if (!stale_allowed) std::apply([&](const auto&... earlier) { (earlier.check_same_commit(guard), ...); }, guards);
  return read_together(stale_allowed, std::tuple_cat(guards, std::tuple<const ReadGuard<Row, Arity>&>(guard)),
                       std::forward<Rest>(rest)...);
}

}  // namespace detail

/// read(a, b, …, f): calls f(guard of a, guard of b, …) and returns what it returns, by value. Replicas of one
/// Replicator are read at one commit; those of different Replicators have no common commit and are each read at their
/// own.
/// Throws: StaleError when one of a Replicator's replicas has stopped following while others went on.
/// Blocks and locks: as the guards it opens.
template <class Row, std::size_t Arity, class... Rest>
  requires(sizeof...(Rest) > 0)
auto read(const Replica<Row, Arity>& first, Rest&&... rest) {
  return detail::read_together(false, std::tuple<>{}, first, std::forward<Rest>(rest)...);
}

/// The same, also when a replica is not at the commit of the others.
template <class Row, std::size_t Arity, class... Rest>
  requires(sizeof...(Rest) > 0)
auto read(AllowStale, const Replica<Row, Arity>& first, Rest&&... rest) {
  return detail::read_together(true, std::tuple<>{}, first, std::forward<Rest>(rest)...);
}

}  // namespace v0
}  // namespace btreemapped
