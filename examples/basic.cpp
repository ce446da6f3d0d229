// Follows the table of basic.sql, reads it in several ways, and shows what becomes of it while a second connection
// changes it.
//
//   basic CONNECTION [--interactive]     CONNECTION is a libpq connection string or URI
//
// --interactive shows your own changes instead, until Ctrl-C.

#include <chrono>
#include <csignal>
#include <cstdint>
#include <cstdlib>
#include <ctime>
#include <exception>
#include <iomanip>
#include <iostream>
#include <optional>
#include <stdexcept>
#include <string>
#include <string_view>

#include <pqxx/pqxx>

#include <btreemapped.hpp>
#include <btreemapped/pqxx.hpp>

namespace {

struct Car {
  std::string owner;
  std::int64_t license_plate;
  std::string color;
};

using Cars = btreemapped::Replica<Car, 2>;  // ordered by the first two fields: (owner, license_plate)

std::ostream& operator<<(std::ostream& out, const Car& car) {
  return out << "  " << std::left << std::setw(10) << car.owner << std::right << std::setw(6) << car.license_plate
             << "  " << car.color << '\n';
}

void print(const Car& car) { std::cout << car; }

void show_table(const Cars& cars) {
  const auto guard = cars.read();  // one commit, however many reads
  for (const Car& car : guard) std::cout << car;
  std::cout << "  " << guard.size() << " in all, at " << to_string(guard.lsn()) << '\n';
}

void show_reads(const Cars& cars) {
  using namespace btreemapped;  // for the ranges

  std::cout << "\nget(\"Alice\", 123)\n";
  if (const std::optional<Car> car = cars.get("Alice", 123)) std::cout << *car;

  std::cout << "\nget(\"Alice\", 124)\n";
  if (!cars.get("Alice", 124)) std::cout << "  nothing\n";

  std::cout << "\nfor_range1(\"Bob\"): all that begins with this owner\n";
  cars.for_range1("Bob", print);

  std::cout << "\nfor_range1(half_open(\"Alice\", \"Bob\")): from Alice up to Bob, but no Bob\n";
  cars.for_range1(half_open("Alice", "Bob"), print);

  std::cout << "\nfor_range2(\"Charlie\", half_open(1000, 1003)): 1000 <= license_plate < 1003\n";
  cars.for_range2("Charlie", half_open(1000, 1003), print);

  std::cout << "\nfor_range2(\"Bob\", at_least(100)): stays with Bob\n";
  cars.for_range2("Bob", at_least(100), print);

  std::cout << "\nfor_range2(\"Charlie\", all), ended by the callback after two\n";
  int seen = 0;
  cars.for_range2("Charlie", all, [&](const Car& car) {
    std::cout << car;
    return ++seen < 2;  // false ends the scan
  });
}

/// Commits `statements`, then shows the replica at that commit or a later one.
void change(pqxx::connection& writer, const btreemapped::Replicator& replicator, const Cars& cars,
            std::string_view statements) {
  std::cout << '\n' << statements << '\n';
  pqxx::work transaction(writer);
  transaction.exec(std::string(statements));
  const btreemapped::Reached reached = btreemapped::commit_and_wait(transaction, replicator, std::chrono::seconds{10});
  if (!reached) throw std::runtime_error("the replica does not show the commit: " + reached.why);
  show_table(cars);
}

void show_changes(const std::string& dsn, const btreemapped::Replicator& replicator, const Cars& cars) {
  std::cout << "\n-- A second connection changes the table; this is the replica after each commit.\n";
  pqxx::connection writer(dsn);
  change(writer, replicator, cars, "INSERT INTO cars VALUES ('Dora', 7, 'silver'), ('Alice', 124, 'pink')");
  change(writer, replicator, cars, "UPDATE cars SET color = 'gold' WHERE owner = 'Alice'");
  change(writer, replicator, cars, "UPDATE cars SET owner = 'Dora' WHERE owner = 'Bob' AND license_plate = 20");
  change(writer, replicator, cars, "DELETE FROM cars WHERE owner = 'Charlie'");
  change(writer, replicator, cars, "TRUNCATE cars; INSERT INTO cars VALUES ('Eve', 1, 'black')");
}

void show_changes_of_others(const std::string& dsn, const Cars& cars) {
  sigset_t interrupt;
  sigemptyset(&interrupt);
  sigaddset(&interrupt, SIGINT);
  pthread_sigmask(SIG_BLOCK, &interrupt, nullptr);

  std::cout << "\nChange the table in another terminal, and watch; Ctrl-C ends.\n\n"
            << "  psql '" << dsn << "' -c \"INSERT INTO cars VALUES ('Zoe', 1, 'purple')\"\n\n"
            << std::flush;
  const timespec pause{0, 100'000'000};
  for (std::uint64_t shown = cars.sequence(); sigtimedwait(&interrupt, nullptr, &pause) != SIGINT;) {
    if (cars.sequence() == shown) continue;
    shown = cars.sequence();
    show_table(cars);
    std::cout << '\n' << std::flush;
  }
}

int run(const std::string& dsn, bool interactive) {
  btreemapped::Replicator replicator({.connection = dsn, .publication = "cars_pub"});
  const Cars cars = replicator.add_replica<Car, 2>("cars");
  replicator.start();
  replicator.synced().get();  // throws what is wrong, if it cannot be done

  std::cout << "The table, copied into this process:\n";
  show_table(cars);
  if (interactive) {
    show_changes_of_others(dsn, cars);
  } else {
    show_reads(cars);
    show_changes(dsn, replicator, cars);
  }
  replicator.stop();
  std::cout << "\nStopped. The rows can be read still, and say that they are " << to_string(cars.state()) << ":\n";
  show_table(cars);
  return EXIT_SUCCESS;
}

}  // namespace

int main(int argc, char** argv) {
  const bool interactive = argc == 3 && argv[2] == std::string_view("--interactive");
  if (argc != (interactive ? 3 : 2)) {
    std::cerr << "usage: basic CONNECTION [--interactive]\n";
    return 2;
  }
  try {
    return run(argv[1], interactive);
  } catch (const std::exception& error) {
    std::cerr << error.what() << '\n';
    return EXIT_FAILURE;
  }
}
