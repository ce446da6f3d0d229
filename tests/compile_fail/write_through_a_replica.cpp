// A replica is read-only.
// expect: assignment of member .* in read-only object
// expect-clang: cannot assign to variable .* with const-qualified type
#include <cstdint>
#include <string>

#include <btreemapped/replica.hpp>

struct Car {
  std::string owner;
  std::int64_t plate;
  std::string color;
};

void paint(const btreemapped::Replica<Car, 2>& cars) {
  cars.for_each([](const Car& car) { car.plate = 1; });
}
