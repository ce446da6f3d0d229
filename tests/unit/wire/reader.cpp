#include <cstddef>
#include <cstdint>
#include <limits>
#include <string_view>

#include <catch2/catch_test_macros.hpp>

#include <btreemapped/detail/wire/reader.hpp>

#include "support/bytes.hpp"

using btreemapped::Errc;
using btreemapped::detail::wire::Reader;
using test::ExactBytes;
using test::from_hex;

TEST_CASE("integers are read in network order", "[unit][wire]") {
  const ExactBytes bytes{from_hex("01 0203 04050607 08090a0b0c0d0e0f")};
  Reader reader{bytes.view()};
  CHECK(reader.u8() == 0x01);
  CHECK(reader.u16() == 0x0203);
  CHECK(reader.u32() == 0x04050607);
  CHECK(reader.u64() == 0x08090a0b0c0d0e0f);
  CHECK(reader.finish() == Errc::ok);
}

TEST_CASE("signed integers keep their sign", "[unit][wire]") {
  const ExactBytes bytes{from_hex("fffe 80000000 ffffffffffffffff")};
  Reader reader{bytes.view()};
  CHECK(reader.i16() == -2);
  CHECK(reader.i32() == std::numeric_limits<std::int32_t>::min());
  CHECK(reader.i64() == -1);
  CHECK(reader.finish() == Errc::ok);
}

TEST_CASE("a string ends before its NUL, and the next field begins behind it", "[unit][wire]") {
  const ExactBytes bytes{from_hex("616200 00 63")};
  Reader reader{bytes.view()};
  CHECK(reader.cstring() == "ab");
  CHECK(reader.cstring().empty());
  CHECK(reader.u8() == 'c');
  CHECK(reader.finish() == Errc::ok);
}

TEST_CASE("a string without its NUL is truncated", "[unit][wire]") {
  const ExactBytes bytes{from_hex("6162")};
  Reader reader{bytes.view()};
  CHECK(reader.cstring().empty());
  CHECK(reader.error() == Errc::truncated);
}

TEST_CASE("views lie inside the bytes that are read", "[unit][wire]") {
  const ExactBytes bytes{from_hex("610062636465")};
  Reader reader{bytes.view()};
  CHECK(bytes.holds(reader.cstring()));
  CHECK(bytes.holds(reader.bytes(2)));
  CHECK(bytes.holds(reader.rest()));
  const std::string_view nothing = reader.rest();
  CHECK(nothing.empty());
  CHECK(bytes.holds(nothing));
  CHECK(reader.finish() == Errc::ok);
}

TEST_CASE("every read that needs more bytes than there are is truncated", "[unit][wire]") {
  const ExactBytes bytes{from_hex("00000000000000")};
  const auto after = [&](auto read) {
    Reader reader{bytes.view()};
    read(reader);
    return reader.error();
  };
  CHECK(after([](Reader& reader) { return reader.u64(); }) == Errc::truncated);
  CHECK(after([](Reader& reader) { return reader.i64(); }) == Errc::truncated);
  CHECK(after([](Reader& reader) { return reader.bytes(8); }) == Errc::truncated);
  CHECK(after([](Reader& reader) { return reader.bytes(std::numeric_limits<std::size_t>::max()); }) == Errc::truncated);
  CHECK(after([](Reader& reader) { return reader.bytes(7).size() + reader.u8(); }) == Errc::truncated);
  CHECK(after([](Reader& reader) { return reader.bytes(6).size() + reader.u16(); }) == Errc::truncated);
  CHECK(after([](Reader& reader) { return reader.bytes(4).size() + reader.u32(); }) == Errc::truncated);
  CHECK(after([](Reader& reader) { return reader.bytes(7).size() + reader.cstring().size(); }) == Errc::truncated);
}

TEST_CASE("after an error every read is zero or empty", "[unit][wire]") {
  const ExactBytes bytes{from_hex("01020304050607080900")};
  Reader reader{bytes.view()};
  CHECK(reader.bytes(11).empty());
  REQUIRE_FALSE(reader.ok());
  CHECK(reader.u8() == 0);
  CHECK(reader.u16() == 0);
  CHECK(reader.u32() == 0);
  CHECK(reader.u64() == 0);
  CHECK(reader.i16() == 0);
  CHECK(reader.i32() == 0);
  CHECK(reader.i64() == 0);
  CHECK(reader.length16() == 0);
  CHECK(reader.length32() == 0);
  CHECK(reader.cstring().empty());
  CHECK(reader.bytes(1).empty());
  CHECK(reader.rest().empty());
  CHECK(reader.left() == 0);
}

TEST_CASE("the first error stays", "[unit][wire]") {
  const ExactBytes bytes{from_hex("00")};
  Reader reader{bytes.view()};
  reader.fail(Errc::invalid_message);
  CHECK(reader.u64() == 0);
  reader.fail(Errc::invalid_length);
  CHECK(reader.finish() == Errc::invalid_message);
}

TEST_CASE("a negative count or length is an error of its own", "[unit][wire]") {
  const ExactBytes bytes{from_hex("ffff80000000")};
  Reader counts{bytes.view()};
  CHECK(counts.length16() == 0);
  CHECK(counts.error() == Errc::invalid_length);
  Reader lengths{bytes.view().substr(2)};
  CHECK(lengths.length32() == 0);
  CHECK(lengths.error() == Errc::invalid_length);
}

TEST_CASE("bytes that nobody read are an error at the end", "[unit][wire]") {
  const ExactBytes bytes{from_hex("0102")};
  Reader reader{bytes.view()};
  CHECK(reader.u8() == 1);
  CHECK(reader.ok());
  CHECK(reader.finish() == Errc::trailing_bytes);
}

TEST_CASE("a reader of nothing is at its end", "[unit][wire]") {
  Reader reader;
  CHECK(reader.left() == 0);
  CHECK(reader.finish() == Errc::ok);
  CHECK(reader.u8() == 0);
  CHECK(reader.error() == Errc::truncated);
}
