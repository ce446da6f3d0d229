#include <cstdint>
#include <string>

#include <catch2/catch_test_macros.hpp>

#include <btreemapped/codec.hpp>
#include <btreemapped/codec/money.hpp>
#include <btreemapped/error.hpp>
#include <btreemapped/money.hpp>

#include "ascending.hpp"
#include "decode.hpp"

namespace {

using btreemapped::Money;
using decode_test::builtin;
using decode_test::decode;

}  // namespace

TEST_CASE("money is read and printed to the ends of its domain, and ordered by its amount", "[unit][codec]") {
  decode_test::check_ascending<Money>({{"-$92,233,720,368,547,758.08"},
                                       {"-$92,233,720,368,547,758.07"},
                                       {"-$1,000.00"},
                                       {"-$999.99"},
                                       {"-$0.01"},
                                       {"$0.00"},
                                       {"$0.09"},
                                       {"$0.10"},
                                       {"$1.00"},
                                       {"$12.34"},
                                       {"$123.45"},
                                       {"$999.99"},
                                       {"$1,234.56"},
                                       {"$12,345.67"},
                                       {"$123,456.78"},
                                       {"$1,234,567.89"},
                                       {"$92,233,720,368,547,758.07"}});
  CHECK(decode<Money>("-$92,233,720,368,547,758.08").value.hundredths == INT64_MIN);
  CHECK(decode<Money>("$92,233,720,368,547,758.07").value.hundredths == INT64_MAX);
  CHECK(decode<Money>("-$1,234.50").value.hundredths == -123'450);
}

TEST_CASE("money is only what PostgreSQL prints under lc_monetary = C", "[unit][codec]") {
  decode_test::check_refused<Money>({"",
                                     "$",
                                     "-",
                                     "-$",
                                     "$1",
                                     "$1.0",
                                     "$1.000",
                                     "$.00",
                                     "$,000.00",
                                     "$01.00",
                                     "$00.00",
                                     "1.00",
                                     "-$0.00",
                                     "$-1.00",
                                     "+$1.00",
                                     "($1.00)",
                                     "$1234.00",
                                     "$1,23.00",
                                     "$12,34.00",
                                     "$1,2345.00",
                                     "$1,,234.00",
                                     "$,234.00",
                                     "$1.234.00",
                                     "$1,234,00",
                                     " $1.00",
                                     "$1.00 ",
                                     "$ 1.00",
                                     "$1.0a",
                                     "$a.00",
                                     "\xE2\x82\xAC"
                                     "1.00",
                                     "1,00 Eu",
                                     "$92,233,720,368,547,758.08",
                                     "-$92,233,720,368,547,758.09",
                                     "$99,999,999,999,999,999.99",
                                     "$192,233,720,368,547,758.07",
                                     std::string("$1.00\0", 6),
                                     "NaN",
                                     "$1e5.00"});
}

TEST_CASE("a money field accepts money and domains over it", "[unit][codec]") {
  CHECK(btreemapped::codec<Money>::accepts(builtin(790)));
  CHECK(btreemapped::codec<Money>::accepts(decode_test::domain_over(790)));
  CHECK_FALSE(btreemapped::codec<Money>::accepts(builtin(1700)));
  CHECK_FALSE(btreemapped::codec<Money>::accepts(decode_test::user_type("money")));
}
