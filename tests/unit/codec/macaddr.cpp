#include <cstddef>

#include <catch2/catch_test_macros.hpp>

#include <btreemapped/codec.hpp>
#include <btreemapped/codec/macaddr.hpp>
#include <btreemapped/macaddr.hpp>

#include "ascending.hpp"
#include "decode.hpp"

namespace {

using btreemapped::codec;
using btreemapped::Macaddr;
using btreemapped::Macaddr8;
using decode_test::builtin;
using decode_test::decode;

}  // namespace

TEST_CASE("hardware addresses are read, printed and ordered by their bytes", "[unit][codec]") {
  decode_test::check_ascending<Macaddr>({{"00:00:00:00:00:00"},
                                         {"00:00:00:00:00:01"},
                                         {"08:00:2b:01:02:03"},
                                         {"7f:ff:ff:ff:ff:ff"},
                                         {"80:00:00:00:00:00"},
                                         {"ff:ff:ff:ff:ff:ff"}});
  decode_test::check_ascending<Macaddr8>({{"00:00:00:00:00:00:00:00"},
                                          {"08:00:2b:01:02:03:04:05"},
                                          {"08:00:2b:ff:fe:01:02:03"},
                                          {"80:00:00:00:00:00:00:00"},
                                          {"ff:ff:ff:ff:ff:ff:ff:ff"}});
  CHECK(decode<Macaddr>("08:00:2B:01:02:fe").value.bytes[5] == std::byte{0xFE});
}

TEST_CASE("what is no hardware address is refused", "[unit][codec]") {
  decode_test::check_refused<Macaddr>({"", "08:00:2b:01:02", "08:00:2b:01:02:03:04", "08:00:2b:01:02:0",
                                       "08-00-2b-01-02-03", "08002b010203", "08:00:2b:01:02:0g", "0:80:02:b0:10:203",
                                       "08:00:2b:01:02:03 ", "08:00:2b:01:02:03:04:05", "08:00:2b:01:02 03"});
  decode_test::check_refused<Macaddr8>(
      {"", "08:00:2b:01:02:03", "08:00:2b:01:02:03:04:0g", "08:00:2b:01:02:03:04:05:", "08:00:2b:01:02:03:04-05"});
}

TEST_CASE("a hardware address field accepts the addresses of its own length", "[unit][codec]") {
  CHECK(codec<Macaddr>::accepts(builtin(829)));
  CHECK_FALSE(codec<Macaddr>::accepts(builtin(774)));
  CHECK(codec<Macaddr8>::accepts(builtin(774)));
  CHECK_FALSE(codec<Macaddr8>::accepts(builtin(829)));
  CHECK(codec<Macaddr>::accepts(decode_test::domain_over(829)));
  CHECK_FALSE(codec<Macaddr>::accepts(decode_test::user_type("macaddr")));
}
