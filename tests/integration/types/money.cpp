// Money, of which the server stores a number and prints what its locale makes of that.
#include <cstdint>
#include <string>
#include <vector>

#include <catch2/catch_test_macros.hpp>

#include <btreemapped.hpp>

#include "oracle.hpp"
#include "support/database.hpp"
#include "support/replicator.hpp"
#include "support/sql.hpp"

namespace types_test {

struct Fee {
  btreemapped::Money fee;
  std::string printed;
  std::vector<btreemapped::Money> parts;

  friend bool operator==(const Fee&, const Fee&) = default;
};

TEST_CASE("money is the number that the server stores, in whatever way the database prints it", "[values]") {
  using btreemapped::Money;
  UnfriendlyDatabase database;
  database.exec(
      "CREATE TABLE fees (fee money PRIMARY KEY, printed money NOT NULL, parts money[] NOT NULL);"
      "CREATE PUBLICATION pub FOR TABLE fees");
  const std::string insert = "INSERT INTO fees SELECT n::money, n::money, ARRAY[n::money, (-n)::money] FROM (VALUES ";
  test::Sql session(database.dsn());  // as the database has it, with points and commas changed over
  session.exec("SET default_transaction_read_only = off; SET search_path = public; SET client_encoding = 'UTF8'");
  session.exec(insert + "(-1234567.89::numeric), (0.05)) v (n)");
  REQUIRE(session.rows("SELECT fee FROM fees ORDER BY fee")[0][0] == "-1.234.567,89 €");

  test::Replicator replicator(database.options());
  const auto fees = replicator.add_replica<Fee, 1>("fees");
  test::start_and_sync(replicator);
  session.exec(insert + "(1234.5::numeric), (92233720368547758.07)) v (n)");
  database.catch_up(replicator);
  const auto fee = [](std::int64_t hundredths, const std::string& printed) {
    return Fee{Money{hundredths}, printed, {Money{hundredths}, Money{-hundredths}}};
  };
  CHECK(fees.to_vector() == std::vector<Fee>{fee(-123456789, "-$1,234,567.89"), fee(5, "$0.05"),
                                             fee(123450, "$1,234.50"),
                                             fee(9223372036854775807, "$92,233,720,368,547,758.07")});
}

}  // namespace types_test
