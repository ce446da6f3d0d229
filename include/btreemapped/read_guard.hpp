#pragma once

#include <cstddef>
#include <cstdint>
#include <tuple>
#include <utility>

#include <btreemapped/detail/key_search.hpp>
#include <btreemapped/detail/row_iterator.hpp>
#include <btreemapped/detail/store.hpp>
#include <btreemapped/detail/typed_table.hpp>
#include <btreemapped/error.hpp>
#include <btreemapped/lsn.hpp>

namespace btreemapped {
inline namespace v0 {

namespace detail {

/// The same judgement, with the same words, wherever a whole key or a part of one is taken.
template <class Key, class... Probes>
consteval void check_whole_key() {
  static_assert(sizeof...(Probes) == std::tuple_size_v<Key>,
                "btreemapped: this takes exactly the whole key; for a part of it use for_range1, for_range2, …");
  if constexpr (sizeof...(Probes) == std::tuple_size_v<Key>)
    []<std::size_t... Level>(std::index_sequence<Level...>) {
      static_assert(
          (probe_for<Probes, std::tuple_element_t<Level, Key>> && ...),
          "btreemapped: a value cannot stand for its key field without loss: text for text, any integer for an "
          "integer, else the field's own type");
    }(std::make_index_sequence<sizeof...(Probes)>{});
}

template <class Key, class... Probes>
consteval void check_range_key() {
  constexpr std::size_t last = sizeof...(Probes) - 1;
  using Arguments = std::tuple<const Probes&...>;
  [&]<std::size_t... Level>(std::index_sequence<Level...>) {
    static_assert(
        (probe_for<std::remove_cvref_t<std::tuple_element_t<Level, Arguments>>, std::tuple_element_t<Level, Key>> &&
         ...),
        "btreemapped: the values before the range must each stand for their key field without loss");
  }(std::make_index_sequence<last>{});
  static_assert(
      range_or_probe<std::remove_cvref_t<std::tuple_element_t<last, Arguments>>, std::tuple_element_t<last, Key>>,
      "btreemapped: the last argument must be a range (half_open(…), at_least(…), all, …) or a value of its key field");
}

}  // namespace detail

/// Several reads of one replica at one commit. Rows and iterators that it gives live as long as the guard.
/// Blocks and locks: as a read of a Replica; commits wait until it is gone, so do not keep it for long. It belongs to
/// the thread that made it. Reads inside it, of any replica, are fine.
template <class Row, std::size_t Arity>
class [[nodiscard]] ReadGuard {
  using Table = detail::TypedTable<Row, Arity>;
  using Map = typename Table::Map;
  using Key = typename Table::Key;

 public:
  /// What range1, range2, … give: a view of const Row&, bidirectional.
  using Rows = detail::RowRange<Row, typename Map::const_iterator>;
  using Iterator = typename Rows::Iterator;

  /// Throws: NotReadyError before the first complete copy; UsageError in a forked child.
  explicit ReadGuard(const Table& table) : pin_(table.store()), table_(table) {
    if (!table.copied() && !table.store().readable_before_copy())
      throw NotReadyError(to_string(table.name()) +
                              " has not been copied yet; wait for Replicator::synced(), or set "
                              "Options::empty_until_synced to read an empty table until then",
                          {.table = to_string(table.name()), .retryable = true});
  }
  ReadGuard(const ReadGuard&) = delete;
  ReadGuard& operator=(const ReadGuard&) = delete;
  ~ReadGuard() = default;

  /// The number of rows.
  [[nodiscard]] std::size_t size() const noexcept { return table_.rows().size(); }
  /// Is there no row?
  [[nodiscard]] bool empty() const noexcept { return table_.rows().empty(); }

  /// All rows in key order.
  /// Lifetime: iterators and rows live as long as the guard, as with find and rangeN.
  /// Complexity: O(1), and a step is O(1) amortised.
  [[nodiscard]] Iterator begin() const& { return Iterator(table_.rows().begin()); }
  [[nodiscard]] Iterator end() const& { return Iterator(table_.rows().end()); }
  Iterator begin() const&& = delete;
  Iterator end() const&& = delete;

  /// The row of a key, or null.
  /// Complexity: O(log size), no allocation.
  template <class... Probes>
  [[nodiscard]] const Row* find(const Probes&... probes) const& {
    detail::check_whole_key<Key, Probes...>();
    const auto place = detail::find_key(table_.rows(), probes...);
    return place == table_.rows().end() ? nullptr : &place->second;
  }
  template <class... Probes>
  const Row* find(const Probes&... probes) const&& = delete;

  /// Is there a row with this key?
  /// Complexity: O(log size), no allocation.
  template <class... Probes>
  [[nodiscard]] bool contains(const Probes&... probes) const {
    detail::check_whole_key<Key, Probes...>();
    return detail::find_key(table_.rows(), probes...) != table_.rows().end();
  }

  /// rangeN(prefix…, range): the rows whose first N-1 key fields equal the prefix and whose Nth lies in the range, in
  /// key order. A value in the place of the range means equality.
  /// Complexity: O(log size), no allocation.
  template <class... Probes>
  [[nodiscard]] Rows range1(const Probes&... probes) const&
    requires(Arity >= 1)
  {
    return range_at<1>(probes...);
  }
  template <class... Probes>
  Rows range1(const Probes&... probes) const&& = delete;
  template <class... Probes>
  [[nodiscard]] Rows range2(const Probes&... probes) const&
    requires(Arity >= 2)
  {
    return range_at<2>(probes...);
  }
  template <class... Probes>
  Rows range2(const Probes&... probes) const&& = delete;
  template <class... Probes>
  [[nodiscard]] Rows range3(const Probes&... probes) const&
    requires(Arity >= 3)
  {
    return range_at<3>(probes...);
  }
  template <class... Probes>
  Rows range3(const Probes&... probes) const&& = delete;
  template <class... Probes>
  [[nodiscard]] Rows range4(const Probes&... probes) const&
    requires(Arity >= 4)
  {
    return range_at<4>(probes...);
  }
  template <class... Probes>
  Rows range4(const Probes&... probes) const&& = delete;
  template <class... Probes>
  [[nodiscard]] Rows range5(const Probes&... probes) const&
    requires(Arity >= 5)
  {
    return range_at<5>(probes...);
  }
  template <class... Probes>
  Rows range5(const Probes&... probes) const&& = delete;
  template <class... Probes>
  [[nodiscard]] Rows range6(const Probes&... probes) const&
    requires(Arity >= 6)
  {
    return range_at<6>(probes...);
  }
  template <class... Probes>
  Rows range6(const Probes&... probes) const&& = delete;
  template <class... Probes>
  [[nodiscard]] Rows range7(const Probes&... probes) const&
    requires(Arity >= 7)
  {
    return range_at<7>(probes...);
  }
  template <class... Probes>
  Rows range7(const Probes&... probes) const&& = delete;
  template <class... Probes>
  [[nodiscard]] Rows range8(const Probes&... probes) const&
    requires(Arity >= 8)
  {
    return range_at<8>(probes...);
  }
  template <class... Probes>
  Rows range8(const Probes&... probes) const&& = delete;

  /// Every commit of the source before this position is in these rows.
  [[nodiscard]] Lsn lsn() const noexcept { return table_.lsn(); }
  /// The number of commits that the Replicator has published.
  [[nodiscard]] std::uint64_t sequence() const noexcept { return table_.store().sequence(); }

  /// Throws: StaleError when the other guard's replica belongs to the same Replicator but is at another commit.
  template <class OtherRow, std::size_t OtherArity>
  void check_same_commit(const ReadGuard<OtherRow, OtherArity>& other) const {
    if (&table_.store() != &other.table_.store() || table_.detached_at() == other.table_.detached_at()) return;
    const detail::Table& stale =
        table_.detached_at() < other.table_.detached_at() ? static_cast<const detail::Table&>(other.table_) : table_;
    throw StaleError(
        to_string(stale.name()) + " stopped at " + to_string(stale.detached_at()) +
            " while the other tables went on; pass btreemapped::allow_stale to read them together all the same",
        {.table = to_string(stale.name()), .lsn = stale.detached_at(), .retryable = true});
  }

 private:
  template <class, std::size_t>
  friend class ReadGuard;
  template <class, std::size_t>
  friend class Replica;

  template <std::size_t Level, class... Probes>
  Rows range_at(const Probes&... probes) const {
    static_assert(sizeof...(Probes) == Level,
                  "btreemapped: rangeN takes N arguments: N-1 values of the prefix, then the range");
    detail::check_range_key<Key, Probes...>();
    return Rows(detail::find_range(table_.rows(), probes...));
  }

  detail::Store::Pin pin_;
  const Table& table_;
};

}  // namespace v0
}  // namespace btreemapped
