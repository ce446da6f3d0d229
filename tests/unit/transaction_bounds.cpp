#include <chrono>
#include <cstddef>
#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include <catch2/catch_test_macros.hpp>
#include <catch2/matchers/catch_matchers.hpp>
#include <catch2/matchers/catch_matchers_string.hpp>

#include <btreemapped/change.hpp>
#include <btreemapped/detail/fault.hpp>
#include <btreemapped/detail/shape.hpp>
#include <btreemapped/detail/table.hpp>
#include <btreemapped/detail/transaction.hpp>
#include <btreemapped/detail/wire/message.hpp>
#include <btreemapped/error.hpp>
#include <btreemapped/lsn.hpp>
#include <btreemapped/replica.hpp>
#include <btreemapped/state.hpp>

#include <support/memory_table.hpp>
#include <support/messages.hpp>

namespace transaction_bounds_test {
namespace {

using btreemapped::Errc;
using btreemapped::Lsn;
using btreemapped::Oid;
using btreemapped::TableState;
using btreemapped::detail::Commit;
using btreemapped::detail::Delta;
using btreemapped::detail::Fault;
using btreemapped::detail::TableShape;
using btreemapped::detail::TransactionBuffer;
using Catch::Matchers::ContainsSubstring;
using test::MessageBuilder;
using test::null;
using test::unchanged;
namespace wire = btreemapped::detail::wire;

constexpr std::size_t bound = 100'000;
constexpr Oid lefts_oid = 16'400;
constexpr Oid rights_oid = 16'401;
constexpr Oid others_oid = 16'402;

struct Note {
  std::int32_t id;
  std::string text;
  friend bool operator==(const Note&, const Note&) = default;
};
using Notes = std::vector<Note>;
const std::vector<test::RelationColumnText> columns{{"id", 23, true}, {"text", 25, false}};

/// A stream that follows three tables with one row each.
struct Stream {
  explicit Stream(std::size_t max_bytes = bound) : buffer(max_bytes) {
    buffer.begin_session({{&lefts.table(), shape("lefts", lefts_oid)},
                          {&rights.table(), shape("rights", rights_oid)},
                          {&others.table(), shape("others", others_oid)}});
    begin();
    for (const auto& [name, oid] : {std::pair{"lefts", lefts_oid}, {"rights", rights_oid}, {"others", others_oid}})
      stage(test::relation_message({"public", name}, 'd', columns, oid));
    commit();
  }

  static std::shared_ptr<const TableShape> shape(const std::string& name, Oid oid) {
    TableShape out;
    out.table = {"public", name};
    out.oid = oid;
    for (const test::RelationColumnText& column : columns)
      out.columns.push_back({.name = column.name,
                             .type = {.oid = column.type_oid, .base = column.type_oid},
                             .in_identity = column.in_identity});
    return std::make_shared<const TableShape>(std::move(out));
  }

  void stage(const MessageBuilder& message) {
    wire::Message parsed;
    REQUIRE(wire::parse_message(message.bytes(), parsed) == Errc::ok);
    REQUIRE(buffer.stage(parsed, message.bytes()) == Errc::ok);
  }

  void begin() {
    position += 0x100;
    stage(test::begin_message(Lsn{position}));
  }

  void commit() {
    wire::Commit end;
    end.commit_lsn = Lsn{position};
    end.end_lsn = Lsn{position + 0x30};
    Commit made = buffer.finish(end, Delta::Time::max()).value();
    last_detached = made.detached;
    store.publish(made);
  }

  void insert(int id, std::size_t size, Oid oid) { stage(test::insert_message({id, std::string(size, 'x')}, oid)); }

  test::MemoryStore store{};
  test::MemoryTable<Note, 1> lefts = store.add_with<Note, 1>({{1, "one"}}, "lefts");
  test::MemoryTable<Note, 1> rights = store.add_with<Note, 1>({{1, "one"}}, "rights");
  test::MemoryTable<Note, 1> others = store.add_with<Note, 1>({{1, "one"}}, "others");
  TransactionBuffer buffer;
  std::uint64_t position = 0x10'0000;
  std::vector<Commit::Detached> last_detached{};
};

const Notes one{{1, "one"}};

}  // namespace

TEST_CASE("a transaction over the bound stops what it touched before and after, at the commit before it",
          "[transaction]") {
  Stream stream;
  const Lsn before = stream.store.store().lsn();
  stream.begin();
  stream.insert(2, 10, lefts_oid);
  for (int id = 3; id < 13; ++id) stream.insert(id, bound / 10, lefts_oid);
  stream.insert(2, 10, rights_oid);
  stream.commit();

  CHECK(stream.last_detached == std::vector<Commit::Detached>{{&stream.lefts.table(), TableState::stale},
                                                              {&stream.rights.table(), TableState::stale}});
  for (const auto* const table : {&stream.lefts, &stream.rights}) {
    CHECK(table->replica().to_vector() == one);
    CHECK(table->replica().state() == TableState::stale);
    CHECK(table->replica().lsn() == before);
  }
  CHECK(stream.others.replica().state() == TableState::live);
  CHECK(stream.others.replica().lsn() == Lsn{stream.position + 0x30});
}

TEST_CASE("the others go on after a transaction over the bound", "[transaction]") {
  Stream stream;
  stream.begin();
  stream.insert(2, 2 * bound, lefts_oid);
  stream.commit();
  stream.begin();
  stream.insert(2, 1, lefts_oid);
  stream.insert(2, 1, others_oid);
  stream.commit();
  CHECK(stream.lefts.replica().to_vector() == one);
  CHECK(stream.others.replica().to_vector() == Notes{{1, "one"}, {2, "x"}});
}

TEST_CASE("the fault of a transaction over the bound names the bound, the size and the option", "[transaction]") {
  Stream stream;
  stream.begin();
  stream.insert(2, bound, lefts_oid);
  stream.stage(test::truncate_message({rights_oid}));
  stream.commit();
  const std::vector<Fault> faults = stream.buffer.take_faults();
  REQUIRE(faults.size() == 2);
  for (const Fault& fault : faults) {
    CHECK(fault.oversized);
    CHECK(fault.healable);
    CHECK(fault.lsn == Lsn{stream.position});
    CHECK_THAT(fault.what, ContainsSubstring("Options::max_transaction_bytes, which is 100000 bytes"));
    CHECK_THAT(fault.what,
               ContainsSubstring("when it had come to 1002") || ContainsSubstring("when it had come to 1003"));
  }
}

TEST_CASE("what is dropped takes no memory any more, and the next transaction begins at nothing", "[transaction]") {
  Stream stream;
  stream.begin();
  stream.insert(2, bound - 1'000, lefts_oid);
  CHECK(stream.buffer.bytes() > bound - 1'000);
  stream.insert(3, 1'000, lefts_oid);
  CHECK(stream.buffer.bytes() == 0);
  stream.insert(2, bound - 1'000, rights_oid);
  CHECK(stream.buffer.bytes() == 0);
  stream.commit();
  stream.begin();
  stream.insert(2, bound - 1'000, others_oid);
  stream.commit();
  CHECK(stream.others.replica().size() == 2);
}

TEST_CASE("a transaction under the bound is applied, and so are many of them", "[transaction]") {
  Stream stream;
  for (int id = 2; id < 12; ++id) {
    stream.begin();
    stream.insert(id, bound / 2, lefts_oid);
    stream.commit();
  }
  CHECK(stream.lefts.replica().size() == 11);
  CHECK(stream.buffer.take_faults().empty());
}

TEST_CASE("a row that is changed over and over, or goes again, counts once", "[transaction]") {
  Stream stream;
  stream.begin();
  stream.insert(2, 1'000, lefts_oid);
  const std::size_t once = stream.buffer.bytes();
  for (int i = 0; i < 1'000; ++i) stream.stage(test::update_message({2, std::string(1'000, 'y')}, lefts_oid));
  CHECK(stream.buffer.bytes() == once);
  stream.stage(test::delete_message({2, null}, lefts_oid));
  CHECK(stream.buffer.bytes() < once - 1'000);
  stream.insert(2, 1'000, lefts_oid);
  CHECK(stream.buffer.bytes() == once);
  stream.stage(test::truncate_message({lefts_oid}));
  CHECK(stream.buffer.bytes() == 0);
}

TEST_CASE("a value that an update leaves as it is counts, too, as it is held twice until the commit", "[transaction]") {
  Stream stream;
  stream.begin();
  stream.insert(2, bound / 2, lefts_oid);
  stream.commit();
  stream.begin();
  stream.stage(test::update_message({2, unchanged}, lefts_oid));
  CHECK(stream.buffer.bytes() > bound / 2);
}

TEST_CASE("small rows count with what they take beside their text", "[transaction]") {
  Stream stream(std::size_t{10} << 20);
  stream.begin();
  for (int id = 2; id < 1'002; ++id) stream.insert(id, 1, lefts_oid);
  CHECK(stream.buffer.bytes() > 1'000 * (sizeof(Note) + 100));
  CHECK(stream.buffer.bytes() < 1'000 * (sizeof(Note) + 500));
}

TEST_CASE("a lost stream forgets a transaction over the bound", "[transaction]") {
  Stream stream;
  stream.begin();
  stream.insert(2, bound, lefts_oid);
  stream.buffer.begin_session({{&stream.lefts.table(), Stream::shape("lefts", lefts_oid)}});
  CHECK(stream.buffer.take_faults().empty());
  CHECK(stream.buffer.follows(stream.lefts.table()));
  stream.begin();
  stream.stage(test::relation_message({"public", "lefts"}, 'd', columns, lefts_oid));
  stream.insert(2, 1, lefts_oid);
  stream.commit();
  CHECK(stream.lefts.replica().size() == 2);
}

}  // namespace transaction_bounds_test
