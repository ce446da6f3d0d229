// Code that only reads: it knows no client library, and sees no warning of ours.

#include "reads.hpp"

#include <cstddef>
#include <optional>
#include <string_view>

#include <btreemapped/range.hpp>

#if defined(LIBPQ_FE_H) || defined(PQXX_VERSION)
#error "reading a replica brings in a client library"
#endif

std::size_t cars_of(const btreemapped::Replica<Car, 2>& cars, std::string_view owner) {
  std::size_t count = 0;
  cars.for_range2(owner, btreemapped::at_least(0), [&](const Car&) { ++count; });
  const auto guard = cars.read();
  for (const Car& car : guard.range1(owner)) count += car.license_plate < 0 ? 1 : 0;
  const std::optional<Car> first = cars.get(owner, 1);
  return count + (first && first->color.empty() ? 1 : 0);
}
