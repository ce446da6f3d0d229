#pragma once

#include <cstddef>
#include <iterator>
#include <ranges>

#include <btreemapped/detail/key_search.hpp>

namespace btreemapped {
inline namespace v0 {
namespace detail {

/// Walks rows in key order. A type of the library's own, so that what is behind it can change.
template <class Row, class MapIterator>
class RowIterator {
 public:
  using iterator_category = std::bidirectional_iterator_tag;
  using value_type = Row;
  using difference_type = std::ptrdiff_t;
  using pointer = const Row*;
  using reference = const Row&;

  RowIterator() = default;
  explicit RowIterator(MapIterator place) : place_(place) {}

  [[nodiscard]] const Row& operator*() const { return place_->second; }
  [[nodiscard]] const Row* operator->() const { return &place_->second; }

  RowIterator& operator++() {
    ++place_;
    return *this;
  }
  RowIterator operator++(int) {
    RowIterator before = *this;
    ++place_;
    return before;
  }
  RowIterator& operator--() {
    --place_;
    return *this;
  }
  RowIterator operator--(int) {
    RowIterator before = *this;
    --place_;
    return before;
  }

  friend bool operator==(const RowIterator& a, const RowIterator& b) { return a.place_ == b.place_; }

 private:
  MapIterator place_{};
};

/// Rows in key order. A plain view_base: subrange and view_interface do not compile over such iterators with Clang 14
/// and libstdc++ 12.
/// Lifetime: of the read guard that it came from.
template <class Row, class MapIterator>
class RowRange : public std::ranges::view_base {
 public:
  using Iterator = RowIterator<Row, MapIterator>;

  RowRange() = default;
  explicit RowRange(Span<MapIterator> span) : first_(span.first), last_(span.last) {}

  [[nodiscard]] Iterator begin() const { return first_; }
  [[nodiscard]] Iterator end() const { return last_; }
  [[nodiscard]] bool empty() const { return first_ == last_; }

 private:
  Iterator first_{};
  Iterator last_{};
};

}  // namespace detail
}  // namespace v0
}  // namespace btreemapped

// Its iterators belong to the guard, not to the range.
template <class Row, class MapIterator>
inline constexpr bool std::ranges::enable_borrowed_range<btreemapped::detail::RowRange<Row, MapIterator>> = true;
