#include <cstddef>
#include <cstdint>
#include <random>
#include <string>
#include <string_view>
#include <variant>
#include <vector>

#include <catch2/catch_test_macros.hpp>

#include <btreemapped/detail/wire/frame.hpp>
#include <btreemapped/detail/wire/message.hpp>

#include "support/bytes.hpp"
#include "support/captured_wire.hpp"
#include "support/message_views.hpp"
#include "support/random.hpp"

namespace wire = btreemapped::detail::wire;
using btreemapped::Errc;
using test::below;
using test::ExactBytes;

namespace {

/// Damages bytes in the ways that hurt parsers: any byte, extreme bytes, cut off, joined with another.
std::string damaged(std::string bytes, const std::vector<std::string>& all, std::mt19937_64& generator) {
  constexpr std::string_view extremes{"\x00\x01\x7f\x80\xfe\xff", 6};
  const std::uint64_t strokes = 1 + below(generator, 4);
  for (std::uint64_t i = 0; i < strokes && !bytes.empty(); ++i) {
    char& byte = bytes[below(generator, bytes.size())];
    switch (below(generator, 8)) {
      case 0: bytes.resize(below(generator, bytes.size())); break;
      case 1: bytes += all[below(generator, all.size())]; break;
      case 2:
      case 3: byte = extremes[below(generator, extremes.size())]; break;
      case 4: byte = static_cast<char>(static_cast<unsigned char>(below(generator, 256))); break;
      default: byte = static_cast<char>(static_cast<unsigned char>(byte) ^ (1U << below(generator, 8))); break;
    }
  }
  return bytes;
}

}  // namespace

TEST_CASE("no damage to a message makes a view leave the input", "[unit][wire]") {
  std::vector<std::string> originals;
  for (const std::string_view hex : test::captured::messages) originals.push_back(test::from_hex(hex));
  std::mt19937_64 generator = test::seeded_generator("damaged messages");
  std::size_t accepted = 0;
  for (int round = 0; round < 100'000; ++round) {
    const ExactBytes bytes{damaged(originals[below(generator, originals.size())], originals, generator)};
    wire::Message message;
    if (wire::parse_message(bytes.view(), message) != Errc::ok) continue;
    ++accepted;
    test::Views views{bytes};
    std::visit(views, message);
    if (!views.inside) FAIL("round " << round);
  }
  // The damage must not be such that nothing is ever accepted.
  CHECK(accepted > 1000);
}

TEST_CASE("no damage to a frame makes its payload leave the input", "[unit][wire]") {
  std::vector<std::string> originals;
  for (const std::string_view hex : test::captured::frames) originals.push_back(test::from_hex(hex));
  std::mt19937_64 generator = test::seeded_generator("damaged frames");
  std::size_t accepted = 0;
  for (int round = 0; round < 100'000; ++round) {
    const ExactBytes bytes{damaged(originals[below(generator, originals.size())], originals, generator)};
    wire::Frame frame;
    if (wire::parse_frame(bytes.view(), frame) != Errc::ok) continue;
    ++accepted;
    const auto* const data = std::get_if<wire::XLogData>(&frame);
    if (data == nullptr) continue;
    wire::Message message;
    if (!bytes.holds(data->payload)) FAIL("round " << round);
    if (wire::parse_message(data->payload, message) != Errc::ok) continue;
    test::Views views{bytes};
    std::visit(views, message);
    if (!views.inside) FAIL("round " << round);
  }
  CHECK(accepted > 1000);
}
