#include <catch2/catch_test_macros.hpp>

#include <btreemapped/codec.hpp>
#include <btreemapped/codec/uuid.hpp>
#include <btreemapped/error.hpp>
#include <btreemapped/uuid.hpp>

#include "decode.hpp"

namespace {

using btreemapped::Errc;
using btreemapped::Uuid;
using decode_test::builtin;
using decode_test::decode;
using decode_test::domain_over;
using decode_test::error_of;

}  // namespace

TEST_CASE("a uuid column decodes to its bytes", "[unit][codec]") {
  const auto decoded = decode<Uuid>("a0eebc99-9c0b-4ef8-bb6d-6bb9bd380a11");
  CHECK(decoded.error == Errc::ok);
  CHECK(std::to_integer<int>(decoded.value.bytes.front()) == 0xA0);
  CHECK(std::to_integer<int>(decoded.value.bytes.back()) == 0x11);
}

TEST_CASE("a uuid column's text is only what PostgreSQL prints", "[unit][codec]") {
  CHECK(error_of<Uuid>("") == Errc::invalid_text);
  CHECK(error_of<Uuid>("a0eebc999c0b4ef8bb6d6bb9bd380a11") == Errc::invalid_text);
  CHECK(error_of<Uuid>("a0eebc99-9c0b-4ef8-bb6d-6bb9bd380a1g") == Errc::invalid_text);
}

TEST_CASE("a uuid field accepts uuid and domains over it", "[unit][codec]") {
  CHECK(btreemapped::codec<Uuid>::accepts(builtin(2950)));
  CHECK(btreemapped::codec<Uuid>::accepts(domain_over(2950)));
  CHECK_FALSE(btreemapped::codec<Uuid>::accepts(builtin(25)));
  CHECK_FALSE(btreemapped::codec<Uuid>::accepts(decode_test::user_type("uuid")));
}
