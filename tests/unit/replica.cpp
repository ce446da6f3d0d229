#include <chrono>
#include <concepts>
#include <cstdint>
#include <iterator>
#include <limits>
#include <memory>
#include <optional>
#include <stdexcept>
#include <string>
#include <string_view>
#include <type_traits>
#include <utility>
#include <vector>

#include <catch2/catch_test_macros.hpp>
#include <catch2/matchers/catch_matchers.hpp>
#include <catch2/matchers/catch_matchers_exception.hpp>
#include <catch2/matchers/catch_matchers_string.hpp>

#include <btreemapped/codec.hpp>
#include <btreemapped/error.hpp>
#include <btreemapped/numeric.hpp>
#include <btreemapped/range.hpp>
#include <btreemapped/replica.hpp>
#include <btreemapped/state.hpp>

#include <support/document.hpp>
#include <support/memory_table.hpp>

namespace replica_test {
enum class Color : std::uint8_t { red, green, blue };
}  // namespace replica_test

template <>
struct btreemapped::codec<replica_test::Color> {
  static Errc decode(std::string_view text, replica_test::Color& out) {
    if (text != "red" && text != "green") return Errc::invalid_text;
    out = text == "red" ? replica_test::Color::red : replica_test::Color::green;
    return Errc::ok;
  }
};

namespace {

using namespace btreemapped;
using Catch::Matchers::ContainsSubstring;
using Catch::Matchers::MessageMatches;

struct Car {
  std::string owner;
  std::int64_t plate;
  std::optional<std::string> color;

  friend bool operator==(const Car&, const Car&) = default;
};

using replica_test::Color;

struct Painted {
  Color color;
  std::int32_t id;
};

struct Eight {
  std::int32_t a, b, c, d, e, f, g, h;
};

struct Movable {
  std::int32_t id;
  test::Document document;
};

const std::vector<test::Cells> three_cars{{"Bob", 2, "green"}, {"Alice", 123, "red"}, {"Bob", 1, test::null}};

// A handle that anybody may copy and nobody may write through.
static_assert(std::is_copy_constructible_v<Replica<Car, 2>> && std::is_copy_assignable_v<Replica<Car, 2>>);
static_assert(std::is_nothrow_move_constructible_v<Replica<Car, 2>>);
static_assert(sizeof(Replica<Car, 2>) == sizeof(std::shared_ptr<void>));

}  // namespace

TEST_CASE("get gives a copy of the row with the whole key", "[replica]") {
  test::MemoryStore store;
  const auto cars = store.add_with<Car, 2>(three_cars).replica();
  CHECK(cars.get("Alice", 123) == Car{"Alice", 123, "red"});
  CHECK(cars.get("Bob", 1) == Car{"Bob", 1, std::nullopt});
  CHECK_FALSE(cars.get("Alice", 124).has_value());
  CHECK_FALSE(cars.get("Alic", 123).has_value());
  CHECK_FALSE(cars.get("", 0).has_value());
}

TEST_CASE("a number that its field cannot hold is not found", "[replica]") {
  struct Row {
    std::int32_t id;
  };
  test::MemoryStore store;
  const auto rows = store.add_with<Row, 1>({{-1}, {0}, {2147483647}}).replica();
  CHECK(rows.contains(-1));
  CHECK(rows.contains(std::int64_t{-1}));
  CHECK_FALSE(rows.contains(4294967295U));
  CHECK_FALSE(rows.contains(std::uint64_t{18'446'744'073'709'551'615U}));
  CHECK_FALSE(rows.contains(std::int64_t{4294967296}));
  CHECK(rows.contains(std::uint64_t{2147483647}));
  CHECK_FALSE(rows.get(4294967295U).has_value());
  CHECK_FALSE(rows.get_with(4294967295U, [](const Row&) {}));
}

TEST_CASE("get_with tells whether there is a row when the function returns nothing", "[replica]") {
  test::MemoryStore store;
  const auto cars = store.add_with<Car, 2>(three_cars).replica();
  int calls = 0;
  const std::same_as<bool> auto found = cars.get_with("Bob", 2, [&](const Car& car) {
    ++calls;
    CHECK(car.color == "green");
  });
  CHECK(found);
  CHECK_FALSE(cars.get_with("Bob", 3, [&](const Car&) { ++calls; }));
  CHECK(calls == 1);
}

TEST_CASE("get_with returns what the function makes of the row", "[replica]") {
  test::MemoryStore store;
  const auto cars = store.add_with<Car, 2>(three_cars).replica();
  const std::same_as<std::optional<std::string>> auto color =
      cars.get_with("Bob", 2, [](const Car& car) -> const std::string& { return *car.color; });
  CHECK(color == "green");
  const std::same_as<std::optional<bool>> auto truth = cars.get_with("Bob", 2, [](const Car&) { return false; });
  CHECK(truth == false);
  CHECK_FALSE(cars.get_with("Bob", 3, [](const Car& car) { return car.plate; }).has_value());
  const auto moved = cars.get_with("Bob", 2, [](const Car& car) { return std::make_unique<std::int64_t>(car.plate); });
  CHECK(**moved == 2);
}

TEST_CASE("an exception of a callback ends the read", "[replica]") {
  test::MemoryStore store;
  const auto table = store.add_with<Car, 2>(three_cars);
  const auto cars = table.replica();
  CHECK_THROWS_AS(cars.for_each([](const Car&) { throw std::out_of_range("enough"); }), std::out_of_range);
  CHECK_THROWS_AS(cars.get_with("Bob", 2, [](const Car&) { throw std::out_of_range("enough"); }), std::out_of_range);
  CHECK_FALSE(store.store().this_thread_reads());
  auto changes = table.change();
  changes.truncate();
  store.publish(table, std::move(changes));
  CHECK(cars.empty());
}

TEST_CASE("contains, size and empty tell what is there", "[replica]") {
  test::MemoryStore store;
  const auto table = store.add_with<Car, 2>(three_cars);
  const auto cars = table.replica();
  CHECK(cars.contains("Bob", 1));
  CHECK_FALSE(cars.contains("Bob", 3));
  CHECK(cars.size() == 3);
  CHECK_FALSE(cars.empty());
  const auto nobody = store.add_with<Car, 1>({}, "nobody").replica();
  CHECK(nobody.size() == 0);
  CHECK(nobody.empty());
  CHECK(nobody.to_vector().empty());
}

TEST_CASE("for_each and to_vector give all rows in key order", "[replica]") {
  test::MemoryStore store;
  const auto cars = store.add_with<Car, 2>(three_cars).replica();
  const std::vector<Car> expected{{"Alice", 123, "red"}, {"Bob", 1, std::nullopt}, {"Bob", 2, "green"}};
  std::vector<Car> walked;
  cars.for_each([&](const Car& car) { walked.push_back(car); });
  CHECK(walked == expected);
  CHECK(cars.to_vector() == expected);
}

TEST_CASE("a callback may be a named function object, const or not", "[replica]") {
  struct Counter {
    int rows = 0;
    void operator()(const Car&) { ++rows; }
  };
  test::MemoryStore store;
  const auto cars = store.add_with<Car, 2>(three_cars).replica();
  Counter counter;
  cars.for_each(counter);
  cars.for_range1("Bob", counter);
  CHECK(counter.rows == 5);
  int rows = 0;
  const auto lambda = [&rows](const auto&) { ++rows; };
  cars.for_each(lambda);
  cars.for_range2("Bob", all, lambda);
  static_cast<void>(cars.get_with("Bob", 1, lambda));
  CHECK(rows == 6);
}

TEST_CASE("a callback may be a pointer to a member", "[replica]") {
  struct Lamp {
    std::int32_t id;
    bool lit;

    void look() const {}
    [[nodiscard]] bool on() const { return lit; }
  };
  test::MemoryStore store;
  const auto lamps = store.add_with<Lamp, 1>({{"1", "t"}, {"2", "f"}}).replica();
  const std::same_as<std::optional<bool>> auto lit = lamps.get_with(1, &Lamp::lit);
  CHECK(lit == true);
  CHECK(lamps.get_with(2, &Lamp::on) == false);
  CHECK(lamps.get_with(1, &Lamp::look));
  CHECK_FALSE(lamps.get_with(3, &Lamp::look));
  lamps.for_each(&Lamp::on);
  lamps.for_range1(at_least(1), &Lamp::look);
}

TEST_CASE("each level of an eight-part key can be ranged over", "[replica]") {
  test::MemoryStore store;
  std::vector<test::Cells> rows;
  for (int bits = 0; bits < 256; ++bits) {
    test::Cells row;
    for (int level = 7; level >= 0; --level) row.push_back((bits >> level) & 1);
    rows.push_back(std::move(row));
  }
  const auto replica = store.add_with<Eight, 8>(rows).replica();
  int count = 0;
  const auto add = [&](const Eight&) { ++count; };
  const auto counted = [&](auto&& walk) {
    count = 0;
    walk();
    return count;
  };
  const auto upper = at_least(1);
  CHECK(counted([&] { replica.for_range1(upper, add); }) == 128);
  CHECK(counted([&] { replica.for_range2(1, upper, add); }) == 64);
  CHECK(counted([&] { replica.for_range3(1, 0, upper, add); }) == 32);
  CHECK(counted([&] { replica.for_range4(1, 0, 1, upper, add); }) == 16);
  CHECK(counted([&] { replica.for_range5(1, 0, 1, 0, upper, add); }) == 8);
  CHECK(counted([&] { replica.for_range6(1, 0, 1, 0, 1, upper, add); }) == 4);
  CHECK(counted([&] { replica.for_range7(1, 0, 1, 0, 1, 0, upper, add); }) == 2);
  CHECK(counted([&] { replica.for_range8(1, 0, 1, 0, 1, 0, 1, upper, add); }) == 1);
  CHECK(counted([&] { replica.for_range8(1, 0, 1, 0, 1, 0, 1, all, add); }) == 2);
  CHECK(replica.contains(1, 0, 1, 0, 1, 0, 1, 1));
  const auto guard = replica.read();
  CHECK(std::distance(guard.range8(1, 0, 1, 0, 1, 0, 1, all).begin(), guard.range8(1, 0, 1, 0, 1, 0, 1, all).end()) ==
        2);
  CHECK_FALSE(guard.range7(1, 0, 1, 0, 1, 0, 0).empty());
  CHECK_FALSE(guard.range6(1, 0, 1, 0, 1, 0).empty());
  CHECK_FALSE(guard.range5(1, 0, 1, 0, 1).empty());
  CHECK_FALSE(guard.range4(1, 0, 1, 0).empty());
}

TEST_CASE("a move-only row is read in place", "[replica]") {
  test::MemoryStore store;
  const auto replica = store.add_with<Movable, 1>({{1, "one"}, {2, "two"}}).replica();
  CHECK(replica.get_with(2, [](const Movable& row) { return *row.document.text; }) == "two");
  std::string documents;
  replica.for_each([&](const Movable& row) { documents += *row.document.text; });
  replica.for_range1(at_most(1), [&](const Movable& row) { documents += *row.document.text; });
  CHECK(documents == "onetwoone");
  CHECK(replica.contains(1));
}

TEST_CASE("float keys are found as PostgreSQL compares them", "[replica]") {
  struct Row {
    double key;
    std::int32_t id;
  };
  test::MemoryStore store;
  const auto replica = store.add_with<Row, 1>({{"NaN", 1}, {"-0", 2}, {"Infinity", 3}, {"-1.5", 4}}).replica();
  const double nan = std::numeric_limits<double>::quiet_NaN();
  CHECK(replica.get(nan)->id == 1);
  CHECK(replica.get(-nan)->id == 1);
  CHECK(replica.get(0.0)->id == 2);
  CHECK(replica.get(-0.0)->id == 2);
  std::vector<std::int32_t> ids;
  replica.for_range1(greater_than(0.0), [&](const Row& row) { ids.push_back(row.id); });
  CHECK(ids == std::vector<std::int32_t>{3, 1});
}

TEST_CASE("numeric keys are found in any scale", "[replica]") {
  struct Row {
    Numeric key;
    std::int32_t id;
  };
  test::MemoryStore store;
  const auto replica = store.add_with<Row, 1>({{"1.0", 1}, {"10", 2}, {"9.99", 3}}).replica();
  CHECK(replica.get(*Numeric::parse("1.00"))->id == 1);
  CHECK(replica.get(Numeric(10))->id == 2);
  std::vector<std::int32_t> ids;
  replica.for_range1(at_least(Numeric(2)), [&](const Row& row) { ids.push_back(row.id); });
  CHECK(ids == std::vector<std::int32_t>{3, 2});
}

TEST_CASE("enum keys are found by their enumerators", "[replica]") {
  test::MemoryStore store;
  const auto replica = store.add_with<Painted, 1>({{"red", 1}, {"green", 2}}).replica();
  CHECK(replica.get(Color::green)->id == 2);
  CHECK_FALSE(replica.contains(Color::blue));
  int rows = 0;
  replica.for_range1(at_least(Color::green), [&](const Painted&) { ++rows; });
  CHECK(rows == 1);
}

TEST_CASE("every read before the first complete copy throws NotReadyError", "[replica]") {
  test::MemoryStore store;
  const auto table = store.add<Car, 2>("cars");
  const auto cars = table.replica();
  CHECK_THROWS_AS(cars.get("Bob", 1), NotReadyError);
  CHECK_THROWS_AS(cars.get_with("Bob", 1, [](const Car&) {}), NotReadyError);
  CHECK_THROWS_AS(cars.contains("Bob", 1), NotReadyError);
  CHECK_THROWS_AS(cars.size(), NotReadyError);
  CHECK_THROWS_AS(cars.empty(), NotReadyError);
  CHECK_THROWS_AS(cars.for_each([](const Car&) {}), NotReadyError);
  CHECK_THROWS_AS(cars.for_range1(all, [](const Car&) {}), NotReadyError);
  CHECK_THROWS_AS(cars.for_range2("Bob", all, [](const Car&) {}), NotReadyError);
  CHECK_THROWS_AS(cars.to_vector(), NotReadyError);
  CHECK_THROWS_AS(cars.read(), NotReadyError);
  CHECK_FALSE(store.store().this_thread_reads());
}

TEST_CASE("NotReadyError names the table and what to do", "[replica]") {
  test::MemoryStore store;
  const auto cars = store.add<Car, 2>("cars").replica();
  CHECK_THROWS_MATCHES(cars.size(), NotReadyError,
                       MessageMatches(ContainsSubstring("public.cars") && ContainsSubstring("synced()") &&
                                      ContainsSubstring("empty_until_synced")));
  try {
    static_cast<void>(cars.size());
  } catch (const NotReadyError& error) {
    CHECK(error.table() == "public.cars");
    CHECK(error.retryable());
  }
}

TEST_CASE("with empty_until_synced a table reads as empty before its first copy", "[replica]") {
  test::MemoryStore store(true);
  const auto table = store.add<Car, 2>();
  const auto cars = table.replica();
  CHECK(cars.empty());
  CHECK(cars.to_vector().empty());
  CHECK_FALSE(cars.contains("Bob", 1));
  CHECK(cars.state() == TableState::pending);
  auto commit = store.next_commit();
  commit.changes.push_back({&table.table(), table.copy(three_cars)});
  commit.rejoined.push_back(&table.table());
  store.publish(commit);
  CHECK(cars.size() == 3);
  CHECK(cars.state() == TableState::live);
}

TEST_CASE("an empty table that has been copied is no longer not ready", "[replica]") {
  test::MemoryStore store;
  const auto cars = store.add_with<Car, 2>({}).replica();
  CHECK(cars.empty());
}

TEST_CASE("a table is pending, live, stale, live again", "[replica]") {
  test::MemoryStore store;
  const auto table = store.add<Car, 2>();
  const auto cars = table.replica();
  CHECK(cars.state() == TableState::pending);

  auto first = store.next_commit();
  first.changes.push_back({&table.table(), table.copy(three_cars)});
  first.rejoined.push_back(&table.table());
  store.publish(first);
  CHECK(cars.state() == TableState::live);
  CHECK(cars.stale_for() == std::chrono::nanoseconds::zero());

  const auto lost = std::chrono::steady_clock::now() - std::chrono::seconds{5};
  store.store().mark_stale(lost);
  CHECK(cars.state() == TableState::stale);
  CHECK(cars.stale_for() >= std::chrono::seconds{5});
  CHECK(cars.size() == 3);
  store.store().mark_stale(std::chrono::steady_clock::now());
  CHECK(cars.stale_for() >= std::chrono::seconds{5});

  auto again = store.next_commit();
  again.changes.push_back({&table.table(), table.copy({{"Dora", 4, "white"}})});
  again.rejoined.push_back(&table.table());
  store.publish(again);
  CHECK(cars.state() == TableState::live);
  CHECK(cars.stale_for() == std::chrono::nanoseconds::zero());
  CHECK(cars.to_vector() == std::vector<Car>{{"Dora", 4, "white"}});
}

TEST_CASE("a table that fails keeps its rows and its position while others go on", "[replica]") {
  test::MemoryStore store;
  const auto failing = store.add_with<Car, 2>(three_cars, "failing");
  const auto going = store.add_with<Car, 2>(three_cars, "going");
  const auto stopped = failing.replica();
  const auto live = going.replica();
  const Lsn before = live.lsn();

  auto changes = going.change();
  REQUIRE_FALSE(changes.insert({"Eve", 5, "grey"}));
  REQUIRE_FALSE(changes.seal());
  auto commit = store.next_commit();
  commit.changes.push_back({&going.table(), changes.take()});
  commit.detached.push_back({&failing.table(), TableState::failed});
  store.publish(commit);

  CHECK(stopped.state() == TableState::failed);
  CHECK(stopped.size() == 3);
  CHECK(stopped.lsn() == before);
  CHECK(stopped.stale_for() > std::chrono::nanoseconds::zero());
  CHECK(live.state() == TableState::live);
  CHECK(live.size() == 4);
  CHECK(live.lsn() == commit.end_lsn);

  store.store().mark_stale(std::chrono::steady_clock::now());
  CHECK(stopped.state() == TableState::failed);
  CHECK(live.state() == TableState::stale);

  auto healed = store.next_commit();
  healed.changes.push_back({&failing.table(), failing.copy({})});
  healed.rejoined = {&failing.table(), &going.table()};
  store.publish(healed);
  CHECK(stopped.state() == TableState::live);
  CHECK(stopped.lsn() == healed.end_lsn);
  CHECK(stopped.empty());
}

TEST_CASE("a table that fails before its first copy stays unreadable", "[replica]") {
  test::MemoryStore store;
  const auto table = store.add<Car, 2>();
  store.store().detach(table.table(), TableState::failed, std::chrono::steady_clock::now());
  CHECK(table.replica().state() == TableState::failed);
  CHECK_THROWS_AS(table.replica().size(), NotReadyError);
}

TEST_CASE("the position and the sequence number move with each commit", "[replica]") {
  test::MemoryStore store;
  const auto table = store.add_with<Car, 2>(three_cars);
  const auto cars = table.replica();
  CHECK(cars.lsn() == Lsn{16});
  CHECK(cars.sequence() == 1);
  auto changes = table.change();
  REQUIRE_FALSE(changes.erase_by_key({"Bob", 1, test::null}));
  store.publish(table, std::move(changes));
  CHECK(cars.lsn() == Lsn{32});
  CHECK(cars.sequence() == 2);
  store.store().advance(Lsn{100});
  CHECK(cars.lsn() == Lsn{100});
  CHECK(cars.sequence() == 2);
  store.store().advance(Lsn{50});
  CHECK(cars.lsn() == Lsn{100});
}

TEST_CASE("a replica is readable after the owner of its store is gone", "[replica]") {
  auto cars = [] {
    test::MemoryStore store;
    return std::make_unique<Replica<Car, 2>>(store.add_with<Car, 2>(three_cars).replica());
  }();
  CHECK(cars->size() == 3);
  CHECK(cars->get("Alice", 123) == Car{"Alice", 123, "red"});
  const Replica<Car, 2> copy = *cars;
  cars.reset();
  CHECK(copy.contains("Bob", 2));
  CHECK(copy.state() == TableState::live);
  CHECK(copy.sequence() == 1);
}

TEST_CASE("reads nest inside callbacks, of the same replica and of others", "[replica]") {
  test::MemoryStore store;
  test::MemoryStore elsewhere;
  const auto cars = store.add_with<Car, 2>(three_cars, "cars").replica();
  const auto friends = store.add_with<Car, 2>({{"Alice", 1, "Bob"}, {"Bob", 1, "Alice"}}, "friends").replica();
  const auto others = elsewhere.add_with<Car, 2>(three_cars, "others").replica();
  int joined = 0;
  friends.for_each([&](const Car& friendship) {
    cars.for_range1(*friendship.color, [&](const Car& car) {
      static_cast<void>(others.get_with(car.owner, car.plate, [&](const Car& same) {
        CHECK(same == car);
        CHECK(cars.size() == 3);
        ++joined;
      }));
    });
  });
  CHECK(joined == 3);
  CHECK_FALSE(store.store().this_thread_reads());
}
