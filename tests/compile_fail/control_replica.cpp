// What the other files on rows, keys and reads differ from compiles.
// expect: success
#include <cstddef>
#include <cstdint>
#include <string>

#include <btreemapped/replica.hpp>

struct Car {
  std::string owner;
  std::int64_t plate;
  std::string color;
};

enum class Color { red };

struct Declared {
  std::int64_t plate;
  std::int64_t year;

  static constexpr std::size_t arity = 2;
  static constexpr auto key = btreemapped::key<&Declared::year, &Declared::plate>;
};

std::size_t read(const btreemapped::Replica<Car, 2>& cars, const btreemapped::Replica<Declared>& declared) {
  std::size_t seen = cars.get("Bob", 1).has_value() && cars.contains("Bob", 1U) ? 1 : 0;
  static_cast<void>(cars.get_with("Bob", 1, [&](const Car&) { ++seen; }));
  cars.for_range1("Bob", [&](const Car&) { ++seen; });
  cars.for_range2("Bob", btreemapped::half_open(1, 3L), [&](const Car&) { return ++seen < 9; });
  declared.for_each([&](const Declared& row) { seen += row.year > 0 ? 1U : 0U; });
  const auto guard = cars.read();
  for (const Car& car : guard.range1(btreemapped::all)) seen += car.plate > 0 ? 1U : 0U;
  return seen + guard.size() + cars.to_vector().size() + (guard.find("Bob", 1) != nullptr ? 1U : 0U);
}
