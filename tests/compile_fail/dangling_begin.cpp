// The guard is gone before the iterator is used.
// expect: use of deleted function .*begin
// expect-clang: call to deleted (member )?function .begin.
#include <cstdint>
#include <string>

#include <btreemapped/replica.hpp>

struct Car {
  std::string owner;
  std::int64_t plate;
  std::string color;
};

std::int64_t first(const btreemapped::Replica<Car, 2>& cars) {
  const auto place = cars.read().begin();
  return place->plate;
}
