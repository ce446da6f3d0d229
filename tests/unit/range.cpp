#include <chrono>
#include <cstdint>
#include <functional>
#include <memory_resource>
#include <string>
#include <string_view>
#include <type_traits>
#include <utility>
#include <vector>

#include <catch2/catch_test_macros.hpp>

#include <btreemapped/codec.hpp>
#include <btreemapped/range.hpp>

#include <support/memory_table.hpp>

namespace range_test {

/// A type of the user's that can be seen as text, but is a key of its own.
struct Plate {
  std::string text{};
  operator std::string_view() const { return text; }

  friend auto operator<=>(const Plate&, const Plate&) = default;
};

struct Car {
  std::string owner;
  std::int64_t plate;
  std::string color;
};

struct Parked {
  Plate plate;
  std::int32_t place;
};

struct Event {
  std::chrono::sys_time<std::chrono::microseconds> at;
  std::int32_t number;
};

}  // namespace range_test

template <>
struct btreemapped::codec<range_test::Plate> {
  static Errc decode(std::string_view text, range_test::Plate& out) {
    out.text = text;
    return Errc::ok;
  }
};

namespace {

using namespace btreemapped;
using range_test::Car;
using range_test::Event;
using range_test::Parked;
using range_test::Plate;

template <class T>
using lower_of = decltype(T::lower);
template <class T>
using upper_of = decltype(T::upper);

using Plates = std::vector<std::int64_t>;

/// Alice 1 2 3, Bob 1 2 3, Charlie 1 2 3
struct Cars {
  test::MemoryStore store{};
  test::MemoryTable<Car, 2> table = store.add_with<Car, 2>({{"Alice", 1, "red"},
                                                            {"Alice", 2, "red"},
                                                            {"Alice", 3, "red"},
                                                            {"Bob", 1, "red"},
                                                            {"Bob", 2, "red"},
                                                            {"Bob", 3, "red"},
                                                            {"Charlie", 1, "red"},
                                                            {"Charlie", 2, "red"},
                                                            {"Charlie", 3, "red"}});
  Replica<Car, 2> replica = table.replica();

  template <class Range>
  [[nodiscard]] std::vector<std::string> owners(const Range& range) const {
    std::vector<std::string> owners;
    replica.for_range1(range, [&](const Car& car) {
      if (owners.empty() || owners.back() != car.owner) owners.push_back(car.owner);
    });
    return owners;
  }

  template <class Range>
  [[nodiscard]] Plates of_bob(const Range& range) const {
    Plates plates;
    replica.for_range2("Bob", range, [&](const Car& car) {
      CHECK(car.owner == "Bob");
      plates.push_back(car.plate);
    });
    return plates;
  }
};

using Owners = std::vector<std::string>;

// Ranges of literals are made at compile time.
constexpr auto numbers = half_open(1000, 1003L);
static_assert(numbers.lower.value == 1000 && numbers.upper.value == 1003L);
static_assert(std::is_same_v<decltype(numbers.lower), Inclusive<int>>);
static_assert(std::is_same_v<decltype(numbers.upper), Exclusive<long>>);
constexpr auto texts = open_closed("Alice", std::string_view("Bob"));
static_assert(texts.lower.value == "Alice" && texts.upper.value == "Bob");
static_assert(closed(1, 2).upper.value == 2 && open(1, 2).lower.value == 1);
static_assert(at_least(1).lower.value == 1 && greater_than(1).lower.value == 1);
static_assert(at_most(1).upper.value == 1 && less_than(1).upper.value == 1);
static_assert(std::is_empty_v<std::remove_const_t<decltype(all)>>);

}  // namespace

TEST_CASE("literals, views, pointers and named strings are viewed by a bound", "[range]") {
  std::string name = "Bob";
  const std::string constant = "Bob";
  const char* const pointer = name.c_str();
  std::pmr::string pooled = "Bob";
  const auto range = closed(name, constant);
  static_assert(std::is_same_v<decltype(range.lower), Inclusive<std::string_view>>);
  static_assert(std::is_same_v<decltype(range.upper), Inclusive<std::string_view>>);
  CHECK(range.lower.value.data() == name.data());
  CHECK(range.upper.value.data() == constant.data());
  CHECK(at_least(pointer).lower.value.data() == name.data());
  CHECK(at_least(pooled).lower.value.data() == pooled.data());
  static_assert(std::is_same_v<decltype(at_least("Bob").lower), Inclusive<std::string_view>>);
  static_assert(std::is_same_v<decltype(at_least(std::string_view()).lower), Inclusive<std::string_view>>);
}

TEST_CASE("temporary strings are owned by a bound", "[range]") {
  const std::string constant = "a text that is too long for the small-string buffer";
  const auto range = half_open(std::string("also too long for the buffer inside of a string"), std::string(constant));
  static_assert(std::is_same_v<decltype(range.lower), Inclusive<std::string>>);
  static_assert(std::is_same_v<decltype(range.upper), Exclusive<std::string>>);
  CHECK(range.lower.value == "also too long for the buffer inside of a string");
  CHECK(range.upper.value == constant);
  static_assert(std::is_same_v<decltype(at_least(std::move(constant)).lower), Inclusive<std::string>>);
  static_assert(std::is_same_v<decltype(at_least(std::pmr::string()).lower), Inclusive<std::pmr::string>>);
}

TEST_CASE("a range may be kept and used after the strings that it was made of are gone", "[range]") {
  const Cars cars;
  const auto make = [] {
    return closed(std::string("Alice") + std::string(50, ' '), std::pmr::string("Bob") + std::pmr::string(50, ' '));
  };
  const auto range = make();
  CHECK(cars.owners(range) == Owners{"Bob"});
}

TEST_CASE("every kind of range takes its ends as its name says", "[range]") {
  const Cars cars;
  CHECK(cars.of_bob(half_open(1, 3)) == Plates{1, 2});
  CHECK(cars.of_bob(closed(1, 3)) == Plates{1, 2, 3});
  CHECK(cars.of_bob(open(1, 3)) == Plates{2});
  CHECK(cars.of_bob(open_closed(1, 3)) == Plates{2, 3});
  CHECK(cars.of_bob(at_least(2)) == Plates{2, 3});
  CHECK(cars.of_bob(greater_than(2)) == Plates{3});
  CHECK(cars.of_bob(less_than(2)) == Plates{1});
  CHECK(cars.of_bob(at_most(2)) == Plates{1, 2});
  CHECK(cars.of_bob(all) == Plates{1, 2, 3});
  CHECK(cars.of_bob(2) == Plates{2});
  CHECK(cars.of_bob(4) == Plates{});
}

TEST_CASE("an exclusive end is exclusive above the last level, too", "[range]") {
  const Cars cars;
  CHECK(cars.owners(half_open("Alice", "Bob")) == Owners{"Alice"});
  CHECK(cars.owners(open("Alice", "Charlie")) == Owners{"Bob"});
  CHECK(cars.owners(open_closed("Alice", "Bob")) == Owners{"Bob"});
  CHECK(cars.owners(greater_than("Alice")) == Owners{"Bob", "Charlie"});
  CHECK(cars.owners(less_than("Charlie")) == Owners{"Alice", "Bob"});
  CHECK(cars.owners("Bob") == Owners{"Bob"});
}

TEST_CASE("an open side stays inside the prefix", "[range]") {
  const Cars cars;
  CHECK(cars.of_bob(less_than(500)) == Plates{1, 2, 3});
  CHECK(cars.of_bob(at_most(500)) == Plates{1, 2, 3});
  CHECK(cars.of_bob(at_least(-500)) == Plates{1, 2, 3});
  CHECK(cars.of_bob(greater_than(-500)) == Plates{1, 2, 3});
}

TEST_CASE("inverted bounds are an empty range", "[range]") {
  const Cars cars;
  CHECK(cars.of_bob(closed(3, 1)).empty());
  CHECK(cars.of_bob(half_open(3, 1)).empty());
  CHECK(cars.of_bob(open(3, 1)).empty());
  CHECK(cars.of_bob(open_closed(3, 1)).empty());
  CHECK(cars.owners(closed("Charlie", "Alice")).empty());
  CHECK(cars.owners(half_open("Bob", "Alice")).empty());
}

TEST_CASE("equal bounds hold one value if both are inclusive, else none", "[range]") {
  const Cars cars;
  CHECK(cars.of_bob(closed(2, 2)) == Plates{2});
  CHECK(cars.of_bob(half_open(2, 2)).empty());
  CHECK(cars.of_bob(open_closed(2, 2)).empty());
  CHECK(cars.of_bob(open(2, 2)).empty());
}

TEST_CASE("a range in a prefix that no row has is empty", "[range]") {
  const Cars cars;
  int seen = 0;
  cars.replica.for_range2("Bo", all, [&](const Car&) { ++seen; });
  cars.replica.for_range2("Bobby", at_least(1), [&](const Car&) { ++seen; });
  cars.replica.for_range1("Bo", [&](const Car&) { ++seen; });
  CHECK(seen == 0);
}

TEST_CASE("bounds may be of two types, and beyond what the field can hold", "[range]") {
  const Cars cars;
  CHECK(cars.of_bob(half_open(std::int8_t{1}, std::uint64_t{3})) == Plates{1, 2});
  CHECK(cars.of_bob(less_than(std::uint64_t{18'446'744'073'709'551'615U})) == Plates{1, 2, 3});
  CHECK(cars.of_bob(at_least(std::uint64_t{18'446'744'073'709'551'615U})).empty());
  CHECK(cars.of_bob(std::uint64_t{18'446'744'073'709'551'615U}).empty());
  CHECK(cars.of_bob(closed(std::uint64_t{18'446'744'073'709'551'615U}, 1)).empty());
  CHECK(cars.owners(closed(std::string_view("Alice"), std::string("Bob"))) == Owners{"Alice", "Bob"});
}

TEST_CASE("a bound beyond a narrow field saturates", "[range]") {
  struct Narrow {
    std::int16_t id;
    std::uint32_t natural;
  };
  test::MemoryStore store;
  const auto table = store.add_with<Narrow, 2>({{-32768, 0}, {-1, 4294967295}, {32767, 1}});
  const auto count = [replica = table.replica()](const auto& range) {
    int rows = 0;
    replica.for_range1(range, [&](const Narrow&) { ++rows; });
    return rows;
  };
  CHECK(count(closed(-32769, 32768)) == 3);
  CHECK(count(open(-32769, 32768)) == 3);
  CHECK(count(at_least(-100'000)) == 3);
  CHECK(count(greater_than(32767)) == 0);
  CHECK(count(greater_than(32768)) == 0);
  CHECK(count(at_most(-32769)) == 0);
  CHECK(count(less_than(-32768)) == 0);
  CHECK(count(less_than(1U << 31U)) == 3);
  CHECK(count(closed(32768, 100'000)) == 0);
  CHECK(count(closed(100'000, -100'000)) == 0);
  CHECK(count(closed(-100'000, -32768)) == 1);
  CHECK(count(65535) == 0);
  CHECK(count(4294967295U) == 0);

  int rows = 0;
  table.replica().for_range2(-1, at_least(-1), [&](const Narrow&) { ++rows; });
  CHECK(rows == 1);
  table.replica().for_range2(-1, at_most(-1), [&](const Narrow&) { ++rows; });
  CHECK(rows == 1);
  table.replica().for_range2(65535, all, [&](const Narrow&) { ++rows; });
  CHECK(rows == 1);
}

TEST_CASE("ranges of times take coarser bounds, and those beyond the clock", "[range]") {
  using namespace std::chrono;
  test::MemoryStore store;
  const auto table = store.add_with<Event, 2>({{"-infinity", 0},
                                               {"2024-02-28 23:59:59.999999+00", 1},
                                               {"2024-02-29 00:00:00+00", 2},
                                               {"2024-03-01 00:00:00+00", 3},
                                               {"infinity", 4}});
  const auto numbers_in = [replica = table.replica()](const auto& range) {
    std::vector<int> found;
    replica.for_range1(range, [&](const Event& event) { found.push_back(event.number); });
    return found;
  };
  const sys_days leap_day{2024y / February / 29};
  CHECK(numbers_in(half_open(leap_day, leap_day + days{1})) == std::vector{2});
  CHECK(numbers_in(less_than(leap_day)) == std::vector{0, 1});
  CHECK(numbers_in(greater_than(sys_seconds{leap_day})) == std::vector{3, 4});
  CHECK(numbers_in(leap_day) == std::vector{2});
  CHECK(numbers_in(closed(sys_days::min(), sys_days::max())) == std::vector{0, 1, 2, 3, 4});
  CHECK(numbers_in(greater_than(sys_days::max())).empty());
  CHECK(numbers_in(at_most(sys_days::min())).empty());
}

TEST_CASE("a range over a user's type that looks like text keeps the type", "[range]") {
  test::MemoryStore store;
  const auto table = store.add_with<Parked, 1>({{"a", 1}, {"b", 2}, {"c", 3}});
  const Plate from{"a"};
  std::vector<int> places;
  table.replica().for_range1(open_closed(from, Plate{"c"}), [&](const Parked& car) { places.push_back(car.place); });
  CHECK(places == std::vector{2, 3});
}

TEST_CASE("a named value that is not cheap to copy is referred to by a bound, a temporary one is owned", "[range]") {
  const Plate from{"a"};
  const auto range = open_closed(from, Plate{"c"});
  static_assert(std::is_same_v<decltype(range.lower), Exclusive<std::reference_wrapper<const Plate>>>);
  static_assert(std::is_same_v<decltype(range.upper), Inclusive<Plate>>);
  CHECK(&range.lower.value.get() == &from);
  const std::chrono::sys_days day{};
  static_assert(std::is_same_v<decltype(at_least(day).lower), Inclusive<std::chrono::sys_days>>);
}

TEST_CASE("a callback that returns false stops the walk, one that returns void does not", "[range]") {
  const Cars cars;
  int calls = 0;
  cars.replica.for_range1(all, [&](const Car&) { return ++calls < 4; });
  CHECK(calls == 4);
  calls = 0;
  cars.replica.for_range2("Bob", all, [&](const Car&) { return ++calls < 2; });
  CHECK(calls == 2);
  calls = 0;
  cars.replica.for_each([&](const Car&) { return ++calls < 5; });
  CHECK(calls == 5);
  calls = 0;
  cars.replica.for_range1(all, [&](const Car&) {
    ++calls;
    return true;
  });
  CHECK(calls == 9);
  calls = 0;
  cars.replica.for_range1(all, [&](const Car&) { ++calls; });
  CHECK(calls == 9);
}
