// The third part of a key of two.
// expect: no matching function for call to .*for_range3
// expect-clang: no matching member function for call to .for_range3.
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
