// The README's code and SQL, run as they stand there. Their output is what the README shows.

#include <chrono>
#include <cstddef>
#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <fstream>
#include <future>
#include <iostream>
#include <memory>
#include <optional>
#include <ranges>
#include <sstream>
#include <stdexcept>
#include <string>
#include <string_view>
#include <tuple>
#include <vector>

#include <catch2/catch_test_macros.hpp>
#include <pqxx/pqxx>

#include <btreemapped.hpp>
#include <btreemapped/pqxx.hpp>

#include "support/conninfo.hpp"
#include "support/database.hpp"
#include "support/replicator.hpp"
#include "support/server.hpp"
#include "support/sql.hpp"

struct Car {
  std::string owner;
  std::int64_t license_plate;
  std::string color;
};

// clang-format off
#include "readme/rows.cpp"
#include "readme/composites.cpp"
#include "readme/enums.cpp"
// clang-format on

namespace readme_test {

std::string text_of(const std::string& path) {
  std::ifstream file(path);
  if (!file) throw std::runtime_error("there is no " + path);
  return {std::istreambuf_iterator<char>(file), {}};
}

std::string block(const std::string& name) { return text_of(BTREEMAPPED_README_BLOCKS "/" + name); }

/// What a program prints.
std::string output_of(const std::string& command) {
  const std::unique_ptr<std::FILE, int (*)(std::FILE*)> output(::popen(command.c_str(), "r"), &::pclose);
  if (output == nullptr) throw std::runtime_error("cannot be run: " + command);
  std::string text;
  for (int c = std::fgetc(output.get()); c != EOF; c = std::fgetc(output.get())) text += static_cast<char>(c);
  return text;
}

/// Collects what is printed until text() is asked for.
class Captured {
 public:
  Captured() : before_(std::cout.rdbuf(stream_.rdbuf())) {}
  Captured(const Captured&) = delete;
  Captured& operator=(const Captured&) = delete;
  ~Captured() { std::cout.rdbuf(before_); }

  [[nodiscard]] std::string text() const {
    std::string text = stream_.str();
    return text.ends_with('\n') ? text : text + '\n';
  }

 private:
  std::ostringstream stream_{};
  std::streambuf* before_;
};

/// The database and the role of the README, which are called what they are called there. They are dropped first: always
/// on the private server, where they can be nobody's.
class Shop {
 public:
  Shop() : administrator_(server()) {
    drop();
    administrator_.exec("CREATE DATABASE shop TEMPLATE template0");
    session_.emplace(dsn());
    session_->exec(block("setup.sql"));
    // The snippets name the database and the role, and leave the port to the environment.
    ::setenv("PGPORT", test::parse_conninfo(server())["port"].c_str(), 1);
  }
  Shop(const Shop&) = delete;
  Shop& operator=(const Shop&) = delete;
  ~Shop() {
    session_.reset();
    drop();
  }

  [[nodiscard]] static std::string dsn() { return test::with_parts(server(), {{"dbname", "shop"}}); }

  test::Sql& sql() { return *session_; }

 private:
  static std::string server() { return test::Server::of_suite().dsn(); }

  void drop() {
    administrator_.exec(
        "SELECT pg_terminate_backend(pid, 10000) FROM pg_stat_activity WHERE datname = 'shop' AND backend_type = "
        "'walsender'");
    administrator_.exec("DROP DATABASE IF EXISTS shop WITH (FORCE)");
    administrator_.exec("DROP ROLE IF EXISTS cars_reader, shop_watcher");
  }

  test::Sql administrator_;
  std::optional<test::Sql> session_{};
};

void log(std::string_view, const std::string&, const std::string&) {}

btreemapped::Options as_reader() {
  return {.connection = "host=localhost dbname=shop user=cars_reader", .publication = "cars_pub"};
}

// first.cpp is a program of its own.
TEST_CASE("the README's first program prints what is shown", "[readme]") {
  const Shop shop;
  CHECK(output_of(BTREEMAPPED_README_FIRST) == block("first.text"));
}

TEST_CASE("the README's declared rows name their tables and keys", "[readme]") {
  Shop shop;
  shop.sql().exec(
      "CREATE SCHEMA sales; CREATE TABLE sales.orders (id bigint, customer bigint, total numeric NOT NULL, note text,"
      "  PRIMARY KEY (customer, id));"
      "CREATE TABLE device_readings (device text, read_at timestamptz, value float8 NOT NULL, PRIMARY KEY (device, "
      "read_at));"
      "INSERT INTO sales.orders VALUES (7, 1, 12.50, NULL); INSERT INTO device_readings VALUES ('a', now(), 0.5);"
      "ALTER PUBLICATION cars_pub ADD TABLE sales.orders, device_readings;"
      "GRANT USAGE ON SCHEMA sales TO cars_reader; GRANT SELECT ON sales.orders, device_readings TO cars_reader");
  test::Replicator replicator(as_reader());
#include "readme/declared.cpp"
  test::start_and_sync(replicator);
  CHECK(orders.get(1, 7)->total == btreemapped::Numeric::parse("12.5"));
  CHECK(btreemapped::key_of(*orders.get(1, 7)) == std::tuple<std::int64_t, std::int64_t>(1, 7));
  CHECK(readings.to_vector().front().value == 0.5);
}

TEST_CASE("the README's enum and structs hold enums and composite types", "[readme]") {
  Shop shop;
  shop.sql().exec(
      "CREATE TYPE color AS ENUM ('red', 'green', 'dark blue'); CREATE TYPE address AS (street text, zip text, house "
      "int);"
      "CREATE TABLE paints (color color PRIMARY KEY, litres int NOT NULL);"
      "CREATE TABLE customers (id int PRIMARY KEY, home address, delivery address[] NOT NULL);"
      "INSERT INTO paints VALUES ('dark blue', 20);"
      "INSERT INTO customers VALUES (1, ROW('Main Street', '12345', 7), ARRAY[ROW('a, b', NULL, NULL)]::address[]);"
      "ALTER PUBLICATION cars_pub ADD TABLE paints, customers; GRANT SELECT ON paints, customers TO cars_reader");
  test::Replicator replicator(as_reader());
  const auto paints = replicator.add_replica<Paint, 1>("paints");
  const auto customers = replicator.add_replica<Customer, 1>("customers");
  test::start_and_sync(replicator);
  CHECK(paints.get(Color::dark_blue)->litres == 20);
  CHECK_FALSE(paints.contains(Color::red));
  const std::optional<Customer> customer = customers.get(1);
  REQUIRE(customer.has_value());
  CHECK(customer->home->street == "Main Street");
  CHECK(customer->home->house == 7);
  REQUIRE(customer->delivery.size() == 1);
  CHECK(customer->delivery[0].street == "a, b");
  CHECK_FALSE(customer->delivery[0].house.has_value());
}

TEST_CASE("the README's codec is the example's, and reads what is shown", "[readme]") {
  CHECK(text_of(BTREEMAPPED_EXAMPLES "/own_type.cpp").find(block("codec.cpp")) != std::string::npos);
  Shop shop;
  shop.sql().exec(text_of(BTREEMAPPED_EXAMPLES "/own_type.sql") + "GRANT SELECT ON releases TO cars_reader");
  CHECK(output_of(std::string{BTREEMAPPED_EXAMPLE_OWN_TYPE} + " '" + as_reader().connection + "'") ==
        block("codec.text"));
}

TEST_CASE("the README's reads give what is shown", "[readme]") {
  struct Owner {
    std::string owner;
    std::string city;
  };
  Shop shop;
  shop.sql().exec(
      "CREATE TABLE owners (owner text PRIMARY KEY, city text NOT NULL); INSERT INTO owners VALUES ('Bob', 'Bergen');"
      "ALTER PUBLICATION cars_pub ADD TABLE owners; GRANT SELECT ON owners TO cars_reader");
  test::Replicator replicator(as_reader());
  const auto cars = replicator.add_replica<Car, 2>("cars");
  const auto owners = replicator.add_replica<Owner, 1>("owners");
  test::start_and_sync(replicator);

  const Captured printed;
  SECTION("lookups") {
#include "readme/reading.cpp"
    CHECK(printed.text() == block("reading.text"));
  }
  SECTION("ranges") {
#include "readme/ranges.cpp"
    CHECK(printed.text() == block("ranges.text"));
  }
  SECTION("several at one commit") {
#include "readme/guard.cpp"
    CHECK(printed.text() == block("guard.text"));
  }
}

TEST_CASE("the README's life of a Replicator prints what is shown", "[readme]") {
  const Shop shop;
  const Captured printed;
#include "readme/following.cpp"
  CHECK(printed.text() == block("following.text"));
}

TEST_CASE("the README's own write is read", "[readme]") {
  const Shop shop;
  test::Replicator replicator(as_reader());
  const auto cars = replicator.add_replica<Car, 2>("cars");
  test::start_and_sync(replicator);
  pqxx::connection connection(Shop::dsn());
  const Captured printed;
  SECTION("with libpqxx") {
#include "readme/own-writes.cpp"
    CHECK(printed.text() == block("own-writes.text"));
  }
  SECTION("by each barrier") {
#include "readme/barriers.cpp"
    CHECK(printed.text() == block("barriers.text"));
  }
}

TEST_CASE("verifying as the README does", "[readme]") {
  const Shop shop;
  test::Replicator replicator(as_reader());
  const auto cars = replicator.add_replica<Car, 2>("cars");
  test::start_and_sync(replicator);
  const Captured printed;
#include "readme/verify.cpp"
  CHECK(printed.text() == block("verify.text"));
}

TEST_CASE("the README's options of a failover slot are taken", "[readme]") {
#include "readme/failover.cpp"
  const auto cars = replicator.add_replica<Car, 2>("cars");
  CHECK_NOTHROW(replicator.start());
  replicator.stop();
}

TEST_CASE("the README's shards are disjoint, and together the table", "[readme]") {
  Shop shop;
  std::istringstream lines(block("shards.sql"));
  for (std::string line; std::getline(lines, line);) shop.sql().exec(line);
  std::size_t rows = 0;
  for (const char* const publication : {"cars_shard0", "cars_shard1"}) {
    btreemapped::Options options = as_reader();
    options.publication = publication;
    test::Replicator replicator(options);
    const auto cars = replicator.add_replica<Car, 2>("cars");
    test::start_and_sync(replicator);
    CHECK(cars.size() > 0);
    rows += cars.size();
  }
  CHECK(rows == 6);
}

TEST_CASE("the README's doctor finds what is shown, and is told by a program, too", "[readme]") {
  Shop shop;
  shop.sql().exec("REVOKE SELECT ON cars FROM cars_reader");
  {
    const Captured printed;
#include "readme/doctor.cpp"
    CHECK(printed.text() == block("doctor.text"));
  }
  const std::string program =
      output_of(std::string{BTREEMAPPED_EXAMPLE_DOCTOR} + " 'host=localhost dbname=shop user=cars_reader' cars_pub");
  const btreemapped::Diagnosis diagnosis = btreemapped::doctor(as_reader());
  for (const btreemapped::Finding& finding : diagnosis.findings)
    CHECK(program.find(to_string(finding)) != std::string::npos);
  CHECK(program.find(diagnosis.server + ", as cars_reader: public.cars\n") == 0);
  CHECK(program.ends_with("errors: 1, warnings: 1, notes: 1\n"));
}

/// A session of somebody who may watch the server.
class Watcher {
 public:
  explicit Watcher(Shop& shop) {
    shop.sql().exec("CREATE ROLE shop_watcher LOGIN; GRANT pg_monitor TO shop_watcher");
    session_.emplace(test::with_parts(Shop::dsn(), {{"user", "shop_watcher"}}));
  }

  std::vector<test::SqlRow> rows(const std::string& query) { return session_->rows(block(query)); }

 private:
  std::optional<test::Sql> session_{};
};

TEST_CASE("the README's query shows the slot and how far we are", "[readme]") {
  Shop shop;
  test::Replicator replicator(as_reader());
  const auto cars = replicator.add_replica<Car, 2>("cars");
  test::start_and_sync(replicator);
  const auto rows = Watcher(shop).rows("lag.sql");
  REQUIRE(rows.size() == 1);
  CHECK(rows[0][1] == "btreemapped");
  CHECK(rows[0][2] == "reserved");
}

TEST_CASE("the README's queries show who writes, and slots that nobody uses", "[readme]") {
  Shop shop;
  Watcher watcher(shop);
  CHECK(watcher.rows("writers.sql").empty());
  CHECK(watcher.rows("unused.sql").empty());
  shop.sql().exec("BEGIN; DELETE FROM cars WHERE owner = 'Bob'; PREPARE TRANSACTION 'of the README'");
  shop.sql().exec("BEGIN; DELETE FROM cars WHERE owner = 'Alice'");
  const auto writers = watcher.rows("writers.sql");
  shop.sql().exec("ROLLBACK");
  shop.sql().exec("ROLLBACK PREPARED 'of the README'");
  REQUIRE(writers.size() == 2);
  CHECK(writers[0][0] == "prepared transaction of the README");
  CHECK(writers[1][2] == "idle in transaction");
  shop.sql().exec("SELECT pg_create_logical_replication_slot('forgotten', 'pgoutput')");
  const auto unused = watcher.rows("unused.sql");
  shop.sql().exec("SELECT pg_drop_replication_slot('forgotten')");
  REQUIRE(unused.size() == 1);
  CHECK(unused[0][0] == "forgotten");
}

TEST_CASE("the README's way to drop a database that is followed works, and FORCE alone does not", "[readme]") {
  const Shop shop;
  test::Replicator replicator(as_reader());
  const auto cars = replicator.add_replica<Car, 2>("cars");
  test::start_and_sync(replicator);
  test::Sql administrator(test::Server::of_suite().dsn());
  CHECK_THROWS_AS(administrator.exec("DROP DATABASE shop WITH (FORCE)"), pqxx::sql_error);
  std::istringstream lines(block("drop.sql"));
  for (std::string line; std::getline(lines, line);) administrator.exec(line);
  CHECK(administrator.value("SELECT count(*) FROM pg_database WHERE datname = 'shop'") == "0");
  CHECK(cars.size() == 6);
  replicator.ends_unproved("its database is gone");
}

/// Each line of the README's table of types.
struct Everything {
  std::int64_t id;
  bool truth;
  short small;
  int medium;
  long large;
  long long small_in_large;
  unsigned object;
  std::int64_t object_in_large;
  std::uint64_t transaction;
  float narrow;
  double wide;
  double narrow_in_wide;
  btreemapped::Numeric exact;
  std::string words;
  std::string padded;
  std::vector<std::byte> bytes;
  btreemapped::Uuid uuid;
  std::chrono::sys_days day;
  std::chrono::local_time<std::chrono::microseconds> local;
  std::chrono::sys_time<std::chrono::microseconds> instant;
  std::string json;
  std::string list;
  std::string address;
  std::optional<int> nothing;
  int domain;
};

TEST_CASE("the README's table of types holds", "[readme]") {
  using namespace std::chrono;
  Shop shop;
  shop.sql().exec(
      "CREATE DOMAIN age AS int CHECK (value >= 0);"
      "CREATE TABLE everything (id bigint PRIMARY KEY, truth bool NOT NULL, small smallint NOT NULL, medium int NOT "
      "NULL,"
      "  large bigint NOT NULL, small_in_large smallint NOT NULL, object oid NOT NULL, object_in_large oid NOT NULL,"
      "  transaction xid8 NOT NULL, narrow real NOT NULL, wide float8 NOT NULL, narrow_in_wide real NOT NULL,"
      "  exact numeric NOT NULL, words varchar(20) NOT NULL, padded char(4) NOT NULL, bytes bytea NOT NULL, uuid uuid "
      "NOT NULL,"
      "  day date NOT NULL, local timestamp NOT NULL, instant timestamptz NOT NULL, json jsonb NOT NULL, list int[] "
      "NOT NULL,"
      "  address inet NOT NULL, nothing int, domain age NOT NULL);"
      "INSERT INTO everything VALUES (1, true, -2, -3, -4, 5, 4000000000, 4000000000, '18446744073709551615', 0.1, "
      "0.1, 0.1,"
      "  1.10, 'Grüße', 'ab', '\\x00ff', 'a0eebc99-9c0b-4ef8-bb6d-6bb9bd380a11', '2024-02-29', '-infinity',"
      "  '2024-02-29 12:00:00.5+02', '{\"a\": 1}', '{1,2}', '10.0.0.1', NULL, 30);"
      "ALTER PUBLICATION cars_pub ADD TABLE everything; GRANT SELECT ON everything TO cars_reader");
  test::Replicator replicator(as_reader());
  const auto everything = replicator.add_replica<Everything, 1>("everything");
  test::start_and_sync(replicator);
  const Everything row = everything.get(1).value();
  CHECK(row.truth);
  CHECK(std::tuple(row.small, row.medium, row.large, row.small_in_large) == std::tuple(-2, -3, -4, 5));
  CHECK(std::tuple(row.object, row.object_in_large) == std::tuple(4'000'000'000U, 4'000'000'000));
  CHECK(row.transaction == UINT64_MAX);
  CHECK(std::tuple(row.narrow, row.wide, row.narrow_in_wide) == std::tuple(0.1F, 0.1, static_cast<double>(0.1F)));
  CHECK(to_string(row.exact) == "1.10");
  CHECK(std::tuple(row.words, row.padded) == std::tuple("Grüße", "ab  "));
  CHECK(row.bytes == std::vector<std::byte>{std::byte{0}, std::byte{0xFF}});
  CHECK(to_string(row.uuid) == "a0eebc99-9c0b-4ef8-bb6d-6bb9bd380a11");
  CHECK(row.day == sys_days{2024y / February / 29});
  CHECK(row.local == local_time<microseconds>::min());
  CHECK(row.instant == sys_days{2024y / February / 29} + 10h + 500ms);
  CHECK(std::tuple(row.json, row.list, row.address) == std::tuple("{\"a\": 1}", "{1,2}", "10.0.0.1"));
  CHECK_FALSE(row.nothing.has_value());
  CHECK(row.domain == 30);
}

}  // namespace readme_test
