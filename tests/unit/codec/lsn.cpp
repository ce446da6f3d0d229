#include <catch2/catch_test_macros.hpp>

#include <btreemapped/codec.hpp>
#include <btreemapped/codec/lsn.hpp>
#include <btreemapped/lsn.hpp>

#include "ascending.hpp"
#include "decode.hpp"

TEST_CASE("positions of the log are read, printed and ordered", "[unit][codec]") {
  decode_test::check_ascending<btreemapped::Lsn>(
      {{"0/0"}, {"0/1"}, {"0/FFFFFFFF"}, {"1/0"}, {"16/B374D848"}, {"FFFFFFFF/FFFFFFFF"}});
  // As PostgreSQL 19 prints them.
  CHECK(decode_test::decode<btreemapped::Lsn>("16/0374D848").value == btreemapped::Lsn{0x16'0374'D848});
}

TEST_CASE("what is no position of the log is refused", "[unit][codec]") {
  decode_test::check_refused<btreemapped::Lsn>(
      {"", "/", "0", "0/", "/0", "1/100000000", "100000000/1", "-1/0", "0/0 ", "0x1/0", "G/0", "0/0/0", "+1/0"});
}

TEST_CASE("a field for positions accepts pg_lsn", "[unit][codec]") {
  using btreemapped::codec;
  CHECK(codec<btreemapped::Lsn>::accepts(decode_test::builtin(3220)));
  CHECK(codec<btreemapped::Lsn>::accepts(decode_test::domain_over(3220)));
  CHECK_FALSE(codec<btreemapped::Lsn>::accepts(decode_test::builtin(20)));
  CHECK_FALSE(codec<btreemapped::Lsn>::accepts(decode_test::user_type("pg_lsn")));
}
