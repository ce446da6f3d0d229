// G4: tables that no longer fit their structs fail alone, at whatever moment, and heal by themselves once they fit.

#include <chrono>
#include <cstddef>
#include <cstdint>
#include <future>
#include <optional>
#include <random>
#include <string>
#include <vector>

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
#include "support/sql.hpp"

namespace misfits_test {

using btreemapped::EventKind;
using btreemapped::TableState;
using Catch::Matchers::ContainsSubstring;

struct Item {
  std::int32_t id;
  std::string name;
  std::int32_t amount;

  friend bool operator==(const Item&, const Item&) = default;
};
using Items = std::vector<Item>;

struct Misfit {
  std::string table;
  std::string sql;    // what makes it one
  std::string mends;  // and what it takes to fit again
  std::string why;    // from the event
};

const std::vector<Misfit> misfits{
    {"renamed_column", "ALTER TABLE renamed_column RENAME amount TO total",
     "ALTER TABLE renamed_column RENAME total TO amount", "column amount: "},
    {"dropped_column", "ALTER TABLE dropped_column DROP amount",
     "ALTER TABLE dropped_column ADD amount int NOT NULL DEFAULT 5", "column amount: "},
    {"other_type", "ALTER TABLE other_type ALTER amount TYPE numeric",
     "ALTER TABLE other_type ALTER amount TYPE int USING amount::int + 1", "column amount: "},
    {"dropped", "DROP TABLE dropped",
     "CREATE TABLE dropped (amount int NOT NULL DEFAULT 3, name text NOT NULL DEFAULT 'n', id int PRIMARY KEY);"
     "INSERT INTO dropped (id) SELECT generate_series(1, 5)",
     "there is no such table"},
    {"renamed_away", "ALTER TABLE renamed_away RENAME TO away", "ALTER TABLE away RENAME TO renamed_away",
     "there is no such table"},
};

/// Follows the tables that are to become misfits, one that is copied with them and fits, and one that is always
/// followed.
class Scene {
 public:
  Scene() : proxy_(database.reader_dsn()) {
    std::vector<std::string> names{"fitting", "steady"};
    for (const Misfit& each : misfits) names.push_back(each.table);
    for (const std::string& name : names) {
      database.exec(
          "CREATE TABLE " + name +
          " (id int PRIMARY KEY, name text NOT NULL DEFAULT 'n', amount int NOT NULL DEFAULT 1); INSERT INTO " + name +
          " SELECT i, repeat('n', 100), i FROM generate_series(1, 100) i");
    }
    database.exec("CREATE PUBLICATION pub FOR ALL TABLES");
    btreemapped::Options options = database.options();
    options.connection = proxy_.dsn();
    options.on_event = log.hook();
    options.catalog_watch_interval = std::chrono::milliseconds{20};
    replicator.emplace(options);
    for (const Misfit& each : misfits) replicas.push_back(replicator->add_replica<Item, 1>(each.table));
    fitting.emplace(replicator->add_replica<Item, 1>("fitting"));
    steady.emplace(replicator->add_replica<Item, 1>("steady"));
    test::start_and_sync(*replicator);
  }

  /// Makes all misfits at once, each by a session of its own, as it may have to wait for our locks.
  void begin_to_alter() {
    for (const Misfit& each : misfits)
      alterations_.push_back(
          std::async(std::launch::async, [dsn = database.dsn(), sql = each.sql] { test::Sql(dsn).exec(sql); }));
  }
  /// Returns when each is done, or waits for a lock.
  void wait_until_altered_or_blocked() {
    REQUIRE(test::eventually([&] {
      std::size_t done = 0;
      for (const std::future<void>& each : alterations_)
        if (each.wait_for(std::chrono::seconds{0}) == std::future_status::ready) ++done;
      const std::string waiting = database.value(
          "SELECT count(*) FROM pg_stat_activity WHERE datname = current_database() AND wait_event_type = 'Lock'");
      return done + std::stoul(waiting) == misfits.size();
    }));
  }
  void finish_altering() {
    for (std::future<void>& each : alterations_) each.get();
  }

  /// Lets all tables but one be copied alone, without a difference in their rows.
  void make_stale() {
    std::string all;
    for (const Misfit& each : misfits) all += "ALTER TABLE " + each.table + " ALTER name DROP NOT NULL; ";
    database.exec("BEGIN; " + all + "ALTER TABLE fitting ALTER name DROP NOT NULL; COMMIT");
  }

  /// Each misfit fails for its reason, keeps what it had, and heals when it is mended; nobody else notices. `idle`:
  /// nothing has been written to them so far.
  void must_fail_alone_and_heal(bool idle) {
    for (std::size_t i = 0; i < misfits.size(); ++i) {
      const Misfit& misfit = misfits[i];
      CAPTURE(misfit.table);
      CHECK_THAT(log.wait_for(EventKind::table_failed, 1, "public." + misfit.table).message,
                 ContainsSubstring(misfit.why));
    }
    std::vector<Items> kept;
    for (const auto& each : replicas) kept.push_back(each.to_vector());
    if (idle) CHECK(kept == std::vector<Items>(misfits.size(), first_rows()));
    database.exec(
        "UPDATE renamed_column SET total = 0; UPDATE dropped_column SET name = 'x'; UPDATE other_type SET amount = 0;"
        "DELETE FROM away WHERE id < 50; UPDATE steady SET amount = amount + 1; UPDATE fitting SET amount = amount + "
        "1");
    others_go_on();
    for (std::size_t i = 0; i < misfits.size(); ++i) {
      CAPTURE(misfits[i].table);
      CHECK(replicas[i].state() == TableState::failed);
      CHECK(replicas[i].to_vector() == kept[i]);
      CHECK_THAT(replicator->status().tables.at(i).last_error, ContainsSubstring(misfits[i].why));
    }
    for (const Misfit& each : misfits) database.exec(each.mends);
    for (std::size_t i = 0; i < misfits.size(); ++i) {
      CAPTURE(misfits[i].table);
      CHECK(test::eventually([&] {
        return replicas[i].state() == TableState::live && replicas[i].to_vector() == table(misfits[i].table);
      }));
    }
    others_go_on();
    CHECK(log.count(EventKind::table_failed, "public.fitting") == 0);
    for (const EventKind kind : {EventKind::table_failed, EventKind::table_stale, EventKind::table_healed})
      CHECK(log.count(kind, "public.steady") == 0);
    CHECK(replicator->status().reconnects == 0);
  }

  [[nodiscard]] test::Proxy& proxy() noexcept { return proxy_; }

  test::Database database;
  test::EventLog log;

 private:
  static Items first_rows() {
    Items out;
    for (std::int32_t i = 1; i <= 100; ++i) out.push_back({i, std::string(100, 'n'), i});
    return out;
  }

  Items table(const std::string& name) {
    Items out;
    for (const test::SqlRow& row : database.rows("SELECT id, name, amount FROM " + name + " ORDER BY id"))
      out.push_back({std::stoi(*row[0]), *row[1], std::stoi(*row[2])});
    return out;
  }

  void others_go_on() {
    CHECK(test::eventually(
        [&] { return fitting->state() == TableState::live && fitting->to_vector() == table("fitting"); }));
    database.catch_up(*replicator);
    CHECK(steady->to_vector() == table("steady"));
    CHECK(steady->state() == TableState::live);
  }

  test::Proxy proxy_;
  std::vector<std::future<void>> alterations_{};

 public:
  std::optional<test::Replicator> replicator;
  std::vector<btreemapped::Replica<Item, 1>> replicas;  // of the misfits
  std::optional<btreemapped::Replica<Item, 1>> fitting;
  std::optional<btreemapped::Replica<Item, 1>> steady;
};

/// Writes to one of the tables, whatever has become of it.
std::string some_write(std::mt19937_64& random) {
  const std::size_t place = random() % (misfits.size() + 2);
  const std::string name = place < misfits.size()    ? misfits[place].table
                           : place == misfits.size() ? "fitting"
                                                     : "steady";
  const std::string id = std::to_string(1 + random() % 150);
  std::string sql;
  switch (random() % 4) {
    case 0:
      sql = "INSERT INTO " + name + " (id) VALUES (" + id + ") ON CONFLICT (id) DO UPDATE SET name = 'written'";
      break;
    case 1: sql = "DELETE FROM " + name + " WHERE id = " + id; break;
    case 2: sql = "UPDATE " + name + " SET amount = amount + 1 WHERE id < " + id; break;
    default:
      sql = "UPDATE " + name + " SET id = id + 150 WHERE id = " + id + " AND NOT EXISTS (SELECT FROM " + name +
            " WHERE id = 150 + " + id + ")";
  }
  return "DO $$ BEGIN " + sql + "; EXCEPTION WHEN undefined_table OR undefined_column OR unique_violation THEN END $$";
}

TEST_CASE("idle tables that no longer fit fail alone, and heal once they fit", "[G4][G2]") {
  Scene scene;
  scene.begin_to_alter();
  scene.finish_altering();
  scene.must_fail_alone_and_heal(true);
}

TEST_CASE("busy tables that no longer fit fail alone, and heal once they fit", "[G4][G2]") {
  Scene scene;
  test::Load load(scene.database.dsn(), 2, some_write);
  REQUIRE(load.go_on_for(100));
  scene.begin_to_alter();
  scene.finish_altering();
  REQUIRE(load.go_on_for(200));
  load.stop();
  scene.must_fail_alone_and_heal(false);
}

TEST_CASE("tables that no longer fit when they are about to be copied alone fail, and heal once they fit", "[G4][G2]") {
  Scene scene;
  scene.proxy().hold("SET TRANSACTION SNAPSHOT");
  scene.make_stale();
  scene.proxy().wait_until_held();
  scene.begin_to_alter();
  scene.finish_altering();
  scene.proxy().release();
  scene.must_fail_alone_and_heal(true);
}

TEST_CASE("tables that no longer fit when they have been copied alone fail, and heal once they fit", "[G4][G2]") {
  Scene scene;
  scene.proxy().hold_answer("COPY (", 2'000);
  scene.make_stale();
  scene.proxy().wait_until_held();
  scene.begin_to_alter();
  scene.wait_until_altered_or_blocked();
  scene.proxy().release();
  scene.finish_altering();
  scene.must_fail_alone_and_heal(true);
}

}  // namespace misfits_test
