#include <cstddef>
#include <cstdint>
#include <iterator>
#include <ranges>
#include <string>
#include <string_view>
#include <type_traits>
#include <utility>
#include <variant>
#include <vector>

#include <catch2/catch_test_macros.hpp>

#include <btreemapped/detail/wire/message.hpp>

#include "support/bytes.hpp"
#include "support/captured_wire.hpp"

namespace wire = btreemapped::detail::wire;
namespace captured = test::captured;
using btreemapped::Errc;
using btreemapped::Lsn;
using btreemapped::Oid;
using test::ExactBytes;
using test::from_hex;
using wire::Cell;
using wire::Message;
using wire::OldKind;
using wire::RelationColumn;
using wire::Tuple;

namespace {

static_assert(noexcept(wire::parse_message(std::string_view{}, std::declval<Message&>())));
// Nothing in a message can own memory.
static_assert(std::is_trivially_copyable_v<Message> && std::is_trivially_destructible_v<Message>);
static_assert(std::forward_iterator<Tuple::Iterator>);
static_assert(std::ranges::forward_range<const Tuple>);
static_assert(std::ranges::forward_range<const wire::Records<RelationColumn>>);
static_assert(std::ranges::forward_range<const wire::Records<Oid>>);
static_assert(std::is_nothrow_copy_constructible_v<Tuple::Iterator>);
static_assert(noexcept(++std::declval<Tuple::Iterator&>()) && noexcept(*std::declval<Tuple::Iterator&>()));

template <class Kind>
Kind parsed(const ExactBytes& bytes) {
  Message message;
  REQUIRE(wire::parse_message(bytes.view(), message) == Errc::ok);
  REQUIRE(std::holds_alternative<Kind>(message));
  return std::get<Kind>(message);
}

Errc error_of(std::string_view bytes) {
  const ExactBytes exact{bytes};
  Message message;
  return wire::parse_message(exact.view(), message);
}

/// The error of a captured message in which the bytes from `position` on are others.
Errc error_of_changed(std::string_view hex, std::size_t position, std::string_view replacement_hex) {
  std::string bytes = from_hex(hex);
  const std::string replacement = from_hex(replacement_hex);
  REQUIRE(position + replacement.size() <= bytes.size());
  bytes.replace(position, replacement.size(), replacement);
  return error_of(bytes);
}

template <class Record>
std::vector<Record> listed(const wire::Records<Record>& records) {
  std::vector<Record> list;
  for (const Record& record : records) list.push_back(record);
  CHECK(list.size() == records.size());
  return list;
}

constexpr Cell null{};
constexpr Cell unchanged{Cell::Kind::unchanged, {}};
constexpr Cell text(std::string_view value) { return {Cell::Kind::text, value}; }

using Cells = std::vector<Cell>;
using Columns = std::vector<RelationColumn>;

}  // namespace

TEST_CASE("Begin says where, when and by which transaction the commit will be", "[unit][wire]") {
  const ExactBytes bytes{from_hex(captured::begin)};
  const auto begin = parsed<wire::Begin>(bytes);
  CHECK(begin.commit_lsn == Lsn{0x154d218});
  CHECK(begin.commit_time == 0x303da9f400945);
  CHECK(begin.xid == 743);
}

TEST_CASE("Commit says where its record starts and ends", "[unit][wire]") {
  const ExactBytes bytes{from_hex(captured::commit)};
  const auto commit = parsed<wire::Commit>(bytes);
  CHECK(commit.commit_lsn == Lsn{0x154d218});
  CHECK(commit.end_lsn == Lsn{0x154d248});
  CHECK(commit.commit_time == 0x303da9f400945);
}

TEST_CASE("Commit with flags is refused", "[unit][wire]") {
  CHECK(error_of_changed(captured::commit, 1, "01") == Errc::invalid_message);
}

TEST_CASE("Origin names where a replayed transaction was first committed", "[unit][wire]") {
  const ExactBytes bytes{from_hex(captured::origin)};
  const auto origin = parsed<wire::Origin>(bytes);
  CHECK(origin.commit_lsn == Lsn{0x12'abcdef01});
  CHECK(origin.name == "far away");
}

TEST_CASE("Begin of a replayed transaction has the origin's commit time", "[unit][wire]") {
  const ExactBytes bytes{from_hex(captured::begin_of_origin)};
  CHECK(parsed<wire::Begin>(bytes).commit_time == 0x2b58341728614);
}

TEST_CASE("Relation marks the two columns of a key", "[unit][wire]") {
  const ExactBytes bytes{from_hex(captured::relation)};
  const auto relation = parsed<wire::Relation>(bytes);
  CHECK(relation.oid == 16391);
  CHECK(relation.schema == "public");
  CHECK(relation.name == "car");
  CHECK(relation.replica_identity == 'd');
  CHECK(listed(relation.columns) ==
        Columns{{true, "owner", 25, -1}, {true, "license_plate", 16390, -1}, {false, "color", 16385, -1}});
}

TEST_CASE("Relation with replica identity full marks every column", "[unit][wire]") {
  const ExactBytes bytes{from_hex(captured::relation_full)};
  const auto relation = parsed<wire::Relation>(bytes);
  CHECK(relation.replica_identity == 'f');
  CHECK(listed(relation.columns) == Columns{{true, "a", 23, -1}, {true, "b", 25, -1}});
}

TEST_CASE("Relation with replica identity nothing marks no column", "[unit][wire]") {
  const ExactBytes bytes{from_hex(captured::relation_nothing)};
  const auto relation = parsed<wire::Relation>(bytes);
  CHECK(relation.replica_identity == 'n');
  CHECK(listed(relation.columns) == Columns{{false, "line", 25, -1}});
}

TEST_CASE("Relation with an index as replica identity marks the columns of the index", "[unit][wire]") {
  const ExactBytes bytes{from_hex(captured::relation_index)};
  const auto relation = parsed<wire::Relation>(bytes);
  CHECK(relation.replica_identity == 'i');
  CHECK(listed(relation.columns) == Columns{{false, "a", 23, -1}, {true, "b", 23, -1}});
}

TEST_CASE("Relation has its names unquoted and the type modifier of a numeric", "[unit][wire]") {
  const ExactBytes bytes{from_hex(captured::relation_quoted)};
  const auto relation = parsed<wire::Relation>(bytes);
  CHECK(relation.schema == "\u017dlut\u00e9");
  CHECK(relation.name == "k\u016f\u0148 \"x\"");
  CHECK(listed(relation.columns) == Columns{{true, " id", 23, -1}, {false, "amount", 1700, 0xa0006}});
}

TEST_CASE("Relation of a table without columns is read", "[unit][wire]") {
  const ExactBytes bytes{from_hex(captured::relation_without_columns)};
  const auto relation = parsed<wire::Relation>(bytes);
  CHECK(relation.name == "nothing_at_all");
  CHECK(relation.columns.empty());
  CHECK(listed(relation.columns).empty());
}

TEST_CASE("Relation with an unknown replica identity is refused", "[unit][wire]") {
  const std::size_t position = 1 + 4 + 7 + 4;
  for (unsigned identity = 0; identity < 256; ++identity) {
    CAPTURE(identity);
    std::string bytes = from_hex(captured::relation);
    bytes[position] = static_cast<char>(static_cast<unsigned char>(identity));
    const bool known = std::string_view{"dnfi"}.find(bytes[position]) != std::string_view::npos;
    CHECK(error_of(bytes) == (known ? Errc::ok : Errc::invalid_message));
  }
}

TEST_CASE("Relation with an unknown column flag is refused", "[unit][wire]") {
  CHECK(error_of_changed(captured::relation, 19, "02") == Errc::invalid_message);
  CHECK(error_of_changed(captured::relation, 19, "81") == Errc::invalid_message);
}

TEST_CASE("Type of an enum has the schema and name of the enum", "[unit][wire]") {
  const ExactBytes bytes{from_hex(captured::type_of_enum)};
  const auto type = parsed<wire::Type>(bytes);
  CHECK(type.oid == 16385);
  CHECK(type.schema == "public");
  CHECK(type.name == "mood");
}

TEST_CASE("Type of a domain names its base type, and a nameless schema is pg_catalog", "[unit][wire]") {
  const ExactBytes bytes{from_hex(captured::type_of_domain)};
  const auto type = parsed<wire::Type>(bytes);
  CHECK(type.oid == 16390);
  CHECK(type.schema == "pg_catalog");
  CHECK(type.name == "int4");
}

TEST_CASE("Insert has one text per column", "[unit][wire]") {
  const ExactBytes bytes{from_hex(captured::insert)};
  const auto insert = parsed<wire::Insert>(bytes);
  CHECK(insert.relation == 16391);
  CHECK(listed(insert.row) == Cells{text("Alice"), text("123"), text("calm")});
}

TEST_CASE("Insert tells NULL from the empty text", "[unit][wire]") {
  const ExactBytes with_null{from_hex(captured::insert_of_null)};
  CHECK(listed(parsed<wire::Insert>(with_null).row) == Cells{text("1"), null});
  const ExactBytes with_empty{from_hex(captured::insert_of_empty)};
  CHECK(listed(parsed<wire::Insert>(with_empty).row) == Cells{text("2"), text("")});
}

TEST_CASE("Insert sends text as it is, without escapes", "[unit][wire]") {
  const ExactBytes bytes{from_hex(captured::insert_of_tab)};
  CHECK(listed(parsed<wire::Insert>(bytes).row) == Cells{text("tab\there")});
}

TEST_CASE("Insert into a table without columns has an empty row", "[unit][wire]") {
  const ExactBytes bytes{from_hex(captured::insert_without_columns)};
  CHECK(parsed<wire::Insert>(bytes).row.empty());
}

TEST_CASE("Insert with an old row is refused", "[unit][wire]") {
  CHECK(error_of_changed(captured::insert, 5, "4b") == Errc::invalid_message);
  CHECK(error_of_changed(captured::insert, 5, "4f") == Errc::invalid_message);
}

TEST_CASE("Update that moves no key has no old row", "[unit][wire]") {
  const ExactBytes bytes{from_hex(captured::update)};
  const auto update = parsed<wire::Update>(bytes);
  CHECK(update.relation == 16391);
  CHECK(update.old_kind == OldKind::none);
  CHECK(update.old_row.empty());
  CHECK(listed(update.row) == Cells{text("Alice"), text("123"), text("wild")});
}

TEST_CASE("Update of the key has the old key", "[unit][wire]") {
  const ExactBytes bytes{from_hex(captured::update_of_key)};
  const auto update = parsed<wire::Update>(bytes);
  CHECK(update.old_kind == OldKind::key);
  CHECK(listed(update.old_row) == Cells{text("Alice"), text("123"), null});
  CHECK(listed(update.row) == Cells{text("Alice"), text("124"), text("wild")});
}

TEST_CASE("Update of an index key has nulls before the key", "[unit][wire]") {
  const ExactBytes bytes{from_hex(captured::update_of_index_key)};
  const auto update = parsed<wire::Update>(bytes);
  CHECK(update.old_kind == OldKind::key);
  CHECK(listed(update.old_row) == Cells{null, text("2")});
  CHECK(listed(update.row) == Cells{text("1"), text("3")});
}

TEST_CASE("Update with replica identity full has the whole old row", "[unit][wire]") {
  const ExactBytes bytes{from_hex(captured::update_full)};
  const auto update = parsed<wire::Update>(bytes);
  CHECK(update.old_kind == OldKind::full);
  CHECK(listed(update.old_row) == Cells{text("2"), text("")});
  CHECK(listed(update.row) == Cells{text("2"), text("two")});
}

TEST_CASE("Update beside a TOAST value does not send it", "[unit][wire]") {
  const ExactBytes bytes{from_hex(captured::update_beside_toast)};
  CHECK(listed(parsed<wire::Update>(bytes).row) == Cells{text("1"), unchanged, text("b")});
}

TEST_CASE("Update without a new row is refused", "[unit][wire]") {
  CHECK(error_of_changed(captured::update, 5, "58") == Errc::invalid_message);
  // where the new row of an update with an old one begins
  CHECK(error_of_changed(captured::update_full, 19, "4b") == Errc::invalid_message);
}

TEST_CASE("Delete by key has the key and nulls for the rest", "[unit][wire]") {
  const ExactBytes bytes{from_hex(captured::delete_by_key)};
  const auto erased = parsed<wire::Delete>(bytes);
  CHECK(erased.relation == 16391);
  CHECK(erased.old_kind == OldKind::key);
  CHECK(listed(erased.old_row) == Cells{text("Alice"), text("124"), null});
}

TEST_CASE("Delete with replica identity full has the whole old row", "[unit][wire]") {
  const ExactBytes bytes{from_hex(captured::delete_full)};
  const auto erased = parsed<wire::Delete>(bytes);
  CHECK(erased.old_kind == OldKind::full);
  CHECK(listed(erased.old_row) == Cells{text("1"), null});
}

TEST_CASE("Delete that names a new row is refused", "[unit][wire]") {
  CHECK(error_of_changed(captured::delete_by_key, 5, "4e") == Errc::invalid_message);
}

TEST_CASE("Truncate of several tables names them all", "[unit][wire]") {
  const ExactBytes bytes{from_hex(captured::truncate)};
  const auto truncate = parsed<wire::Truncate>(bytes);
  CHECK_FALSE(truncate.cascade);
  CHECK_FALSE(truncate.restart_identity);
  CHECK(listed(truncate.relations) == std::vector<Oid>{16405, 16410, 16398});
}

TEST_CASE("Truncate with cascade lists the tables that it reached", "[unit][wire]") {
  const ExactBytes bytes{from_hex(captured::truncate_cascade)};
  const auto truncate = parsed<wire::Truncate>(bytes);
  CHECK(truncate.cascade);
  CHECK(truncate.restart_identity);
  CHECK(listed(truncate.relations) == std::vector<Oid>{16420, 16426});
}

TEST_CASE("Truncate tells its two options apart", "[unit][wire]") {
  std::string with_option = from_hex(captured::truncate);
  with_option[5] = '\1';
  const ExactBytes cascade{with_option};
  CHECK(parsed<wire::Truncate>(cascade).cascade);
  CHECK_FALSE(parsed<wire::Truncate>(cascade).restart_identity);
  with_option[5] = '\2';
  const ExactBytes restart{with_option};
  CHECK_FALSE(parsed<wire::Truncate>(restart).cascade);
  CHECK(parsed<wire::Truncate>(restart).restart_identity);
  CHECK(error_of_changed(captured::truncate, 5, "04") == Errc::invalid_message);
}

TEST_CASE("Message inside a transaction keeps bytes that are no text", "[unit][wire]") {
  const ExactBytes bytes{from_hex(captured::message)};
  const auto message = parsed<wire::LogicalMessage>(bytes);
  CHECK(message.transactional);
  CHECK(message.lsn == Lsn{0x1551ba8});
  CHECK(message.prefix == "prefix");
  CHECK(message.content == from_hex("00ff0a"));
}

TEST_CASE("Message outside any transaction says so", "[unit][wire]") {
  const ExactBytes bytes{from_hex(captured::message_outside)};
  const auto message = parsed<wire::LogicalMessage>(bytes);
  CHECK_FALSE(message.transactional);
  CHECK(message.lsn == Lsn{0x1551c18});
  CHECK(message.prefix.empty());
  CHECK(message.content == "outside");
}

TEST_CASE("Message with an unknown flag is refused", "[unit][wire]") {
  CHECK(error_of_changed(captured::message, 1, "02") == Errc::invalid_message);
}

TEST_CASE("every strict prefix of every message is truncated", "[unit][wire]") {
  for (const std::string_view hex : captured::messages) {
    CAPTURE(hex);
    const std::string bytes = from_hex(hex);
    for (std::size_t size = 0; size < bytes.size(); ++size) {
      CAPTURE(size);
      CHECK(error_of(std::string_view{bytes}.substr(0, size)) == Errc::truncated);
    }
    CHECK(error_of(bytes) == Errc::ok);
  }
}

TEST_CASE("every message with a byte too many is refused", "[unit][wire]") {
  for (const std::string_view hex : captured::messages) {
    CAPTURE(hex);
    for (const char extra : {'\0', 'N', '\xff'}) CHECK(error_of(from_hex(hex) + extra) == Errc::trailing_bytes);
  }
}

TEST_CASE("a message of any other type is unknown, those of streaming and two-phase commit included", "[unit][wire]") {
  constexpr std::string_view known = "BCORYIUDTM";
  for (unsigned type = 0; type < 256; ++type) {
    CAPTURE(type);
    std::string bytes = from_hex(captured::begin);
    bytes.front() = static_cast<char>(static_cast<unsigned char>(type));
    if (known.find(bytes.front()) == std::string_view::npos) CHECK(error_of(bytes) == Errc::unknown_message);
  }
}

TEST_CASE("a message that is refused leaves the result alone", "[unit][wire]") {
  Message message = wire::Begin{Lsn{7}, 8, 9};
  CHECK(wire::parse_message(std::string_view{"C\0too short", 11}, message) == Errc::truncated);
  REQUIRE(std::holds_alternative<wire::Begin>(message));
  CHECK(std::get<wire::Begin>(message).xid == 9);
}

TEST_CASE("a count that promises more columns than there are is truncated", "[unit][wire]") {
  CHECK(error_of_changed(captured::insert, 6, "0004") == Errc::truncated);
  CHECK(error_of_changed(captured::insert, 6, "7fff") == Errc::truncated);
  CHECK(error_of_changed(captured::relation, 17, "0004") == Errc::truncated);
  CHECK(error_of_changed(captured::relation, 17, "7fff") == Errc::truncated);
  CHECK(error_of_changed(captured::truncate, 1, "00000004") == Errc::truncated);
  CHECK(error_of_changed(captured::truncate, 1, "7fffffff") == Errc::truncated);
}

TEST_CASE("a count that promises fewer columns than there are leaves bytes over", "[unit][wire]") {
  CHECK(error_of_changed(captured::insert, 6, "0002") == Errc::trailing_bytes);
  CHECK(error_of_changed(captured::insert, 6, "0000") == Errc::trailing_bytes);
  CHECK(error_of_changed(captured::relation, 17, "0002") == Errc::trailing_bytes);
  CHECK(error_of_changed(captured::truncate, 1, "00000002") == Errc::trailing_bytes);
  CHECK(error_of_changed(captured::truncate, 1, "00000000") == Errc::trailing_bytes);
}

TEST_CASE("a negative count is refused", "[unit][wire]") {
  CHECK(error_of_changed(captured::insert, 6, "ffff") == Errc::invalid_length);
  CHECK(error_of_changed(captured::insert, 6, "8000") == Errc::invalid_length);
  CHECK(error_of_changed(captured::relation, 17, "ffff") == Errc::invalid_length);
  CHECK(error_of_changed(captured::truncate, 1, "ffffffff") == Errc::invalid_length);
  CHECK(error_of_changed(captured::truncate, 1, "80000000") == Errc::invalid_length);
}

TEST_CASE("a value whose length lies is refused", "[unit][wire]") {
  CHECK(error_of_changed(captured::insert, 9, "ffffffff") == Errc::invalid_length);
  CHECK(error_of_changed(captured::insert, 9, "80000000") == Errc::invalid_length);
  CHECK(error_of_changed(captured::insert, 9, "7fffffff") == Errc::truncated);
  CHECK(error_of_changed(captured::insert, 9, "00000004") == Errc::invalid_message);  // 'e' is no kind of column
  CHECK(error_of_changed(captured::message, 17, "ffffffff") == Errc::invalid_length);
  CHECK(error_of_changed(captured::message, 17, "7fffffff") == Errc::truncated);
  CHECK(error_of_changed(captured::message, 17, "00000002") == Errc::trailing_bytes);
}

TEST_CASE("a name without its NUL is truncated", "[unit][wire]") {
  CHECK(error_of_changed(captured::type_of_enum, 16, "78") == Errc::truncated);
  CHECK(error_of_changed(captured::origin, 17, "78") == Errc::truncated);
}

TEST_CASE("a binary value is refused, since nobody asks for one", "[unit][wire]") {
  CHECK(error_of_changed(captured::insert, 8, "62") == Errc::invalid_message);
}

TEST_CASE("an iterator stays at the end of its row", "[unit][wire]") {
  const ExactBytes bytes{from_hex(captured::insert_of_empty)};
  const Tuple row = parsed<wire::Insert>(bytes).row;
  auto cell = row.begin();
  CHECK((cell++)->text == "2");
  CHECK(cell != row.end());
  CHECK(++cell == row.end());
  for (int i = 0; i < 3; ++i) {
    CHECK(++cell == row.end());
    CHECK(*cell == null);
  }
  CHECK(*row.begin() == text("2"));
}

TEST_CASE("an iterator outlives the range that it came from", "[unit][wire]") {
  const ExactBytes bytes{from_hex(captured::insert)};
  auto cell = Tuple{parsed<wire::Insert>(bytes).row}.begin();
  ++cell;
  CHECK(cell->text == "123");
  CHECK(bytes.holds(cell->text));
}

TEST_CASE("a row of the widest possible table is read", "[unit][wire]") {
  constexpr std::size_t columns = 1600;
  std::string hex = "49 00004007 4e 0640";
  for (std::size_t i = 0; i < columns; ++i) hex += i % 3 == 0 ? "6e" : i % 3 == 1 ? "75" : "740000000178";
  const ExactBytes bytes{from_hex(hex)};
  const Cells row = listed(parsed<wire::Insert>(bytes).row);
  REQUIRE(row.size() == columns);
  CHECK(row[1597] == unchanged);
  CHECK(row[1598] == text("x"));
  CHECK(row[1599] == null);
}

TEST_CASE("a value of many megabytes is viewed, not copied", "[unit][wire]") {
  constexpr std::size_t size = 0x2000000;
  const ExactBytes bytes{from_hex("49 00004007 4e 0001 74 02000000") + std::string(size, 'x')};
  const Cells row = listed(parsed<wire::Insert>(bytes).row);
  REQUIRE(row.size() == 1);
  CHECK(row.front().text.size() == size);
  CHECK(row.front().text.data() == bytes.view().data() + 13);
}
