#include <algorithm>
#include <atomic>
#include <charconv>
#include <chrono>
#include <cstddef>
#include <cstdint>
#include <cstdlib>
#include <deque>
#include <exception>
#include <functional>
#include <iostream>
#include <iterator>
#include <mutex>
#include <random>
#include <stdexcept>
#include <string>
#include <string_view>
#include <system_error>
#include <utility>
#include <vector>

#include <catch2/catch_test_macros.hpp>
#include <pqxx/except>

#include <btreemapped/error.hpp>
#include <btreemapped/options.hpp>
#include <btreemapped/replicator.hpp>
#include <btreemapped/state.hpp>
#include <btreemapped/status.hpp>

#include "model/auditor.hpp"
#include "model/comparison.hpp"
#include "model/tables.hpp"
#include "model/writer.hpp"
#include "support/database.hpp"
#include "support/event_log.hpp"
#include "support/eventually.hpp"
#include "support/replicator.hpp"
#include "support/sql.hpp"
#include "support/threads.hpp"

// A model of three tables under everything that SQL does to rows: SQL sessions change them at random, readers check
// what must hold at every commit, and now and then all pause and the replicas are compared with the tables.
//
//   BTREEMAPPED_TEST_SEED            repeats a run, as far as the server schedules its sessions alike
//   BTREEMAPPED_MODEL_TRANSACTIONS   2000 unless set; much may not happen in less than 500

namespace {

using model::Auditor;
using model::Replicas;
using model::Writer;

constexpr std::size_t auditor_count = 2;
constexpr std::size_t transactions_per_segment = 100;

std::uint64_t number_from(const char* variable, std::uint64_t otherwise) {
  const char* const given = std::getenv(variable);
  if (given == nullptr) return otherwise;
  const std::string_view text{given};
  std::uint64_t number = 0;
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), number);
  if (error != std::errc{} || end != text.data() + text.size())
    throw std::invalid_argument(std::string{variable} + " is not a number");
  return number;
}

/// What comes between, in a segment, besides the sessions.
enum class Disturbance {
  none,
  copy,      ///< the first one
  cut,       ///< a walsender is ended
  schema,    ///< tables are altered, so that they must be copied alone
  identity,  ///< what the stream says of old rows becomes something else
};

/// Each kind within five segments.
Disturbance disturbance_of(std::uint64_t segment) {
  static constexpr Disturbance cycle[] = {Disturbance::none, Disturbance::cut, Disturbance::schema,
                                          Disturbance::identity};
  return segment == 0 ? Disturbance::copy : cycle[segment % std::size(cycle)];
}

/// The stretch from one barrier to the next.
class Segment {
 public:
  /// A third into it the disturbance comes. Writing goes on until the replicas are live again, with many a TRUNCATE,
  /// which may come between a snapshot and its copy. While all are rebuilt the walsender is ended once more; after a
  /// table that was altered is back, another one is, a few times.
  Segment(const btreemapped::Replicator& replicator, const Replicas& replicas, test::Database& database,
          const test::EventLog& events, Disturbance disturbance, std::uint64_t number)
      : replicator_(replicator),
        replicas_(replicas),
        database_(database),
        events_(events),
        disturbance_(disturbance),
        next_alteration_(alterations_per_segment * (number / 4)),
        phase_(disturbance == Disturbance::none || disturbance == Disturbance::copy ? Phase::over
                                                                                    : Phase::undisturbed) {}

  /// The last session to pause holds the segment until the replicas are where it has stopped.
  void write(Writer& writer) {
    take_part([&] {
      for (std::size_t begun = begun_.fetch_add(1); goes_on(begun); begun = begun_.fetch_add(1)) {
        writer.run_transaction(rebuilding_.load() ? model::Truncates::many : model::Truncates::some);
        if (begun % 8 == 0) writer.read_own_write(replicator_, replicas_);
        if (begun % 32 == 1 && disturbance_ == Disturbance::none) writer.check_acknowledged(replicas_);
      }
      if (writing_.fetch_sub(1) != 1) return;
      database_.catch_up(replicator_);
      ended_.store(true);
    });
  }

  void audit(Auditor& auditor) {
    take_part([&] {
      test::wait_until_synced(replicator_);
      do {
        auditor.audit();
      } while (!ended_.load());
    });
  }

 private:
  enum class Phase { undisturbed, lost, altered, coming_back, over };

  static constexpr std::size_t alterations_per_segment = 3;

  /// When one fails, all end.
  template <class Work>
  void take_part(Work&& work) {
    try {
      work();
    } catch (...) {
      ended_.store(true);
      throw;
    }
  }

  bool goes_on(std::size_t begun) {
    if (ended_.load()) return false;
    const std::lock_guard lock(mutex_);
    const bool disturbing = disturb(begun);
    return begun < transactions_per_segment || disturbing;
  }

  /// False when it is over.
  bool disturb(std::size_t begun) {
    switch (phase_) {
      case Phase::undisturbed:
        if (begun >= transactions_per_segment / 3) begin_to_disturb();
        break;
      case Phase::lost:
        if (replicator_.status().reconnects == losses_) break;
        cut_connection();
        phase_ = Phase::coming_back;
        break;
      case Phase::altered:
        if (events_.count(btreemapped::EventKind::table_healed, altered_) == heals_) break;
        if (disturbance_ == Disturbance::schema && ++altered_so_far_ < alterations_per_segment) alter();
        else phase_ = Phase::coming_back;
        break;
      case Phase::coming_back:
        if (all_are_live()) phase_ = Phase::over;
        break;
      case Phase::over: break;
    }
    rebuilding_.store(phase_ == Phase::lost || phase_ == Phase::altered || phase_ == Phase::coming_back);
    return phase_ != Phase::over;
  }

  void begin_to_disturb() {
    if (disturbance_ == Disturbance::cut) {
      losses_ = replicator_.status().reconnects;
      cut_connection();
      phase_ = Phase::lost;
    } else {
      if (disturbance_ == Disturbance::schema) alter();
      else change_identity();
      phase_ = Phase::altered;
    }
  }

  void alter() {
    const model::Alteration& alteration = model::alterations[next_alteration_++ % std::size(model::alterations)];
    expect_heal_of(alteration.table);
    run_alone(alteration.sql);
  }

  void expect_heal_of(const std::string& table) {
    altered_ = "public." + table;
    heals_ = events_.count(btreemapped::EventKind::table_healed, altered_);
  }

  /// As a transaction, until no session is in its way.
  void run_alone(const std::string& sql) {
    while (true) {
      try {
        return database_.exec("BEGIN; " + sql + "; COMMIT");
      } catch (const pqxx::transaction_rollback&) {
        database_.exec("ROLLBACK");
      }
    }
  }

  void cut_connection() { database_.end_sessions("backend_type = 'walsender'"); }

  void change_identity() {
    const bool is_full = database_.value("SELECT relreplident FROM pg_class WHERE oid = 'account'::regclass") == "f";
    expect_heal_of("account");
    for (const char* const statement : is_full ? model::identity_by_key : model::identity_by_row) run_alone(statement);
  }

  bool all_are_live() const {
    const btreemapped::Status status = replicator_.status();
    return std::all_of(status.tables.begin(), status.tables.end(),
                       [](const auto& table) { return table.state == btreemapped::TableState::live; });
  }

  const btreemapped::Replicator& replicator_;
  const Replicas& replicas_;
  test::Database& database_;
  const test::EventLog& events_;
  const Disturbance disturbance_;
  std::atomic<std::size_t> begun_{0};
  std::atomic<std::size_t> writing_{model::writer_count};
  std::atomic<bool> ended_{false};
  std::atomic<bool> rebuilding_{false};

  std::mutex mutex_;  // for the disturbance
  std::size_t next_alteration_;
  Phase phase_;
  std::uint64_t losses_ = 0;
  std::string altered_{};
  std::size_t heals_ = 0;
  std::size_t altered_so_far_ = 0;
};

/// Tables that failed: nothing here is a reason to.
std::string failures(const test::EventLog& events) {
  std::string found;
  for (const btreemapped::Event& event : events.all())
    if (event.kind == btreemapped::EventKind::table_failed) found += "\n" + event.table + " failed: " + event.message;
  return found;
}

/// What could not be applied, with its position: no transaction is a reason for that.
std::vector<std::string> divergences(const test::EventLog& events) {
  std::vector<std::string> found;
  for (const btreemapped::Event& event : events.all())
    if (event.kind == btreemapped::EventKind::table_stale && event.message.find(" (at ") != std::string::npos &&
        event.message.find(" was truncated ") == std::string::npos &&
        event.message.find(" was altered ") == std::string::npos)
      found.push_back(event.message);
  return found;
}

/// What is altered shows a moment later, as no message tells of it; what is written shows at once, in a table that
/// follows.
std::string differences_after(Disturbance disturbance, const Replicas& replicas, test::Sql& session) {
  std::string found;
  bool may_lag = disturbance == Disturbance::schema || disturbance == Disturbance::identity;
  const auto look = [&] {
    try {
      found = model::differences(replicas, session);
    } catch (const btreemapped::StaleError& error) {
      may_lag = true;
      found = error.what();
    }
    return found.empty();
  };
  if (!look() && may_lag) static_cast<void>(test::eventually(look));
  return found;
}

std::size_t audited_commits(const std::deque<Auditor>& auditors) {
  std::size_t commits = 0;
  for (const Auditor& auditor : auditors) commits += auditor.commits();
  return commits;
}

}  // namespace

TEST_CASE("replicas equal their tables and readers see whole commits whatever four sessions do") {
  using namespace model;
  const std::uint64_t seed = number_from("BTREEMAPPED_TEST_SEED", std::random_device{}());
  const std::uint64_t transactions = number_from("BTREEMAPPED_MODEL_TRANSACTIONS", 2000);
  const std::uint64_t segments = (transactions + transactions_per_segment - 1) / transactions_per_segment;
  const auto seed_of = [&](std::uint64_t part) { return seed + part * 0x9E37'79B9'7F4A'7C15U; };
  std::cout << "BTREEMAPPED_TEST_SEED=" << seed << std::endl;  // at once, for what may end the process

  test::Database database;
  database.exec(schema);
  test::Sql session{database.dsn()};
  const test::EventLog events;
  btreemapped::Options options = database.options();
  options.on_event = events.hook();
  options.catalog_watch_interval = std::chrono::milliseconds{50};
  test::Replicator replicator{options};
  const Replicas replicas{replicator.add_replica<Account, 1>("account"),
                          replicator.add_replica<Position, 2>("position"), replicator.add_replica<Quote, 3>("quote")};
  std::deque<Writer> writers;
  for (std::uint64_t i = 0; i < writer_count; ++i) writers.emplace_back(database.dsn(), i, seed_of(i));
  Sightings sightings;
  std::deque<Auditor> auditors;
  for (std::uint64_t i = 0; i < auditor_count; ++i)
    auditors.emplace_back(replicas, sightings, seed_of(writer_count + i));

  std::uint64_t cut_segments = 0;
  replicator.start();  // the first copy is made while the first segment is written
  for (std::uint64_t number = 0; number < segments; ++number) {
    INFO("BTREEMAPPED_TEST_SEED=" << seed << ", segment " << number << " of " << segments);
    const Disturbance disturbance = disturbance_of(number);
    if (disturbance == Disturbance::cut) ++cut_segments;
    const std::size_t audited_before = audited_commits(auditors);
    const std::size_t losses = events.count(btreemapped::EventKind::stale);
    const std::vector<std::string> divergences_before = divergences(events);
    Segment segment(replicator, replicas, database, events, disturbance, number);
    std::vector<std::function<void()>> together;
    for (Writer& writer : writers) together.emplace_back([&] { segment.write(writer); });
    for (Auditor& auditor : auditors) together.emplace_back([&] { segment.audit(auditor); });
    std::string found;
    try {
      test::run_together(std::move(together));
      found = differences_after(disturbance, replicas, session);
    } catch (const std::exception& error) {
      found = error.what();
    }
    found += failures(events);
    INFO(found);
    REQUIRE(found.empty());
    if (disturbance != Disturbance::copy) REQUIRE(audited_commits(auditors) > audited_before + 5);
    if (disturbance != Disturbance::cut) REQUIRE(events.count(btreemapped::EventKind::stale) == losses);
    if (disturbance != Disturbance::schema) REQUIRE(divergences(events) == divergences_before);
  }

  replicator.prove();
  replicator.stop();
  static_cast<void>(events.wait_for(btreemapped::EventKind::stopped));
  REQUIRE(failures(events) == "");

  Tally tally;
  for (const Writer& writer : writers) tally += writer.tally();
  std::size_t audits = 0;
  for (const Auditor& auditor : auditors) audits += auditor.audits();
  std::cout << tally.committed << " transactions committed, " << tally.rolled_back << " rolled back, " << tally.clashes
            << " clashes, " << tally.taken_keys << " keys taken; " << tally.savepoints_rolled_back
            << " savepoints rolled back, " << tally.truncates << " truncates, " << tally.shifted_columns
            << " columns shifted, " << tally.own_writes << " own writes read; " << replicator.status().reconnects
            << " connections lost, " << events.count(btreemapped::EventKind::table_healed) << " tables copied alone; "
            << audits << " audits of " << audited_commits(auditors) << " commits" << std::endl;
  CHECK(tally.committed + tally.rolled_back >= transactions);
  CHECK(tally.rolled_back > 0);
  CHECK(tally.clashes > 0);
  CHECK(tally.taken_keys > 0);
  CHECK(tally.savepoints_rolled_back > 0);
  CHECK(tally.truncates > 0);
  CHECK(tally.shifted_columns > 0);
  CHECK(tally.own_writes > 0);
  CHECK(replicator.status().reconnects >= cut_segments);
  CHECK(events.count(btreemapped::EventKind::table_healed) > 0);
}
