// G2 and G4 where memory is bounded: a transaction that is too large stops what it touches, together, and only that.

#include <atomic>
#include <chrono>
#include <cstddef>
#include <cstdint>
#include <fstream>
#include <functional>
#include <optional>
#include <random>
#include <stdexcept>
#include <string>
#include <thread>
#include <vector>

#include <malloc.h>

#include <catch2/catch_test_macros.hpp>
#include <catch2/matchers/catch_matchers.hpp>
#include <catch2/matchers/catch_matchers_string.hpp>

#include <btreemapped.hpp>

#include "support/database.hpp"
#include "support/event_log.hpp"
#include "support/eventually.hpp"
#include "support/load.hpp"
#include "support/proxy.hpp"
#include "support/replicator.hpp"
#include "support/threads.hpp"

namespace bounds_test {

using btreemapped::EventKind;
using btreemapped::TableState;
using Catch::Matchers::ContainsSubstring;
using namespace std::chrono_literals;

constexpr std::size_t megabyte = 1'048'576;

struct Document {
  std::int32_t id;
  std::int32_t version;
  std::string body;

  friend bool operator==(const Document&, const Document&) = default;
};

/// Three tables of 200 rows, of which `lefts` and `rights` hold the same ones after each transaction.
class Scene {
 public:
  explicit Scene(std::size_t max_transaction_bytes) : proxy(database.reader_dsn()) {
    database.exec(
        "CREATE TABLE lefts (id int PRIMARY KEY, version int NOT NULL, body text NOT NULL);"
        "INSERT INTO lefts SELECT id, 0, 'short' FROM generate_series(1, 200) id;"
        "CREATE TABLE rights (LIKE lefts INCLUDING ALL); CREATE TABLE others (LIKE lefts INCLUDING ALL);"
        "INSERT INTO rights SELECT * FROM lefts; INSERT INTO others SELECT * FROM lefts;"
        "CREATE PUBLICATION pub FOR TABLE lefts, rights, others");
    btreemapped::Options options = database.options();
    options.connection = proxy.dsn();
    options.on_event = log.hook();
    options.max_transaction_bytes = max_transaction_bytes;
    replicator.emplace(options);
    lefts.emplace(replicator->add_replica<Document, 1>("lefts"));
    rights.emplace(replicator->add_replica<Document, 1>("rights"));
    others.emplace(replicator->add_replica<Document, 1>("others"));
    test::start_and_sync(*replicator);
  }

  /// In one transaction, each table by itself being more than `bytes`.
  void change_both(std::size_t bytes) {
    const std::string change = " SET version = version + 1, body = repeat('x', " + std::to_string(bytes / 200) + ");";
    database.exec("BEGIN; UPDATE lefts" + change + "UPDATE rights" + change + "COMMIT");
  }

  void wait_for_heal(std::size_t nth = 1) {
    for (const char* const table : {"public.lefts", "public.rights"})
      static_cast<void>(log.wait_for(EventKind::table_healed, nth, table));
  }

  [[nodiscard]] bool equal() {
    for (auto* const each : {&*lefts, &*rights, &*others}) {
      const auto report = replicator->verify(*each);
      if (report.verdict != btreemapped::Verdict::equal) return false;
    }
    return true;
  }

  test::Database database{};
  test::EventLog log{};
  test::Proxy proxy;
  std::optional<test::Replicator> replicator{};
  std::optional<btreemapped::Replica<Document, 1>> lefts{};
  std::optional<btreemapped::Replica<Document, 1>> rights{};
  std::optional<btreemapped::Replica<Document, 1>> others{};
};

std::int64_t versions(const auto& guard) {
  std::int64_t sum = 0;
  for (const Document& each : guard) sum += each.version;
  return sum;
}

TEST_CASE("the tables of a transaction over the bound show the commit before it, and the others go on", "[G2][G4]") {
  Scene scene(megabyte);
  const auto before = scene.lefts->to_vector();
  scene.proxy.hold("SET TRANSACTION SNAPSHOT");
  scene.change_both(2 * megabyte);
  scene.proxy.wait_until_held();
  scene.database.exec("UPDATE others SET version = 7; UPDATE lefts SET version = 9 WHERE id = 1");
  scene.database.catch_up(*scene.replicator);
  for (auto* const each : {&*scene.lefts, &*scene.rights}) {
    CHECK(each->state() == TableState::stale);
    CHECK(each->to_vector() == before);
  }
  CHECK(scene.lefts->lsn() == scene.rights->lsn());
  CHECK(scene.lefts->lsn() < scene.others->lsn());
  CHECK_THROWS_AS(btreemapped::read(*scene.lefts, *scene.others, [](const auto&, const auto&) {}),
                  btreemapped::StaleError);
  CHECK(scene.others->state() == TableState::live);
  CHECK(scene.others->get(1)->version == 7);

  scene.proxy.release();
  scene.wait_for_heal();
  CHECK(scene.lefts->get(1)->version == 9);
  CHECK(scene.rights->get(1)->version == 1);
  CHECK(scene.equal());
  CHECK(scene.log.count(EventKind::table_stale) == 2);
  CHECK(scene.replicator->status().reconnects == 0);
}

TEST_CASE("the event of a transaction over the bound names the bound, its size and the option", "[G4]") {
  Scene scene(megabyte);
  scene.change_both(2 * megabyte);
  for (const char* const table : {"public.lefts", "public.rights"}) {
    const btreemapped::Event event = scene.log.wait_for(EventKind::table_stale, 1, table);
    CHECK_THAT(event.message, ContainsSubstring("Options::max_transaction_bytes, which is 1048576 bytes"));
    CHECK_THAT(event.message, ContainsSubstring("when it had come to 10"));
    CHECK_THAT(event.message, ContainsSubstring("copied afresh"));
    CHECK(event.lsn > btreemapped::Lsn{});
  }
  scene.wait_for_heal();
  CHECK(scene.log.wait_for(EventKind::table_healed, 1, "public.lefts").rows == 200);
  CHECK(scene.equal());
}

TEST_CASE("readers of two tables see transactions over the bound as a whole, or that they are stale", "[G2][G8]") {
  constexpr std::size_t rounds = 2;
  Scene scene(megabyte);
  scene.proxy.count("CREATE_REPLICATION_SLOT");
  std::atomic<bool> done{false};
  std::atomic<int> halves{0};
  std::atomic<int> together{0};
  const auto change_one = [](std::mt19937_64& random) {
    const std::string change = " SET version = version + 1 WHERE id = " + std::to_string(1 + random() % 200) + ";";
    return "BEGIN; UPDATE lefts" + change + "UPDATE rights" + change + "COMMIT";
  };
  // 20 kB are sent for each, while two readers keep the processors busy.
  test::Load load(scene.database.dsn(), 2, change_one, test::Load::Lost::fails, 10ms);
  const std::function<void()> reader = [&] {
    while (!done.load()) {
      try {
        btreemapped::read(*scene.lefts, *scene.rights, [&](const auto& left, const auto& right) {
          if (versions(left) != versions(right)) ++halves;
          ++together;
        });
      } catch (const btreemapped::StaleError&) {
      }
      // They stop at one commit and come back at one commit, so even then they agree.
      btreemapped::read(btreemapped::allow_stale, *scene.lefts, *scene.rights,
                        [&](const auto& left, const auto& right) {
                          if (versions(left) != versions(right) || scene.lefts->state() != scene.rights->state())
                            ++halves;
                        });
    }
  };
  test::run_together({reader, reader, [&] {
                        for (std::size_t round = 1; round <= rounds; ++round) {
                          scene.change_both(2 * megabyte);
                          scene.wait_for_heal(round);
                        }
                        done = true;
                      }});
  load.stop();
  CHECK(halves == 0);
  CHECK(together > 0);
  INFO(scene.log.describe());
  CHECK(scene.proxy.sent() == rounds);  // one snapshot for both
  scene.database.catch_up(*scene.replicator);
  CHECK(scene.equal());
  CHECK(scene.others->state() == TableState::live);
}

/// Of this process.
/// Units: bytes.
std::size_t highest_memory() {
  std::ifstream status("/proc/self/status");
  for (std::string line; std::getline(status, line);)
    if (line.starts_with("VmHWM:")) return 1'024 * std::stoul(line.substr(6));
  throw std::runtime_error("there is no VmHWM in /proc/self/status");
}
void forget_highest_memory() {
  ::malloc_trim(0);
  std::ofstream("/proc/self/clear_refs") << "5" << std::flush;
}

/// How much more memory the process takes for a transaction that writes so many times 200 kB, of which nothing is left.
std::size_t growth_under(std::size_t max_transaction_bytes, int rows) {
  Scene scene(max_transaction_bytes);
  forget_highest_memory();
  const std::size_t before = highest_memory();
  scene.database.exec("BEGIN; INSERT INTO lefts SELECT id, 0, repeat('x', 200000) FROM generate_series(1001, 1000 + " +
                      std::to_string(rows) + ") id; DELETE FROM lefts WHERE id > 1000; COMMIT");
  scene.database.catch_up(*scene.replicator);
  if (scene.log.count(EventKind::table_stale) > 0)
    static_cast<void>(scene.log.wait_for(EventKind::table_healed, 1, "public.lefts"));
  const std::size_t after = highest_memory();
  CHECK(scene.lefts->size() == 200);
  CHECK(test::eventually([&] { return scene.replicator->status().memory.transaction == 0; }));
  return after - before;
}

TEST_CASE("the process does not grow past the bound of a transaction", "[G4]") {
  const std::size_t bounded = growth_under(16 * megabyte, 1'000);
  INFO("it grew by " << bounded << " bytes");
#if !defined(__SANITIZE_ADDRESS__) && !defined(__SANITIZE_THREAD__)  // which keep what is freed
  CHECK(bounded < 32 * megabyte);
#endif
  CHECK(growth_under(1'024 * megabyte, 300) > 55 * megabyte);  // or nothing would have been shown
}

TEST_CASE("status() shows the memory of a transaction that waits for readers, and then no more", "[G8]") {
  Scene scene(64 * megabyte);
  const auto memory = [&] { return scene.replicator->status().memory.transaction; };
  CHECK(memory() == 0);
  {
    const auto guard = scene.lefts->read();
    scene.change_both(4 * megabyte);
    CHECK(test::eventually([&] { return test::commit_waits(*scene.replicator); }));
    CHECK(memory() > 8 * megabyte);
    CHECK(memory() < 10 * megabyte);
  }
  CHECK(test::eventually([&] { return memory() == 0; }));
}

TEST_CASE("status() shows the memory of what comes for a table that is copied, and then no more", "[G4]") {
  Scene scene(megabyte);
  scene.proxy.hold("SET TRANSACTION SNAPSHOT");
  scene.change_both(2 * megabyte);
  scene.proxy.wait_until_held();
  scene.database.exec("INSERT INTO lefts SELECT id, 0, repeat('x', 1000) FROM generate_series(1001, 2000) id");
  scene.database.catch_up(*scene.replicator);
  CHECK(scene.replicator->status().memory.change_log > 1'000'000);
  scene.proxy.release();
  scene.wait_for_heal();
  CHECK(test::eventually([&] { return scene.replicator->status().memory.change_log == 0; }));
}

TEST_CASE("status() shows the memory of the notes of verify(), and then no more", "[verify]") {
  Scene scene(megabyte);
  scene.proxy.hold("SET TRANSACTION SNAPSHOT");
  test::run_together({[&] { CHECK(scene.replicator->verify(*scene.others).verdict == btreemapped::Verdict::equal); },
                      [&] {
                        scene.proxy.wait_until_held();
                        scene.database.exec("UPDATE others SET body = repeat('x', 1000)");
                        scene.database.exec("UPDATE others SET version = 1");
                        scene.database.catch_up(*scene.replicator);
                        CHECK(scene.replicator->status().memory.journals > 200'000);
                        scene.proxy.release();
                      }});
  CHECK(scene.replicator->status().memory.journals == 0);
}

}  // namespace bounds_test
