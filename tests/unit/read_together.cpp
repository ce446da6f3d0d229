#include <cstdint>
#include <memory>
#include <stdexcept>
#include <string>
#include <type_traits>
#include <utility>

#include <catch2/catch_test_macros.hpp>

#include <btreemapped/error.hpp>
#include <btreemapped/replica.hpp>

#include <support/memory_table.hpp>

namespace {

using namespace btreemapped;

struct Account {
  std::int64_t id;
  std::int64_t cents;
};

struct Branch {
  std::string name;
  std::int64_t cents;
};

using Accounts = test::MemoryTable<Account, 1>;
using Branches = test::MemoryTable<Branch, 1>;

/// Publishes a commit at which the table fails, so that it stays behind.
template <class Table>
void fail(test::MemoryStore& store, const Table& table) {
  auto commit = store.next_commit();
  commit.detached.push_back({&table.table()});
  store.publish(commit);
}

}  // namespace

TEST_CASE("several replicas are read at one commit, and the function's result is returned", "[read]") {
  test::MemoryStore store;
  const auto accounts = store.add_with<Account, 1>({{1, 70}, {2, 30}}, "accounts").replica();
  const auto branches = store.add_with<Branch, 1>({{"main", 100}}, "branches").replica();
  const std::int64_t difference = read(accounts, branches, [](const auto& account_rows, const auto& branch_rows) {
    static_assert(std::is_same_v<decltype(account_rows), const ReadGuard<Account, 1>&>);
    static_assert(std::is_same_v<decltype(branch_rows), const ReadGuard<Branch, 1>&>);
    CHECK(account_rows.sequence() == branch_rows.sequence());
    CHECK(account_rows.lsn() == branch_rows.lsn());
    std::int64_t sum = 0;
    for (const Account& account : account_rows) sum += account.cents;
    return sum - branch_rows.find("main")->cents;
  });
  CHECK(difference == 0);
}

TEST_CASE("a row that the function returns by reference is returned as a copy, which outlives the read", "[read]") {
  test::MemoryStore store;
  const auto accounts = store.add_with<Account, 1>({{1, 70}}, "accounts").replica();
  const auto branches = store.add_with<Branch, 1>({{"main", 100}}, "branches").replica();
  const auto main_branch = [](const auto&, const auto& rows) -> const Branch& { return *rows.find("main"); };
  static_assert(std::is_same_v<decltype(read(accounts, branches, main_branch)), Branch>);
  CHECK(read(accounts, branches, main_branch).cents == 100);
}

TEST_CASE("one replica, and many, can be read like this", "[read]") {
  test::MemoryStore store;
  const auto a = store.add_with<Account, 1>({{1, 70}}, "a").replica();
  const auto b = store.add_with<Account, 1>({{1, 7}}, "b").replica();
  CHECK(read(a, [](const auto& rows) { return rows.size(); }) == 1);
  CHECK(read(a, b, a, b, [](const auto& first, const auto& second, const auto& third, const auto& fourth) {
          return first.find(1)->cents + second.find(1)->cents + third.find(1)->cents + fourth.find(1)->cents;
        }) == 154);
  int calls = 0;
  read(a, b, [&](const auto&, const auto&) { ++calls; });
  CHECK(calls == 1);
  auto owner = read(a, [](const auto& rows) { return std::make_unique<std::size_t>(rows.size()); });
  CHECK(*owner == 1);
}

TEST_CASE("replicas that all went stale together are read together", "[read]") {
  test::MemoryStore store;
  const auto a = store.add_with<Account, 1>({{1, 70}}, "a").replica();
  const auto b = store.add_with<Account, 1>({{1, 7}}, "b").replica();
  store.store().mark_stale(std::chrono::steady_clock::now());
  CHECK(read(a, b, [](const auto& first, const auto& second) { return first.size() + second.size(); }) == 2);
}

TEST_CASE("a replica that stayed behind is not read with the others unless that is allowed", "[read]") {
  test::MemoryStore store;
  const auto behind = store.add_with<Account, 1>({{1, 70}}, "behind");
  const auto ahead = store.add_with<Account, 1>({{1, 7}}, "ahead");
  fail(store, behind);
  const auto a = behind.replica();
  const auto b = ahead.replica();
  bool called = false;
  CHECK_THROWS_AS(read(a, b, [&](const auto&, const auto&) { called = true; }), StaleError);
  CHECK_THROWS_AS(read(b, a, [&](const auto&, const auto&) { called = true; }), StaleError);
  CHECK_FALSE(called);
  CHECK_FALSE(store.store().this_thread_reads());
  CHECK(read(allow_stale, a, b, [](const auto& first, const auto& second) { return first.size() + second.size(); }) ==
        2);
  CHECK(read(a, [](const auto& rows) { return rows.size(); }) == 1);
  CHECK(a.size() == 1);
}

TEST_CASE("StaleError names the table that stayed behind and where", "[read]") {
  test::MemoryStore store;
  const auto behind = store.add_with<Account, 1>({{1, 70}}, "behind");
  const auto ahead = store.add_with<Account, 1>({{1, 7}}, "ahead");
  const Lsn last = behind.replica().lsn();
  fail(store, behind);
  for (const bool first : {true, false}) {
    try {
      const auto nothing = [](const auto&, const auto&) {};
      first ? read(behind.replica(), ahead.replica(), nothing) : read(ahead.replica(), behind.replica(), nothing);
      FAIL("no StaleError");
    } catch (const StaleError& error) {
      CHECK(error.table() == "public.behind");
      CHECK(error.lsn() == last);
      CHECK(std::string(error.what()).find("public.behind") != std::string::npos);
      CHECK(std::string(error.what()).find("allow_stale") != std::string::npos);
    }
  }
}

TEST_CASE("each pair of replicas of one Replicator is compared, wherever it stands", "[read]") {
  test::MemoryStore store;
  test::MemoryStore other_store;
  const auto behind = store.add_with<Account, 1>({{1, 70}}, "behind");
  const auto ahead = store.add_with<Account, 1>({{1, 7}}, "ahead");
  const auto other = other_store.add_with<Branch, 1>({{"main", 1}}, "other").replica();
  fail(store, behind);
  const auto nothing = [](const auto&, const auto&, const auto&) {};
  CHECK_THROWS_AS(read(other, behind.replica(), ahead.replica(), nothing), StaleError);
  CHECK_THROWS_AS(read(other, ahead.replica(), behind.replica(), nothing), StaleError);
  CHECK_THROWS_AS(read(behind.replica(), other, ahead.replica(), nothing), StaleError);
  CHECK_THROWS_AS(read(ahead.replica(), behind.replica(), other, nothing), StaleError);
}

TEST_CASE("replicas that stayed behind at different commits are not read together", "[read]") {
  test::MemoryStore store;
  const auto a = store.add_with<Account, 1>({{1, 70}}, "a");
  const auto b = store.add_with<Account, 1>({{1, 7}}, "b");
  const auto c = store.add_with<Account, 1>({{1, 7}}, "c");
  fail(store, a);
  fail(store, b);
  const auto nothing = [](const auto&, const auto&) {};
  CHECK_THROWS_AS(read(a.replica(), b.replica(), nothing), StaleError);
  CHECK_THROWS_AS(read(a.replica(), c.replica(), nothing), StaleError);
  CHECK_THROWS_AS(read(b.replica(), c.replica(), nothing), StaleError);
}

TEST_CASE("replicas of different Replicators are each read at their own commit", "[read]") {
  test::MemoryStore store;
  test::MemoryStore other_store;
  const auto behind = store.add_with<Account, 1>({{1, 70}}, "behind");
  fail(store, behind);
  const auto other = other_store.add_with<Branch, 1>({{"main", 1}}, "other").replica();
  CHECK(read(behind.replica(), other, [](const auto& a, const auto& b) { return a.size() + b.size(); }) == 2);
}

TEST_CASE("a table that rejoined is read with the others again", "[read]") {
  test::MemoryStore store;
  const auto a = store.add_with<Account, 1>({{1, 70}}, "a");
  const auto b = store.add_with<Account, 1>({{1, 7}}, "b");
  fail(store, a);
  auto commit = store.next_commit();
  commit.changes.push_back({&a.table(), a.copy({{5, 5}})});
  commit.rejoined.push_back(&a.table());
  store.publish(commit);
  CHECK(read(a.replica(), b.replica(), [](const auto& x, const auto& y) { return x.lsn() == y.lsn(); }));
}

TEST_CASE("reading a replica that is not ready with others throws NotReadyError", "[read]") {
  test::MemoryStore store;
  const auto a = store.add_with<Account, 1>({{1, 70}}, "a").replica();
  const auto b = store.add<Account, 1>("b").replica();
  const auto nothing = [](const auto&, const auto&) {};
  CHECK_THROWS_AS(read(a, b, nothing), NotReadyError);
  CHECK_THROWS_AS(read(allow_stale, a, b, nothing), NotReadyError);
  CHECK_FALSE(store.store().this_thread_reads());
}

TEST_CASE("an exception of the function passes through", "[read]") {
  test::MemoryStore store;
  const auto a = store.add_with<Account, 1>({{1, 70}}, "a").replica();
  CHECK_THROWS_AS(read(a, a, [](const auto&, const auto&) { throw std::out_of_range("enough"); }), std::out_of_range);
  CHECK_FALSE(store.store().this_thread_reads());
}

TEST_CASE("replicas may be read together inside a read", "[read]") {
  test::MemoryStore store;
  const auto a = store.add_with<Account, 1>({{1, 70}}, "a").replica();
  const auto b = store.add_with<Account, 1>({{1, 7}}, "b").replica();
  std::int64_t sum = 0;
  a.for_each([&](const Account&) {
    read(b, a, [&](const auto& first, const auto& second) { sum += first.find(1)->cents + second.find(1)->cents; });
  });
  CHECK(sum == 77);
}
