// A letter is no number.
// expect: btreemapped: a value cannot stand for its key field without loss
#include <cstdint>
#include <string>

#include <btreemapped/replica.hpp>

struct Car {
  std::string owner;
  std::int64_t plate;
  std::string color;
};

bool bob(const btreemapped::Replica<Car, 2>& cars) { return cars.get("Bob", '1').has_value(); }
