#include <cstddef>
#include <iterator>
#include <optional>
#include <stdexcept>
#include <string>
#include <string_view>
#include <unordered_set>

#include <catch2/catch_test_macros.hpp>

#include <btreemapped/uuid.hpp>

namespace {

using btreemapped::Uuid;

struct UuidCase {
  std::string_view text;
  std::string_view bytes;
};

// In the order in which PostgreSQL 15 sorts them, with their bytes in hex:
// select format('{"%s", "%s"},', v, encode(uuid_send(v), 'hex'))
// from unnest('{00000000-0000-0000-0000-000000000000, FFFFFFFF-FFFF-FFFF-FFFF-FFFFFFFFFFFF,
//   A0EEBC99-9C0B-4EF8-BB6D-6BB9BD380A11,
//   "{a0eebc99-9c0b4ef8-bb6d6bb9-bd380a12}", a0eebc999c0b4ef8bb6d6bb9bd380a10, 7fffffff-ffff-ffff-ffff-ffffffffffff,
//   80000000-0000-0000-0000-000000000000, 00000000-0000-0000-0000-000000000001, 01234567-89ab-cdef-0123-456789abcdef,
//   00000000-0000-0000-8000-000000000000, 00000000-0000-0000-7fff-ffffffffffff,
//   00ff0000-0000-0000-0000-0000000000ff}'::uuid[]) v
// order by v;
// clang-format off
constexpr UuidCase sorted[] = {
    {"00000000-0000-0000-0000-000000000000", "00000000000000000000000000000000"},
    {"00000000-0000-0000-0000-000000000001", "00000000000000000000000000000001"},
    {"00000000-0000-0000-7fff-ffffffffffff", "00000000000000007fffffffffffffff"},
    {"00000000-0000-0000-8000-000000000000", "00000000000000008000000000000000"},
    {"00ff0000-0000-0000-0000-0000000000ff", "00ff00000000000000000000000000ff"},
    {"01234567-89ab-cdef-0123-456789abcdef", "0123456789abcdef0123456789abcdef"},
    {"7fffffff-ffff-ffff-ffff-ffffffffffff", "7fffffffffffffffffffffffffffffff"},
    {"80000000-0000-0000-0000-000000000000", "80000000000000000000000000000000"},
    {"a0eebc99-9c0b-4ef8-bb6d-6bb9bd380a10", "a0eebc999c0b4ef8bb6d6bb9bd380a10"},
    {"a0eebc99-9c0b-4ef8-bb6d-6bb9bd380a11", "a0eebc999c0b4ef8bb6d6bb9bd380a11"},
    {"a0eebc99-9c0b-4ef8-bb6d-6bb9bd380a12", "a0eebc999c0b4ef8bb6d6bb9bd380a12"},
    {"ffffffff-ffff-ffff-ffff-ffffffffffff", "ffffffffffffffffffffffffffffffff"},
};
// clang-format on

Uuid uuid(std::string_view text) {
  const std::optional<Uuid> parsed = Uuid::parse(text);
  if (!parsed) throw std::invalid_argument("not a uuid: " + std::string(text));
  return *parsed;
}

std::string hex(const Uuid& value) {
  std::string text;
  for (const std::byte byte : value.bytes) {
    constexpr std::string_view digits = "0123456789abcdef";
    text += digits[std::to_integer<std::size_t>(byte) / 16];
    text += digits[std::to_integer<std::size_t>(byte) % 16];
  }
  return text;
}

static_assert(Uuid::parse("00000000-0000-0000-0000-000000000000") == Uuid{}, "usable at compile time");

}  // namespace

TEST_CASE("a uuid has the bytes that the server sends", "[unit][uuid]") {
  for (const UuidCase& each : sorted) {
    CAPTURE(each.text);
    CHECK(hex(uuid(each.text)) == each.bytes);
  }
}

TEST_CASE("a uuid prints as the server prints it", "[unit][uuid]") {
  for (const UuidCase& each : sorted) CHECK(to_string(uuid(each.text)) == each.text);
}

TEST_CASE("uuids are ordered as the server orders them", "[unit][uuid]") {
  for (const UuidCase& a : sorted)
    for (const UuidCase& b : sorted) {
      CAPTURE(a.text, b.text);
      CHECK((uuid(a.text) <=> uuid(b.text)) == (&a <=> &b));
      CHECK((uuid(a.text) == uuid(b.text)) == (&a == &b));
    }
}

TEST_CASE("a uuid may be written in upper case", "[unit][uuid]") {
  CHECK(Uuid::parse("A0EEBC99-9C0B-4EF8-BB6D-6BB9BD380A11") == Uuid::parse("a0eebc99-9c0b-4ef8-bb6d-6bb9bd380a11"));
}

TEST_CASE("equal uuids have equal hashes and others differ", "[unit][uuid]") {
  std::unordered_set<Uuid> set;
  for (const UuidCase& each : sorted) set.insert(uuid(each.text));
  CHECK(set.size() == std::size(sorted));
  for (const UuidCase& each : sorted) CHECK(set.contains(uuid(each.text)));
}

TEST_CASE("a uuid is refused in any other notation", "[unit][uuid]") {
  constexpr std::string_view good = "a0eebc99-9c0b-4ef8-bb6d-6bb9bd380a11";
  for (std::size_t length = 0; length < good.size(); ++length) CHECK_FALSE(Uuid::parse(good.substr(0, length)));
  CHECK_FALSE(Uuid::parse(std::string(good) + "0"));
  CHECK_FALSE(Uuid::parse("{a0eebc99-9c0b-4ef8-bb6d-6bb9bd380a11}"));
  CHECK_FALSE(Uuid::parse("a0eebc999c0b4ef8bb6d6bb9bd380a11"));
  for (std::size_t at = 0; at < good.size(); ++at)
    for (const char wrong : {'g', ' ', '\0', '\xff', good[at] == '-' ? '0' : '-'}) {
      std::string text(good);
      text[at] = wrong;
      CAPTURE(at, int{wrong});
      CHECK_FALSE(Uuid::parse(text));
    }
}
