#include <cstdint>
#include <iostream>
#include <limits>
#include <string>

#include <btreemapped.hpp>

// Follows the table items until its standard input ends; for tests that kill it before.
namespace {

struct Item {
  std::int64_t id;
  std::string name;
};

}  // namespace

int main(int, char** arguments) {
  btreemapped::Replicator replicator({.connection = arguments[1], .publication = "pub"});
  static_cast<void>(replicator.add_replica<Item, 1>("items"));
  replicator.start();
  replicator.synced().get();
  std::cin.ignore(std::numeric_limits<std::streamsize>::max());
}
