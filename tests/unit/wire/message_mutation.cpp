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
#include "support/random.hpp"

namespace wire = btreemapped::detail::wire;
using btreemapped::Errc;
using test::below;
using test::ExactBytes;

namespace {

/// Collects whether every view that a message gives out lies in the bytes that it was read from.
struct Views {
  const ExactBytes& bytes;
  bool inside = true;

  void see(std::string_view view) {
    inside = inside && bytes.holds(view);
    // Reads all of it, so that a sanitizer has a say.
    std::size_t zeros = 0;
    for (const char byte : view) zeros += byte == '\0' ? 1U : 0U;
    inside = inside && zeros <= view.size();
  }
  void see_schema(std::string_view view) {
    if (view != wire::catalog_schema) see(view);  // the one view that the library puts in
  }
  void see(const wire::Tuple& row) {
    std::size_t count = 0;
    for (const wire::Cell& cell : row) {
      ++count;
      if (cell.kind == wire::Cell::Kind::text) see(cell.text);
      inside = inside && (cell.kind == wire::Cell::Kind::text || cell.text.empty());
    }
    inside = inside && count == row.size();
  }

  void operator()(const wire::Begin&) const noexcept {}
  void operator()(const wire::Commit&) const noexcept {}
  void operator()(const wire::Origin& origin) { see(origin.name); }
  void operator()(const wire::Relation& relation) {
    see_schema(relation.schema);
    see(relation.name);
    std::size_t count = 0;
    for (const wire::RelationColumn& column : relation.columns) {
      ++count;
      see(column.name);
    }
    inside = inside && count == relation.columns.size();
  }
  void operator()(const wire::Type& type) {
    see_schema(type.schema);
    see(type.name);
  }
  void operator()(const wire::Insert& insert) { see(insert.row); }
  void operator()(const wire::Update& update) {
    see(update.old_row);
    see(update.row);
  }
  void operator()(const wire::Delete& erased) { see(erased.old_row); }
  void operator()(const wire::Truncate& truncate) {
    inside = inside && truncate.relations.size() <= bytes.view().size() / 4;
    std::size_t count = 0;
    for ([[maybe_unused]] const btreemapped::Oid oid : truncate.relations) ++count;
    inside = inside && count == truncate.relations.size();
  }
  void operator()(const wire::LogicalMessage& message) {
    see(message.prefix);
    see(message.content);
  }
};

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
    Views views{bytes};
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
    Views views{bytes};
    std::visit(views, message);
    if (!views.inside) FAIL("round " << round);
  }
  CHECK(accepted > 1000);
}
