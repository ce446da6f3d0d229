#include <algorithm>
#include <array>
#include <cmath>
#include <cstddef>
#include <cstdint>
#include <limits>
#include <optional>
#include <random>
#include <string>
#include <string_view>
#include <vector>

#include <catch2/catch_test_macros.hpp>

#include <btreemapped/range.hpp>

#include <support/memory_table.hpp>
#include <support/random.hpp>

// Every kind of range on every level of a key against a look at each row.
namespace {

using namespace btreemapped;
using test::below;
using Random = std::mt19937_64;

struct Item {
  std::int32_t a;
  std::string b;
  double c;
  std::int32_t id;
};

enum class Kind { half_open, closed, open, open_closed, at_least, greater_than, less_than, at_most, all, value };
constexpr std::size_t kinds = 10;

/// Is `x` in the range, when `less` is the order of the field?
template <class T, class Less>
bool selects(Kind kind, const T& lower, const T& x, const T& upper, Less less) {
  const bool from = !less(x, lower);
  const bool after = less(lower, x);
  const bool to = !less(upper, x);
  const bool before = less(x, upper);
  switch (kind) {
    case Kind::half_open: return from && before;
    case Kind::closed: return from && to;
    case Kind::open: return after && before;
    case Kind::open_closed: return after && to;
    case Kind::at_least: return from;
    case Kind::greater_than: return after;
    case Kind::less_than: return before;
    case Kind::at_most: return to;
    case Kind::all: return true;
    case Kind::value: return from && !after;
  }
  return false;
}

template <class Lower, class Upper, class Visit>
void with_range(Kind kind, const Lower& lower, const Upper& upper, const Visit& visit) {
  switch (kind) {
    case Kind::half_open: return visit(half_open(Lower(lower), Upper(upper)));
    case Kind::closed: return visit(closed(Lower(lower), Upper(upper)));
    case Kind::open: return visit(open(lower, upper));
    case Kind::open_closed: return visit(open_closed(lower, upper));
    case Kind::at_least: return visit(at_least(Lower(lower)));
    case Kind::greater_than: return visit(greater_than(lower));
    case Kind::less_than: return visit(less_than(upper));
    case Kind::at_most: return visit(at_most(Upper(upper)));
    case Kind::all: return visit(all);
    case Kind::value: return visit(lower);
  }
}

/// As PostgreSQL orders floats.
bool float_less(double left, double right) {
  if (std::isnan(right)) return !std::isnan(left);
  return left < right;
}

template <class T, std::size_t N>
const T& one_of(Random& random, const std::array<T, N>& values) {
  return values[below(random, N)];
}

constexpr std::int64_t int32_min = std::numeric_limits<std::int32_t>::min();
constexpr std::int64_t int32_max = std::numeric_limits<std::int32_t>::max();
constexpr std::array<std::int64_t, 9> numbers{-2, -1, 0, 1, 2, int32_min, int32_max, int32_min - 1, int32_max + 1};
const std::array<std::string, 7> texts{"", "a", "aa", "ab", "b", "\xc3\xa9", std::string(40, 'b')};
constexpr double inf = std::numeric_limits<double>::infinity();
constexpr std::array<double, 7> fractions{-inf, -1.5, -0.0, 0.0, 2.25, inf, std::numeric_limits<double>::quiet_NaN()};

using Ids = std::vector<std::int32_t>;

template <class Rows>
Ids ids_of(const Rows& rows) {
  Ids ids;
  for (const Item& item : rows) ids.push_back(item.id);
  return ids;
}

template <class Rows>
Ids ids_backwards(const Rows& rows) {
  Ids ids;
  for (auto place = rows.end(); place != rows.begin();) ids.push_back((--place)->id);
  std::reverse(ids.begin(), ids.end());
  return ids;
}

class Trial {
 public:
  explicit Trial(Random& random) : random_(random) {
    std::vector<test::Cells> cells;
    for (std::uint64_t rows = below(random, 40); rows > 0; --rows) {
      const std::int64_t a = numbers[below(random, 7)];
      const std::string& b = one_of(random, texts);
      const double c = one_of(random, fractions);
      const bool held = std::any_of(rows_.begin(), rows_.end(), [&](const Item& row) {
        return row.a == a && row.b == b && !float_less(row.c, c) && !float_less(c, row.c);
      });
      if (held) continue;
      rows_.push_back({static_cast<std::int32_t>(a), b, c, static_cast<std::int32_t>(rows_.size())});
      cells.push_back({a, b, print(c), rows_.back().id});
    }
    std::sort(rows_.begin(), rows_.end(), [](const Item& left, const Item& right) {
      if (left.a != right.a) return left.a < right.a;
      if (left.b != right.b) return left.b < right.b;
      return float_less(left.c, right.c);
    });
    table_ = store_.add_with<Item, 3>(cells);
  }

  void try_level_1(Kind kind) {
    const std::int64_t lower = one_of(random_, numbers);
    const std::int64_t upper = one_of(random_, numbers);
    const Ids expected = expect([&](const Item& item) {
      return selects<std::int64_t>(kind, lower, item.a, upper, [](auto x, auto y) { return x < y; });
    });
    const auto check = [&](const auto& range) {
      Ids walked;
      replica().for_range1(range, [&](const Item& item) { walked.push_back(item.id); });
      CHECK(walked == expected);
      const auto guard = replica().read();
      CHECK(ids_of(guard.range1(range)) == expected);
      CHECK(ids_backwards(guard.range1(range)) == expected);
    };
    INFO("level 1, kind " << static_cast<int>(kind) << ", from " << lower << " to " << upper);
    const bool narrow = lower >= int32_min && lower <= int32_max;
    if (narrow && upper >= 0) {
      with_range(kind, static_cast<std::int32_t>(lower), static_cast<std::uint64_t>(upper), check);
    } else {
      with_range(kind, lower, upper, check);
    }
  }

  void try_level_2(Kind kind) {
    const std::int64_t a = one_of(random_, numbers);
    const std::string& lower = one_of(random_, texts);
    const std::string& upper = one_of(random_, texts);
    const Ids expected = expect([&](const Item& item) {
      return item.a == a &&
             selects<std::string>(kind, lower, item.b, upper, [](const auto& x, const auto& y) { return x < y; });
    });
    const auto check = [&](const auto& range) {
      Ids walked;
      replica().for_range2(a, range, [&](const Item& item) { walked.push_back(item.id); });
      CHECK(walked == expected);
      const auto guard = replica().read();
      CHECK(ids_of(guard.range2(a, range)) == expected);
      CHECK(ids_backwards(guard.range2(a, range)) == expected);
    };
    INFO("level 2, kind " << static_cast<int>(kind) << ", from '" << lower << "' to '" << upper << "'");
    if (below(random_, 2) == 0) {
      with_range(kind, lower, std::string_view(upper), check);
    } else {
      with_range(kind, lower.c_str(), upper, check);
    }
  }

  void try_level_3(Kind kind) {
    const std::int64_t a = numbers[below(random_, 7)];
    const std::string& b = one_of(random_, texts);
    const double lower = one_of(random_, fractions);
    const double upper = one_of(random_, fractions);
    const Ids expected = expect([&](const Item& item) {
      return item.a == a && item.b == b && selects<double>(kind, lower, item.c, upper, float_less);
    });
    INFO("level 3, kind " << static_cast<int>(kind) << ", from " << lower << " to " << upper);
    with_range(kind, lower, upper, [&](const auto& range) {
      Ids walked;
      replica().for_range3(a, b, range, [&](const Item& item) { walked.push_back(item.id); });
      CHECK(walked == expected);
      const auto guard = replica().read();
      CHECK(ids_of(guard.range3(a, b, range)) == expected);
      CHECK(ids_backwards(guard.range3(a, b, range)) == expected);
    });
  }

 private:
  static std::string print(double value) {
    if (std::isnan(value)) return "NaN";
    if (std::isinf(value)) return value < 0 ? "-Infinity" : "Infinity";
    return std::signbit(value) && value == 0 ? "-0" : std::to_string(value);
  }

  template <class Predicate>
  [[nodiscard]] Ids expect(Predicate predicate) const {
    Ids ids;
    for (const Item& item : rows_)
      if (predicate(item)) ids.push_back(item.id);
    return ids;
  }

  [[nodiscard]] Replica<Item, 3> replica() const { return table_->replica(); }

  Random& random_;
  std::vector<Item> rows_{};
  test::MemoryStore store_{};
  std::optional<test::MemoryTable<Item, 3>> table_{};
};

}  // namespace

TEST_CASE("every kind of range selects on every level what a look at each row selects", "[range]") {
  Random random = test::seeded_generator("range_brute_force");
  for (int round = 0; round < 60; ++round) {
    Trial trial(random);
    for (int attempt = 0; attempt < 4; ++attempt) {
      for (std::size_t kind = 0; kind < kinds; ++kind) {
        trial.try_level_1(static_cast<Kind>(kind));
        trial.try_level_2(static_cast<Kind>(kind));
        trial.try_level_3(static_cast<Kind>(kind));
      }
    }
  }
}
