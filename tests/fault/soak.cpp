// Everything at once, for as long as one likes: tests/run.sh soak 30m
//
//   BTREEMAPPED_TEST_SEED     repeats a run, as far as the server and its sessions are scheduled alike
//   BTREEMAPPED_SOAK_SECONDS  40 unless set; from 1800 on every fault must have struck in every phase
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
#include "fault/soak/memory.hpp"
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
using soak::Configuration;
using soak::Crew;
using soak::Memory;
using soak::Scene;

std::uint64_t number_from(const char* variable, std::uint64_t otherwise) {
  const char* const given = std::getenv(variable);
  return given == nullptr ? otherwise : std::stoull(given);
}

/// What has been seen in a run.
struct Counts {
  std::size_t faults = 0;
  std::size_t equal = 0;
  std::map<std::string, std::size_t> inconclusive{};
  Clock::duration longest_recovery{0};
  std::size_t lost_connections = 0;
  std::uint64_t lost_sessions = 0;
  model::Tally tally{};
  Crew::Reading reading{};
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

void require_nothing_left(Scene& scene) {
  const auto count = [&](const std::string& what) { return scene.number("SELECT count(*) FROM " + what); };
  require(test::eventually([&] { return count("pg_replication_slots") == 0; }), "a slot is left behind");
  require(test::eventually([&] { return count("pg_stat_activity WHERE application_name = 'btreemapped'") == 0; }),
          "a session is left behind");
}

/// One Replicator after the other, with faults meanwhile.
class Run {
 public:
  Run(std::uint64_t seed, std::chrono::seconds time) : seed_(seed), time_(time) {}

  void follow_in_all_ways() {
    for (std::uint64_t part = 0; part < Configuration::count; ++part) {
      follow(part);
      memory_.add_rest(test::resources(), counts_.lost_sessions);
    }
  }

  /// As one configuration has it, in a part of the time.
  void follow(std::uint64_t part) {
    const Configuration configuration(seed_ + part);
    scene_.prepare(configuration);
    Crew crew(scene_.dsn(), scene_.replicator(), scene_.replicas(), seed_ + (part << 48U), signatures_);
    last_ = "the start of " + configuration.text();
    try {
      begin(crew);
      const test::Resources baseline = test::resources();
      do strike(crew, baseline);
      while (Clock::now() - begin_ < time_ * (part + 1) / Configuration::count);
      last_ = "the end of " + configuration.text();
      end(crew);
    } catch (const std::exception& error) {
      const std::string report = scene_.report();
      crew.stop();
      FAIL("after " << last_ << ", with " << configuration.text() << ": " << error.what() << "\n" << report);
    }
    crew.stop();
    counts_.lost_connections += scene_.replicator().status().reconnects;
    counts_.lost_sessions += crew.lost_sessions();
    counts_.tally += crew.tally();
    counts_.reading += crew.reading();
    scene_.leave();
    require_nothing_left(scene_);
  }

  [[nodiscard]] const Chaos& chaos() const { return chaos_; }
  [[nodiscard]] const Counts& counts() const { return counts_; }
  [[nodiscard]] const Memory& memory() const { return memory_; }

  void print() const {
    std::cout << counts_.faults << " faults; " << chaos_.report() << "\n"
              << counts_.equal << " verifications found all equal; inconclusive:\n";
    for (const auto& [why, count] : counts_.inconclusive) std::cout << "  " << count << " x " << why << "\n";
    const model::Tally& tally = counts_.tally;
    std::cout << tally.committed << " transactions committed, " << tally.rolled_back << " rolled back, "
              << tally.clashes << " clashes, " << tally.savepoints_rolled_back << " savepoints rolled back, "
              << tally.truncates << " truncates, " << tally.own_writes << " own writes read, " << counts_.lost_sessions
              << " sessions of writers lost\n"
              << counts_.lost_connections << " connections lost, "
              << scene_.events().count(btreemapped::EventKind::synced) << " copies of all tables, "
              << scene_.events().count(btreemapped::EventKind::table_healed) << " tables healed alone; at most "
              << in_ms(counts_.longest_recovery) << " until followed again\n"
              << counts_.reading.audits << " audits of " << counts_.reading.commits << " commits, "
              << counts_.reading.stale_reads << " met stale tables\n"
              << memory_.report() << "\nBTREEMAPPED_TEST_SEED=" << seed_ << std::endl;
  }

 private:
  void begin(Crew& crew) {
    crew.start_writing();
    test::start_and_sync(scene_.replicator());
    crew.start_reading();
    wait_until_equal(scene_, crew, counts_);
    require(test::eventually([&] { return crew.commits() > 100; }), "nobody writes");
    wait_until_tidy(scene_, nullptr);
  }

  void strike(Crew& crew, const test::Resources& baseline) {
    const auto drawn_at = Clock::now();
    const Chaos::Struck struck = chaos_.strike();
    last_ = struck.fault + ", " + struck.phase;
    ++counts_.faults;
    const auto struck_at = Clock::now();
    wait_until_live(scene_, crew);
    wait_for_all_written(scene_);
    const auto followed_at = Clock::now();
    counts_.longest_recovery = std::max(counts_.longest_recovery, followed_at - struck_at);
    wait_until_equal(scene_, crew, counts_);
    const auto equal_at = Clock::now();
    scene_.proxy().drop_half_open();
    wait_until_tidy(scene_, &baseline);
    memory_.add(test::resources(), std::chrono::duration<double>(Clock::now() - begin_) / time_,
                counts_.lost_sessions + crew.lost_sessions());
    if (!speaks_) return;
    std::cout << in_ms(drawn_at - begin_) << ": " << last_ << ", " << in_ms(struck_at - drawn_at) << "; followed after "
              << in_ms(followed_at - struck_at) << ", equal after " << in_ms(equal_at - followed_at) << ", tidy after "
              << in_ms(Clock::now() - equal_at) << std::endl;
  }

  void end(Crew& crew) {
    crew.stop_writing();
    require(test::eventually([&] { return crew.has_stopped_writing(); }), "writers do not end");
    wait_until_equal(scene_, crew, counts_);
    wait_for_all_written(scene_);
    test::Sql session{scene_.dsn()};
    const std::string differences = model::differences(scene_.replicas(), session);
    require(differences.empty(), differences);
    crew.check();
  }

  const std::uint64_t seed_;
  const Clock::duration time_;
  const Clock::time_point begin_ = Clock::now();
  const bool speaks_ = std::getenv("BTREEMAPPED_SOAK_SECONDS") != nullptr;
  Scene scene_{};
  Chaos chaos_{scene_, seed_};
  Crew::Signatures signatures_{};
  Counts counts_{};
  Memory memory_{};
  std::string last_{};
};

TEST_CASE("replicas survive all faults of servers, networks and tables, and readers see whole commits meanwhile",
          "[soak][G2][G3][G5][G10]") {
  const std::uint64_t seed = number_from("BTREEMAPPED_TEST_SEED", std::random_device{}());
  const std::chrono::seconds time{number_from("BTREEMAPPED_SOAK_SECONDS", 40)};
  std::cout << "BTREEMAPPED_TEST_SEED=" << seed << std::endl;  // at once, for what may end the process
  INFO("BTREEMAPPED_TEST_SEED=" << seed);
  Run run(seed, time);
  run.follow_in_all_ways();
  run.print();
  CHECK(run.counts().reading.commits > 0);
  CHECK(run.counts().tally.committed > 0);
  CHECK_FALSE(run.memory().grows());
  if (time >= 30min && !run.chaos().is_filtered()) REQUIRE(run.chaos().has_covered_all());
}

}  // namespace soak_test
