// A guard belongs to the place where it was made.
// expect: use of deleted function .*ReadGuard
// expect-clang: call to deleted constructor of .*ReadGuard
#include <cstddef>
#include <cstdint>
#include <string>

#include <btreemapped/replica.hpp>

struct Car {
  std::string owner;
  std::int64_t plate;
  std::string color;
};

std::size_t size(const btreemapped::ReadGuard<Car, 2>& guard) {
  const auto copy = guard;
  return copy.size();
}
