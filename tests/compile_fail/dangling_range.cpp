// The guard is gone before the loop begins.
// expect: use of deleted function .*range1
// expect-clang: call to deleted (member )?function .range1.
#include <cstdint>
#include <string>

#include <btreemapped/replica.hpp>

struct Car {
  std::string owner;
  std::int64_t plate;
  std::string color;
};

std::int64_t sum(const btreemapped::Replica<Car, 2>& cars) {
  std::int64_t sum = 0;
  for (const Car& car : cars.read().range1("Bob")) sum += car.plate;
  return sum;
}
