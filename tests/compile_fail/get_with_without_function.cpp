// get_with needs something to call.
// expect: btreemapped: get_with takes the whole key, then a function of const Row&
#include <cstdint>
#include <string>

#include <btreemapped/replica.hpp>

struct Car {
  std::string owner;
  std::int64_t plate;
  std::string color;
};

void walk(const btreemapped::Replica<Car, 2>& cars) { static_cast<void>(cars.get_with("Bob", 1)); }
