#pragma once

#include <compare>
#include <cstddef>
#include <optional>
#include <utility>
#include <vector>

#include <btreemapped/detail/order.hpp>

namespace btreemapped {
inline namespace v0 {

/// A value of one of PostgreSQL's range types, such as int8range: empty, or what lies between two bounds, each of which
/// may be missing. (The bounds of a read, half_open and its kin, are something else.)
template <class T>
class SqlRange {
 public:
  /// The empty range.
  SqlRange() = default;

  /// From one bound to the other; std::nullopt is no bound on that side.
  SqlRange(std::optional<T> lower, std::optional<T> upper, bool lower_inclusive = true, bool upper_inclusive = false)
      : lower_(std::move(lower)),
        upper_(std::move(upper)),
        empty_(false),
        lower_inclusive_(lower_ && lower_inclusive),
        upper_inclusive_(upper_ && upper_inclusive) {}

  [[nodiscard]] bool empty() const noexcept { return empty_; }
  /// Nothing if there is no bound, or the range is empty.
  [[nodiscard]] const std::optional<T>& lower() const noexcept { return lower_; }
  [[nodiscard]] const std::optional<T>& upper() const noexcept { return upper_; }
  [[nodiscard]] bool lower_inclusive() const noexcept { return lower_inclusive_; }
  [[nodiscard]] bool upper_inclusive() const noexcept { return upper_inclusive_; }

  /// True for a value within the bounds, by the order that keys have.
  [[nodiscard]] bool contains(const T& value) const
    requires(detail::has_order<T>())
  {
    if (empty_) return false;
    if (lower_) {
      const std::weak_ordering order = detail::compare_part(*lower_, value);
      if (order > 0 || (order == 0 && !lower_inclusive_)) return false;
    }
    if (!upper_) return true;
    const std::weak_ordering order = detail::compare_part(value, *upper_);
    return order < 0 || (order == 0 && upper_inclusive_);
  }

  /// As in PostgreSQL: the empty range first, then by the lower bound, then by the upper one.
  friend std::weak_ordering operator<=>(const SqlRange& a, const SqlRange& b)
    requires(detail::has_order<T>())
  {
    if (a.empty_ || b.empty_) return b.empty_ <=> a.empty_;
    if (!a.lower_ || !b.lower_) {
      if (a.lower_ || b.lower_) return a.lower_.has_value() <=> b.lower_.has_value();
    } else if (const auto order = detail::compare_part(*a.lower_, *b.lower_); order != 0) {
      return order;
    } else if (a.lower_inclusive_ != b.lower_inclusive_) {
      return b.lower_inclusive_ <=> a.lower_inclusive_;
    }
    if (!a.upper_ || !b.upper_) return b.upper_.has_value() <=> a.upper_.has_value();
    const auto order = detail::compare_part(*a.upper_, *b.upper_);
    return order != 0 ? order : a.upper_inclusive_ <=> b.upper_inclusive_;
  }
  friend bool operator==(const SqlRange& a, const SqlRange& b)
    requires(detail::has_order<T>())
  {
    return (a <=> b) == 0;
  }
  friend bool operator==(const SqlRange& a, const SqlRange& b)
    requires(!detail::has_order<T>())
  = default;

 private:
  std::optional<T> lower_{};
  std::optional<T> upper_{};
  bool empty_ = true;
  bool lower_inclusive_ = false;
  bool upper_inclusive_ = false;
};

/// A value of one of PostgreSQL's multirange types: ranges that are not empty, do not touch each other and ascend.
template <class T>
struct SqlMultirange {
  std::vector<SqlRange<T>> ranges{};

  [[nodiscard]] bool empty() const noexcept { return ranges.empty(); }

  friend auto operator<=>(const SqlMultirange&, const SqlMultirange&) = default;
  friend bool operator==(const SqlMultirange&, const SqlMultirange&) = default;
};

}  // namespace v0
}  // namespace btreemapped
