// Everything at once, for as long as one likes: tests/run.sh soak 30m
//
//   BTREEMAPPED_TEST_SEED     repeats a run, as far as the server and its sessions are scheduled alike
//   BTREEMAPPED_SOAK_SECONDS  40 unless set
//   BTREEMAPPED_SOAK_FAULT    only faults whose names hold this text

#include <algorithm>
#include <chrono>
#include <cstddef>
#include <cstdint>
#include <cstdlib>
#include <iostream>
#include <map>
#include <random>
#include <stdexcept>
#include <string>
#include <thread>

#include <catch2/catch_test_macros.hpp>

#include <btreemapped.hpp>

#include "fault/soak/chaos.hpp"
#include "fault/soak/crew.hpp"
#include "fault/soak/scene.hpp"
#include "model/comparison.hpp"
#include "support/database.hpp"
#include "support/eventually.hpp"
#include "support/process.hpp"
#include "support/random.hpp"
#include "support/sql.hpp"

namespace soak_test {

using Clock = std::chrono::steady_clock;
using namespace std::chrono_literals;
using soak::Chaos;
using soak::Crew;
using soak::Scene;

std::uint64_t number_from(const char* variable, std::uint64_t otherwise) {
  const char* const given = std::getenv(variable);
  return given == nullptr ? otherwise : std::stoull(given);
}

/// What has been seen between the faults.
struct Counts {
  std::size_t equal = 0;
  std::map<std::string, std::size_t> inconclusive{};
  Clock::duration longest_recovery{0};
  std::size_t resident_bytes = 0;
};

std::string in_ms(Clock::duration time) {
  return std::to_string(std::chrono::duration_cast<std::chrono::milliseconds>(time).count()) + " ms";
}

void require(bool condition, const std::string& otherwise) {
  if (!condition) throw std::runtime_error(otherwise);
}

void wait_until_live(Scene& scene, Crew& crew) {
  const bool live = test::eventually(
      [&] {
        crew.check();
        return scene.is_live();
      },
      2 * test::patience);
  require(live, "not live again");
}

void wait_until_equal(Scene& scene, Crew& crew, Counts& counts) {
  const auto end = Clock::now() + test::patience;
  while (true) {
    wait_until_live(scene, crew);
    btreemapped::VerifyOptions options;
    options.timeout = 20s;
    const auto reports = scene.replicator().verify(options);
    Chaos::require_not_different(reports);
    bool all = true;
    for (const auto& report : reports) {
      if (report.verdict == btreemapped::Verdict::equal) continue;
      all = false;
      ++counts.inconclusive[report.why];
    }
    if (all) break;
    std::this_thread::sleep_for(20ms);  // leaves the processor to what is waited for
    require(Clock::now() < end, "nothing is proved equal: " + counts.inconclusive.rbegin()->first);
  }
  ++counts.equal;
}

/// What the server and the system hold for us, while only the stream runs.
void wait_until_tidy(Scene& scene, const test::Resources* baseline) {
  const auto count = [&](const std::string& what) { return scene.number("SELECT count(*) FROM " + what); };
  const std::string ours = "pg_stat_activity WHERE application_name IN ('btreemapped', 'follower')";
  const std::string others = "pg_replication_slots WHERE temporary IS NOT NULL";
  if (!test::eventually([&] { return count(others) == 1 && count(ours) == 2; })) {
    std::string left;
    for (const auto& row :
         scene.rows("SELECT pid || ' ' || backend_type || ' ' || coalesce(state, '') || ' ' || query FROM " + ours))
      left += "\n  " + row[0].value_or("");
    throw std::runtime_error("sessions or slots are left behind:" + left);
  }
  if (baseline == nullptr) return;
  test::Resources now{};
  const bool tidy = test::eventually([&] {
    now = test::resources();
    return now.descriptors <= baseline->descriptors && now.threads <= baseline->threads;
  });
  require(tidy, std::to_string(now.descriptors) + " descriptors and " + std::to_string(now.threads) +
                    " threads; before the faults there were " + std::to_string(baseline->descriptors) + " and " +
                    std::to_string(baseline->threads));
}

void wait_for_all_written(Scene& scene) {
  const auto target = btreemapped::Lsn::parse(scene.value("SELECT pg_current_wal_insert_lsn()"));
  const btreemapped::Reached reached = scene.replicator().wait_for(target.value(), test::patience);
  require(reached.reached, to_string(*target) + " is not reached: " + reached.why);
}

void print(const std::map<std::string, std::size_t>& counts) {
  for (const auto& [what, count] : counts) std::cout << "  " << count << " x " << what << "\n";
}

TEST_CASE("replicas survive all faults of servers, networks and tables, and readers see whole commits meanwhile",
          "[soak][G2][G3][G5][G10]") {
  const std::uint64_t seed = number_from("BTREEMAPPED_TEST_SEED", std::random_device{}());
  const std::chrono::seconds time{number_from("BTREEMAPPED_SOAK_SECONDS", 40)};
  std::cout << "BTREEMAPPED_TEST_SEED=" << seed << std::endl;  // at once, for what may end the process
  INFO("BTREEMAPPED_TEST_SEED=" << seed);
  const auto begin = Clock::now();

  Scene scene(seed);
  Crew crew(scene.dsn(), scene.replicator(), scene.replicas(), seed);
  Chaos chaos(scene, seed);
  Counts counts;
  crew.start_writing();
  test::start_and_sync(scene.replicator());
  crew.start_reading();
  wait_until_equal(scene, crew, counts);
  REQUIRE(test::eventually([&] { return crew.commits() > 100; }));
  wait_until_tidy(scene, nullptr);
  const test::Resources baseline = test::resources();

  const bool speaks = std::getenv("BTREEMAPPED_SOAK_SECONDS") != nullptr;
  std::string last;
  try {
    while (Clock::now() - begin < time) {
      const auto drawn_at = Clock::now();
      const Chaos::Struck struck = chaos.strike();
      last = struck.fault + ", " + struck.phase;
      const auto struck_at = Clock::now();
      wait_until_live(scene, crew);
      wait_for_all_written(scene);
      const auto followed_at = Clock::now();
      counts.longest_recovery = std::max(counts.longest_recovery, followed_at - struck_at);
      wait_until_equal(scene, crew, counts);
      const auto equal_at = Clock::now();
      scene.proxy().drop_half_open();
      wait_until_tidy(scene, &baseline);
      if (speaks)
        std::cout << in_ms(drawn_at - begin) << ": " << last << ", " << in_ms(struck_at - drawn_at)
                  << "; followed after " << in_ms(followed_at - struck_at) << ", equal after "
                  << in_ms(equal_at - followed_at) << ", tidy after " << in_ms(Clock::now() - equal_at) << std::endl;
      // What the first faults have needed is needed again.
      const std::size_t resident = test::resources().resident_bytes;
      if (Clock::now() - begin < time / 3 || counts.resident_bytes == 0)
        counts.resident_bytes = std::max(counts.resident_bytes, resident);
      else if (!test::sanitized) require(resident < counts.resident_bytes + (std::size_t{96} << 20), "memory grows");
    }

    last = "the end";
    crew.stop_writing();
    REQUIRE(test::eventually([&] { return crew.has_stopped_writing(); }));
    wait_until_equal(scene, crew, counts);
    wait_for_all_written(scene);
    test::Sql session{scene.dsn()};
    CHECK(model::differences(scene.replicas(), session) == "");
    crew.check();
  } catch (const std::exception& error) {
    const std::string report = scene.report();
    crew.stop();
    FAIL("after " << last << ": " << error.what() << "\n" << report);
  }
  crew.stop();
  scene.replicator().stop();
  CHECK(test::eventually([&] { return scene.value("SELECT count(*) FROM pg_replication_slots") == "0"; }));
  CHECK(test::eventually([&] {
    return scene.value("SELECT count(*) FROM pg_stat_activity WHERE application_name = 'btreemapped'") == "0";
  }));

  const Crew::Reading reading = crew.reading();
  const model::Tally tally = crew.tally();
  std::size_t faults = 0;
  for (const auto& [fault, count] : chaos.counts()) faults += count;
  std::cout << faults << " faults:\n";
  print(chaos.counts());
  std::cout << "in these phases:\n";
  print(chaos.phase_counts());
  std::cout << counts.equal << " verifications found all equal; inconclusive:\n";
  print(counts.inconclusive);
  std::cout << tally.committed << " transactions committed, " << tally.rolled_back << " rolled back, " << tally.clashes
            << " clashes, " << tally.savepoints_rolled_back << " savepoints rolled back, " << tally.truncates
            << " truncates, " << tally.own_writes << " own writes read, " << crew.lost_sessions()
            << " sessions of writers lost\n"
            << scene.replicator().status().reconnects << " connections lost, "
            << scene.events().count(btreemapped::EventKind::synced) << " copies of all tables, "
            << scene.events().count(btreemapped::EventKind::table_healed) << " tables healed alone; at most "
            << in_ms(counts.longest_recovery) << " until followed again\n"
            << reading.audits << " audits of " << reading.commits << " commits, " << reading.stale_reads
            << " met stale tables; " << baseline.resident_bytes / 1'048'576 << " MB in the beginning, "
            << test::resources().resident_bytes / 1'048'576 << " MB at the end; BTREEMAPPED_TEST_SEED=" << seed
            << std::endl;
  CHECK(reading.commits > 0);
  CHECK(tally.committed > 0);
}

}  // namespace soak_test
