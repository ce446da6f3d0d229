// A callback that returns what converts to bool would stop on insert(x).second.
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
  cars.for_each([](const Car&) { return 1; });
}
