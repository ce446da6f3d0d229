// The guard is gone before the row is used.
// expect: use of deleted function .*find
// expect-clang: call to deleted (member )?function .find.
#include <cstdint>
#include <string>

#include <btreemapped/replica.hpp>

struct Car {
  std::string owner;
  std::int64_t plate;
  std::string color;
};

std::int64_t plate(const btreemapped::Replica<Car, 2>& cars) {
  const Car* const car = cars.read().find("Bob", 1);
  return car->plate;
}
