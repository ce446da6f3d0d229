#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include <catch2/catch_test_macros.hpp>

#include <btreemapped/detail/change_log.hpp>
#include <btreemapped/detail/shape.hpp>
#include <btreemapped/detail/table.hpp>
#include <btreemapped/detail/transaction.hpp>
#include <btreemapped/detail/wire/message.hpp>
#include <btreemapped/error.hpp>
#include <btreemapped/lsn.hpp>

#include <support/memory_table.hpp>
#include <support/messages.hpp>

// What the stream says of a table while it is copied afresh, and how that is brought into the copy.
namespace transaction_replay_test {
namespace {

using namespace btreemapped;
using detail::ChangeLog;
using detail::Delta;
using detail::Followed;
using detail::TableShape;
using detail::TransactionBuffer;
using test::Cells;
using test::MessageBuilder;
using test::null;
namespace wire = detail::wire;
using Columns = std::vector<test::RelationColumnText>;

constexpr Oid int4_type = 23;
constexpr Oid text_type = 25;
constexpr Oid notes_oid = 16'500;
constexpr Oid others_oid = 16'600;
constexpr std::size_t plenty = 1'000'000;
const Columns columns{{"id", int4_type, true}, {"text", text_type, false}};
const Columns turned{{"text", text_type, false}, {"id", int4_type, true}};

struct Note {
  std::int32_t id;
  std::optional<std::string> text;
  friend bool operator==(const Note&, const Note&) = default;
};

std::shared_ptr<const TableShape> shape(const std::string& name, Oid oid) {
  TableShape out;
  out.table = {"public", name};
  out.oid = oid;
  for (const test::RelationColumnText& column : columns)
    out.columns.push_back({.name = column.name,
                           .type = {.oid = column.type_oid, .base = column.type_oid},
                           .in_identity = column.in_identity});
  return std::make_shared<const TableShape>(std::move(out));
}

MessageBuilder relation(const std::string& name, Oid oid, const Columns& as = columns) {
  return test::relation_message({"public", name}, 'd', as, oid);
}
MessageBuilder insert(int id, const std::string& text, Oid oid = notes_oid) {
  return test::insert_message({id, text}, oid);
}

/// A stream that follows two tables, with a log of the first.
struct Stream {
  Stream() {
    buffer.begin_session({{&notes.table(), shape("notes", notes_oid)}, {&others.table(), shape("others", others_oid)}});
  }

  void stage(TransactionBuffer& to, const MessageBuilder& message) const {
    wire::Message parsed;
    REQUIRE(wire::parse_message(message.bytes(), parsed) == Errc::ok);
    REQUIRE(to.stage(parsed, message.bytes()) == Errc::ok);
  }

  void transact(std::uint64_t commit_lsn, const std::vector<MessageBuilder>& messages) {
    stage(buffer, test::begin_message(Lsn{commit_lsn}));
    for (const MessageBuilder& message : messages) stage(buffer, message);
    publish(buffer, commit_lsn);
  }

  void publish(TransactionBuffer& from, std::uint64_t commit_lsn) {
    wire::Commit end{};
    end.commit_lsn = Lsn{commit_lsn};
    end.end_lsn = Lsn{commit_lsn + 8};
    auto commit = from.finish(end, Delta::Time::max()).value();
    store.publish(commit);
  }

  /// The table stops, and what comes of it is written down.
  void begin_log() {
    buffer.detach(notes.table());
    buffer.write_to(&log);
  }

  /// Brings what was written down since `begin` into a copy of these rows, and publishes it.
  Errc replay(std::uint64_t begin, const std::vector<Cells>& copied, Oid oid = notes_oid) {
    TransactionBuffer replayed;
    replayed.begin_session({{&notes.table(), shape("notes", oid)}});
    replayed.resume(notes.table(), notes.comparison(copied));
    for (; !log.empty(); log.pop())
      if (const Errc error = replayed.replay(log.front(), Lsn{begin}); error != Errc::ok) return error;
    faults = replayed.take_faults();
    publish(replayed, 0x9000);
    return Errc::ok;
  }

  [[nodiscard]] std::vector<Note> rows() const { return notes.replica().to_vector(); }

  test::MemoryStore store{};
  test::MemoryTable<Note, 1> notes = store.add_with<Note, 1>({{1, "one"}}, "notes");
  test::MemoryTable<Note, 1> others = store.add_with<Note, 1>({}, "others");
  TransactionBuffer buffer{};
  ChangeLog log{{{notes_oid, {"public", "notes"}}}, plenty};
  std::vector<detail::Fault> faults{};
};

}  // namespace

TEST_CASE("what committed before the copy is in it, and what committed since is brought in", "[transaction]") {
  Stream stream;
  stream.transact(0x100, {relation("notes", notes_oid)});
  stream.begin_log();
  stream.transact(0x200, {insert(2, "two")});
  stream.transact(0x300, {insert(3, "three"), test::update_message({2, "zwei"}, notes_oid)});
  CHECK(stream.rows() == std::vector<Note>{{1, "one"}});
  REQUIRE(stream.replay(0x300, {{1, "one"}, {2, "two"}}) == Errc::ok);
  CHECK(stream.faults.empty());
  CHECK(stream.rows() == std::vector<Note>{{1, "one"}, {2, "zwei"}, {3, "three"}});
}

TEST_CASE("several transactions on one row end as the last says", "[transaction]") {
  Stream stream;
  stream.transact(0x100, {relation("notes", notes_oid)});
  stream.begin_log();
  stream.transact(0x200, {test::delete_message({1, null}, notes_oid)});
  stream.transact(0x300, {insert(1, "uno")});
  stream.transact(0x400, {MessageBuilder('U').u32(notes_oid).tuple('K', {1, null}).tuple('N', {4, test::unchanged})});
  REQUIRE(stream.replay(0x200, {{1, "one"}}) == Errc::ok);
  CHECK(stream.rows() == std::vector<Note>{{4, "uno"}});
}

TEST_CASE("a truncate of several tables is written down once", "[transaction]") {
  Stream stream;
  stream.transact(0x100, {relation("notes", notes_oid), relation("others", others_oid)});
  stream.begin_log();
  stream.transact(0x200, {test::truncate_message({others_oid, notes_oid}), insert(5, "five")});
  REQUIRE(stream.replay(0x200, {{1, "one"}}) == Errc::ok);
  CHECK(stream.rows() == std::vector<Note>{{5, "five"}});
}

TEST_CASE("changes of other tables are not written down", "[transaction]") {
  Stream stream;
  stream.transact(0x100, {relation("notes", notes_oid), relation("others", others_oid)});
  stream.begin_log();
  while (!stream.log.empty()) stream.log.pop();
  stream.transact(0x200, {insert(7, "seven", others_oid)});
  CHECK(stream.log.empty());
  CHECK(stream.others.replica().size() == 1);
}

TEST_CASE("a change that nothing has described is written down, too, and ends the replay", "[transaction]") {
  Stream stream;
  stream.begin_log();
  stream.transact(0x300, {insert(2, "two")});
  CHECK(stream.replay(0x200, {{1, "one"}}) == Errc::invalid_message);
}

TEST_CASE("columns in another order since the copy are found", "[transaction]") {
  Stream stream;
  stream.transact(0x100, {relation("notes", notes_oid)});
  stream.begin_log();
  stream.transact(0x200, {insert(2, "two")});
  stream.transact(0x300, {relation("notes", notes_oid, turned), test::insert_message({"three", 3}, notes_oid)});
  REQUIRE(stream.replay(0x200, {{1, "one"}}) == Errc::ok);
  CHECK(stream.rows() == std::vector<Note>{{1, "one"}, {2, "two"}, {3, "three"}});
}

TEST_CASE("a description from before the copy that does not fit it describes nothing", "[transaction]") {
  Stream stream;
  stream.transact(0x100, {relation("notes", notes_oid)});
  stream.begin_log();
  stream.transact(0x200, {relation("notes", notes_oid, {{"id", text_type, true}, {"text", text_type, false}})});
  SECTION("another one comes before the next change") {
    stream.transact(0x300, {relation("notes", notes_oid), insert(2, "two")});
    REQUIRE(stream.replay(0x300, {{1, "one"}}) == Errc::ok);
    CHECK(stream.rows() == std::vector<Note>{{1, "one"}, {2, "two"}});
  }
  SECTION("a change without one makes no sense") {
    stream.transact(0x300, {insert(2, "two")});
    CHECK(stream.replay(0x300, {{1, "one"}}) != Errc::ok);
  }
}

TEST_CASE("a description since the copy that does not fit it stops the replay", "[transaction]") {
  Stream stream;
  stream.transact(0x100, {relation("notes", notes_oid)});
  stream.begin_log();
  stream.transact(0x200, {relation("notes", notes_oid, {{"id", text_type, true}, {"text", text_type, false}})});
  REQUIRE(stream.replay(0x200, {{1, "one"}, {2, "two"}}) == Errc::ok);
  REQUIRE(stream.faults.size() == 1);
  CHECK(stream.faults[0].healable);
  CHECK(stream.rows() == std::vector<Note>{{1, "one"}});
}

TEST_CASE("a table that was dropped and created again is written down under its name", "[transaction]") {
  Stream stream;
  stream.transact(0x100, {relation("notes", notes_oid)});
  stream.begin_log();
  stream.transact(0x200, {relation("notes", 17'000), insert(2, "two", 17'000)});
  stream.transact(0x300, {insert(3, "three", 17'000)});
  REQUIRE(stream.replay(0x300, {{2, "two"}}, 17'000) == Errc::ok);
  CHECK(stream.faults.empty());
  CHECK(stream.rows() == std::vector<Note>{{2, "two"}, {3, "three"}});
}

TEST_CASE("a change that does not fit the copy is a fault", "[transaction]") {
  Stream stream;
  stream.transact(0x100, {relation("notes", notes_oid)});
  stream.begin_log();
  stream.transact(0x200, {test::update_message({9, "nine"}, notes_oid)});
  REQUIRE(stream.replay(0x200, {{1, "one"}}) == Errc::ok);
  REQUIRE(stream.faults.size() == 1);
  CHECK(stream.faults[0].lsn == Lsn{0x200});
}

TEST_CASE("a table that is attached again follows with the description that came last", "[transaction]") {
  Stream stream;
  stream.transact(0x100, {relation("notes", notes_oid)});
  stream.begin_log();
  stream.transact(0x200, {relation("notes", notes_oid, turned)});
  CHECK_FALSE(stream.buffer.follows(stream.notes.table()));
  stream.buffer.attach({&stream.notes.table(), shape("notes", notes_oid)});
  CHECK(stream.buffer.follows(stream.notes.table()));
  stream.transact(0x300, {test::insert_message({"three", 3}, notes_oid)});
  CHECK(stream.rows() == std::vector<Note>{{1, "one"}, {3, "three"}});
}

TEST_CASE("a table may be attached as another relation, and changes of the former one are skipped", "[transaction]") {
  Stream stream;
  stream.transact(0x100, {relation("notes", notes_oid)});
  stream.begin_log();
  stream.transact(0x200, {relation("notes", 17'000)});
  stream.buffer.attach({&stream.notes.table(), shape("notes", 17'000)});
  stream.transact(0x300, {insert(2, "two", 17'000), insert(3, "three")});
  CHECK(stream.buffer.take_faults().empty());
  CHECK(stream.rows() == std::vector<Note>{{1, "one"}, {2, "two"}});
}

TEST_CASE("what a detached table had staged is dropped", "[transaction]") {
  Stream stream;
  stream.transact(0x100, {relation("notes", notes_oid), relation("others", others_oid)});
  stream.stage(stream.buffer, test::begin_message(Lsn{0x200}));
  stream.stage(stream.buffer, insert(2, "two"));
  stream.stage(stream.buffer, insert(2, "two", others_oid));
  stream.buffer.detach(stream.notes.table());
  stream.publish(stream.buffer, 0x200);
  CHECK(stream.rows() == std::vector<Note>{{1, "one"}});
  CHECK(stream.others.replica().size() == 1);
}

TEST_CASE("changes of a table that is renamed for a while are written down, and stop the replay", "[transaction]") {
  Stream stream;
  stream.transact(0x100, {relation("notes", notes_oid)});
  stream.begin_log();
  stream.transact(0x200, {relation("elsewhere", notes_oid), insert(2, "two"), relation("notes", notes_oid)});
  REQUIRE(stream.replay(0x200, {{1, "one"}}) == Errc::ok);
  REQUIRE(stream.faults.size() == 1);
  CHECK(stream.rows() == std::vector<Note>{{1, "one"}});
}

TEST_CASE("a log that would grow beyond its limit forgets all and says so", "[transaction]") {
  ChangeLog log{{{notes_oid, {"public", "notes"}}}, 1'000};
  const std::string payload(100, 'x');
  for (int i = 0; i < 5; ++i) log.add(Lsn{1}, payload);
  CHECK_FALSE(log.overflowed());
  for (int i = 0; i < 5; ++i) log.add(Lsn{1}, payload);
  CHECK(log.overflowed());
  CHECK(log.empty());
}

TEST_CASE("what has been replayed still counts, as it stays in memory until it is published", "[transaction]") {
  ChangeLog log{{{notes_oid, {"public", "notes"}}}, 1'000};
  for (int i = 0; i < 20 && !log.overflowed(); ++i) {
    log.add(Lsn{1}, std::string(100, 'x'));
    if (!log.empty()) log.pop();
  }
  CHECK(log.overflowed());
}

}  // namespace transaction_replay_test
