// The values before a range are judged as those of a whole key.
// expect: btreemapped: the values before the range must each stand for their key field without loss
#include <cstdint>
#include <string>

#include <btreemapped/replica.hpp>

struct Car {
  std::string owner;
  std::int64_t plate;
  std::string color;
};

void walk(const btreemapped::Replica<Car, 2>& cars) {
  cars.for_range2(5, btreemapped::all, [](const Car&) {});
}
