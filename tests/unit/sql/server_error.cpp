#include <string>
#include <string_view>

#include <catch2/catch_test_macros.hpp>
#include <catch2/generators/catch_generators.hpp>
#include <catch2/matchers/catch_matchers_string.hpp>

#include <btreemapped/detail/sql/server_error.hpp>
#include <btreemapped/error.hpp>

using btreemapped::ConnectionError;
using btreemapped::SchemaError;
using btreemapped::SlotError;
using Catch::Matchers::ContainsSubstring;
namespace sql = btreemapped::detail::sql;

TEST_CASE("what passes by itself is worth another attempt") {
  const std::string_view sqlstate = GENERATE("", "08006", "08001", "57P01", "57P02", "57P03", "53300", "53400", "55006",
                                             "55P03", "40001", "40P01", "57014", "58030", "XX000");
  CAPTURE(sqlstate);
  CHECK(sql::is_retryable(sqlstate));
}

TEST_CASE("what somebody must mend is not") {
  const std::string_view sqlstate =
      GENERATE("28000", "28P01", "3D000", "42501", "42704", "42P01", "42601", "55000", "0A000", "22P02", "57P04");
  CAPTURE(sqlstate);
  CHECK_FALSE(sql::is_retryable(sqlstate));
}

TEST_CASE("a code that speaks of the connection becomes a ConnectionError, another one what was asked for") {
  CHECK_THROWS_AS(sql::throw_server_error<SlotError>("doing", "57P01", "said"), ConnectionError);
  CHECK_THROWS_AS(sql::throw_server_error<SlotError>("doing", "28P01", "said"), ConnectionError);
  CHECK_THROWS_AS(sql::throw_server_error<SlotError>("doing", "", "said"), ConnectionError);
  CHECK_THROWS_AS(sql::throw_server_error<SlotError>("doing", "55006", "said"), SlotError);
  CHECK_THROWS_AS(sql::throw_server_error<SchemaError>("doing", "42P01", "said"), SchemaError);
}

TEST_CASE("a message says what, why and what to do, on one line") {
  CHECK(sql::server_error_message("cannot connect", "28P01",
                                  "password authentication failed for user \"u\"\nLINE 1: x") ==
        "cannot connect: password authentication failed for user \"u\" (SQLSTATE 28P01); check user, password and the "
        "server's pg_hba.conf");
}

TEST_CASE("a message that could quote a value is left out") {
  const std::string_view sqlstate = GENERATE("22P02", "22003", "23505", "P0001");
  CHECK_THAT(sql::server_error_message("cannot copy", sqlstate, "invalid input: \"SECRET\""),
             !ContainsSubstring("SECRET"));
}

TEST_CASE("an error keeps its table") {
  try {
    sql::throw_server_error<SchemaError>("cannot copy", "42501", "denied", {.table = "public.t"});
  } catch (const SchemaError& error) {
    CHECK(error.table() == "public.t");
    CHECK(error.sqlstate() == "42501");
    CHECK_FALSE(error.retryable());
  }
}
