// A callback of a range is judged as that of for_each.
// expect: btreemapped: a callback returns void, or exactly bool
#include <cstdint>
#include <string>

#include <btreemapped/replica.hpp>

struct Car {
  std::string owner;
  std::int64_t plate;
  std::string color;
};

void walk(const btreemapped::Replica<Car, 2>& cars) {
  cars.for_range1("Bob", [](const Car&) { return 1; });
}
