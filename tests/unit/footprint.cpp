#include <chrono>
#include <cstddef>
#include <cstdint>
#include <map>
#include <memory>
#include <optional>
#include <string>
#include <tuple>
#include <utility>
#include <vector>

#include <catch2/catch_test_macros.hpp>

#include <btreemapped/codec/array.hpp>
#include <btreemapped/codec/chrono.hpp>
#include <btreemapped/codec/hstore.hpp>
#include <btreemapped/codec/numeric.hpp>
#include <btreemapped/codec/text.hpp>
#include <btreemapped/detail/footprint.hpp>
#include <btreemapped/numeric.hpp>

namespace footprint_test {

using btreemapped::detail::heap_bytes;

struct Address {
  std::string street;
  std::optional<std::string> city;
};

/// What a range may be made of: itself, as in paths and JSON.
struct Nested {
  using value_type = Nested;
  const Nested* begin() const { return this; }
  const Nested* end() const { return this + 1; }
  std::size_t size() const { return 1; }
  std::unique_ptr<int> value{};
};

const std::string text(1'000, 'x');

TEST_CASE("values of a fixed size take nothing outside of themselves", "[footprint]") {
  CHECK(heap_bytes(std::int64_t{1}) == 0);
  CHECK(heap_bytes(std::optional<double>{1.5}) == 0);
  CHECK(heap_bytes(std::chrono::sys_days{}) == 0);
  CHECK(heap_bytes(std::string{}) == 0);
}

TEST_CASE("what text, arrays and maps hold counts, however deep it is", "[footprint]") {
  CHECK(heap_bytes(text) >= 1'000);
  CHECK(heap_bytes(std::optional<std::string>{text}) >= 1'000);
  CHECK(heap_bytes(std::optional<std::string>{}) == 0);
  CHECK(heap_bytes(std::vector<std::byte>(1'000)) >= 1'000);
  CHECK(heap_bytes(std::vector<std::optional<std::string>>{text, std::nullopt, text}) >=
        2'000 + 3 * sizeof(std::optional<std::string>));
  CHECK(heap_bytes(std::map<std::string, std::optional<std::string>>{{text, text}, {"", std::nullopt}}) >= 2'000);
  CHECK(heap_bytes(*btreemapped::Numeric::parse(std::string(500, '7'))) >= 500);
  CHECK(heap_bytes(Address{text, text}) >= 2'000);
  CHECK(heap_bytes(std::vector<Address>{{text, text}, {text, {}}}) >= 3'000);
}

TEST_CASE("the values of rows and keys add up", "[footprint]") {
  CHECK(btreemapped::detail::heap_bytes_of_row(Address{text, text}) == heap_bytes(Address{text, text}));
  CHECK(btreemapped::detail::heap_bytes_of_key(std::tuple{text, 7, text}) == 2 * heap_bytes(text));
}

TEST_CASE("what cannot be looked into counts as nothing", "[footprint]") {
  CHECK(heap_bytes(std::make_unique<std::string>(text)) == 0);
  CHECK(heap_bytes(Nested{}) == 0);
}

}  // namespace footprint_test
