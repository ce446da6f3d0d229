#include <cstddef>
#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include <catch2/catch_test_macros.hpp>

#include <btreemapped/codec.hpp>
#include <btreemapped/codec/bytea.hpp>
#include <btreemapped/error.hpp>

#include "decode.hpp"

namespace {

using btreemapped::Errc;
using decode_test::builtin;
using decode_test::decode;
using decode_test::domain_over;
using decode_test::error_of;
using Bytes = std::vector<std::byte>;

struct ByteaCase {
  std::string_view hex;
  std::string_view escape;
  std::size_t length;
  std::uint64_t sum;  // of each byte times its position, counted from 1
};

// As PostgreSQL 15 prints them in both formats, and what it says of them:
// create temp table b as select ord, v from unnest(array[
//   '', '\x00', '\x5c', '\x5c78', '\x5c5c', '\x5c303031', '\x27', '\x7e7f80', '\x1f20', '\x0a0d09', '\xff',
//   '\x001f5c7e7fff',
//   '\x48656c6c6f2c20776f726c64', '\xdeadbeef00cafe5c', convert_to('naïve 😀',
//   'UTF8')]::bytea[]) with ordinality x(v, ord);
// insert into b select 100, string_agg(set_byte('\x00', 0, i), '' order by i) from generate_series(0, 255) i;
// alter table b add hex text, add esc text;
// set bytea_output = hex; update b set hex = v::text;
// set bytea_output = escape; update b set esc = v::text;
// select format('{R"(%s)", R"(%s)", %s, %s},', hex, esc, octet_length(v),
//               coalesce((select sum((i + 1) * get_byte(v, i)) from generate_series(0, octet_length(v) - 1) i), 0))
// from b order by ord;
// clang-format off
constexpr ByteaCase cases[] = {
    {R"(\x)", R"()", 0, 0},
    {R"(\x00)", R"(\000)", 1, 0},
    {R"(\x5c)", R"(\\)", 1, 92},
    {R"(\x5c78)", R"(\\x)", 2, 332},
    {R"(\x5c5c)", R"(\\\\)", 2, 276},
    {R"(\x5c303031)", R"(\\001)", 4, 528},
    {R"(\x27)", R"(')", 1, 39},
    {R"(\x7e7f80)", R"(~\177\200)", 3, 764},
    {R"(\x1f20)", R"(\037 )", 2, 95},
    {R"(\x0a0d09)", R"(\012\015\011)", 3, 63},
    {R"(\xff)", R"(\377)", 1, 255},
    {R"(\x001f5c7e7fff)", R"(\000\037\\~\177\377)", 6, 3007},
    {R"(\x48656c6c6f2c20776f726c64)", R"(Hello, world)", 12, 7552},
    {R"(\xdeadbeef00cafe5c)", R"(\336\255\276\357\000\312\376\\)", 8, 5820},
    {R"(\x6e61c3af766520f09f9880)", R"(na\303\257ve \360\237\230\200)", 11, 9288},
    {R"(\x000102030405060708090a0b0c0d0e0f101112131415161718191a1b1c1d1e1f202122232425262728292a2b2c2d2e)"
     R"(2f303132333435363738393a3b3c3d3e3f404142434445464748494a4b4c4d4e4f505152535455565758595a5b5c5d5e)"
     R"(5f606162636465666768696a6b6c6d6e6f707172737475767778797a7b7c7d7e7f808182838485868788898a8b8c8d8e)"
     R"(8f909192939495969798999a9b9c9d9e9fa0a1a2a3a4a5a6a7a8a9aaabacadaeafb0b1b2b3b4b5b6b7b8b9babbbcbdbe)"
     R"(bfc0c1c2c3c4c5c6c7c8c9cacbcccdcecfd0d1d2d3d4d5d6d7d8d9dadbdcdddedfe0e1e2e3e4e5e6e7e8e9eaebecedee)"
     R"(eff0f1f2f3f4f5f6f7f8f9fafbfcfdfeff)",
     R"(\000\001\002\003\004\005\006\007\010\011\012\013\014\015\016\017\020\021\022\023\024\025\026\027)"
     R"(\030\031\032\033\034\035\036\037 !"#$%&'()*+,-./0123456789:;<=>?@ABCDEFGHIJKLMNOPQRSTUVWXYZ[\\]^)"
     R"(_`abcdefghijklmnopqrstuvwxyz{|}~\177\200\201\202\203\204\205\206\207\210\211\212\213\214\215\216)"
     R"(\217\220\221\222\223\224\225\226\227\230\231\232\233\234\235\236\237\240\241\242\243\244\245\246)"
     R"(\247\250\251\252\253\254\255\256\257\260\261\262\263\264\265\266\267\270\271\272\273\274\275\276)"
     R"(\277\300\301\302\303\304\305\306\307\310\311\312\313\314\315\316\317\320\321\322\323\324\325\326)"
     R"(\327\330\331\332\333\334\335\336\337\340\341\342\343\344\345\346\347\350\351\352\353\354\355\356)"
     R"(\357\360\361\362\363\364\365\366\367\370\371\372\373\374\375\376\377)",
     256, 5592320},
};
// clang-format on

std::uint64_t weighted_sum(const Bytes& bytes) {
  std::uint64_t sum = 0;
  for (std::size_t i = 0; i < bytes.size(); ++i) sum += (i + 1) * std::to_integer<std::uint64_t>(bytes[i]);
  return sum;
}

}  // namespace

TEST_CASE("bytea decodes from the hex format", "[unit][codec]") {
  for (const ByteaCase& each : cases) {
    CAPTURE(each.hex);
    const auto decoded = decode<Bytes>(each.hex);
    CHECK(decoded.error == Errc::ok);
    CHECK(decoded.value.size() == each.length);
    CHECK(weighted_sum(decoded.value) == each.sum);
  }
}

TEST_CASE("bytea decodes from the escape format to the same bytes", "[unit][codec]") {
  for (const ByteaCase& each : cases) {
    CAPTURE(each.escape);
    const auto decoded = decode<Bytes>(each.escape);
    CHECK(decoded.error == Errc::ok);
    CHECK(decoded.value == decode<Bytes>(each.hex).value);
  }
}

TEST_CASE("bytea replaces what the field held", "[unit][codec]") {
  for (const std::string_view text : {"\\xff", "\\377"}) {
    Bytes value(5, std::byte{1});
    CHECK(btreemapped::codec<Bytes>::decode(text, value) == Errc::ok);
    CHECK(value == Bytes{std::byte{0xFF}});
  }
}

TEST_CASE("each hex digit is checked", "[unit][codec]") {
  for (int c = 0; c < 256; ++c) {
    const char digit = static_cast<char>(c);
    const bool hex = std::string_view("0123456789abcdefABCDEF").find(digit) != std::string_view::npos;
    CAPTURE(c);
    CHECK((error_of<Bytes>(std::string("\\x0") + digit) == Errc::ok) == hex);
    CHECK((error_of<Bytes>(std::string("\\x") + digit + "0") == Errc::ok) == hex);
    CHECK((error_of<Bytes>(std::string("\\x00") + digit + "0ff") == Errc::ok) == hex);
  }
}

TEST_CASE("half a byte of hex is refused", "[unit][codec]") {
  CHECK(error_of<Bytes>("\\x0") == Errc::invalid_text);
  CHECK(error_of<Bytes>("\\x001") == Errc::invalid_text);
}

TEST_CASE("an escape is a doubled backslash or three octal digits", "[unit][codec]") {
  for (const std::string_view text :
       {"\\", "a\\", "\\0", "\\00", "\\08", "\\008", "\\400", "\\777", "\\n", "\\\\\\", "\\X00", "a\\x00"}) {
    CAPTURE(text);
    CHECK(error_of<Bytes>(text) == Errc::invalid_text);
  }
}

TEST_CASE("what the escape format escapes must not stand for itself", "[unit][codec]") {
  for (const char raw : {'\0', '\x1f', '\n', '\x7f', '\x80', '\xff'}) {
    CAPTURE(int{raw});
    CHECK(error_of<Bytes>(std::string("a") + raw) == Errc::invalid_text);
  }
}

TEST_CASE("a byte field accepts bytea and domains over it", "[unit][codec]") {
  CHECK(btreemapped::codec<Bytes>::accepts(builtin(17)));
  CHECK(btreemapped::codec<Bytes>::accepts(domain_over(17)));
  CHECK_FALSE(btreemapped::codec<Bytes>::accepts(builtin(25)));
  CHECK_FALSE(btreemapped::codec<Bytes>::accepts(decode_test::user_type("bytea")));
}
