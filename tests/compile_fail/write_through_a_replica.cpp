// A replica is read-only.
// expect: assignment of member|read-only|non-const|const-qualified
#include <cstdint>
#include <string>

#include <btreemapped/replica.hpp>

struct Car {
  std::string owner;
  std::int64_t plate;
  std::string color;
};

void paint(const btreemapped::Replica<Car, 2>& cars) {
  cars.for_each([](const Car& car) { car.color = "red"; });
}
