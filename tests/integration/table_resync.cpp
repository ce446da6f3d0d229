// G2, G4, G5: a table that must be copied afresh is copied alone, while the others go on.

#include <chrono>
#include <cstddef>
#include <cstdint>
#include <optional>
#include <random>
#include <string>
#include <vector>

#include <catch2/catch_test_macros.hpp>
#include <catch2/generators/catch_generators.hpp>
#include <catch2/matchers/catch_matchers.hpp>
#include <catch2/matchers/catch_matchers_string.hpp>

#include <sys/resource.h>
#include <unistd.h>

#include <btreemapped.hpp>

#include "support/database.hpp"
#include "support/event_log.hpp"
#include "support/eventually.hpp"
#include "support/load.hpp"
#include "support/proxy.hpp"
#include "support/replicator.hpp"
#include "support/sql.hpp"

namespace table_resync_test {

using btreemapped::EventKind;
using btreemapped::TableState;
using Catch::Matchers::ContainsSubstring;
using namespace std::chrono_literals;

struct Item {
  std::int32_t id;
  std::int32_t amount;

  friend bool operator==(const Item&, const Item&) = default;
};
using Items = std::vector<Item>;

/// Follows two tables through a proxy; the catalog is watched all the time, unless somebody says otherwise.
class Scene {
 public:
  explicit Scene(std::chrono::milliseconds watch = 20ms, int rows = 100) : proxy_(database.reader_dsn()) {
    database.exec(
        "CREATE TABLE items (id int PRIMARY KEY, amount int NOT NULL); CREATE TABLE others (LIKE items INCLUDING ALL);"
        "INSERT INTO items SELECT i, 10 * i FROM generate_series(1, " +
        std::to_string(rows) + ") i; INSERT INTO others VALUES (1, 1); CREATE PUBLICATION pub FOR TABLE items, others");
    options = database.options();
    options.connection = proxy_.dsn();
    options.on_event = log.hook();
    options.catalog_watch_interval = watch;
  }

  void follow() {
    replicator.emplace(options);
    items.emplace(replicator->add_replica<Item, 1>("items"));
    others.emplace(replicator->add_replica<Item, 1>("others"));
    test::start_and_sync(*replicator);
  }

  /// Changes the values of items without a message, so that they must be copied.
  void rewrite() { database.exec("ALTER TABLE items ALTER amount TYPE int USING amount + 1"); }

  /// A row arrives under another key than it has.
  void lose_a_row() {
    proxy_.damage("123456", "123457");
    database.exec("INSERT INTO items VALUES (123456, 1)");
    database.catch_up(*replicator);
    REQUIRE(items->contains(123'457));
    REQUIRE(!items->contains(123'456));
    REQUIRE(items->state() == TableState::live);
  }

  /// Follows, but nothing of the stream arrives until the proxy is released.
  void hold_the_stream() {
    options.connection += " options='-c wal_sender_timeout=1min'";  // it will not be acknowledged either
    proxy_.hold_answer("START_REPLICATION", 1);
    follow();
    proxy_.wait_until_held();
    proxy_.count("COPY (");
  }

  /// Returns when a copy has ended that began after proxy().count("COPY (").
  void wait_until_copied() {
    REQUIRE(test::eventually([&] {
      return proxy_.sent() > 0 && database
                                      .rows(
                                          "SELECT FROM pg_stat_activity WHERE datname = current_database() AND query ~ "
                                          "'^(SAVEPOINT|COPY|RELEASE)'")
                                      .empty();
    }));
  }

  /// Returns when somebody has been seen to look there anew.
  void look_at_the_catalog() {
    database.exec("ALTER TABLE others ALTER amount TYPE int USING amount");
    static_cast<void>(log.wait_for(EventKind::table_stale, 1, "public.others"));
  }

  void only_items_were_copied() {
    CHECK(log.count(EventKind::table_stale, "public.items") == 1);
    CHECK(log.count(EventKind::table_healed, "public.items") == 1);
    CHECK(log.count(EventKind::table_stale, "public.others") == 0);
    CHECK(replicator->status().reconnects == 0);
  }

  void wait_for_heal(std::size_t nth = 1) {
    static_cast<void>(log.wait_for(EventKind::table_healed, nth, "public.items"));
  }

  [[nodiscard]] Items table(const std::string& name = "items") {
    Items out;
    for (const test::SqlRow& row : database.rows("SELECT id, amount FROM " + name + " ORDER BY id"))
      out.push_back({std::stoi(*row[0]), std::stoi(*row[1])});
    return out;
  }

  [[nodiscard]] bool ends_equal() {
    return test::eventually([&] { return items->state() == TableState::live && items->to_vector() == table(); });
  }

  [[nodiscard]] test::Proxy& proxy() noexcept { return proxy_; }

  test::Database database;
  test::EventLog log;

 private:
  test::Proxy proxy_;

 public:
  btreemapped::Options options;
  std::optional<test::Replicator> replicator;
  std::optional<btreemapped::Replica<Item, 1>> items;
  std::optional<btreemapped::Replica<Item, 1>> others;
};

TEST_CASE("while a table is copied afresh it shows its last commit, flagged stale, and the others go on", "[G2][G5]") {
  Scene scene;
  scene.follow();
  const Items before = scene.items->to_vector();
  scene.proxy().hold("SET TRANSACTION SNAPSHOT");
  scene.rewrite();
  scene.proxy().wait_until_held();
  scene.database.exec("INSERT INTO items VALUES (1000, 0); UPDATE others SET amount = 2");
  scene.database.catch_up(*scene.replicator);
  CHECK(scene.items->to_vector() == before);
  CHECK(scene.items->state() == TableState::stale);
  CHECK(scene.items->stale_for() > 0ns);
  CHECK(scene.others->to_vector() == Items{{1, 2}});
  CHECK(scene.others->state() == TableState::live);
  CHECK(scene.items->lsn() < scene.others->lsn());
  CHECK_THAT(scene.replicator->status().tables.at(0).last_error, ContainsSubstring("altered"));
  CHECK(scene.replicator->status().tables.at(0).state == TableState::stale);

  scene.proxy().release();
  scene.wait_for_heal();
  CHECK(scene.items->to_vector() == scene.table());
  CHECK(scene.items->state() == TableState::live);
  CHECK(scene.items->stale_for() == 0ns);
  CHECK(scene.replicator->status().tables.at(0).last_error.empty());
  CHECK(scene.replicator->status().reconnects == 0);
}

TEST_CASE("a stale table is not read together with the others unless that is allowed, and rejoins at their commit",
          "[G2]") {
  Scene scene;
  scene.follow();
  scene.proxy().hold("SET TRANSACTION SNAPSHOT");
  scene.rewrite();
  scene.proxy().wait_until_held();
  REQUIRE(test::eventually([&] { return scene.items->state() == TableState::stale; }));
  scene.database.exec("UPDATE others SET amount = 2");
  scene.database.catch_up(*scene.replicator);
  const auto sizes = [](const auto& a, const auto& b) { return a.size() + b.size(); };
  CHECK_THROWS_AS(btreemapped::read(*scene.items, *scene.others, sizes), btreemapped::StaleError);
  CHECK(btreemapped::read(btreemapped::allow_stale, *scene.items, *scene.others, sizes) == 101);
  scene.proxy().release();
  scene.wait_for_heal();
  CHECK(btreemapped::read(*scene.items, *scene.others, sizes) == 101);
  CHECK(scene.items->lsn() == scene.others->lsn());
}

TEST_CASE("two tables that change together in every transaction are never seen apart over a copy of one", "[G2]") {
  Scene scene;
  scene.database.exec("UPDATE items SET amount = 0; UPDATE others SET amount = 0");
  scene.follow();
  const auto move_an_amount = [](std::mt19937_64& random) {
    const std::string by = std::to_string(random() % 100);
    return "BEGIN; UPDATE others SET amount = amount + " + by + " WHERE id = 1; UPDATE items SET amount = amount - " +
           by + " WHERE id = 1 + " + by + "; COMMIT";
  };
  // No more than a sanitized build takes that reads all the time.
  test::Load load(scene.database.dsn(), 2, move_an_amount, test::Load::Lost::fails, 10ms);
  std::size_t reads = 0;
  std::size_t stale = 0;
  for (std::size_t copies = 1; copies <= 5; ++copies) {
    REQUIRE(load.go_on_for(30));
    scene.database.exec("ALTER TABLE items ALTER amount TYPE int USING amount + 0");
    while (scene.log.count(EventKind::table_healed, "public.items") < copies || reads < 1'000 * copies) {
      try {
        const std::int64_t sum = btreemapped::read(*scene.items, *scene.others, [](const auto& a, const auto& b) {
          std::int64_t total = b.find(1)->amount;
          for (const Item& each : a) total += each.amount;
          return total;
        });
        if (sum != 0) FAIL("the sum over both tables is " << sum);
        ++reads;
      } catch (const btreemapped::StaleError&) {
        ++stale;
      }
    }
  }
  load.stop();
  CHECK(stale > 0);
  CHECK(scene.ends_equal());
  CHECK(scene.replicator->status().reconnects == 0);
}

TEST_CASE("a large table under many writers is copied alone and ends equal", "[G3][G4]") {
  Scene scene(20ms, 50'000);
  scene.follow();
  test::Load load(scene.database.dsn(), 3, [](std::mt19937_64& random) -> std::string {
    const std::string id = std::to_string(random() % 60'000);
    switch (random() % 4) {
      case 0: return "INSERT INTO items VALUES (" + id + ", 1) ON CONFLICT (id) DO UPDATE SET amount = 2";
      case 1: return "DELETE FROM items WHERE id = " + id;
      case 2:
        return "WITH gone AS (DELETE FROM items WHERE id = " + id +
               " RETURNING id) INSERT INTO items SELECT -id, 3 FROM gone ON CONFLICT (id) DO UPDATE SET amount = 4";
      default: return "UPDATE others SET amount = amount + 1";
    }
  });
  for (std::size_t copies = 1; copies <= 3; ++copies) {
    REQUIRE(load.go_on_for(100));
    scene.rewrite();
    scene.wait_for_heal(copies);
  }
  load.stop();
  CHECK(scene.ends_equal());
  CHECK(scene.others->to_vector() == scene.table("others"));
  CHECK(scene.replicator->status().reconnects == 0);
}

TEST_CASE("an update or delete of a row that is not held leads to a copy of the table alone", "[G4]") {
  for (const std::string change :
       {"UPDATE items SET amount = 2 WHERE id = 123456", "DELETE FROM items WHERE id = 123456",
        "UPDATE items SET id = 5000 WHERE id = 123456"}) {
    CAPTURE(change);
    Scene scene(1h);
    scene.follow();
    scene.lose_a_row();
    scene.database.exec(change + "; UPDATE others SET amount = 2");
    const btreemapped::Event stale = scene.log.wait_for(EventKind::table_stale, 1, "public.items");
    CHECK_THAT(stale.message, ContainsSubstring("an update or delete of a row that is not held"));
    CHECK(stale.lsn > btreemapped::Lsn{});
    scene.wait_for_heal();
    CHECK(scene.items->to_vector() == scene.table());
    CHECK(scene.others->to_vector() == Items{{1, 2}});
    scene.only_items_were_copied();
  }
}

TEST_CASE("an insert of a key that is held leads to a copy of the table alone", "[G4]") {
  for (const std::string change :
       {"INSERT INTO items VALUES (123457, 5)", "UPDATE items SET id = 123457 WHERE id = 1"}) {
    CAPTURE(change);
    Scene scene(1h);
    scene.follow();
    scene.lose_a_row();
    scene.database.exec(change);
    const btreemapped::Event stale = scene.log.wait_for(EventKind::table_stale, 1, "public.items");
    CHECK_THAT(stale.message, ContainsSubstring("two rows with the same key"));
    CHECK(stale.lsn > btreemapped::Lsn{});
    scene.wait_for_heal();
    CHECK(scene.items->to_vector() == scene.table());
    scene.only_items_were_copied();
  }
}

TEST_CASE("tables altered in one transaction are copied at one snapshot", "[G2]") {
  Scene scene;
  scene.follow();
  scene.proxy().count("CREATE_REPLICATION_SLOT");
  const std::uint64_t before = scene.items->sequence();
  scene.database.exec(
      "BEGIN; ALTER TABLE items ALTER amount TYPE int USING 1; ALTER TABLE others ALTER amount TYPE int USING 1;"
      "COMMIT");
  scene.wait_for_heal();
  static_cast<void>(scene.log.wait_for(EventKind::table_healed, 1, "public.others"));
  CHECK(scene.proxy().sent() == 1);
  CHECK(scene.items->sequence() == before + 1);
  CHECK(scene.others->sequence() == before + 1);
  CHECK(scene.items->to_vector() == scene.table());
  CHECK(scene.others->to_vector() == Items{{1, 1}});
}

TEST_CASE("a table that was copied is not shown before the others are as far", "[G2]") {
  Scene scene;
  scene.hold_the_stream();
  const Items before = scene.items->to_vector();
  scene.database.exec("INSERT INTO items VALUES (1000, 0); UPDATE others SET amount = 2");
  scene.rewrite();
  scene.wait_until_copied();
  scene.look_at_the_catalog();
  CHECK(scene.items->to_vector() == before);
  CHECK(scene.items->state() == TableState::stale);
  scene.proxy().release();
  scene.wait_for_heal();
  CHECK(scene.items->to_vector() == scene.table());
  CHECK(scene.log.count(EventKind::table_stale, "public.items") == 1);
  CHECK(scene.replicator->status().reconnects == 0);
}

TEST_CASE("a table that is altered once more while its copy waits for the stream is copied once more", "[G4]") {
  Scene scene;
  scene.hold_the_stream();
  scene.rewrite();
  scene.wait_until_copied();
  scene.rewrite();
  scene.database.exec("UPDATE others SET amount = 2");
  scene.proxy().release();
  CHECK(scene.ends_equal());
  scene.wait_for_heal();
  CHECK(scene.log.count(EventKind::table_healed, "public.items") == 1);
  CHECK(scene.log.count(EventKind::table_stale, "public.items") == 2);
  CHECK(scene.replicator->status().reconnects == 0);
}

TEST_CASE("more changes than the log may hold lead to a copy of all tables", "[G4]") {
  Scene scene;
  scene.options.max_log_bytes = 10'000;
  scene.follow();
  scene.proxy().hold("SET TRANSACTION SNAPSHOT");
  scene.rewrite();
  scene.proxy().wait_until_held();
  scene.database.exec("INSERT INTO items SELECT i, 0 FROM generate_series(1000, 2000) i");
  CHECK_THAT(scene.log.wait_for(EventKind::stale).message, ContainsSubstring("max_log_bytes"));
  scene.proxy().release();
  CHECK(scene.ends_equal());
}

TEST_CASE("where no second slot is free all tables are copied afresh", "[G4]") {
  Scene scene;
  scene.follow();
  test::Sql keeper(scene.database.dsn());
  keeper.exec(
      "DO $$ DECLARE free int; BEGIN SELECT current_setting('max_replication_slots')::int - count(*) INTO free FROM "
      "pg_replication_slots; FOR n IN 1 .. free LOOP PERFORM pg_create_physical_replication_slot('keeper_' || n); END "
      "LOOP; END $$");
  scene.rewrite();
  const btreemapped::Event stale = scene.log.wait_for(EventKind::stale);
  keeper.exec("SELECT pg_drop_replication_slot(slot_name) FROM pg_replication_slots WHERE slot_name LIKE 'keeper%'");
  CHECK_THAT(stale.message, ContainsSubstring("slot"));
  CHECK(scene.ends_equal());
}

TEST_CASE("a copy of one table that waits for an open transaction says so, and the others go on", "[G2][G7]") {
  Scene scene;
  scene.follow();
  test::Sql open(scene.database.dsn());
  open.exec("BEGIN; CREATE TABLE in_progress (id int)");
  scene.rewrite();
  CHECK_THAT(scene.log.wait_for(EventKind::slot_waiting).message, ContainsSubstring("pg_terminate_backend"));
  scene.database.exec("UPDATE others SET amount = 3");
  scene.database.catch_up(*scene.replicator);
  CHECK(scene.others->to_vector() == Items{{1, 3}});
  CHECK(scene.items->state() == TableState::stale);
  open.exec("COMMIT");
  CHECK(scene.ends_equal());
  CHECK(scene.replicator->status().reconnects == 0);
}

TEST_CASE("a copy of one table whose session is ended is tried again, and the others go on", "[G3]") {
  Scene scene;
  scene.follow();
  scene.proxy().hold_answer("COPY (", 100);
  scene.rewrite();
  scene.proxy().wait_until_held();
  scene.database.exec(
      "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE datname = current_database() AND query LIKE "
      "'COPY%'");
  scene.proxy().release();
  scene.wait_for_heal();
  CHECK(scene.items->to_vector() == scene.table());
  CHECK(scene.replicator->status().reconnects == 0);
}

TEST_CASE("a connection that is lost while one table is copied leads to a copy of all", "[G3]") {
  Scene scene;
  scene.follow();
  scene.proxy().hold("SET TRANSACTION SNAPSHOT");
  scene.rewrite();
  scene.proxy().wait_until_held();
  scene.database.exec("INSERT INTO items VALUES (2000, 1); UPDATE others SET amount = 9");
  scene.proxy().cut();
  static_cast<void>(scene.log.wait_for(EventKind::stale));
  scene.proxy().release();
  scene.proxy().mend();
  CHECK(scene.ends_equal());
  CHECK(scene.others->to_vector() == Items{{1, 9}});
}

TEST_CASE("stop is prompt while one table is copied", "[G7]") {
  Scene scene;
  scene.follow();
  const std::string place = GENERATE("CREATE_REPLICATION_SLOT", "SET TRANSACTION SNAPSHOT", "COPY (");
  CAPTURE(place);
  scene.proxy().hold(place);
  scene.rewrite();
  scene.proxy().wait_until_held();
  scene.replicator->ends_unproved("it is stopped while a table is copied");
  const auto begin = std::chrono::steady_clock::now();
  scene.replicator->stop();
  CHECK(std::chrono::steady_clock::now() - begin < 1s);
  CHECK(scene.items->size() == 100);
}

TEST_CASE("a copy of one table leaves no slot behind", "[G7]") {
  Scene scene;
  scene.options.connection = scene.database.reader_dsn();
  scene.follow();
  scene.rewrite();
  scene.wait_for_heal();
  CHECK(test::eventually([&] {
    return scene.database.rows("SELECT FROM pg_replication_slots WHERE database = current_database()").size() == 1;
  }));
  scene.replicator->prove();
  scene.replicator->stop();
  CHECK(test::eventually([&] {
    return scene.database.rows("SELECT FROM pg_replication_slots WHERE database = current_database()").empty();
  }));
}

TEST_CASE("after a lost connection only the rows that differ are touched", "[G6]") {
  Scene scene;
  scene.follow();
  const auto place = [&] {
    const Item* found = nullptr;
    scene.items->get_with(50, [&](const Item& item) { found = &item; });
    return found;
  };
  const Item* const before = place();
  scene.proxy().cut();
  static_cast<void>(scene.log.wait_for(EventKind::stale));
  scene.database.exec(
      "UPDATE items SET amount = -1 WHERE id = 3; DELETE FROM items WHERE id = 4; INSERT INTO items VALUES (0, 0)");
  scene.proxy().mend();
  CHECK(scene.ends_equal());
  // The same row at the same place in memory.
  CHECK(place() == before);
}

/// While it lives this process gets no new descriptor.
class NoDescriptors {
 public:
  NoDescriptors() {
    ::getrlimit(RLIMIT_NOFILE, &before_);
    const rlimit few{256, before_.rlim_max};  // poll() takes no more than there may be
    ::setrlimit(RLIMIT_NOFILE, &few);
    for (int taken = ::dup(STDIN_FILENO); taken >= 0; taken = ::dup(STDIN_FILENO)) taken_.push_back(taken);
  }
  NoDescriptors(const NoDescriptors&) = delete;
  NoDescriptors& operator=(const NoDescriptors&) = delete;
  ~NoDescriptors() {
    for (const int taken : taken_) ::close(taken);
    ::setrlimit(RLIMIT_NOFILE, &before_);
  }

 private:
  rlimit before_{};
  std::vector<int> taken_{};
};

TEST_CASE("a table that cannot be copied for want of descriptors waits for some, and the others go on", "[G5]") {
  Scene scene;
  scene.follow();
  {
    const NoDescriptors none;
    scene.rewrite();
    REQUIRE(test::eventually([&] {
      return scene.replicator->status().tables.front().last_error.find("the system refuses") != std::string::npos;
    }));
    scene.database.exec("INSERT INTO others VALUES (2, 2)");
    CHECK(test::eventually([&] { return scene.others->contains(2); }));
  }
  static_cast<void>(scene.log.wait_for(EventKind::table_healed, 1, "public.items"));
  CHECK(scene.replicator->status().reconnects == 0);
}

}  // namespace table_resync_test
