#include <algorithm>
#include <concepts>
#include <cstdint>
#include <iterator>
#include <ranges>
#include <string>
#include <type_traits>
#include <utility>
#include <vector>

#include <catch2/catch_test_macros.hpp>

#include <btreemapped/range.hpp>
#include <btreemapped/read_guard.hpp>
#include <btreemapped/replica.hpp>

#include <support/memory_table.hpp>

namespace {

using namespace btreemapped;

struct Car {
  std::string owner;
  std::int64_t plate;
  std::string color;

  friend bool operator==(const Car&, const Car&) = default;
};

const std::vector<test::Cells> five_cars{
    {"Alice", 1, "red"}, {"Bob", 1, "blue"}, {"Bob", 2, "green"}, {"Bob", 3, "red"}, {"Charlie", 1, "blue"}};

struct Cars {
  test::MemoryStore store{};
  test::MemoryTable<Car, 2> table = store.add_with<Car, 2>(five_cars);
  Replica<Car, 2> replica = table.replica();
};

using Guard = ReadGuard<Car, 2>;
using Rows = Guard::Rows;

// Stays where it was made.
static_assert(!std::is_copy_constructible_v<Guard> && !std::is_move_constructible_v<Guard>);
static_assert(!std::is_copy_assignable_v<Guard> && !std::is_move_assignable_v<Guard>);
static_assert(std::is_same_v<Guard, Replica<Car, 2>::guard_type>);

// Ranges of const rows that can be walked both ways.
static_assert(std::bidirectional_iterator<Guard::Iterator>);
static_assert(std::is_same_v<std::iter_reference_t<Guard::Iterator>, const Car&>);
static_assert(std::is_same_v<std::iter_value_t<Guard::Iterator>, Car>);
static_assert(std::ranges::bidirectional_range<const Guard&> && std::ranges::common_range<const Guard&>);
static_assert(std::ranges::bidirectional_range<Rows> && std::ranges::common_range<Rows>);
static_assert(std::ranges::view<Rows> && std::ranges::borrowed_range<Rows>);
static_assert(!std::ranges::borrowed_range<Guard>);
static_assert(!std::is_assignable_v<std::ranges::range_reference_t<Rows>, Car>);

// A guard that nobody holds gives no rows; what it can tell without them it tells.
template <class G>
concept gives_rows = requires(G&& guard) { std::forward<G>(guard).range1(all); };
template <class G>
concept gives_begin = requires(G&& guard) { std::forward<G>(guard).begin(); };
template <class G>
concept gives_end = requires(G&& guard) { std::forward<G>(guard).end(); };
template <class G>
concept gives_pointer = requires(G&& guard) { std::forward<G>(guard).find("Bob", 1); };
static_assert(gives_rows<const Guard&> && gives_begin<const Guard&> && gives_end<const Guard&> &&
              gives_pointer<const Guard&>);
static_assert(gives_rows<Guard&> && gives_begin<Guard&> && gives_end<Guard&> && gives_pointer<Guard&>);
static_assert(!gives_rows<Guard> && !gives_begin<Guard> && !gives_end<Guard> && !gives_pointer<Guard>);
static_assert(!gives_rows<const Guard> && !gives_begin<const Guard> && !gives_end<const Guard> &&
              !gives_pointer<const Guard>);

// Levels up to the arity.
template <class G>
concept has_range3 = requires(const G& guard) { guard.range3("Bob", 1, all); };
template <class R>
concept has_for_range3 = requires(const R& replica) { replica.for_range3("Bob", 1, all, [](const Car&) {}); };
static_assert(!has_range3<Guard> && !has_for_range3<Replica<Car, 2>>);
static_assert(has_range3<ReadGuard<Car, 3>> && has_for_range3<Replica<Car, 3>>);

}  // namespace

TEST_CASE("a guard gives all rows in key order", "[read_guard]") {
  const Cars cars;
  const auto guard = cars.replica.read();
  std::vector<std::string> owners;
  for (const Car& car : guard) owners.push_back(car.owner);
  CHECK(owners == std::vector<std::string>{"Alice", "Bob", "Bob", "Bob", "Charlie"});
  CHECK(guard.size() == 5);
  CHECK_FALSE(guard.empty());
}

TEST_CASE("a guard finds rows and gives ranges of them", "[read_guard]") {
  const Cars cars;
  const auto guard = cars.replica.read();
  REQUIRE(guard.find("Bob", 2) != nullptr);
  CHECK(*guard.find("Bob", 2) == Car{"Bob", 2, "green"});
  CHECK(guard.find("Bob", 4) == nullptr);
  CHECK(guard.contains("Charlie", 1));
  CHECK_FALSE(guard.contains("Charlie", 2));
  std::vector<std::int64_t> plates;
  for (const Car& car : guard.range2("Bob", half_open(1, 3))) plates.push_back(car.plate);
  CHECK(plates == std::vector<std::int64_t>{1, 2});
  CHECK(guard.range1("Dora").empty());
  CHECK_FALSE(guard.range1("Alice").empty());
}

TEST_CASE("a row is one object for as long as the guard lives", "[read_guard]") {
  const Cars cars;
  const auto guard = cars.replica.read();
  const auto nested = cars.replica.read();
  CHECK(guard.find("Bob", 1) == nested.find("Bob", 1));
  CHECK(&*guard.range1("Bob").begin() == guard.find("Bob", 1));
}

TEST_CASE("a temporary guard serves what needs no row", "[read_guard]") {
  const Cars cars;
  CHECK(cars.replica.read().size() == 5);
  CHECK(cars.replica.read().contains("Bob", 1));
  int rows = 0;
  for (const Car& car : cars.replica.read()) rows += car.plate > 0 ? 1 : 0;
  CHECK(rows == 5);
}

TEST_CASE("rows can be walked backwards", "[read_guard]") {
  const Cars cars;
  const auto guard = cars.replica.read();
  const auto rows = guard.range1("Bob");
  std::vector<std::int64_t> plates;
  for (auto place = rows.end(); place != rows.begin();) plates.push_back((--place)->plate);
  CHECK(plates == std::vector<std::int64_t>{3, 2, 1});
  auto place = guard.begin();
  CHECK((place++)->owner == "Alice");
  CHECK((*place).plate == 1);
  CHECK((++place)->plate == 2);
  CHECK((place--)->plate == 2);
  CHECK(place->plate == 1);
}

TEST_CASE("the algorithms of std::ranges take a guard and its ranges", "[read_guard]") {
  const Cars cars;
  const auto guard = cars.replica.read();
  const auto bobs = guard.range1("Bob");
  CHECK(std::ranges::count(bobs, "red", &Car::color) == 1);
  CHECK(std::ranges::count_if(guard, [](const Car& car) { return car.plate == 1; }) == 3);
  CHECK(std::ranges::distance(bobs) == 3);
  CHECK(std::ranges::find(bobs, 2, &Car::plate)->color == "green");
  CHECK(std::ranges::is_sorted(guard, {}, [](const Car& car) { return std::pair(car.owner, car.plate); }));
  CHECK(std::ranges::max_element(bobs, {}, &Car::color)->plate == 3);
  CHECK(std::ranges::equal(bobs, std::vector<std::int64_t>{1, 2, 3}, {}, &Car::plate));
  std::vector<Car> copies;
  std::ranges::copy(bobs, std::back_inserter(copies));
  CHECK(copies.size() == 3);
  std::ranges::reverse_copy(guard.range1(all), std::back_inserter(copies));
  CHECK(copies.size() == 8);
  CHECK(copies[3].owner == "Charlie");
}

TEST_CASE("the older algorithms take them, too", "[read_guard]") {
  const Cars cars;
  const auto guard = cars.replica.read();
  const auto rows = guard.range1("Bob");
  CHECK(std::count_if(rows.begin(), rows.end(), [](const Car& car) { return car.plate > 1; }) == 2);
  CHECK(std::vector<Car>(rows.begin(), rows.end()).size() == 3);
  CHECK(std::prev(rows.end())->plate == 3);
  CHECK(std::next(guard.begin(), 4)->owner == "Charlie");
}

TEST_CASE("an iterator of a temporary range lasts as long as the guard", "[read_guard]") {
  const Cars cars;
  const auto guard = cars.replica.read();
  const auto found = std::ranges::find(guard.range1("Bob"), "green", &Car::color);
  static_assert(!std::is_same_v<decltype(found), const std::ranges::dangling>);
  CHECK(found->plate == 2);
}

TEST_CASE("a default-made range is empty", "[read_guard]") {
  const Rows rows;
  CHECK(rows.empty());
  CHECK(rows.begin() == rows.end());
}

#if !defined(__clang__)  // Clang 14 cannot read libstdc++ 12's view adaptors
TEST_CASE("the adaptors of std::views take ranges of rows", "[read_guard]") {
  const Cars cars;
  const auto guard = cars.replica.read();
  std::vector<std::string> colors;
  for (const std::string& color : guard.range1("Bob") | std::views::transform(&Car::color)) colors.push_back(color);
  CHECK(colors == std::vector<std::string>{"blue", "green", "red"});
  std::vector<std::int64_t> plates;
  for (const Car& car : guard.range1("Bob") | std::views::reverse | std::views::take(2)) plates.push_back(car.plate);
  CHECK(plates == std::vector<std::int64_t>{3, 2});
  const auto red = [](const Car& car) { return car.color == "red"; };
  CHECK(std::ranges::distance(guard.range1(all) | std::views::filter(red)) == 2);
}
#endif

TEST_CASE("a guard tells the commit that it shows", "[read_guard]") {
  const Cars cars;
  const auto guard = cars.replica.read();
  CHECK(guard.lsn() == Lsn{16});
  CHECK(guard.sequence() == 1);
}
