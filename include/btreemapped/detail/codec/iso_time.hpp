#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <string_view>

namespace btreemapped {
inline namespace v0 {
namespace detail {

inline constexpr std::int64_t from_march_of_year_0_to_1970 = 719'468;

/// Days from 1970-01-01 in the proleptic Gregorian calendar, for any year that 32 bits hold (0 is 1 BC): std::chrono's
/// own calendar ends at the year 32767, PostgreSQL's at 5874897.
[[nodiscard]] constexpr std::int64_t days_from_civil(std::int64_t year, int month, int day) noexcept {
  // Years are counted from March, so that the leap day ends them; 400 of them always have 146,097 days.
  const std::int64_t shifted = month > 2 ? year : year - 1;
  const std::int64_t era = (shifted >= 0 ? shifted : shifted - 399) / 400;
  const std::int64_t year_of_era = shifted - era * 400;
  const std::int64_t day_of_year = (153 * (month > 2 ? month - 3 : month + 9) + 2) / 5 + day - 1;
  const std::int64_t day_of_era = year_of_era * 365 + year_of_era / 4 - year_of_era / 100 + day_of_year;
  return era * 146'097 + day_of_era - from_march_of_year_0_to_1970;
}

/// A day of that calendar.
struct CivilDate {
  std::int64_t year = 0;  ///< 0 is 1 BC
  int month = 0;
  int day = 0;
};

/// The other way round.
[[nodiscard]] constexpr CivilDate civil_from_days(std::int64_t days) noexcept {
  const std::int64_t shifted = days + from_march_of_year_0_to_1970;
  const std::int64_t era = (shifted >= 0 ? shifted : shifted - 146'096) / 146'097;
  const std::int64_t day_of_era = shifted - era * 146'097;
  const std::int64_t year_of_era = (day_of_era - day_of_era / 1'460 + day_of_era / 36'524 - day_of_era / 146'096) / 365;
  const std::int64_t day_of_year = day_of_era - (365 * year_of_era + year_of_era / 4 - year_of_era / 100);
  const std::int64_t shifted_month = (5 * day_of_year + 2) / 153;
  const int day = static_cast<int>(day_of_year - (153 * shifted_month + 2) / 5 + 1);
  const int month = static_cast<int>(shifted_month < 10 ? shifted_month + 3 : shifted_month - 9);
  return {year_of_era + era * 400 + (month <= 2 ? 1 : 0), month, day};
}

[[nodiscard]] constexpr int days_in_month(std::int64_t year, int month) noexcept {
  constexpr std::array<int, 12> days{31, 28, 31, 30, 31, 30, 31, 31, 30, 31, 30, 31};
  const bool leap = (year % 4 == 0 && year % 100 != 0) || year % 400 == 0;
  return month == 2 && leap ? 29 : days[static_cast<std::size_t>(month - 1)];
}

/// Reads what PostgreSQL prints under datestyle ISO, from left to right. The first mismatch sticks: ok() is false then.
class IsoReader {
 public:
  explicit constexpr IsoReader(std::string_view text) noexcept : rest_(text) {}

  /// YYYY-MM-DD, with more digits for the years after 9999.
  constexpr void date() noexcept {
    year_ = number(4, 7);
    expect('-');
    month_ = number(2, 2);
    expect('-');
    day_ = number(2, 2);
  }

  /// HH:MM:SS[.ffffff]; 24:00:00 is the end of the day.
  constexpr void time() noexcept {
    const int hour = number(2, 2);
    expect(':');
    const int minute = number(2, 2);
    expect(':');
    const int second = number(2, 2);
    if (accept('.')) {
      const std::size_t before = rest_.size();
      micros_ = number(1, 6);
      for (std::size_t digits = before - rest_.size(); digits < 6; ++digits) micros_ *= 10;
    }
    second_of_day_ = hour * 3600 + minute * 60 + second;
    if (minute > 59 || second > 59 || second_of_day_ > 86'400 || (second_of_day_ == 86'400 && micros_ != 0)) fail();
  }

  /// +HH[:MM[:SS]], east of UTC. Three digits of hours occur: a POSIX time zone may be up to 167 hours away.
  constexpr void offset() noexcept {
    const bool west = accept('-');
    if (!west) expect('+');
    const int hours = number(2, 3);
    if (hours > 167) fail();
    offset_ = hours * 3600;
    for (int unit = 60; unit >= 1 && accept(':'); unit /= 60) {
      const int part = number(2, 2);
      if (part > 59) fail();
      offset_ += part * unit;
    }
    if (west) offset_ = -offset_;
  }

  /// The end of the text, where there is no date.
  constexpr void end() noexcept {
    if (!rest_.empty()) fail();
  }

  /// [ BC] and the end of the text.
  constexpr void era() noexcept {
    before_christ_ = rest_ == " BC";
    if (!before_christ_ && !rest_.empty()) fail();
    // There is no year 0: 1 BC is followed by 1 AD.
    if (year_ == 0) fail();
    if (before_christ_) year_ = 1 - year_;
    if (month_ < 1 || month_ > 12 || day_ < 1 || day_ > days_in_month(year_, month_)) fail();
  }

  constexpr void expect(char c) noexcept {
    if (!accept(c)) fail();
  }

  [[nodiscard]] constexpr bool ok() const noexcept { return ok_; }
  [[nodiscard]] constexpr std::int64_t days() const noexcept { return days_from_civil(year_, month_, day_); }
  /// Seconds since 1970-01-01, in UTC if there was an offset; micros() are to be added.
  [[nodiscard]] constexpr std::int64_t seconds() const noexcept { return days() * 86'400 + second_of_day_ - offset_; }
  [[nodiscard]] constexpr int micros() const noexcept { return micros_; }
  [[nodiscard]] constexpr int second_of_day() const noexcept { return second_of_day_; }
  /// Seconds east of UTC.
  [[nodiscard]] constexpr int offset_seconds() const noexcept { return offset_; }

 private:
  constexpr void fail() noexcept { ok_ = false; }

  constexpr bool accept(char c) noexcept {
    if (!rest_.starts_with(c)) return false;
    rest_.remove_prefix(1);
    return true;
  }

  constexpr int number(std::size_t min_digits, std::size_t max_digits) noexcept {
    int value = 0;
    std::size_t digits = 0;
    for (; digits < max_digits && digits < rest_.size() && rest_[digits] >= '0' && rest_[digits] <= '9'; ++digits)
      value = value * 10 + (rest_[digits] - '0');
    rest_.remove_prefix(digits);
    if (digits < min_digits) fail();
    return value;
  }

  std::string_view rest_;
  bool ok_ = true;
  bool before_christ_ = false;
  int year_ = 0;
  int month_ = 0;
  int day_ = 0;
  int second_of_day_ = 0;
  int micros_ = 0;
  int offset_ = 0;
};

}  // namespace detail
}  // namespace v0
}  // namespace btreemapped
