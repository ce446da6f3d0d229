#include <cstddef>
#include <string>
#include <vector>

#include <catch2/catch_test_macros.hpp>

#include <btreemapped/codec.hpp>
#include <btreemapped/codec/inet.hpp>
#include <btreemapped/error.hpp>
#include <btreemapped/inet.hpp>

#include "ascending.hpp"
#include "decode.hpp"

namespace {

using btreemapped::Cidr;
using btreemapped::codec;
using btreemapped::Errc;
using btreemapped::Inet;
using btreemapped::IpFamily;
using decode_test::builtin;
using decode_test::decode;
using decode_test::error_of;

}  // namespace

// In the order of: select string_agg(format('{"%s"}', v), ', ' order by v) from unnest('{...}'::inet[]) v;
TEST_CASE("addresses are read, printed and ordered as PostgreSQL does", "[unit][codec]") {
  decode_test::check_ascending<Inet>({{"0.0.0.0/0"},
                                      {"0.0.0.0"},
                                      {"1.0.0.0/8"},
                                      {"1.2.3.4/8"},
                                      {"1.2.3.4/31"},
                                      {"1.2.3.5/31"},
                                      {"1.2.3.4"},
                                      {"9.255.255.255"},
                                      {"10.0.0.0/23"},
                                      {"10.0.0.1/24"},
                                      {"10.0.0.255/24"},
                                      {"10.0.0.0/25"},
                                      {"255.255.255.255"},
                                      {"::/0"},
                                      {"1::/15"},
                                      {"::"},
                                      {"::1"},
                                      {"::0.1.0.0"},
                                      {"::1.2.3.4"},
                                      {"::1:1:1"},
                                      {"::1:203:405"},
                                      {"::fffe:102:304"},
                                      {"::ffff:0.0.0.0"},
                                      {"::ffff:1.2.3.4"},
                                      {"::1:0:0:0"},
                                      {"0:0:1::"},
                                      {"0:1:2:3:4:5:6:7"},
                                      {"1::"},
                                      {"1::2:0:0:0"},
                                      {"1:0:0:2::"},
                                      {"1:0:0:2::3"},
                                      {"1:0:2:3:4:5:6:7"},
                                      {"1:2:3:4:5:6:7:0"},
                                      {"64:ff9b::102:304"},
                                      {"abcd::ff00:42:8329/64"},
                                      {"ffff:ffff:ffff:ffff:ffff:ffff:ffff:ffff"}});
}

TEST_CASE("networks are read, printed and ordered as PostgreSQL does", "[unit][codec]") {
  decode_test::check_ascending<Cidr>({{"0.0.0.0/0"},
                                      {"10.0.0.0/8"},
                                      {"10.0.0.0/9"},
                                      {"10.1.2.3/32"},
                                      {"192.168.0.0/16"},
                                      {"192.168.100.128/25"},
                                      {"::/0"},
                                      {"::/128"},
                                      {"2001:db8::/32"}});
}

TEST_CASE("an address tells its family, its bytes and its prefix", "[unit][codec]") {
  const Inet four = decode<Inet>("192.0.2.1/24").value;
  CHECK(four.family() == IpFamily::v4);
  CHECK(four.prefix() == 24);
  CHECK(std::vector<std::byte>(four.bytes().begin(), four.bytes().end()) ==
        std::vector<std::byte>{std::byte{192}, std::byte{0}, std::byte{2}, std::byte{1}});
  const Inet six = decode<Inet>("2001:DB8::ff").value;
  CHECK(six.family() == IpFamily::v6);
  CHECK(six.prefix() == 128);
  CHECK(six.bytes().size() == 16);
  CHECK(six.bytes().back() == std::byte{0xFF});
  CHECK(decode<Cidr>("10.0.0.0/8").value.prefix() == 8);
  CHECK(to_string(Inet{}) == "0.0.0.0");
  CHECK(to_string(Cidr{}) == "0.0.0.0/32");
}

TEST_CASE("a network becomes an address as PostgreSQL casts it", "[unit][codec]") {
  CHECK(to_string(Inet(decode<Cidr>("10.0.0.0/8").value)) == "10.0.0.0/8");
  CHECK(to_string(Inet(decode<Cidr>("10.0.0.1/32").value)) == "10.0.0.1");
  CHECK(decode<Inet>("10.0.0.1/32").value == decode<Inet>("10.0.0.1").value);
}

TEST_CASE("the other spellings of RFC 4291 are read, too", "[unit][codec]") {
  CHECK(decode<Inet>("0:0:0:0:0:0:0:1").value == decode<Inet>("::1").value);
  CHECK(decode<Inet>("0001::").value == decode<Inet>("1::").value);
  CHECK(decode<Inet>("1:2:3:4:5:6:1.2.3.4").value == decode<Inet>("1:2:3:4:5:6:102:304").value);
  CHECK(decode<Inet>("1:2:3:4:5:6:7::").value == decode<Inet>("1:2:3:4:5:6:7:0").value);
}

TEST_CASE("what is no address is refused", "[unit][codec]") {
  const std::vector<std::string> bad{"",
                                     ".",
                                     "1",
                                     "1.2.3",
                                     "1.2.3.",
                                     "1.2.3.4.",
                                     "1.2.3.4.5",
                                     "256.0.0.1",
                                     "1.2.3.256",
                                     "1.2.3.1000",
                                     "01.2.3.4",
                                     "1.2.3.04",
                                     "1..3.4",
                                     "-1.2.3.4",
                                     "1.2.3.4/",
                                     "1.2.3.4/33",
                                     "1.2.3.4/08",
                                     "1.2.3.4/-1",
                                     "1.2.3.4/8/8",
                                     "1.2.3.4/0x8",
                                     "1.2.3.4/999",
                                     " 1.2.3.4",
                                     "1.2.3.4 ",
                                     ":",
                                     ":::",
                                     "::1::",
                                     "1::2::3",
                                     "1:2:3:4:5:6:7",
                                     "1:2:3:4:5:6:7:8:9",
                                     "1:2:3:4:5:6:7:8::",
                                     "::1:2:3:4:5:6:7:8",
                                     "1:2:3:4::5:6:7:8",
                                     ":1:2:3:4:5:6:7",
                                     "1:2:3:4:5:6:7:",
                                     "1:",
                                     "12345::",
                                     "g::",
                                     "::1.2.3",
                                     "::1.2.3.4.5",
                                     "::1.2.3.4:5",
                                     "1.2.3.4::",
                                     "1:2:3:4:5:6:7:1.2.3.4",
                                     "::/129",
                                     "::1%eth0",
                                     "fe80::1%1/64",
                                     std::string("::\0", 3),
                                     "localhost"};
  decode_test::check_refused<Inet>(bad);
  decode_test::check_refused<Cidr>(bad);
}

TEST_CASE("bits to the right of a network's prefix are refused", "[unit][codec]") {
  decode_test::check_refused<Cidr>(
      {"10.0.0.1/8", "10.0.0.1/31", "0.0.0.1/0", "::1/127", "2001:db8:8000::/32", "::1/0"});
  CHECK(error_of<Cidr>("10.128.0.0/9") == Errc::ok);
  CHECK(error_of<Cidr>("2001:db8:8000::/33") == Errc::ok);
}

TEST_CASE("every prefix of an address that is no address is refused", "[unit][codec]") {
  const std::string text = "2001:db8::ff00:42:8329/64";
  for (std::size_t length = 0; length < text.size(); ++length) {
    const std::string part = text.substr(0, length);
    CAPTURE(part);
    const auto decoded = decode<Inet>(part);
    if (decoded.error == Errc::ok) CHECK(decode<Inet>(to_string(decoded.value)).value == decoded.value);
    if (part.find("::") == std::string::npos || part.ends_with('/') || (part.ends_with(':') && !part.ends_with("::")))
      CHECK(decoded.error == Errc::invalid_text);
  }
}

TEST_CASE("an address field accepts inet and cidr, a network field cidr alone", "[unit][codec]") {
  CHECK(codec<Inet>::accepts(builtin(869)));
  CHECK(codec<Inet>::accepts(builtin(650)));
  CHECK(codec<Inet>::accepts(decode_test::domain_over(869)));
  CHECK_FALSE(codec<Inet>::accepts(builtin(829)));
  CHECK_FALSE(codec<Inet>::accepts(decode_test::user_type("inet")));
  CHECK(codec<Cidr>::accepts(builtin(650)));
  CHECK_FALSE(codec<Cidr>::accepts(builtin(869)));
}
