#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <map>
#include <memory>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include <catch2/catch_test_macros.hpp>

#include <btreemapped/detail/column_map.hpp>
#include <btreemapped/detail/table.hpp>
#include <btreemapped/detail/typed_verification.hpp>
#include <btreemapped/lsn.hpp>
#include <btreemapped/state.hpp>

#include <support/memory_table.hpp>
#include <support/random.hpp>

namespace {

using namespace btreemapped;
using test::Cells;
using test::null;

struct Item {
  std::int32_t id;
  std::string text;
};

using Rows = std::map<int, std::string>;
using Keys = std::vector<int>;

Cells cells(int id, const std::string& text) { return {id, text}; }

/// A table that is compared with what a server would send.
class Fixture {
 public:
  explicit Fixture(const Rows& rows = {}, std::size_t max_keys = 1'000, std::size_t max_bytes = 1'000'000)
      : table(store.add_with<Item, 1>(all(rows))),
        verification(std::dynamic_pointer_cast<Verification>(table.table().make_verification(max_keys, max_bytes))) {}

  void begin() { table.table().set_journal(verification->journal()); }

  /// Publishes what `change` stages; returns where it commits.
  template <class Change>
  Lsn commit(Change&& change) {
    auto changes = table.change();
    change(changes);
    if (changes.seal()) throw std::logic_error("the test's changes cannot be sealed");
    auto made = store.next_commit();
    made.changes.push_back({&table.table(), changes.take()});
    const Lsn at = made.commit_lsn;
    store.publish(made);
    return at;
  }

  /// Reads the server's rows, as they were at `position`, with `between` called before each.
  template <class Between>
  void read(const Rows& rows, Lsn position, Between&& between) {
    const auto reader = verification->reader(map_copied(), position);
    do {
      for (const auto& [id, text] : rows) {
        between();
        if (table.copy_row(*reader, cells(id, text))) throw std::logic_error("the test's row cannot be read");
      }
    } while (reader->wants_another_pass());
    std::unique_ptr<detail::Delta> none;
    reader->arrange();
    if (reader->finish(none, [] {}) || none != nullptr) throw std::logic_error("a comparison changes nothing");
  }
  void read(const Rows& rows, Lsn position) {
    read(rows, position, [] {});
  }

  [[nodiscard]] Keys missing() const { return keys(verification->keys().missing); }
  [[nodiscard]] Keys extra() const { return keys(verification->keys().extra); }
  [[nodiscard]] Keys different() const { return keys(verification->keys().different); }
  [[nodiscard]] bool equal() const {
    const auto& outcome = verification->outcome();
    return outcome.why.empty() && outcome.missing + outcome.extra + outcome.different == 0;
  }

  using Verification = detail::TypedVerification<Item, 1>;

  test::MemoryStore store{};
  test::MemoryTable<Item, 1> table;
  std::shared_ptr<Verification> verification;

 private:
  static std::vector<Cells> all(const Rows& rows) {
    std::vector<Cells> out;
    for (const auto& [id, text] : rows) out.push_back(cells(id, text));
    return out;
  }
  static Keys keys(const std::vector<Verification::Key>& keys) {
    Keys out;
    for (const auto& key : keys) out.push_back(std::get<0>(key));
    std::sort(out.begin(), out.end());
    return out;
  }
  [[nodiscard]] detail::ColumnMap map_copied() const {
    detail::ColumnMap map = table.map();
    return map;
  }
};

}  // namespace

TEST_CASE("a copy that is equal is found equal", "[verification]") {
  Fixture fixture({{1, "a"}, {2, "b"}});
  fixture.begin();
  fixture.read({{1, "a"}, {2, "b"}}, Lsn{1'000});
  CHECK(fixture.equal());
  CHECK(fixture.verification->outcome().rows == 2);
  CHECK(fixture.verification->outcome().lsn == Lsn{1'000});
}

TEST_CASE("rows that are missing, too many or different are found by their keys", "[verification]") {
  Fixture fixture({{1, "a"}, {2, "b"}, {3, "c"}, {5, "e"}});
  fixture.begin();
  fixture.read({{1, "a"}, {2, "B"}, {4, "d"}, {5, "e"}}, Lsn{1'000});
  CHECK(fixture.missing() == Keys{4});
  CHECK(fixture.extra() == Keys{3});
  CHECK(fixture.different() == Keys{2});
}

TEST_CASE("what commits after the position does not count, whatever it is", "[verification]") {
  Fixture fixture({{1, "a"}, {2, "b"}, {3, "c"}, {4, "d"}});
  fixture.begin();
  const Rows before{{1, "a"}, {2, "b"}, {3, "c"}, {4, "d"}};
  Lsn position{};
  SECTION("an insert") {
    position = fixture.commit([](auto& changes) { REQUIRE_FALSE(changes.insert({9, "new"})); });
  }
  SECTION("an update, twice") {
    position = fixture.commit([](auto& changes) { REQUIRE_FALSE(changes.update({1, "once"})); });
    fixture.commit([](auto& changes) { REQUIRE_FALSE(changes.update({1, "twice"})); });
  }
  SECTION("a delete, and another row of that key") {
    position = fixture.commit([](auto& changes) { REQUIRE_FALSE(changes.erase_by_key({1, null})); });
    fixture.commit([](auto& changes) { REQUIRE_FALSE(changes.insert({1, "again"})); });
  }
  SECTION("a moved key") {
    position = fixture.commit([](auto& changes) { REQUIRE_FALSE(changes.update_by_key({1, null}, {7, "a"})); });
  }
  SECTION("a truncate, and then more") {
    position = fixture.commit([](auto& changes) { REQUIRE_FALSE(changes.update({2, "bb"})); });
    fixture.commit([](auto& changes) {
      changes.truncate();
      REQUIRE_FALSE(changes.insert({1, "x"}));
    });
    fixture.commit([](auto& changes) { REQUIRE_FALSE(changes.insert({2, "y"})); });
  }
  fixture.read(before, position);
  CHECK(fixture.equal());
}

TEST_CASE("what commits before the position counts", "[verification]") {
  Fixture fixture({{1, "a"}});
  fixture.begin();
  fixture.commit([](auto& changes) { REQUIRE_FALSE(changes.insert({2, "b"})); });
  const Lsn last = fixture.commit([](auto& changes) { REQUIRE_FALSE(changes.update({1, "aa"})); });
  fixture.read({{1, "aa"}, {2, "b"}}, Lsn{last.value() + 1});
  CHECK(fixture.equal());
}

TEST_CASE("the differences are counted even where there is no room for their keys", "[verification]") {
  Fixture fixture({{1, "a"}, {2, "b"}, {3, "c"}}, 1);
  fixture.begin();
  fixture.read({{3, "x"}, {4, "d"}, {5, "e"}}, Lsn{1'000});
  CHECK(fixture.verification->outcome().missing == 2);
  CHECK(fixture.verification->outcome().extra == 2);
  CHECK(fixture.verification->outcome().different == 1);
  CHECK(fixture.missing().size() == 1);
  CHECK(fixture.extra().size() == 1);
}

TEST_CASE("a table that stops following meanwhile is not judged", "[verification]") {
  Fixture fixture({{1, "a"}});
  fixture.begin();
  fixture.store.store().mark_stale(detail::Store::Clock::now());
  fixture.read({{1, "a"}}, Lsn{1'000});
  CHECK_FALSE(fixture.verification->outcome().why.empty());
}

TEST_CASE("a table of which more changes meanwhile than may be kept is not judged", "[verification]") {
  Fixture fixture({{1, "a"}}, 10, 1'000);
  fixture.begin();
  Lsn position{};
  for (int i = 0; i < 100; ++i) {
    const Lsn at = fixture.commit([&](auto& changes) { REQUIRE_FALSE(changes.update({1, std::to_string(i)})); });
    if (i == 0) position = at;
  }
  fixture.read({{1, "a"}}, position);
  CHECK(fixture.verification->outcome().why.find("max_log_bytes") != std::string::npos);
}

TEST_CASE("the memory of the notes is counted with the values that they keep, until they are taken off",
          "[verification]") {
  Fixture fixture({{1, std::string(1'000, 'x')}, {2, std::string(1'000, 'y')}});
  CHECK(fixture.table.table().journal_bytes() == 0);
  fixture.begin();
  static_cast<void>(fixture.commit([](auto& changes) {
    REQUIRE_FALSE(changes.update(cells(1, "short")));
    REQUIRE_FALSE(changes.erase_by_key({2, null}));
  }));
  CHECK(fixture.table.table().journal_bytes() > 2'000);
  CHECK(fixture.table.table().journal_bytes() < 4'000);
  fixture.table.table().set_journal(nullptr);
  CHECK(fixture.table.table().journal_bytes() == 0);
}

TEST_CASE("under any load exactly the planted differences are found", "[verification][random]") {
  auto generator = test::seeded_generator("typed_verification");
  const auto below = [&](int limit) {
    return static_cast<int>(test::below(generator, static_cast<std::uint64_t>(limit)));
  };
  for (int round = 0; round < 200; ++round) {
    CAPTURE(round);
    Rows source;
    for (int i = 0; i < below(600); ++i) source[i * 2] = "start";
    Rows served = source;
    Keys missing, extra, different;
    for (int i = 0; i < below(4); ++i) {
      const int key = below(1'200);
      switch (below(3)) {
        case 0: served.erase(key); break;
        case 1: served[key] = "planted"; break;
        default: served.emplace(key, "more"); break;
      }
    }
    Fixture fixture(served);
    fixture.begin();
    // The same statements for both sides, each meaning what it means there: as a stream does, only what both sides know
    // is touched.
    const auto write = [&] {
      const bool truncates = below(40) == 0;
      if (truncates) {
        source.clear();
        served.clear();
      }
      return fixture.commit([&](auto& changes) {
        if (truncates) changes.truncate();
        for (int i = 0; i < 1 + below(5); ++i) {
          const int key = below(1'200);
          const bool both = source.contains(key) && served.contains(key);
          const bool none = !source.contains(key) && !served.contains(key);
          const std::string text = std::to_string(below(1'000));
          if (none) {
            REQUIRE_FALSE(changes.insert({key, text}));
            source[key] = served[key] = text;
          } else if (both && below(3) == 0) {
            REQUIRE_FALSE(changes.erase_by_key({key, null}));
            source.erase(key);
            served.erase(key);
          } else if (both) {
            REQUIRE_FALSE(changes.update({key, text}));
            source[key] = served[key] = text;
          }
        }
      });
    };
    for (int i = 0; i < below(5); ++i) write();
    const Rows source_then = source;
    const Rows served_then = served;
    for (const auto& [key, text] : source_then) {
      const auto held = served_then.find(key);
      if (held == served_then.end()) missing.push_back(key);
      else if (held->second != text) different.push_back(key);
    }
    for (const auto& [key, text] : served_then)
      if (!source_then.contains(key)) extra.push_back(key);
    const Lsn position = write();
    for (int i = 0; i < below(5); ++i) write();
    fixture.read(source_then, position, [&] {
      if (below(10) == 0) write();
    });
    CHECK(fixture.verification->outcome().why.empty());
    CHECK(fixture.missing() == missing);
    CHECK(fixture.extra() == extra);
    CHECK(fixture.different() == different);
  }
}
