#pragma once

#include <chrono>
#include <compare>
#include <cstdint>
#include <string>
#include <string_view>
#include <type_traits>
#include <utility>

#include <btreemapped/detail/order.hpp>

namespace btreemapped {
inline namespace v0 {
namespace detail {

/// Where a probe lies among the values that a key field can have.
enum class Fit : std::uint8_t { inside, below, above };

template <class T>
inline constexpr bool is_integer_v =
    std::is_integral_v<T> && !std::is_same_v<T, bool> && !std::is_same_v<T, char> && !std::is_same_v<T, wchar_t> &&
    !std::is_same_v<T, char8_t> && !std::is_same_v<T, char16_t> && !std::is_same_v<T, char32_t>;

template <class T>
inline constexpr bool is_time_point_v = false;
template <class Clock, class Duration>
inline constexpr bool is_time_point_v<std::chrono::time_point<Clock, Duration>> = true;

/// A probe that is compared through a reference: the caller's value outlives the call.
template <class Field>
class Reference {
 public:
  constexpr Reference() noexcept = default;
  constexpr explicit Reference(const Field& field) noexcept : field_(&field) {}

  friend constexpr std::weak_ordering operator<=>(const Reference& left, const Reference& right) {
    return compare_part(*left.field_, *right.field_);
  }
  friend constexpr std::weak_ordering operator<=>(const Reference& left, const Field& right) {
    return compare_part(*left.field_, right);
  }

 private:
  const Field* field_ = nullptr;
};

/// What a probe for a key field is compared as: text as a view, small values as themselves, all else by reference.
template <class Field>
using probe_t =
    std::conditional_t<std::is_same_v<Field, std::string>, std::string_view,
                       std::conditional_t<std::is_trivially_copyable_v<Field> && sizeof(Field) <= 2 * sizeof(void*),
                                          Field, Reference<Field>>>;

template <class Probe, class Field>
concept text_probe = std::is_same_v<Field, std::string> && !std::is_null_pointer_v<Probe> &&
                     std::is_convertible_v<const Probe&, std::string_view>;

template <class Probe, class Field>
concept integer_probe = is_integer_v<Field> && is_integer_v<Probe>;

template <class Probe, class Field>
concept time_probe =
    is_time_point_v<Field> && !std::is_same_v<Probe, Field> && std::is_convertible_v<const Probe&, Field>;

/// Can a value of type Probe stand for a key field? Only conversions that lose nothing, done once, before comparing:
/// comparing mixed types instead would find key -1 by 4294967295u.
template <class Probe, class Field>
concept probe_for =
    std::is_same_v<Probe, Field> || text_probe<Probe, Field> || integer_probe<Probe, Field> || time_probe<Probe, Field>;

/// Converts a probe; `out` is set only for Fit::inside.
template <class Field, class Probe>
  requires probe_for<Probe, Field>
[[nodiscard]] constexpr Fit convert_probe(const Probe& probe, probe_t<Field>& out) {
  if constexpr (text_probe<Probe, Field>) {
    out = std::string_view(probe);
  } else if constexpr (integer_probe<Probe, Field>) {
    if (!std::in_range<Field>(probe)) return std::cmp_less(probe, 0) ? Fit::below : Fit::above;
    out = static_cast<Field>(probe);
  } else if constexpr (time_probe<Probe, Field>) {
    if constexpr (is_time_point_v<Probe>) {
      // A coarser unit reaches further than a finer one: compare in the coarser before converting.
      using Wide = std::chrono::duration<std::int64_t, typename Probe::period>;
      const auto since_epoch = std::chrono::duration_cast<Wide>(probe.time_since_epoch());
      if (since_epoch > std::chrono::duration_cast<Wide>(Field::max().time_since_epoch())) return Fit::above;
      if (since_epoch < std::chrono::duration_cast<Wide>(Field::min().time_since_epoch())) return Fit::below;
    }
    out = Field(probe);
  } else if constexpr (std::is_same_v<probe_t<Field>, Reference<Field>>) {
    out = Reference<Field>(probe);
  } else {
    out = probe;
  }
  return Fit::inside;
}

}  // namespace detail
}  // namespace v0
}  // namespace btreemapped
