#pragma once

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <iterator>
#include <map>
#include <random>
#include <tuple>
#include <utility>
#include <vector>

#include "support/random.hpp"

namespace soak {

/// A fault and the phase in which it strikes, by their numbers.
struct Pair {
  std::size_t fault;
  std::size_t phase;

  friend auto operator<=>(const Pair&, const Pair&) = default;
};

/// Deals every pair once, in an order of chance, before any comes again: but for those that were missed, which come
/// again some times. The fault and the phase that have been dealt least come first.
class Deck {
 public:
  Deck(std::vector<Pair> pairs, std::uint64_t seed) : pairs_(std::move(pairs)), random_(seed) { shuffle(); }

  /// `fits` tells whether a pair can be had just now; where none can, any is dealt.
  template <class Fits>
  [[nodiscard]] Pair deal(const Fits& fits) {
    if (std::none_of(left_.begin(), left_.end(), fits)) shuffle();
    auto best = left_.begin();
    for (auto each = std::next(best); each != left_.end(); ++each)
      if (rank(*each, fits) < rank(*best, fits)) best = each;
    const Pair pair = *best;
    left_.erase(best);
    ++faults_[pair.fault];
    ++phases_[pair.phase];
    return pair;
  }

  void strike(const Pair& pair) { ++struck_[pair]; }
  void miss(const Pair& pair) {
    if (++missed_[pair] < most_misses) left_.push_back(pair);
  }

  [[nodiscard]] std::size_t size() const noexcept { return pairs_.size(); }
  [[nodiscard]] std::size_t covered() const noexcept { return struck_.size(); }
  [[nodiscard]] bool has(const Pair& pair) const {
    return std::find(pairs_.begin(), pairs_.end(), pair) != pairs_.end();
  }
  [[nodiscard]] std::size_t struck(const Pair& pair) const { return count(struck_, pair); }
  [[nodiscard]] std::size_t missed(const Pair& pair) const { return count(missed_, pair); }

 private:
  static constexpr std::size_t most_misses = 8;

  template <class Key>
  static std::size_t count(const std::map<Key, std::size_t>& counts, const Key& key) {
    const auto place = counts.find(key);
    return place == counts.end() ? 0 : place->second;
  }
  template <class Fits>
  [[nodiscard]] std::tuple<bool, std::size_t, std::size_t> rank(const Pair& pair, const Fits& fits) const {
    return {!fits(pair), count(faults_, pair.fault), count(phases_, pair.phase)};
  }

  void shuffle() {
    std::vector<Pair> more = pairs_;
    for (std::size_t i = more.size() - 1; i > 0; --i) std::swap(more[i], more[test::below(random_, i + 1)]);
    left_.insert(left_.end(), more.begin(), more.end());
  }

  const std::vector<Pair> pairs_;
  std::mt19937_64 random_;
  std::vector<Pair> left_{};
  std::map<std::size_t, std::size_t> faults_{};
  std::map<std::size_t, std::size_t> phases_{};
  std::map<Pair, std::size_t> struck_{};
  std::map<Pair, std::size_t> missed_{};
};

}  // namespace soak
