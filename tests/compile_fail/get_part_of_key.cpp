// A part of a key may stand for many rows.
// expect: btreemapped: this takes exactly the whole key; for a part of it use for_range1
#include <cstdint>
#include <string>

#include <btreemapped/replica.hpp>

struct Car {
  std::string owner;
  std::int64_t plate;
  std::string color;
};

bool bob(const btreemapped::Replica<Car, 2>& cars) { return cars.get("Bob").has_value(); }
