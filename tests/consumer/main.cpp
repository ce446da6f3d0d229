// A program of a user of the library: all of it, so that what it needs is linked.

#include <cstddef>
#include <cstdio>
#include <exception>

#include <btreemapped.hpp>

#include "reads.hpp"

int main(int argc, char**) {
  try {
    btreemapped::Replicator replicator({.connection = "host=localhost dbname=shop", .publication = "cars_pub"});
    const auto cars = replicator.add_replica<Car, 2>("cars");
    if (argc > 1) replicator.start();
    try {
      const std::size_t count = cars_of(cars, "Alice");
      std::printf("Alice has %zu cars\n", count);
    } catch (const btreemapped::NotReadyError&) {
      std::printf("btreemapped %d.%d.%d: not started, so there is nothing to read\n", BTREEMAPPED_VERSION_MAJOR,
                  BTREEMAPPED_VERSION_MINOR, BTREEMAPPED_VERSION_PATCH);
      return argc > 1 ? 1 : 0;
    }
  } catch (const std::exception& error) {
    std::printf("%s\n", error.what());
  }
  return 1;
}
