#include <algorithm>
#include <chrono>
#include <cstdint>
#include <functional>
#include <initializer_list>
#include <memory>
#include <new>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <variant>
#include <vector>

#include <catch2/catch_test_macros.hpp>
#include <catch2/matchers/catch_matchers.hpp>
#include <catch2/matchers/catch_matchers_string.hpp>

#include <btreemapped/change.hpp>
#include <btreemapped/codec.hpp>
#include <btreemapped/detail/shape.hpp>
#include <btreemapped/detail/table.hpp>
#include <btreemapped/detail/transaction.hpp>
#include <btreemapped/detail/wire/message.hpp>
#include <btreemapped/error.hpp>
#include <btreemapped/lsn.hpp>
#include <btreemapped/replica.hpp>

#include <support/bytes.hpp>
#include <support/memory_table.hpp>
#include <support/messages.hpp>

namespace transaction_test {

/// A value for which there may be no memory.
struct Blob {
  std::string text{};
  friend bool operator==(const Blob&, const Blob&) = default;
};

}  // namespace transaction_test

template <>
struct btreemapped::codec<transaction_test::Blob> {
  static Errc decode(std::string_view text, transaction_test::Blob& out) {
    if (text == "too much") throw std::bad_alloc();
    out.text = text;
    return Errc::ok;
  }
};

namespace transaction_test {
namespace {

using btreemapped::Errc;
using btreemapped::Lsn;
using btreemapped::Oid;
using btreemapped::TableState;
using btreemapped::detail::Commit;
using btreemapped::detail::Delta;
using btreemapped::detail::Fault;
using btreemapped::detail::Followed;
using btreemapped::detail::TableName;
using btreemapped::detail::TableShape;
using btreemapped::detail::TransactionBuffer;
using Catch::Matchers::ContainsSubstring;
using test::Cells;
using test::MessageBuilder;
using test::null;
using test::RelationColumnText;
using test::unchanged;
namespace wire = btreemapped::detail::wire;
using Detached = std::vector<Commit::Detached>;

constexpr Oid bool_type = 16;
constexpr Oid int8_type = 20;
constexpr Oid int4_type = 23;
constexpr Oid text_type = 25;

struct Car {
  std::string owner;
  std::int64_t plate;
  std::optional<std::string> color;
  friend bool operator==(const Car&, const Car&) = default;
};
using Columns = std::vector<RelationColumnText>;
const Columns car_columns{{"owner", text_type, true}, {"plate", int8_type, true}, {"color", text_type, false}};

/// The same table seen otherwise: other fields, another key.
struct Plate {
  std::int64_t plate;
  std::string owner;
  friend bool operator==(const Plate&, const Plate&) = default;
};

struct Note {
  std::int32_t id;
  std::string text;
  friend bool operator==(const Note&, const Note&) = default;
};
const Columns note_columns{{"id", int4_type, true}, {"text", text_type, false}};

struct Attachment {
  std::int32_t id;
  Blob content;
  friend bool operator==(const Attachment&, const Attachment&) = default;
};
const Columns attachment_columns{{"id", int4_type, true}, {"content", text_type, false}};

constexpr Oid cars_oid = 16'400;
constexpr Oid notes_oid = 16'500;
constexpr Oid unknown_oid = 16'600;

std::shared_ptr<const TableShape> shape(const std::string& name, Oid oid, const Columns& columns) {
  TableShape out;
  out.table = {"public", name};
  out.oid = oid;
  for (const RelationColumnText& column : columns)
    out.columns.push_back({.name = column.name,
                           .type = {.oid = column.type_oid, .base = column.type_oid},
                           .in_identity = column.in_identity});
  return std::make_shared<const TableShape>(std::move(out));
}

MessageBuilder cars_relation(const Columns& columns = car_columns) {
  return test::relation_message({"public", "cars"}, 'd', columns, cars_oid);
}
MessageBuilder notes_relation() { return test::relation_message({"public", "notes"}, 'd', note_columns, notes_oid); }

/// A session of the stream over some tables, whose commits are published at once.
class Session {
 public:
  /// The Relation messages are not here: each test says when they come.
  void follow(std::vector<Followed> followed) { buffer.begin_session(std::move(followed)); }

  /// The bytes die with the call: who keeps a view of them is caught by the sanitizer.
  [[nodiscard]] Errc stage(const MessageBuilder& message) {
    const test::ExactBytes bytes(message.bytes());
    wire::Message parsed;
    REQUIRE(wire::parse_message(bytes.view(), parsed) == Errc::ok);
    return buffer.stage(parsed, bytes.view());
  }

  /// Begins a transaction with these messages; each must be allowed.
  void begin(const std::vector<MessageBuilder>& messages) {
    position_ += 0x100;
    REQUIRE(stage(test::begin_message(commit_lsn())) == Errc::ok);
    for (const MessageBuilder& message : messages) REQUIRE(stage(message) == Errc::ok);
  }

  [[nodiscard]] Commit commit() {
    wire::Commit end;
    end.commit_lsn = commit_lsn();
    end.end_lsn = Lsn{position_ + 0x30};
    return buffer.finish(end, Delta::Time::max()).value();
  }

  /// A whole transaction, made visible.
  void transact(const std::vector<MessageBuilder>& messages) {
    begin(messages);
    publish(commit());
  }

  void publish(Commit commit) { store.publish(commit); }

  /// Where the transaction that has begun last commits.
  [[nodiscard]] Lsn commit_lsn() const { return Lsn{position_}; }

  test::MemoryStore store{};
  TransactionBuffer buffer{};

 private:
  std::uint64_t position_ = 0x10'0000;
};

/// Two tables with a row each, of which the stream has said nothing yet.
struct CarsAndNotes : Session {
  CarsAndNotes() { follow_both(); }

  void follow_both() {
    follow({{&cars.table(), shape("cars", cars_oid, car_columns)},
            {&notes.table(), shape("notes", notes_oid, note_columns)}});
  }
  void describe_both() { transact({cars_relation(), notes_relation()}); }

  test::MemoryTable<Car, 2> cars = store.add_with<Car, 2>({{"Alice", 1, "red"}}, "cars");
  test::MemoryTable<Note, 1> notes = store.add_with<Note, 1>({{7, "seven"}}, "notes");
};

/// The rows that readers see, in the order of the key.
template <class MemoryTable>
auto rows(const MemoryTable& table) {
  return table.replica().to_vector();
}

const Car alice{"Alice", 1, "red"};
const Car bob{"Bob", 2, std::nullopt};
const Note seven{7, "seven"};
const Note eight{8, "eight"};

const MessageBuilder insert_bob = test::insert_message({"Bob", 2, null}, cars_oid);
const MessageBuilder insert_eight = test::insert_message({8, "eight"}, notes_oid);

}  // namespace

TEST_CASE("a commit carries the positions and the time of the server's", "[transaction]") {
  CarsAndNotes session;
  REQUIRE(session.stage(test::begin_message(Lsn{0x2000})) == Errc::ok);
  wire::Commit end;
  end.commit_lsn = Lsn{0x2000};
  end.end_lsn = Lsn{0x2030};
  end.commit_time = 86'400'000'001;
  const Commit commit = session.buffer.finish(end, Delta::Time::max()).value();
  CHECK(commit.commit_lsn == Lsn{0x2000});
  CHECK(commit.end_lsn == Lsn{0x2030});
  CHECK(commit.time == std::chrono::sys_days{std::chrono::year{2000} / 1 / 2} + std::chrono::microseconds{1});
}

TEST_CASE("a long transaction becomes a commit in slices, and nothing of it is lost or twice in it", "[transaction]") {
  CarsAndNotes session;
  session.begin({cars_relation(), notes_relation(), insert_bob});
  for (int id = 100; id < 2'100; ++id) REQUIRE(session.stage(test::insert_message({id, "x"}, notes_oid)) == Errc::ok);
  wire::Commit end;
  end.commit_lsn = session.commit_lsn();
  end.end_lsn = Lsn{session.commit_lsn().value() + 0x30};
  const auto expired = std::chrono::steady_clock::now() - std::chrono::seconds{1};
  int slices = 1;
  auto commit = session.buffer.finish(end, expired);
  for (; !commit; commit = session.buffer.finish(end, expired)) ++slices;
  CHECK(slices > 3);
  CHECK(commit->changes.size() == 2);
  session.publish(std::move(*commit));
  CHECK(rows(session.cars) == std::vector{alice, bob});
  CHECK(session.notes.replica().size() == 2'001);
  session.transact({insert_eight});
  CHECK(session.notes.replica().size() == 2'002);
}

TEST_CASE("a table that stops between two slices is not in the commit", "[transaction]") {
  CarsAndNotes session;
  session.begin({cars_relation(), notes_relation(), insert_bob});
  for (int id = 100; id < 2'100; ++id) REQUIRE(session.stage(test::insert_message({id, "x"}, notes_oid)) == Errc::ok);
  wire::Commit end;
  end.commit_lsn = session.commit_lsn();
  end.end_lsn = Lsn{session.commit_lsn().value() + 0x30};
  const auto expired = std::chrono::steady_clock::now() - std::chrono::seconds{1};
  REQUIRE_FALSE(session.buffer.finish(end, expired));
  session.buffer.detach(session.cars.table());
  session.buffer.detach(session.notes.table());
  CHECK(session.buffer.finish(end, expired).value().changes.empty());
}

TEST_CASE("the changes of a transaction to two tables become one commit", "[transaction]") {
  CarsAndNotes session;
  session.begin({cars_relation(), notes_relation(), insert_bob, insert_eight,
                 test::update_message({7, "VII"}, notes_oid), test::delete_message({"Alice", 1, null}, cars_oid)});
  CHECK(rows(session.cars) == std::vector{alice});
  CHECK(rows(session.notes) == std::vector{seven});
  Commit commit = session.commit();
  CHECK(commit.changes.size() == 2);
  CHECK(commit.detached.empty());
  CHECK(commit.rejoined.empty());
  CHECK(rows(session.cars) == std::vector{alice});
  session.publish(std::move(commit));
  CHECK(rows(session.cars) == std::vector{bob});
  CHECK(rows(session.notes) == std::vector{Note{7, "VII"}, eight});
  CHECK(session.buffer.take_faults().empty());
}

TEST_CASE("a table that a transaction does not touch is not in its commit", "[transaction]") {
  CarsAndNotes session;
  session.begin({cars_relation(), notes_relation(), insert_eight});
  const Commit commit = session.commit();
  REQUIRE(commit.changes.size() == 1);
  CHECK(commit.changes[0].table == &session.notes.table());
}

TEST_CASE("a transaction that changes nothing that is followed becomes an empty commit", "[transaction]") {
  CarsAndNotes session;
  session.begin(
      {cars_relation(), test::type_message("mood"), test::origin_message("far"), test::emitted_message(true)});
  CHECK(session.commit().empty());
}

TEST_CASE("one transaction's changes are not in the next one's commit", "[transaction]") {
  CarsAndNotes session;
  session.transact({cars_relation(), notes_relation(), insert_bob});
  session.begin({insert_eight});
  const Commit commit = session.commit();
  REQUIRE(commit.changes.size() == 1);
  CHECK(commit.changes[0].table == &session.notes.table());
}

// Tokens.

/// A message as Token::sql() makes it.
MessageBuilder token_message(std::string_view id, bool transactional = true, std::string_view prefix = "btreemapped") {
  return test::emitted_message(transactional, id, prefix);
}

TEST_CASE("the ids of a transaction's tokens are in its commit, with its changes or without any", "[transaction]") {
  CarsAndNotes session;
  session.buffer.expect_tokens("ours-");
  session.begin({cars_relation(), token_message("ours-1"), insert_bob, token_message("ours-2")});
  Commit commit = session.commit();
  CHECK(commit.tokens == std::vector<std::string>{"ours-1", "ours-2"});
  session.publish(std::move(commit));
  session.begin({token_message("ours-3")});
  commit = session.commit();
  CHECK(commit.empty());
  CHECK(commit.tokens == std::vector<std::string>{"ours-3"});
}

TEST_CASE("a token is in no other commit than its transaction's", "[transaction]") {
  CarsAndNotes session;
  session.buffer.expect_tokens("ours-");
  session.begin({token_message("ours-1")});
  session.begin({});  // the one before came to no end
  CHECK(session.commit().tokens.empty());
  session.begin({token_message("ours-2")});
  session.follow_both();
  session.begin({});
  CHECK(session.commit().tokens.empty());
}

TEST_CASE("messages of other programs, and of other Replicators, are no tokens", "[transaction]") {
  CarsAndNotes session;
  session.buffer.expect_tokens("ours-");
  session.begin({token_message("theirs-1"), token_message("ours"), token_message(""),
                 token_message("ours-1", true, "other"), token_message("ours-1", true, ""),
                 token_message("ours-1", false), token_message("ours-" + std::string(1'000'000, '1')),
                 token_message(std::string_view("\0ours-1", 7)), token_message("x ours-1")});
  CHECK(session.commit().tokens.empty());
}

TEST_CASE("who expects no tokens takes note of none", "[transaction]") {
  CarsAndNotes session;
  session.begin({token_message("anything"), token_message("")});
  CHECK(session.commit().tokens.empty());
}

// Which message is for which table.

TEST_CASE("changes find their table by its number, not by its columns", "[transaction]") {
  Session session;
  const auto first = session.store.add_with<Note, 1>({}, "first");
  const auto second = session.store.add_with<Note, 1>({}, "second");
  session.follow(
      {{&first.table(), shape("first", 1, note_columns)}, {&second.table(), shape("second", 2, note_columns)}});
  session.transact({test::relation_message({"public", "second"}, 'd', note_columns, 2),
                    test::relation_message({"public", "first"}, 'd', note_columns, 1),
                    test::insert_message({7, "seven"}, 1), test::insert_message({8, "eight"}, 2)});
  CHECK(rows(first) == std::vector{seven});
  CHECK(rows(second) == std::vector{eight});
}

TEST_CASE("tables that nobody follows are skipped", "[transaction]") {
  CarsAndNotes session;
  session.transact({test::insert_message({1}, unknown_oid),
                    test::relation_message({"public", "unknown"}, 'n', {{"x", bool_type, false}}, unknown_oid),
                    test::relation_message({"elsewhere", "cars"}, 'f', {{"x", bool_type, true}}, unknown_oid + 1),
                    test::insert_message({"t"}, unknown_oid), test::update_message({"f"}, unknown_oid),
                    test::delete_message({"t"}, unknown_oid), test::truncate_message({unknown_oid, unknown_oid + 1}),
                    cars_relation(), insert_bob});
  CHECK(rows(session.cars) == std::vector{alice, bob});
  CHECK(session.buffer.take_faults().empty());
}

TEST_CASE("a table that is followed as two row types changes both", "[transaction]") {
  Session session;
  const auto cars = session.store.add_with<Car, 2>({{"Alice", 1, "red"}}, "cars");
  const auto plates = session.store.add_with<Plate, 1>({{1, "Alice"}}, "cars");
  const auto both = shape("cars", cars_oid, car_columns);
  session.follow({{&cars.table(), both}, {&plates.table(), both}});
  session.begin({cars_relation(), insert_bob});
  Commit commit = session.commit();
  CHECK(commit.changes.size() == 2);
  session.publish(std::move(commit));
  CHECK(rows(cars) == std::vector{alice, bob});
  CHECK(rows(plates) == std::vector{Plate{1, "Alice"}, Plate{2, "Bob"}});
  session.transact({test::truncate_message({cars_oid})});
  CHECK(rows(cars).empty());
  CHECK(rows(plates).empty());
}

TEST_CASE("a truncate empties all tables that it names", "[transaction]") {
  CarsAndNotes session;
  session.transact({cars_relation(), notes_relation(), test::truncate_message({unknown_oid, notes_oid, cars_oid})});
  CHECK(rows(session.cars).empty());
  CHECK(rows(session.notes).empty());
}

TEST_CASE("a truncate amid a transaction takes what came before and leaves what comes after", "[transaction]") {
  CarsAndNotes session;
  session.transact({cars_relation(), notes_relation(), insert_eight, insert_bob, test::truncate_message({notes_oid}),
                    test::insert_message({9, "nine"}, notes_oid)});
  CHECK(rows(session.notes) == std::vector{Note{9, "nine"}});
  CHECK(rows(session.cars) == std::vector{alice, bob});
}

TEST_CASE("columns are found by name in the newest description, also amid a transaction", "[transaction]") {
  CarsAndNotes session;
  session.transact({cars_relation(), insert_bob,
                    cars_relation({{"added", bool_type, false}, car_columns[2], car_columns[1], car_columns[0]}),
                    test::insert_message({"t", "blue", 3, "Carol"}, cars_oid)});
  CHECK(rows(session.cars) == std::vector{alice, bob, Car{"Carol", 3, "blue"}});
  CHECK(session.buffer.take_faults().empty());
}

TEST_CASE("the same description once more is no change", "[transaction]") {
  CarsAndNotes session;
  session.transact({cars_relation(), insert_bob, cars_relation(), cars_relation()});
  CHECK(rows(session.cars) == std::vector{alice, bob});
  CHECK(session.buffer.take_faults().empty());
}

TEST_CASE("a row change of a followed table before its description is a violation", "[transaction]") {
  for (const MessageBuilder& change :
       {insert_bob, test::update_message({"Alice", 1, "blue"}, cars_oid),
        test::delete_message({"Alice", 1, null}, cars_oid), test::truncate_message({cars_oid}),
        test::truncate_message({unknown_oid, cars_oid})}) {
    INFO(change.bytes()[0]);
    CarsAndNotes session;
    session.begin({notes_relation(), insert_eight});
    CHECK(session.stage(change) != Errc::ok);
  }
}

TEST_CASE("the description of a followed table is remarked, that of another is not", "[transaction]") {
  CarsAndNotes session;
  CHECK_FALSE(session.buffer.take_relation_seen());
  session.begin({test::relation_message({"public", "unknown"}, 'd', note_columns, unknown_oid)});
  CHECK_FALSE(session.buffer.take_relation_seen());
  for (int i = 0; i < 2; ++i) {
    REQUIRE(session.stage(cars_relation()) == Errc::ok);
    CHECK(session.buffer.take_relation_seen());
    CHECK_FALSE(session.buffer.take_relation_seen());
  }
  REQUIRE(session.stage(insert_bob) == Errc::ok);
  CHECK_FALSE(session.buffer.take_relation_seen());
}

// What is half received.

TEST_CASE("a half transaction is forgotten when the next one begins", "[transaction]") {
  CarsAndNotes session;
  session.begin({cars_relation(), notes_relation(), insert_bob});
  session.begin({insert_eight});
  session.publish(session.commit());
  CHECK(rows(session.cars) == std::vector{alice});
  CHECK(rows(session.notes) == std::vector{seven, eight});
}

TEST_CASE("a new session forgets half a transaction, descriptions and faults of the one before", "[transaction]") {
  CarsAndNotes session;
  session.begin({cars_relation(), notes_relation(), insert_bob, test::insert_message({7, "again"}, notes_oid),
                 test::update_message({8, "none"}, notes_oid)});
  session.follow_both();
  CHECK(session.buffer.take_faults().empty());
  session.begin({});
  CHECK(session.commit().empty());
  session.begin({});
  CHECK(session.stage(insert_bob) != Errc::ok);
  // A table that had stopped follows again.
  session.transact({notes_relation(), insert_eight});
  CHECK(rows(session.notes) == std::vector{seven, eight});
  CHECK(rows(session.cars) == std::vector{alice});
}

TEST_CASE("a session may follow other tables than the one before", "[transaction]") {
  CarsAndNotes session;
  session.describe_both();
  session.follow({{&session.notes.table(), shape("notes", notes_oid, note_columns)}});
  session.transact({cars_relation(), insert_bob, notes_relation(), insert_eight});
  CHECK(rows(session.cars) == std::vector{alice});
  CHECK(rows(session.notes) == std::vector{seven, eight});
}

TEST_CASE("a session may follow nothing", "[transaction]") {
  CarsAndNotes session;
  session.describe_both();
  session.begin({insert_bob});
  session.follow({});
  CHECK(session.commit().empty());
  session.begin({insert_bob, test::truncate_message({cars_oid})});
  CHECK(session.commit().empty());
}

// What a table cannot take in.

TEST_CASE("what one table cannot take in stops that table only", "[transaction]") {
  struct Case {
    std::string name{};
    MessageBuilder change{'I'};
    std::string column{};
    Errc code = Errc::ok;
    bool healable = true;
  };
  const Case cases[] = {
      {"a null for a field that is not optional", test::insert_message({9, null}, notes_oid), "text",
       Errc::unexpected_null, false},
      {"text that is no number", test::insert_message({"secret", "nine"}, notes_oid), "id", Errc::invalid_text, false},
      {"a number that does not fit", test::insert_message({"31415926535", "nine"}, notes_oid), "id", Errc::out_of_range,
       false},
      {"text that is not UTF-8", test::insert_message({9, "secret\xFF"}, notes_oid), "text", Errc::invalid_encoding,
       false},
      {"a long value that is nowhere", test::insert_message({9, unchanged}, notes_oid), "text", Errc::value_not_sent,
       true},
      {"another number of columns", test::insert_message({9, "secret", 1}, notes_oid), "", Errc::column_count, true},
      {"an update of a row that is not held", test::update_message({9, "secret"}, notes_oid), "", Errc::row_not_held,
       true},
      {"a delete of a row that is not held", test::delete_message({9, null}, notes_oid), "", Errc::row_not_held, true},
      {"an old row without its key", test::delete_message({null, null}, notes_oid), "id", Errc::missing_key, true},
      {"a key that is held twice at the end", test::insert_message({7, "secret"}, notes_oid), "", Errc::duplicate_key,
       true},
  };
  for (const Case& each : cases) {
    INFO(each.name);
    CarsAndNotes session;
    session.describe_both();
    session.begin({insert_eight, insert_bob, each.change, test::update_message({"Alice", 1, "blue"}, cars_oid)});
    Commit commit = session.commit();
    const std::vector<Fault> faults = session.buffer.take_faults();
    REQUIRE(faults.size() == 1);
    CHECK(faults[0].table == &session.notes.table());
    CHECK(faults[0].column == each.column);
    CHECK(faults[0].lsn == session.commit_lsn());
    CHECK(faults[0].healable == each.healable);
    CHECK_THAT(faults[0].what, ContainsSubstring(std::string(btreemapped::describe(each.code))));
    CHECK_THAT(faults[0].what, !ContainsSubstring("secret") && !ContainsSubstring("31415926535"));
    CHECK(session.buffer.take_faults().empty());

    const TableState state = each.healable ? TableState::stale : TableState::failed;
    CHECK(commit.detached == Detached{{&session.notes.table(), state}});
    REQUIRE(commit.changes.size() == 1);
    CHECK(commit.changes[0].table == &session.cars.table());
    session.publish(std::move(commit));
    CHECK(rows(session.notes) == std::vector{seven});
    CHECK(rows(session.cars) == std::vector{Car{"Alice", 1, "blue"}, bob});
    CHECK(session.notes.replica().state() == state);
    CHECK(session.cars.replica().state() == btreemapped::TableState::live);
  }
}

TEST_CASE("a table that runs out of memory stops alone", "[transaction]") {
  CarsAndNotes session;
  const auto attachments = session.store.add_with<Attachment, 1>({{1, "small"}}, "attachments");
  session.follow({{&attachments.table(), shape("attachments", 1, attachment_columns)},
                  {&session.cars.table(), shape("cars", cars_oid, car_columns)}});
  session.begin({test::relation_message({"public", "attachments"}, 'd', attachment_columns, 1), cars_relation(),
                 test::insert_message({2, "too much"}, 1), insert_bob});
  Commit commit = session.commit();
  const std::vector<Fault> faults = session.buffer.take_faults();
  REQUIRE(faults.size() == 1);
  CHECK(faults[0].table == &attachments.table());
  CHECK(faults[0].healable);
  CHECK_THAT(faults[0].what, ContainsSubstring("memory"));
  CHECK(commit.detached == Detached{{&attachments.table()}});
  session.publish(std::move(commit));
  CHECK(rows(attachments) == std::vector{Attachment{1, {"small"}}});
  CHECK(rows(session.cars) == std::vector{alice, bob});
}

TEST_CASE("a table that has stopped is skipped from then on, and said once", "[transaction]") {
  CarsAndNotes session;
  session.describe_both();
  session.transact({test::insert_message({9, null}, notes_oid), test::insert_message({9, null}, notes_oid)});
  CHECK(session.buffer.take_faults().size() == 1);
  session.begin({notes_relation(), test::insert_message({9, null}, notes_oid), test::truncate_message({notes_oid}),
                 test::delete_message({9, null}, notes_oid), insert_bob});
  Commit commit = session.commit();
  CHECK(commit.detached.empty());
  CHECK(commit.changes.size() == 1);
  session.publish(std::move(commit));
  CHECK(session.buffer.take_faults().empty());
  CHECK(rows(session.notes) == std::vector{seven});
  CHECK(rows(session.cars) == std::vector{alice, bob});
}

TEST_CASE("each table that stops in a transaction is named", "[transaction]") {
  CarsAndNotes session;
  session.describe_both();
  session.begin({test::insert_message({9, null}, notes_oid), test::insert_message({null, 1, null}, cars_oid)});
  const Commit commit = session.commit();
  CHECK(commit.changes.empty());
  CHECK(commit.detached.size() == 2);
  CHECK_FALSE(commit.empty());
  std::vector<std::string> columns;
  for (const Fault& fault : session.buffer.take_faults()) columns.push_back(fault.column);
  CHECK(columns == std::vector<std::string>{"text", "owner"});
}

TEST_CASE("of two row types of one table only the one that cannot hold the row stops", "[transaction]") {
  Session session;
  const auto cars = session.store.add_with<Car, 2>({{"Alice", 1, "red"}}, "cars");
  const auto plates = session.store.add_with<Plate, 1>({{1, "Alice"}}, "cars");
  const auto both = shape("cars", cars_oid, car_columns);
  session.follow({{&cars.table(), both}, {&plates.table(), both}});
  // Two owners of one plate: fine for the key of one, not of the other.
  session.transact({cars_relation(), test::insert_message({"Bob", 1, null}, cars_oid)});
  const std::vector<Fault> faults = session.buffer.take_faults();
  REQUIRE(faults.size() == 1);
  CHECK(faults[0].table == &plates.table());
  CHECK(rows(cars) == std::vector{alice, Car{"Bob", 1, std::nullopt}});
  CHECK(rows(plates) == std::vector{Plate{1, "Alice"}});
}

TEST_CASE("a fault before the first transaction of a session names no position of the session before",
          "[transaction]") {
  CarsAndNotes session;
  session.transact({cars_relation(), insert_bob});
  session.follow_both();
  // As in a transaction that the copy holds already, of which only the descriptions are taken in.
  REQUIRE(session.stage(cars_relation({{"owner", text_type, true}})) == Errc::ok);
  const std::vector<Fault> faults = session.buffer.take_faults();
  REQUIRE(faults.size() == 1);
  CHECK(faults[0].lsn == Lsn{});
}

// A table that is no longer what was copied.

TEST_CASE("a table that no longer looks as it was copied stops", "[transaction]") {
  struct Case {
    std::string name{};
    MessageBuilder relation{'R'};
    std::string column{};
  };
  const Columns retyped{car_columns[0], {"plate", int4_type, true}, car_columns[2]};
  const Columns without{car_columns[0], car_columns[1]};
  const Columns renamed{car_columns[0], car_columns[1], {"colour", text_type, false}};
  const Columns other_identity{car_columns[0], {"plate", int8_type, false}, car_columns[2]};
  const Case cases[] = {
      {"a mapped column has another type", cars_relation(retyped), "plate"},
      {"a mapped column is gone", cars_relation(without), "color"},
      {"a mapped column has another name", cars_relation(renamed), "color"},
      {"the identity lacks a key column", cars_relation(other_identity), "plate"},
      {"the table has another name", test::relation_message({"public", "vehicles"}, 'd', car_columns, cars_oid), ""},
      {"the table is in another schema", test::relation_message({"garage", "cars"}, 'd', car_columns, cars_oid), ""},
      {"another table has its name", test::relation_message({"public", "cars"}, 'd', car_columns, unknown_oid), ""},
  };
  for (const Case& each : cases) {
    INFO(each.name);
    CarsAndNotes session;
    session.describe_both();
    session.begin({insert_bob, insert_eight, each.relation, test::insert_message({"Carol", 3, null}, cars_oid),
                   test::insert_message({"Carol", 3, null}, unknown_oid)});
    Commit commit = session.commit();
    const std::vector<Fault> faults = session.buffer.take_faults();
    REQUIRE(faults.size() == 1);
    CHECK(faults[0].table == &session.cars.table());
    CHECK(faults[0].column == each.column);
    CHECK(faults[0].lsn == session.commit_lsn());
    CHECK(faults[0].healable);
    CHECK_FALSE(faults[0].what.empty());
    CHECK(commit.detached == Detached{{&session.cars.table()}});
    session.publish(std::move(commit));
    CHECK(rows(session.cars) == std::vector{alice});
    CHECK(rows(session.notes) == std::vector{seven, eight});
  }
}

TEST_CASE("a description may not fit from the first one on", "[transaction]") {
  CarsAndNotes session;
  session.begin({cars_relation({car_columns[0], car_columns[1]}), insert_bob});
  CHECK(session.commit().detached == Detached{{&session.cars.table()}});
}

TEST_CASE("two followed tables that swap their names both stop at the first sign of it", "[transaction]") {
  Session session;
  const auto first = session.store.add_with<Note, 1>({{7, "seven"}}, "first");
  const auto second = session.store.add_with<Note, 1>({{8, "eight"}}, "second");
  session.follow(
      {{&first.table(), shape("first", 1, note_columns)}, {&second.table(), shape("second", 2, note_columns)}});
  session.transact({test::relation_message({"public", "first"}, 'd', note_columns, 1),
                    test::relation_message({"public", "second"}, 'd', note_columns, 2)});
  session.begin(
      {test::relation_message({"public", "second"}, 'd', note_columns, 1), test::insert_message({9, "nine"}, 1)});
  Commit commit = session.commit();
  CHECK(commit.changes.empty());
  CHECK(commit.detached.size() == 2);
  CHECK(session.buffer.take_faults().size() == 2);
}

TEST_CASE("a switch to the identity of the whole row is no reason to stop", "[transaction]") {
  CarsAndNotes session;
  session.describe_both();
  Columns all = note_columns;
  for (RelationColumnText& column : all) column.in_identity = true;
  session.transact({test::relation_message({"public", "notes"}, 'f', all, notes_oid),
                    MessageBuilder('U').u32(notes_oid).tuple('O', {7, "seven"}).tuple('N', {7, "VII"})});
  CHECK(session.buffer.take_faults().empty());
  CHECK(rows(session.notes) == std::vector{Note{7, "VII"}});
}

}  // namespace transaction_test
