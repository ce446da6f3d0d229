#pragma once

#include <chrono>
#include <compare>
#include <cstddef>
#include <limits>
#include <map>
#include <optional>
#include <string>
#include <type_traits>
#include <utility>
#include <vector>

#include <btreemapped/codec/array.hpp>
#include <btreemapped/codec/composite.hpp>
#include <btreemapped/detail/codec/integer.hpp>
#include <btreemapped/detail/order.hpp>
#include <btreemapped/detail/reflect.hpp>

namespace btreemapped {
inline namespace v0 {
namespace detail {

/// The bounds of int4range, int8range and daterange, whose values have neighbours: the server makes [1,6) of [1,5].
template <class T>
inline constexpr bool is_discrete_v =
    std::is_same_v<T, std::chrono::sys_days> || (integer<T> && std::is_signed_v<T> && sizeof(T) >= 4);

/// To the next value; what has none, as infinity and the last, stays.
template <class T>
constexpr bool step_up(T& value) noexcept {
  if constexpr (integer<T>) {
    if (value == std::numeric_limits<T>::max()) return false;
    ++value;
  } else {
    if (value == T::min() || value >= T::max() - std::chrono::days{1}) return false;
    value += std::chrono::days{1};
  }
  return true;
}

template <class T>
inline constexpr bool is_bounded_by_server_order_v = true;

/// Does compare_part() order these values as the server does? It cannot know a column's collation nor the order of an
/// enum's labels, NULL comes last there, and arrays of more dimensions have another order.
template <class T>
[[nodiscard]] consteval bool has_server_order() {
  if constexpr (std::is_same_v<T, std::string> || std::is_enum_v<T> || is_optional_v<T> ||
                std::is_same_v<T, std::map<std::string, std::optional<std::string>>>) {
    return false;
  } else if constexpr (array_vector<T>) {
    return !array_vector<typename T::value_type> && has_server_order<typename T::value_type>();
  } else if constexpr (composite<T>) {
    return []<std::size_t... Index>(std::index_sequence<Index...>) {
      return (has_server_order<field_t<T, Index>>() && ...);
    }(std::make_index_sequence<field_count_v<T>>{});
  } else {
    return is_bounded_by_server_order_v<T> && has_order<T>();
  }
}

}  // namespace detail

/// A value of one of PostgreSQL's range types, such as int8range: empty, or what lies between two bounds, each of which
/// may be missing. (The bounds of a read, half_open and its kin, are something else.)
/// Shape: as the server has it. A range that ends where it begins without both is empty, and one of std::int32_t,
/// std::int64_t or sys_days is [1,6) if it is made as [1,5], as in int4range, int8range and daterange. One of other
/// types is kept as it is made: a SqlRange<Numeric> for an int4range must be made as [1,6).
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
        upper_inclusive_(upper_ && upper_inclusive) {
    if constexpr (detail::has_order<T>()) make_canonical();
  }

  [[nodiscard]] bool empty() const noexcept { return empty_; }
  /// Nothing if there is no bound, or the range is empty.
  [[nodiscard]] const std::optional<T>& lower() const noexcept { return lower_; }
  [[nodiscard]] const std::optional<T>& upper() const noexcept { return upper_; }
  [[nodiscard]] bool lower_inclusive() const noexcept { return lower_inclusive_; }
  [[nodiscard]] bool upper_inclusive() const noexcept { return upper_inclusive_; }

  /// True for a value within the bounds. Not for texts, enums and what is made of them, nor for values that may be
  /// NULL: only the server knows the order that they have in the column.
  [[nodiscard]] bool contains(const T& value) const
    requires(detail::has_server_order<T>())
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
  void make_canonical() {
    if (empty_if_equal()) return;
    if constexpr (detail::is_discrete_v<T>) {
      if (lower_ && !lower_inclusive_) lower_inclusive_ = detail::step_up(*lower_);
      if (upper_ && upper_inclusive_) upper_inclusive_ = !detail::step_up(*upper_);
      empty_if_equal();
    }
  }

  bool empty_if_equal() {
    if (!lower_ || !upper_ || (lower_inclusive_ && upper_inclusive_)) return false;
    if (detail::compare_part(*lower_, *upper_) != 0) return false;
    *this = {};
    return true;
  }

  std::optional<T> lower_{};
  std::optional<T> upper_{};
  bool empty_ = true;
  bool lower_inclusive_ = false;
  bool upper_inclusive_ = false;
};

/// A value of one of PostgreSQL's multirange types.
/// Shape: as the server has it: ranges that are not empty, do not touch each other and ascend. Nothing sees to that in
/// one that the program makes.
template <class T>
struct SqlMultirange {
  std::vector<SqlRange<T>> ranges{};

  [[nodiscard]] bool empty() const noexcept { return ranges.empty(); }

  friend auto operator<=>(const SqlMultirange&, const SqlMultirange&) = default;
  friend bool operator==(const SqlMultirange&, const SqlMultirange&) = default;
};

namespace detail {

template <class T>
inline constexpr bool is_bounded_by_server_order_v<SqlRange<T>> = has_server_order<T>();
template <class T>
inline constexpr bool is_bounded_by_server_order_v<SqlMultirange<T>> = has_server_order<T>();

}  // namespace detail

}  // namespace v0
}  // namespace btreemapped
