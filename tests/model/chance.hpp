#pragma once

#include <cstddef>
#include <cstdint>
#include <random>
#include <sstream>
#include <string>

#include "support/random.hpp"

namespace model {

/// Text of several parts.
template <class... Parts>
std::string text(const Parts&... parts) {
  std::ostringstream out;
  (out << ... << parts);
  return out.str();
}

/// What a session leaves to chance: numbers, and pieces of SQL. There are few keys, so that sessions meet.
class Chance {
 public:
  explicit Chance(std::uint64_t seed) : random_(seed) {}

  std::uint64_t below(std::uint64_t limit) { return test::below(random_, limit); }
  bool one_in(std::uint64_t n) { return below(n) == 0; }
  std::int64_t number(std::int64_t least, std::int64_t most) {
    return least + static_cast<std::int64_t>(below(static_cast<std::uint64_t>(most - least + 1)));
  }
  template <std::size_t Size>
  const char* pick(const char* const (&choices)[Size]) {
    return choices[below(Size)];
  }

  std::int64_t id() { return number(-40, 40) + (one_in(5) ? 500 : 0); }
  std::int64_t money() { return number(1, 500); }
  std::string owner() {
    return pick({"'Alice'", "'Bob'", "'Dörte O''Neill'",
                 "'the friends and neighbours of the waterworks at Lower Slaughter'",
                 "'every heir of the late Archibald Featherstonehaugh the Elder'"});
  }
  std::string symbol() { return pick({"'AAA'", "'BB'", "'BBB'", "'CCC'", "'D'", "'E'"}); }
  std::string venue() { return pick({"'Oslo'", "'Rome'"}); }
  /// One value is often spelled in several ways.
  std::string cost() {
    return pick({"NULL", "0", "0.0", "1", "1.00", "12345678901234567890.125", "'NaN'", "'-Infinity'"});
  }
  std::string price() { return text(number(0, 30), pick({"", ".0", ".25", ".2500"})); }
  /// 8 to 40 kB.
  std::string ballast() { return text("ballast(", below(1'000'000'000), ", ", number(250, 1250), ")"); }
  std::string note() { return one_in(3) ? "NULL" : one_in(3) ? "'short'" : ballast(); }

  std::string unless_taken() { return one_in(8) ? "" : " ON CONFLICT DO NOTHING"; }

 private:
  std::mt19937_64 random_;
};

}  // namespace model
