#include <cstddef>
#include <string>
#include <utility>
#include <vector>

#include <catch2/catch_test_macros.hpp>

#include <btreemapped/bit_string.hpp>
#include <btreemapped/codec.hpp>
#include <btreemapped/codec/bit_string.hpp>
#include <btreemapped/error.hpp>

#include "ascending.hpp"
#include "decode.hpp"

namespace {

using btreemapped::BitString;
using btreemapped::Errc;
using decode_test::builtin;
using decode_test::decode;

}  // namespace

// In the order of: select string_agg(format('{"%s"}', v), ', ' order by v) from unnest('{...}'::varbit[]) v;
TEST_CASE("bits are read, printed and ordered as PostgreSQL does", "[unit][codec]") {
  decode_test::check_ascending<BitString>({{""},
                                           {"0"},
                                           {"00"},
                                           {"00000000"},
                                           {"000000000"},
                                           {"01"},
                                           {"1"},
                                           {"10"},
                                           {"10000000"},
                                           {"100000001"},
                                           {"1000000010"},
                                           {"101"},
                                           {"11"},
                                           {"111111111"}});
}

TEST_CASE("each bit of a row can be asked", "[unit][codec]") {
  const BitString bits = decode<BitString>("1010000001").value;
  CHECK(bits.size() == 10);
  CHECK_FALSE(bits.empty());
  CHECK((bits[0] && !bits[1] && bits[2] && !bits[7] && !bits[8] && bits[9]));
  CHECK(std::vector<std::byte>(bits.bytes().begin(), bits.bytes().end()) ==
        std::vector<std::byte>{std::byte{0xA0}, std::byte{0x40}});
}

TEST_CASE("rows of bits of all lengths around whole bytes keep them", "[unit][codec]") {
  for (std::size_t size = 0; size <= 40; ++size) {
    CAPTURE(size);
    CHECK(to_string(decode<BitString>(std::string(size, '1')).value) == std::string(size, '1'));
    CHECK(decode<BitString>(std::string(size, '0')).value.size() == size);
  }
  const std::string large(1'000'003, '1');
  CHECK((to_string(decode<BitString>(large).value) == large));
}

TEST_CASE("bits that are replaced by others leave none behind", "[unit][codec]") {
  BitString bits = decode<BitString>("111111111").value;
  CHECK(btreemapped::codec<BitString>::decode("0", bits) == Errc::ok);
  CHECK(to_string(bits) == "0");
  const BitString taken = std::move(bits);
  CHECK(to_string(taken) == "0");
  CHECK(bits.empty());  // NOLINT(bugprone-use-after-move): moved-from, which is documented as no bits
  CHECK(bits == BitString{});
}

TEST_CASE("bits are zeros and ones and nothing else", "[unit][codec]") {
  decode_test::check_refused<BitString>(
      {"2", "01a", " 1", "1 ", "0x1", "B'1'", "x", std::string(1, '\0'), "1,0", "\xFF"});
}

TEST_CASE("a field of bits accepts bit and bit varying", "[unit][codec]") {
  using btreemapped::codec;
  CHECK(codec<BitString>::accepts(builtin(1560)));
  CHECK(codec<BitString>::accepts(builtin(1562)));
  CHECK(codec<BitString>::accepts(decode_test::domain_over(1562)));
  CHECK_FALSE(codec<BitString>::accepts(builtin(17)));
  CHECK_FALSE(codec<BitString>::accepts(decode_test::user_type("bit")));
}
