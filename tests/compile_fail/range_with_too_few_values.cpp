// A range on the second part of the key needs the first.
// expect: btreemapped: for_rangeN takes N-1 values of the prefix, the range, and a function
#include <cstdint>
#include <string>

#include <btreemapped/replica.hpp>

struct Car {
  std::string owner;
  std::int64_t plate;
  std::string color;
};

void walk(const btreemapped::Replica<Car, 2>& cars) {
  cars.for_range2("Bob", [](const Car&) {});
}
