// The third part of a key of two.
// expect: TODO
#include <cstdint>
#include <string>

#include <btreemapped/replica.hpp>

struct Car {
  std::string owner;
  std::int64_t plate;
  std::string color;
};

void walk(const btreemapped::Replica<Car, 2>& cars) {
  cars.for_range3("Bob", 1, "red", [](const Car&) {});
}
