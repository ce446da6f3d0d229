// A key of four fields out of three.
// expect: btreemapped: the arity is greater than the number of fields
#include <cstddef>
#include <cstdint>
#include <string>

#include <btreemapped/replica.hpp>

struct Car {
  std::string owner;
  std::int64_t plate;
  std::string color;
};

std::size_t size(const btreemapped::Replica<Car, 4>& cars) { return cars.size(); }
