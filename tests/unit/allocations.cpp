#include <atomic>
#include <chrono>
#include <cstddef>
#include <cstdint>
#include <cstdlib>
#include <new>
#include <stdexcept>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include <catch2/catch_test_macros.hpp>

#include <btreemapped/bit_string.hpp>
#include <btreemapped/detail/transaction.hpp>
#include <btreemapped/inet.hpp>
#include <btreemapped/interval.hpp>
#include <btreemapped/macaddr.hpp>
#include <btreemapped/money.hpp>
#include <btreemapped/numeric.hpp>
#include <btreemapped/range.hpp>
#include <btreemapped/row.hpp>
#include <btreemapped/time_of_day.hpp>
#include <btreemapped/timestamp.hpp>
#include <btreemapped/uuid.hpp>

#include <support/memory_table.hpp>
#include <support/messages.hpp>

// This file counts the allocations of the whole test program, each thread its own.
namespace {

std::size_t& allocations() noexcept {
  thread_local std::size_t count = 0;
  return count;
}

/// The allocation of this thread, from now on, that fails; zero for none.
std::size_t& failing() noexcept {
  thread_local std::size_t countdown = 0;
  return countdown;
}

bool counted() noexcept {
  ++allocations();
  return failing() == 0 || --failing() != 0;
}

void* allocate(std::size_t size) noexcept {
  if (!counted()) return nullptr;
  return std::malloc(size == 0 ? 1 : size);
}

void* allocate(std::size_t size, std::align_val_t alignment) noexcept {
  if (!counted()) return nullptr;
  const auto unit = static_cast<std::size_t>(alignment);
  return std::aligned_alloc(unit, (size + unit - 1) / unit * unit);
}

void* or_throw(void* memory) {
  if (memory == nullptr) throw std::bad_alloc();
  return memory;
}

}  // namespace

#if defined(__GNUC__) && !defined(__clang__)
// Where GCC inlines only one of a pair, it takes the pair for a mismatch.
#pragma GCC diagnostic ignored "-Wmismatched-new-delete"
#endif
// All of them: a sanitizer's own would not fit those that are replaced.
using Alignment = std::align_val_t;
void* operator new(std::size_t size) { return or_throw(allocate(size)); }
void* operator new[](std::size_t size) { return or_throw(allocate(size)); }
void* operator new(std::size_t size, Alignment alignment) { return or_throw(allocate(size, alignment)); }
void* operator new[](std::size_t size, Alignment alignment) { return or_throw(allocate(size, alignment)); }
void* operator new(std::size_t size, const std::nothrow_t&) noexcept { return allocate(size); }
void* operator new[](std::size_t size, const std::nothrow_t&) noexcept { return allocate(size); }
void* operator new(std::size_t size, Alignment unit, const std::nothrow_t&) noexcept { return allocate(size, unit); }
void* operator new[](std::size_t size, Alignment unit, const std::nothrow_t&) noexcept { return allocate(size, unit); }
void operator delete(void* memory) noexcept { std::free(memory); }
void operator delete[](void* memory) noexcept { std::free(memory); }
void operator delete(void* memory, std::size_t) noexcept { std::free(memory); }
void operator delete[](void* memory, std::size_t) noexcept { std::free(memory); }
void operator delete(void* memory, Alignment) noexcept { std::free(memory); }
void operator delete[](void* memory, Alignment) noexcept { std::free(memory); }
void operator delete(void* memory, std::size_t, Alignment) noexcept { std::free(memory); }
void operator delete[](void* memory, std::size_t, Alignment) noexcept { std::free(memory); }
void operator delete(void* memory, const std::nothrow_t&) noexcept { std::free(memory); }
void operator delete[](void* memory, const std::nothrow_t&) noexcept { std::free(memory); }
void operator delete(void* memory, Alignment, const std::nothrow_t&) noexcept { std::free(memory); }
void operator delete[](void* memory, Alignment, const std::nothrow_t&) noexcept { std::free(memory); }

namespace {

using namespace btreemapped;

/// How often f allocates.
template <class Function>
std::size_t allocations_of(Function&& f) {
  const std::size_t before = allocations();
  f();
  return allocations() - before;
}

constexpr const char* long_name = "a name that is far too long for the buffer inside of a std::string";

struct Car {
  std::string owner;
  std::int64_t plate;
  std::string color;
};

struct Cars {
  test::MemoryStore store{};
  test::MemoryTable<Car, 2> table =
      store.add_with<Car, 2>({{long_name, 1, "red"}, {long_name, 2, "red"}, {"z", 1, "red"}});
  Replica<Car, 2> replica = table.replica();
};

/// A transaction that inserts, replaces, moves and deletes, over the rows of Cars.
class Transaction {
 public:
  Transaction() {
    const std::vector<test::RelationColumnText> columns{{"owner", 25, true}, {"plate", 20, true}, {"color", 25, false}};
    for (const test::RelationColumnText& column : columns)
      shape_.columns.push_back({.name = column.name,
                                .type = {.oid = column.type_oid, .base = column.type_oid},
                                .in_identity = column.in_identity});
    shape_.table = {"public", "rows"};
    shape_.oid = test::only_table;
    bytes_.push_back(test::relation_message(shape_.table, 'd', columns));
    bytes_.push_back(test::insert_message({long_name, 3, long_name}));
    bytes_.push_back(test::update_message({long_name, 1, long_name}));
    bytes_.push_back(test::MessageBuilder('U')
                         .u32(test::only_table)
                         .tuple('K', {long_name, 2, test::null})
                         .tuple('N', {"a", 2, test::unchanged}));
    bytes_.push_back(test::delete_message({"z", 1, test::null}));
    for (const test::MessageBuilder& each : bytes_)
      if (detail::wire::parse_message(each.bytes(), messages_.emplace_back()) != Errc::ok)
        throw std::logic_error("the test's message cannot be parsed");
  }

  void begin_session(detail::TransactionBuffer& buffer, detail::Table& table) const {
    buffer.begin_session({{&table, std::make_shared<const detail::TableShape>(shape_)}});
  }

  /// Throws: std::bad_alloc.
  detail::Commit stage(detail::TransactionBuffer& buffer, Lsn end) const {
    detail::wire::Begin begin;
    begin.commit_lsn = end;
    if (buffer.stage(begin, {}) != Errc::ok) throw std::logic_error("the test's transaction cannot begin");
    for (std::size_t i = 0; i < messages_.size(); ++i)
      if (buffer.stage(messages_[i], bytes_[i].bytes()) != Errc::ok)
        throw std::logic_error("the test's message cannot be staged");
    detail::wire::Commit commit;
    commit.commit_lsn = commit.end_lsn = end;
    return buffer.finish(commit, detail::Delta::Time::max()).value();
  }

 private:
  detail::TableShape shape_{};
  std::vector<test::MessageBuilder> bytes_{};
  std::vector<detail::wire::Message> messages_{};
};

/// The rows in short, to be compared.
std::string summary(const Replica<Car, 2>& cars) {
  std::string text;
  cars.for_each([&](const Car& car) {
    text += car.owner.substr(0, 1) + std::to_string(car.plate) + car.color.substr(0, 1) + ' ';
  });
  return text;
}

}  // namespace

TEST_CASE("the counter of allocations counts", "[allocations]") {
  CHECK(allocations_of([] { const std::string copy = long_name; }) == 1);
  CHECK(allocations_of([] { const std::vector<std::max_align_t> many(100); }) == 1);
  CHECK(allocations_of([] {}) == 0);
}

TEST_CASE("a lookup by text and number allocates nothing, however the text is given", "[allocations]") {
  const Cars cars;
  const std::string string = long_name;
  const std::string_view view = string;
  char array[128] = {};
  string.copy(array, sizeof array - 1);
  int found = 0;
  const auto count = [&](const Car&) { ++found; };
  CHECK(allocations_of([&] {
          cars.replica.get_with(string, 1, count);
          cars.replica.get_with(view, 2U, count);
          cars.replica.get_with(long_name, std::int8_t{1}, count);
          cars.replica.get_with(array, std::uint64_t{2}, count);
          cars.replica.get_with("a name that is far too long for the buffer inside of a std::string", 1L, count);
          cars.replica.get_with(view, std::uint64_t{18'446'744'073'709'551'615U}, count);
        }) == 0);
  CHECK(found == 5);
}

TEST_CASE("contains, size and empty allocate nothing", "[allocations]") {
  const Cars cars;
  bool as_expected = false;
  CHECK(allocations_of([&] {
          as_expected = cars.replica.contains(long_name, 1) && !cars.replica.contains(long_name, 3) &&
                        cars.replica.size() == 3 && !cars.replica.empty();
        }) == 0);
  CHECK(as_expected);
}

TEST_CASE("ranges by text and number allocate nothing", "[allocations]") {
  const Cars cars;
  const std::string string = long_name;
  int rows = 0;
  const auto count = [&](const Car&) { ++rows; };
  CHECK(allocations_of([&] {
          cars.replica.for_range1(string, count);
          cars.replica.for_range1(closed(long_name, string), count);
          cars.replica.for_range1(greater_than(std::string_view(string)), count);
          cars.replica.for_range2(long_name, 2, count);
          cars.replica.for_range2(string, half_open(1, 3U), count);
          cars.replica.for_range2(string, all, count);
          cars.replica.for_each(count);
        }) == 0);
  CHECK(rows == 2 + 2 + 1 + 1 + 2 + 2 + 3);
}

TEST_CASE("a guard, its ranges and nested guards allocate nothing", "[allocations]") {
  const Cars cars;
  int rows = 0;
  CHECK(allocations_of([&] {
          const auto guard = cars.replica.read();
          const auto nested = cars.replica.read();
          for (const Car& car : guard.range1(long_name)) rows += car.plate > 0 ? 1 : 0;
          for (const Car& car : nested) rows += car.plate > 0 ? 1 : 0;
          rows += guard.find(long_name, 2) != nullptr ? 1 : 0;
        }) == 0);
  CHECK(rows == 6);
}

TEST_CASE("state, position and sequence allocate nothing", "[allocations]") {
  const Cars cars;
  bool as_expected = false;
  CHECK(allocations_of([&] {
          as_expected = cars.replica.state() == TableState::live && cars.replica.lsn() == Lsn{16} &&
                        cars.replica.sequence() == 1 && cars.replica.stale_for() == std::chrono::nanoseconds::zero();
        }) == 0);
  CHECK(as_expected);
}

TEST_CASE("get allocates only for the copy", "[allocations]") {
  const Cars cars;
  CHECK(allocations_of([&] { static_cast<void>(cars.replica.get("z", 1)); }) == 0);
  CHECK(allocations_of([&] { static_cast<void>(cars.replica.get(long_name, 3)); }) == 0);
  CHECK(allocations_of([&] { static_cast<void>(cars.replica.get(long_name, 1)); }) == 1);
}

TEST_CASE("keys that are neither text nor number are looked up without a copy", "[allocations]") {
  struct Odd {
    std::vector<std::byte> digest;
    Numeric amount;
    Uuid id;
    double weight;
  };
  test::MemoryStore store;
  const auto table = store.add_with<Odd, 4>({{"\\x" + std::string(200, '7'), "12345678901234567890123456789.50",
                                              "00000000-0000-0000-0000-000000000001", "1.5"}});
  const auto replica = table.replica();
  const std::vector<std::byte> digest(100, std::byte{0x77});
  const Numeric amount = *Numeric::parse("12345678901234567890123456789.5");
  const Uuid id = *Uuid::parse("00000000-0000-0000-0000-000000000001");
  bool found = false;
  int rows = 0;
  CHECK(allocations_of([&] {
          found = replica.contains(digest, amount, id, 1.5);
          replica.for_range2(digest, amount, [&](const Odd&) { ++rows; });
          replica.for_range3(digest, amount, all, [&](const Odd&) { ++rows; });
          replica.for_range1(closed(digest, digest), [&](const Odd&) { ++rows; });
          replica.for_range2(digest, at_least(amount), [&](const Odd&) { ++rows; });
        }) == 0);
  CHECK(found);
  CHECK(rows == 4);
}

TEST_CASE("a value is decoded without memory but its own", "[allocations]") {
  const auto decoding = [](auto value, std::string_view text) {
    Errc result = Errc::invalid_text;
    const std::size_t count = allocations_of([&] { result = codec<decltype(value)>::decode(text, value); });
    CHECK(result == Errc::ok);
    return count;
  };
  CHECK(decoding(bool{}, "t") == 0);
  CHECK(decoding(std::int64_t{}, "-9223372036854775808") == 0);
  CHECK(decoding(double{}, "1.7976931348623157e+308") == 0);
  CHECK(decoding(Uuid{}, "a0eebc99-9c0b-4ef8-bb6d-6bb9bd380a11") == 0);
  CHECK(decoding(Money{}, "-$92,233,720,368,547,758.08") == 0);
  CHECK(decoding(Lsn{}, "16/B374D848") == 0);
  CHECK(decoding(Inet{}, "1111:2222:3333:4444:5555:6666:7777:8888/127") == 0);
  CHECK(decoding(Cidr{}, "2001:db8::/32") == 0);
  CHECK(decoding(Macaddr{}, "08:00:2b:01:02:03") == 0);
  CHECK(decoding(Macaddr8{}, "08:00:2b:01:02:03:04:05") == 0);
  CHECK(decoding(TimeOfDay{}, "23:59:59.999999") == 0);
  CHECK(decoding(TimeTz{}, "23:59:59.999999-15:59:59") == 0);
  CHECK(decoding(Interval{}, "178956970 years 7 mons -2147483647 days +2562047788:00:54.775807") == 0);
  CHECK(decoding(std::chrono::sys_days{}, "5874897-12-31") == 0);
  CHECK(decoding(TimestampTz{}, "294276-12-31 23:59:59.999999+00") == 0);
  CHECK(decoding(Timestamp{}, "4714-11-24 00:00:00 BC") == 0);
  CHECK(decoding(Numeric{}, "123456789012345678901234567890.123456789") == 1);
  CHECK(decoding(BitString{}, std::string(1000, '1')) == 1);
  CHECK(decoding(std::string{}, long_name) == 1);
  CHECK(decoding(std::vector<std::byte>{}, "\\x00010203040506070809") == 1);
}

TEST_CASE("to make a commit visible allocates nothing, so nothing can end it half-way", "[allocations]") {
  const Transaction transaction;
  const std::atomic<bool> never{false};
  Cars cars;
  detail::TransactionBuffer buffer;
  transaction.begin_session(buffer, cars.table.table());
  detail::Commit commit = transaction.stage(buffer, Lsn{0x100});
  bool visible = false;
  const auto publish = [&](detail::Commit& each) {
    visible = cars.store.store().publish(each, std::chrono::steady_clock::now() + std::chrono::seconds{30}, never);
  };
  CHECK(allocations_of([&] { publish(commit); }) == 0);
  CHECK(visible);
  CHECK(summary(cars.replica) == "a2r a1a a3a ");

  detail::Commit copy = cars.store.next_commit();
  copy.changes.push_back({&cars.table.table(), cars.table.copy({{"b", 1, "red"}, {"c", 1, "red"}})});
  copy.rejoined.push_back(&cars.table.table());
  CHECK(allocations_of([&] { publish(copy); }) == 0);
  CHECK(visible);
  CHECK(summary(cars.replica) == "b1r c1r ");
}

TEST_CASE("a transaction that runs out of memory is seen whole or not at all, wherever that happens", "[allocations]") {
  const Transaction transaction;
  int refused = 0;
  int stopped = 0;
  for (std::size_t nth = 1;; ++nth) {
    Cars cars;
    const std::string before = summary(cars.replica);
    detail::TransactionBuffer buffer;
    transaction.begin_session(buffer, cars.table.table());
    detail::Commit commit;
    bool thrown = false;
    failing() = nth;
    try {
      commit = transaction.stage(buffer, Lsn{0x100});
    } catch (const std::bad_alloc&) {
      thrown = true;
    }
    const bool failed = std::exchange(failing(), 0) == 0;
    INFO("the allocation that failed: " << nth);
    if (thrown) {
      // The driver begins another session.
      ++refused;
      transaction.begin_session(buffer, cars.table.table());
      commit = transaction.stage(buffer, Lsn{0x200});
    }
    const bool has_stopped = !commit.detached.empty();
    CHECK(has_stopped == (failed && !thrown));
    CHECK(buffer.take_faults().size() == (has_stopped ? 1 : 0));
    CHECK(summary(cars.replica) == before);
    cars.store.publish(commit);
    CHECK(summary(cars.replica) == (has_stopped ? before : "a2r a1a a3a "));
    CHECK(cars.replica.state() == (has_stopped ? TableState::stale : TableState::live));
    if (has_stopped) ++stopped;
    if (!failed) break;
  }
  CHECK(refused > 0);
  CHECK(stopped > 5);
}
