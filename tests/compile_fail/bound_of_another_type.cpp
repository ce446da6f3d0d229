// A bound that cannot stand for the key field.
// expect: btreemapped: the last argument must be a range .* or a value of its key field
#include <cstdint>
#include <string>

#include <btreemapped/replica.hpp>

struct Car {
  std::string owner;
  std::int64_t plate;
  std::string color;
};

void walk(const btreemapped::Replica<Car, 2>& cars) {
  cars.for_range2("Bob", btreemapped::half_open(1, "two"), [](const Car&) {});
}
