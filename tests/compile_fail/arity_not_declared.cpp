// Neither the struct nor the replica says what the key is.
// expect: btreemapped: arity 0: name the number of key fields
#include <cstddef>
#include <cstdint>
#include <string>

#include <btreemapped/replica.hpp>

struct Car {
  std::string owner;
  std::int64_t plate;
  std::string color;
};

std::size_t size(const btreemapped::Replica<Car>& cars) { return cars.size(); }
