#pragma once

#include <compare>
#include <cstddef>
#include <cstdint>
#include <functional>
#include <limits>
#include <optional>
#include <string>
#include <string_view>

#include <btreemapped/detail/codec/decimal.hpp>
#include <btreemapped/detail/codec/hash.hpp>
#include <btreemapped/detail/codec/iso_print.hpp>
#include <btreemapped/error.hpp>

namespace btreemapped {
inline namespace v0 {

/// PostgreSQL's interval: months, days and microseconds, which are independent of each other and may differ in sign.
///
/// Order and equality are PostgreSQL's: a month counts as 30 days and a day as 24 hours, so that "1 mon" equals
/// "30 days", although they are not the same.
struct Interval {
  std::int32_t months = 0;
  std::int32_t days = 0;
  std::int64_t microseconds = 0;

  /// PostgreSQL 17's infinity, greater than all else. Its negative is minus_infinity().
  [[nodiscard]] static constexpr Interval infinity() noexcept { return {INT32_MAX, INT32_MAX, INT64_MAX}; }
  [[nodiscard]] static constexpr Interval minus_infinity() noexcept { return {INT32_MIN, INT32_MIN, INT64_MIN}; }

  /// Are all three members the same? Finer than ==.
  [[nodiscard]] constexpr bool same_as(const Interval& other) const noexcept {
    return months == other.months && days == other.days && microseconds == other.microseconds;
  }
  /// Is it neither infinity nor its negative?
  [[nodiscard]] constexpr bool is_finite() const noexcept { return !same_as(infinity()) && !same_as(minus_infinity()); }

  /// How long it is where a month has 30 days and a day 24 hours: whole days, and what remains of one.
  struct Length {
    std::int64_t days = 0;
    std::int64_t microseconds = 0;  ///< from 0 to less than a day

    friend constexpr auto operator<=>(const Length&, const Length&) noexcept = default;
  };
  [[nodiscard]] constexpr Length length() const noexcept {
    Length length{std::int64_t{months} * 30 + days + microseconds / detail::micros_per_day,
                  microseconds % detail::micros_per_day};
    if (length.microseconds < 0) {
      length.microseconds += detail::micros_per_day;
      --length.days;
    }
    return length;
  }

  friend constexpr std::weak_ordering operator<=>(const Interval& a, const Interval& b) noexcept {
    return a.length() <=> b.length();
  }
  friend constexpr bool operator==(const Interval& a, const Interval& b) noexcept { return a.length() == b.length(); }

  /// Reads what PostgreSQL prints under intervalstyle = 'postgres' ("1 year -2 mons +3 days 04:05:06.789", "infinity");
  /// empty for anything else, and for the finite text of what are the infinities from PostgreSQL 17 on.
  [[nodiscard]] static constexpr std::optional<Interval> parse(std::string_view text) noexcept;
};

namespace detail {

/// Reads an interval from left to right. The first mismatch sticks.
class IntervalReader {
 public:
  explicit constexpr IntervalReader(std::string_view text) noexcept : rest_(text) {}

  [[nodiscard]] constexpr Errc read(Interval& out) noexcept {
    std::int64_t months = 0;
    std::int64_t days = 0;
    std::int64_t micros = 0;
    // The parts come in this order, each at most once.
    int next = 0;
    do {
      const bool negative = accept("-");
      if (!negative) accept("+");
      std::uint64_t size = number();
      const std::int64_t sign = negative ? -1 : 1;
      if (rest_.starts_with(':')) {
        micros = clock(negative, size);
        ok_ = ok_ && rest_.empty();
        break;
      }
      if (next < 1 && accept(" year")) {
        next = 1;
        months += sign * static_cast<std::int64_t>(size) * 12;
      } else if (next < 2 && accept(" mon")) {
        next = 2;
        months += sign * static_cast<std::int64_t>(size);
      } else if (next < 3 && accept(" day")) {
        next = 3;
        days = sign * static_cast<std::int64_t>(size);
      } else {
        ok_ = false;
      }
      accept("s");
    } while (ok_ && !rest_.empty() && (ok_ = accept(" ")));
    if (!ok_) return Errc::invalid_text;
    using Limits = std::numeric_limits<std::int32_t>;
    if (months < Limits::min() || months > Limits::max() || days < Limits::min() || days > Limits::max() || too_large_)
      return Errc::out_of_range;
    out = {static_cast<std::int32_t>(months), static_cast<std::int32_t>(days), micros};
    // Before 17 these were numbers, since then they are no longer: what they would be held as means something else.
    return out.is_finite() ? Errc::ok : Errc::out_of_range;
  }

 private:
  constexpr bool accept(std::string_view what) noexcept {
    if (!rest_.starts_with(what)) return false;
    rest_.remove_prefix(what.size());
    return true;
  }

  /// Up to ten digits.
  constexpr std::uint64_t number() noexcept {
    std::uint64_t value = 0;
    std::size_t digits = 0;
    for (; digits < 10 && digits < rest_.size() && is_digit(rest_[digits]); ++digits)
      value = value * 10 + static_cast<std::uint64_t>(rest_[digits] - '0');
    rest_.remove_prefix(digits);
    digits_ = digits;
    ok_ = ok_ && digits > 0;
    return value;
  }

  constexpr std::uint64_t sixty() noexcept {
    ok_ = ok_ && accept(":");
    const std::uint64_t value = number();
    ok_ = ok_ && digits_ == 2 && value < 60;
    return value;
  }

  /// What follows the hours: :MM:SS[.ffffff]
  constexpr std::int64_t clock(bool negative, std::uint64_t hours) noexcept {
    ok_ = ok_ && digits_ >= 2;
    const std::uint64_t minutes = sixty();
    const std::uint64_t seconds = sixty();
    std::uint64_t micros = 0;
    if (accept(".")) {
      micros = number();
      ok_ = ok_ && digits_ <= 6;
      for (std::size_t digits = digits_; digits < 6; ++digits) micros *= 10;
    }
    constexpr std::uint64_t most_hours = static_cast<std::uint64_t>(INT64_MAX) / 3'600'000'000;
    std::optional<std::int64_t> value;
    if (ok_ && hours <= most_hours)
      value = with_sign(negative, ((hours * 60 + minutes) * 60 + seconds) * 1'000'000 + micros);
    too_large_ = !value;
    return value.value_or(0);
  }

  std::string_view rest_;
  std::size_t digits_ = 0;
  bool ok_ = true;
  bool too_large_ = false;
};

[[nodiscard]] constexpr Errc parse_interval(std::string_view text, Interval& out) noexcept {
  if (text == "infinity") {
    out = Interval::infinity();
  } else if (text == "-infinity") {
    out = Interval::minus_infinity();
  } else {
    return IntervalReader(text).read(out);
  }
  return Errc::ok;
}

}  // namespace detail

constexpr std::optional<Interval> Interval::parse(std::string_view text) noexcept {
  Interval interval;
  return detail::parse_interval(text, interval) == Errc::ok ? std::optional(interval) : std::nullopt;
}

/// What PostgreSQL prints under intervalstyle = 'postgres', "1 year -2 mons +3 days 04:05:06.789".
[[nodiscard]] inline std::string to_string(const Interval& interval) {
  if (interval.same_as(Interval::infinity())) return "infinity";
  if (interval.same_as(Interval::minus_infinity())) return "-infinity";
  std::string text;
  bool after_negative = false;
  const auto append = [&](std::int32_t value, std::string_view unit) {
    if (value == 0) return;
    if (!text.empty()) text += ' ';
    if (value < 0) text += '-';
    else if (after_negative) text += '+';
    detail::append_decimal(text, detail::magnitude_of(value));
    text += unit;
    if (value != 1) text += 's';
    after_negative = value < 0;
  };
  append(interval.months / 12, " year");
  append(interval.months % 12, " mon");
  append(interval.days, " day");
  if (interval.microseconds == 0 && !text.empty()) return text;
  if (!text.empty()) text += ' ';
  if (interval.microseconds < 0) text += '-';
  else if (after_negative) text += '+';
  detail::append_clock(text, detail::magnitude_of(interval.microseconds));
  return text;
}

}  // namespace v0
}  // namespace btreemapped

template <>
struct std::hash<btreemapped::Interval> {
  /// Equal values have one hash, whatever they are made of.
  [[nodiscard]] std::size_t operator()(const btreemapped::Interval& interval) const noexcept {
    const btreemapped::Interval::Length length = interval.length();
    return btreemapped::detail::mix_hash(std::hash<std::int64_t>{}(length.days),
                                         std::hash<std::int64_t>{}(length.microseconds));
  }
};
