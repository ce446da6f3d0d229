#include <cstddef>
#include <memory>
#include <string>
#include <string_view>

#include <catch2/catch_test_macros.hpp>

#include <btreemapped/codec.hpp>
#include <btreemapped/codec/text.hpp>
#include <btreemapped/error.hpp>

#include "decode.hpp"

namespace {

using btreemapped::Errc;
using decode_test::builtin;
using decode_test::decode;
using decode_test::error_of;
using decode_test::user_type;

struct SequenceRange {
  std::size_t tail;  // this many bytes 0x80 follow the second byte
  unsigned first_lead, last_lead;
  unsigned first_second, last_second;
};

// All that PostgreSQL 15 takes for UTF-8 among a byte of 0x80 or more, any second byte and up to three bytes 0x80:
// create function pg_temp.valid(b bytea) returns boolean language plpgsql as
// $$ begin perform convert_from(b, 'UTF8'); return true; exception when others then return false; end $$;
// with hits as (
//   select lead, second, tail
//   from generate_series(128, 255) lead, generate_series(0, 255) second, generate_series(0, 3) tail
//   where pg_temp.valid(set_byte(set_byte('\x0000', 0, lead), 1, second) || decode(repeat('80', tail), 'hex'))),
// ranges as (
//   select *, lead - row_number() over (partition by tail, low, high order by lead) island
//   from (select tail, lead, min(second) low, max(second) high from hits group by tail, lead) r)
// select format('{%s, 0x%s, 0x%s, 0x%s, 0x%s},',
//   tail, to_hex(min(lead)), to_hex(max(lead)), to_hex(low), to_hex(high))
// from ranges group by tail, low, high, island order by min(lead);
// clang-format off
constexpr SequenceRange server_ranges[] = {
    {0, 0xc2, 0xdf, 0x80, 0xbf}, {1, 0xe0, 0xe0, 0xa0, 0xbf}, {1, 0xe1, 0xec, 0x80, 0xbf},
    {1, 0xed, 0xed, 0x80, 0x9f}, {1, 0xee, 0xef, 0x80, 0xbf}, {2, 0xf0, 0xf0, 0x90, 0xbf},
    {2, 0xf1, 0xf3, 0x80, 0xbf}, {2, 0xf4, 0xf4, 0x80, 0x8f},
};
// clang-format on

bool server_takes(unsigned lead, unsigned second, std::size_t tail) {
  for (const SequenceRange& range : server_ranges)
    if (range.tail == tail && range.first_lead <= lead && lead <= range.last_lead && range.first_second <= second &&
        second <= range.last_second)
      return true;
  return false;
}

std::string bytes(std::initializer_list<unsigned> values) {
  std::string text;
  for (const unsigned value : values) text += static_cast<char>(value);
  return text;
}

}  // namespace

TEST_CASE("text is kept byte by byte", "[unit][codec]") {
  for (const std::string_view text :
       {"", " ", "trailing blanks  ", "\t\n\r\x01\x7f", "NULL", "\\N", "{\"a\": 1,  \"a\": 2}", "na\xc3\xafve",
        "\xe2\x82\xac", "\xf0\x9f\x98\x80", "\xef\xbb\xbf", "\xf4\x8f\xbf\xbf"}) {
    CAPTURE(text);
    const auto decoded = decode<std::string>(text);
    CHECK(decoded.error == Errc::ok);
    CHECK(decoded.value == text);
  }
}

TEST_CASE("text replaces what the field held", "[unit][codec]") {
  std::string value = "something longer than what comes next";
  CHECK(btreemapped::codec<std::string>::decode("", value) == Errc::ok);
  CHECK(value.empty());
}

TEST_CASE("a string field refuses what shows the names of objects, also inside of others", "[unit][codec]") {
  using btreemapped::SqlType;
  using btreemapped::SqlTypeParts;
  using btreemapped::detail::accepts_type;
  const SqlType regclass = builtin(2205);
  CHECK_FALSE(accepts_type<std::string>(regclass));
  CHECK_FALSE(accepts_type<std::string>(builtin(1033)));
  SqlType array = builtin(2210);
  SqlType composite = user_type("pair");
  const auto parts = std::make_shared<SqlTypeParts>();
  parts->element = regclass;
  array.parts = parts;
  CHECK_FALSE(accepts_type<std::string>(array));
  const auto attributes = std::make_shared<SqlTypeParts>();
  attributes->attributes = {{"a", builtin(23)}, {"b", array}};
  composite.parts = attributes;
  CHECK_FALSE(accepts_type<std::string>(composite));
  attributes->attributes.pop_back();
  CHECK(accepts_type<std::string>(composite));
}

TEST_CASE("a string field accepts every other column type", "[unit][codec]") {
  using btreemapped::detail::accepts_type;
  for (const btreemapped::Oid oid : {25U, 1043U, 1042U, 18U, 19U, 114U, 3802U, 23U, 869U, 1186U, 1007U}) {
    CAPTURE(oid);
    CHECK(accepts_type<std::string>(builtin(oid)));
  }
  CHECK(accepts_type<std::string>(user_type("hstore")));
}

TEST_CASE("UTF-8 is what the server takes for it, for every lead and second byte", "[unit][codec]") {
  for (unsigned lead = 0x80; lead <= 0xFF; ++lead) {
    for (unsigned second = 0; second <= 0xFF; ++second) {
      for (std::size_t tail = 0; tail <= 3; ++tail) {
        const std::string text = bytes({lead, second}) + std::string(tail, '\x80');
        const bool taken = error_of<std::string>(text) == Errc::ok;
        if (taken != server_takes(lead, second, tail)) {
          CAPTURE(lead, second, tail);
          CHECK(taken == server_takes(lead, second, tail));
        }
      }
    }
  }
}

TEST_CASE("the third and the fourth byte of a sequence must continue it", "[unit][codec]") {
  for (unsigned byte = 0; byte <= 0xFF; ++byte) {
    CAPTURE(byte);
    const bool continues = byte >= 0x80 && byte <= 0xBF;
    CHECK((error_of<std::string>(bytes({0xE2, 0x82, byte})) == Errc::ok) == continues);
    CHECK((error_of<std::string>(bytes({0xF0, 0x9F, byte, 0x80})) == Errc::ok) == continues);
    CHECK((error_of<std::string>(bytes({0xF0, 0x9F, 0x98, byte})) == Errc::ok) == continues);
  }
}

TEST_CASE("every prefix of a sequence is refused", "[unit][codec]") {
  for (const std::string_view text : {"\xc3\xaf", "\xe2\x82\xac", "\xf0\x9f\x98\x80"})
    for (std::size_t length = 1; length < text.size(); ++length) {
      CAPTURE(text, length);
      CHECK(error_of<std::string>(text.substr(0, length)) == Errc::invalid_encoding);
    }
}

TEST_CASE("overlong forms, surrogates and code points above U+10FFFF are refused", "[unit][codec]") {
  for (const std::string& text :
       {bytes({0xC0, 0x80}), bytes({0xC1, 0xBF}), bytes({0xE0, 0x80, 0x80}), bytes({0xE0, 0x9F, 0xBF}),
        bytes({0xF0, 0x80, 0x80, 0x80}), bytes({0xF0, 0x8F, 0xBF, 0xBF}), bytes({0xED, 0xA0, 0x80}),
        bytes({0xED, 0xBF, 0xBF}), bytes({0xF4, 0x90, 0x80, 0x80}), bytes({0xF5, 0x80, 0x80, 0x80}), bytes({0xFE}),
        bytes({0xFF}), bytes({0x80}), bytes({0xE9})}) {
    CAPTURE(text);
    CHECK(error_of<std::string>(text) == Errc::invalid_encoding);
  }
}

TEST_CASE("a bad byte is found at every place of a long text", "[unit][codec]") {
  for (std::size_t length = 1; length <= 40; ++length) {
    for (std::size_t at = 0; at < length; ++at) {
      for (const char bad : {'\0', '\x80', '\xc3', '\xff'}) {
        std::string text(length, 'a');
        CHECK(error_of<std::string>(text) == Errc::ok);
        text[at] = bad;
        CAPTURE(length, at, int{bad});
        CHECK(error_of<std::string>(text) == Errc::invalid_encoding);
      }
    }
  }
}

TEST_CASE("long sequences are found at every place of a long text", "[unit][codec]") {
  for (const std::string_view sequence : {"\xc3\xaf", "\xe2\x82\xac", "\xf0\x9f\x98\x80"}) {
    for (std::size_t at = 0; at <= 24; ++at) {
      std::string text(24, 'a');
      text.insert(at, sequence);
      CAPTURE(at);
      CHECK(error_of<std::string>(text) == Errc::ok);
    }
  }
}
