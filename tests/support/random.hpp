#pragma once

#include <charconv>
#include <cstdint>
#include <cstdlib>
#include <iostream>
#include <random>
#include <stdexcept>
#include <string_view>
#include <system_error>

namespace test {

/// The generator of a randomised test, always the same unless BTREEMAPPED_TEST_SEED says otherwise. Prints its seed at
/// once, so that it is known even when a sanitizer ends the process.
inline std::mt19937_64 seeded_generator(std::string_view test) {
  std::uint64_t seed = 20'240'229;
  if (const char* const given = std::getenv("BTREEMAPPED_TEST_SEED"); given != nullptr) {
    const std::string_view text{given};
    const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), seed);
    if (error != std::errc{} || end != text.data() + text.size())
      throw std::invalid_argument("BTREEMAPPED_TEST_SEED is not a number");
  }
  std::cout << test << ": BTREEMAPPED_TEST_SEED=" << seed << std::endl;
  return std::mt19937_64{seed};
}

/// A number below `limit`, which is not zero; the same on every standard library.
inline std::uint64_t below(std::mt19937_64& generator, std::uint64_t limit) { return generator() % limit; }

}  // namespace test
