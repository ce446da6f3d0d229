#pragma once

#include <compare>
#include <cstddef>
#include <functional>
#include <string>
#include <string_view>
#include <vector>

#include <catch2/catch_test_macros.hpp>

#include <btreemapped/detail/key_less.hpp>
#include <btreemapped/error.hpp>

#include "decode.hpp"

namespace decode_test {

/// Texts of equal values.
using Equals = std::vector<std::string>;

/// Every text must decode, and be printed as it was; the values must be ordered as the groups are, by the operators and
/// by the order of keys, and equal within a group, then with one hash.
template <class T>
void check_ascending(const std::vector<Equals>& groups) {
  struct Placed {
    std::size_t group;
    std::string text;
    T value;
  };
  std::vector<Placed> all;
  for (std::size_t group = 0; group < groups.size(); ++group) {
    for (const std::string& text : groups[group]) {
      CAPTURE(text);
      const auto decoded = decode<T>(text);
      REQUIRE(decoded.error == btreemapped::Errc::ok);
      CHECK(to_string(decoded.value) == text);
      all.push_back({group, text, decoded.value});
    }
  }
  for (const Placed& left : all) {
    for (const Placed& right : all) {
      CAPTURE(left.text, right.text);
      const std::strong_ordering expected = left.group <=> right.group;
      // In parentheses: Catch2 would print a time point as a calendar time, which the C library cannot for all.
      CHECK((left.value == right.value) == (expected == 0));
      CHECK((left.value < right.value) == (expected < 0));
      CHECK(((left.value <=> right.value) == expected));
      CHECK((btreemapped::detail::compare_part(left.value, right.value) == expected));
      if (expected == 0) CHECK(std::hash<T>{}(left.value) == std::hash<T>{}(right.value));
    }
  }
}

/// None of the texts may decode.
template <class T>
void check_refused(const std::vector<std::string>& texts) {
  for (const std::string& text : texts) {
    CAPTURE(text);
    CHECK(error_of<T>(text) == btreemapped::Errc::invalid_text);
  }
}

}  // namespace decode_test
