// Options::durable_slot. G3, G5: a lost connection costs no copy, and a position that may be another's is not trusted.
// G7: nobody else's slot is touched, and none is left behind.

#include <algorithm>
#include <chrono>
#include <cstddef>
#include <cstdint>
#include <future>
#include <memory>
#include <optional>
#include <random>
#include <string>
#include <string_view>
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
#include "support/threads.hpp"

namespace durable_slot_test {

using btreemapped::EventKind;
using btreemapped::SlotError;
using btreemapped::TableState;
using Catch::Matchers::ContainsSubstring;
using namespace std::chrono_literals;

struct Account {
  std::int32_t id;
  std::int64_t amount;

  friend bool operator==(const Account&, const Account&) = default;
};

std::vector<Account> table(test::Database& database, const std::string& name = "accounts") {
  std::vector<Account> out;
  for (const test::SqlRow& row : database.rows("SELECT id, amount FROM " + name + " ORDER BY id"))
    out.push_back({std::stoi(*row[0]), std::stoll(*row[1])});
  return out;
}

/// A Replicator with a durable slot, connected through a proxy, and a database of two tables for it.
class Scene {
 public:
  explicit Scene(const std::string& clauses = {}) {
    database.exec(
        "CREATE TABLE accounts (id int PRIMARY KEY, amount bigint NOT NULL); CREATE TABLE others (LIKE accounts "
        "INCLUDING ALL); INSERT INTO accounts SELECT id, id FROM generate_series(0, 99) id; INSERT INTO others SELECT "
        "* "
        "FROM accounts; CREATE PUBLICATION pub FOR TABLE accounts, others " +
        clauses);
    proxy.count("COPY ");
  }

  ~Scene() {
    replicator.reset();
    static_cast<void>(test::eventually([&] { return !slot_exists() || !is_active(); }));
    if (slot_exists()) drop_slot();
  }

  Scene(const Scene&) = delete;
  Scene& operator=(const Scene&) = delete;

  [[nodiscard]] btreemapped::Options options() const {
    btreemapped::Options out = database.options();
    out.connection = proxy.dsn();
    out.slot_name = slot;
    out.durable_slot = true;
    out.on_event = log.hook();
    return out;
  }

  void start(const btreemapped::Options& with) {
    replicator.emplace(with);
    accounts.emplace(replicator->add_replica<Account, 1>("accounts"));
    others.emplace(replicator->add_replica<Account, 1>("others"));
    replicator->start();
  }

  void sync(const btreemapped::Options& with) {
    start(with);
    test::wait_until_synced(*replicator);
    copies = proxy.sent();
  }
  void sync() { sync(options()); }

  /// Cuts the connection; returns when server and Replicator have noticed.
  void cut() {
    const std::size_t lost = log.count(EventKind::stale);
    proxy.cut();
    static_cast<void>(log.wait_for(EventKind::stale, lost + 1));
    REQUIRE(test::eventually([&] { return !is_active(); }));
  }

  [[nodiscard]] bool slot_exists() {
    return database.value("SELECT count(*) FROM pg_replication_slots WHERE slot_name = '" + slot + "'") != "0";
  }
  [[nodiscard]] bool is_active() {
    return database.value("SELECT count(*) FROM pg_replication_slots WHERE active AND slot_name = '" + slot + "'") !=
           "0";
  }
  void drop_slot() {
    static_cast<void>(test::eventually([&] { return !is_active(); }));  // the server may not know yet who has left
    database.exec("SELECT pg_drop_replication_slot('" + slot + "')");
  }

  void check_equal() {
    database.catch_up(*replicator);
    CHECK(accounts->to_vector() == table(database));
    CHECK(others->to_vector() == table(database, "others"));
    CHECK(accounts->state() == TableState::live);
    CHECK(others->state() == TableState::live);
    for (const auto& report : replicator->verify()) CHECK(report.verdict == btreemapped::Verdict::equal);
  }

  /// The tables copied since the first copy.
  [[nodiscard]] int new_copies() { return proxy.sent() - copies; }

  /// Has any event said so?
  [[nodiscard]] bool told(std::string_view words) const {
    const std::vector<btreemapped::Event> all = log.all();
    return std::any_of(all.begin(), all.end(),
                       [&](const auto& event) { return event.message.find(words) != std::string::npos; });
  }

  test::Database database{};
  test::Proxy proxy{database.reader_dsn()};
  const std::string slot = "durable_" + std::to_string(std::random_device{}());
  test::EventLog log{};
  std::optional<test::Replicator> replicator{};
  std::optional<btreemapped::Replica<Account, 1>> accounts{};
  std::optional<btreemapped::Replica<Account, 1>> others{};
  int copies = 0;
};

TEST_CASE("with a durable slot a terminated walsender costs no copy", "[G3][durable_slot]") {
  Scene scene;
  scene.sync();
  test::Load load(scene.database.dsn(), 2, [](std::mt19937_64& random) {
    const std::string id = std::to_string(random() % 200);
    return "INSERT INTO accounts VALUES (" + id + ", 0) ON CONFLICT (id) DO UPDATE SET amount = accounts.amount + 1";
  });
  for (std::size_t round = 1; round <= 10; ++round) {
    REQUIRE(load.go_on_for(20));
    REQUIRE(scene.database.end_sessions("backend_type = 'walsender'") == 1);
    static_cast<void>(scene.log.wait_for(EventKind::resumed, round));
  }
  REQUIRE(load.go_on_for(20));
  load.stop();
  scene.database.catch_up(*scene.replicator);
  CHECK(scene.new_copies() == 0);
  CHECK(scene.log.count(EventKind::synced) == 1);
  CHECK(scene.replicator->status().reconnects == 10);
  scene.check_equal();
}

TEST_CASE("what is committed without a connection arrives exactly once", "[G3][durable_slot]") {
  Scene scene;
  scene.sync();
  scene.database.exec("UPDATE accounts SET amount = 0");
  scene.database.catch_up(*scene.replicator);
  std::uint64_t commits = scene.replicator->status().commits;
  for (std::size_t round = 1; round <= 3; ++round) {
    scene.cut();
    CHECK(scene.accounts->state() == TableState::stale);
    for (int i = 0; i < 10; ++i) scene.database.exec("UPDATE accounts SET amount = amount + 1 WHERE id = 5");
    scene.proxy.mend();
    static_cast<void>(scene.log.wait_for(EventKind::resumed, round));
    scene.database.catch_up(*scene.replicator);
    CHECK(scene.replicator->status().commits == (commits += 10));
  }
  CHECK(scene.accounts->get(5)->amount == 30);
  CHECK(scene.new_copies() == 0);
  scene.check_equal();
}

TEST_CASE("a transaction that was half received when the connection was lost comes whole", "[G2][durable_slot]") {
  Scene scene;
  scene.sync();
  scene.proxy.hold_answer("START_REPLICATION", 200'000);
  REQUIRE(scene.database.end_sessions("backend_type = 'walsender'") == 1);
  static_cast<void>(scene.log.wait_for(EventKind::resumed));
  scene.database.exec("INSERT INTO accounts SELECT id, 1 FROM generate_series(1000, 20000) id");
  scene.proxy.wait_until_held();
  scene.cut();
  CHECK(scene.accounts->size() == 100);
  scene.proxy.release();
  scene.proxy.mend();
  static_cast<void>(scene.log.wait_for(EventKind::resumed, 2));
  scene.database.catch_up(*scene.replicator);
  CHECK(scene.accounts->size() == 19'101);
  CHECK(scene.new_copies() == 0);
  scene.check_equal();
}

TEST_CASE("a table that was altered without a connection is copied afresh, and the others are not",
          "[G4][durable_slot]") {
  Scene scene;
  scene.sync();
  scene.cut();
  scene.database.exec("ALTER TABLE accounts ALTER amount TYPE bigint USING amount * 2");
  scene.database.exec("UPDATE others SET amount = 7 WHERE id = 7");
  scene.proxy.mend();
  static_cast<void>(scene.log.wait_for(EventKind::table_healed, 1, "public.accounts"));
  CHECK(scene.log.count(EventKind::resumed) == 1);
  CHECK(scene.new_copies() == 1);
  scene.check_equal();
}

TEST_CASE("a table that was being copied alone when the connection was lost is copied after it", "[durable_slot]") {
  Scene scene;
  btreemapped::Options options = scene.options();
  options.catalog_watch_interval = 50ms;
  scene.sync(options);
  scene.proxy.hold("COPY ");
  scene.database.exec("ALTER TABLE accounts ALTER amount TYPE bigint USING amount * 2");
  scene.proxy.wait_until_held();
  scene.cut();
  scene.proxy.release();
  scene.proxy.mend();
  static_cast<void>(scene.log.wait_for(EventKind::table_healed, 1, "public.accounts"));
  CHECK(scene.log.count(EventKind::resumed) == 1);
  CHECK(scene.log.count(EventKind::synced) == 1);
  scene.check_equal();
}

TEST_CASE("a slot that was dropped without a connection is replaced, with a new copy", "[G3][durable_slot]") {
  Scene scene;
  scene.sync();
  scene.cut();
  scene.drop_slot();
  scene.database.exec("UPDATE accounts SET amount = 7");
  scene.proxy.mend();
  static_cast<void>(scene.log.wait_for(EventKind::synced, 2));
  CHECK(scene.log.count(EventKind::resumed) == 0);
  CHECK(scene.told("is gone"));
  CHECK(scene.new_copies() == 2);
  CHECK(scene.is_active());
  scene.check_equal();
}

TEST_CASE("a slot that somebody has advanced is not trusted", "[G3][durable_slot]") {
  Scene scene;
  scene.sync();
  scene.cut();
  scene.database.exec("UPDATE accounts SET amount = 7");
  scene.database.exec("SELECT pg_replication_slot_advance('" + scene.slot + "', pg_current_wal_flush_lsn())");
  scene.database.exec("UPDATE others SET amount = 7");
  scene.proxy.mend();
  static_cast<void>(scene.log.wait_for(EventKind::synced, 2));
  CHECK(scene.log.count(EventKind::resumed) == 0);
  CHECK(scene.told("somebody else has read from replication slot"));
  scene.check_equal();
}

TEST_CASE("a slot that somebody has read between our look and our start is not trusted", "[G3][durable_slot]") {
  Scene scene;
  scene.sync();
  scene.cut();
  scene.proxy.hold("START_REPLICATION");
  scene.proxy.mend();
  scene.proxy.wait_until_held();
  scene.database.exec("UPDATE accounts SET amount = 7");
  scene.database.exec("SELECT count(*) FROM pg_logical_slot_get_binary_changes('" + scene.slot +
                      "', NULL, NULL, 'proto_version', '1', 'publication_names', 'pub')");
  scene.proxy.release();
  static_cast<void>(scene.log.wait_for(EventKind::synced, 2));
  CHECK(scene.log.count(EventKind::resumed) == 0);
  CHECK(scene.told("somebody else has read from replication slot"));
  scene.check_equal();
}

TEST_CASE("a slot that was dropped and made anew by somebody is not trusted", "[G3][durable_slot]") {
  Scene scene;
  scene.sync();
  scene.cut();
  scene.drop_slot();
  scene.database.exec("UPDATE accounts SET amount = 7");
  scene.database.exec("SELECT pg_create_logical_replication_slot('" + scene.slot + "', 'pgoutput')");
  scene.proxy.mend();
  static_cast<void>(scene.log.wait_for(EventKind::synced, 2));
  CHECK(scene.log.count(EventKind::resumed) == 0);
  CHECK(scene.told("somebody else has read from replication slot"));
  scene.check_equal();
}

/// Another consumer, which acknowledges nothing.
std::unique_ptr<btreemapped::detail::pq::ReplicationStream> consume(const Scene& scene) {
  using btreemapped::detail::Interrupt;
  using btreemapped::detail::no_deadline;
  using btreemapped::detail::pq::ReplicationStream;
  auto stream = std::make_unique<ReplicationStream>(ReplicationStream::open(
      scene.database.dsn() + " application_name=thief", std::make_shared<Interrupt>(), no_deadline));
  const std::string publications[] = {"pub"};
  stream->start(scene.slot, btreemapped::Lsn{}, publications, no_deadline);
  return stream;
}

TEST_CASE("a slot that another consumer uses is waited for, and who that is is told", "[G3][durable_slot]") {
  Scene scene;
  scene.sync();
  scene.cut();
  auto thief = consume(scene);
  const std::string pid = std::to_string(thief->connection().backend_pid());
  scene.proxy.mend();
  CHECK_THAT(scene.log.wait_for(EventKind::slot_waiting).message, ContainsSubstring("pid " + pid + " (thief)"));
  static_cast<void>(scene.log.wait_for(EventKind::slot_waiting, 3));
  CHECK(scene.accounts->state() == TableState::stale);
  thief.reset();
  static_cast<void>(scene.log.wait_for(EventKind::resumed));
  CHECK(scene.new_copies() == 0);
  scene.check_equal();
}

TEST_CASE("a publication that is dropped without a connection ends in a new copy once it is back", "[durable_slot]") {
  Scene scene;
  scene.sync();
  scene.cut();
  scene.database.exec("DROP PUBLICATION pub");
  scene.database.exec("UPDATE accounts SET amount = 7");
  scene.proxy.mend();
  REQUIRE(test::eventually(
      [&] { return scene.replicator->status().last_error.find("there is no publication") != std::string::npos; }));
  scene.database.exec("CREATE PUBLICATION pub FOR TABLE accounts, others");
  static_cast<void>(scene.log.wait_for(EventKind::synced, 2));
  scene.check_equal();
}

TEST_CASE("a publication that is dropped while it is read ends in a new copy once it is back", "[durable_slot]") {
  Scene scene;
  scene.sync();
  scene.database.exec("DROP PUBLICATION pub");
  scene.database.exec("UPDATE accounts SET amount = 7");
  REQUIRE(test::eventually([&] { return scene.accounts->state() != TableState::live; }));
  scene.database.exec("CREATE PUBLICATION pub FOR TABLE accounts, others");
  REQUIRE(test::eventually(
      [&] { return scene.accounts->state() == TableState::live && scene.others->state() == TableState::live; }));
  scene.check_equal();
}

TEST_CASE("a table that leaves the publication without a connection fails, and the others go on", "[durable_slot]") {
  Scene scene;
  btreemapped::Options options = scene.options();
  options.catalog_watch_interval = 50ms;
  scene.sync(options);
  scene.cut();
  scene.database.exec("ALTER PUBLICATION pub DROP TABLE accounts");
  scene.database.exec("UPDATE others SET amount = 7");
  scene.proxy.mend();
  static_cast<void>(scene.log.wait_for(EventKind::table_failed, 1, "public.accounts"));
  scene.database.catch_up(*scene.replicator);
  CHECK(scene.others->to_vector() == table(scene.database, "others"));
  CHECK(scene.others->state() == TableState::live);
  scene.database.exec("ALTER PUBLICATION pub ADD TABLE accounts");
  static_cast<void>(scene.log.wait_for(EventKind::table_healed, 1, "public.accounts"));
  CHECK(scene.log.count(EventKind::synced) == 1);
  scene.check_equal();
}

TEST_CASE("a slot that a crashed process has left behind is made anew", "[G7][durable_slot]") {
  Scene scene;
  scene.database.exec("SELECT pg_create_logical_replication_slot('" + scene.slot + "', 'pgoutput')");
  scene.database.exec("UPDATE accounts SET amount = 7");
  scene.sync();
  scene.check_equal();
}

TEST_CASE("a slot of another plugin, of another kind or of another database is left alone", "[G7][durable_slot]") {
  Scene scene;
  const auto refused = [&](const std::string& because) {
    scene.start(scene.options());
    CHECK_THROWS_AS(scene.replicator->synced().get(), SlotError);
    CHECK_THAT(scene.replicator->status().last_error, ContainsSubstring(because));
    scene.replicator.reset();
    CHECK(scene.slot_exists());
  };
  scene.database.exec("SELECT pg_create_logical_replication_slot('" + scene.slot + "', 'test_decoding')");
  refused("has the plugin test_decoding");
  scene.drop_slot();
  scene.database.exec("SELECT pg_create_physical_replication_slot('" + scene.slot + "')");
  refused("is a physical one");
  scene.drop_slot();
  test::Database other;
  other.exec("SELECT pg_create_logical_replication_slot('" + scene.slot + "', 'pgoutput')");
  refused("belongs to database " + other.name());
  other.exec("SELECT pg_drop_replication_slot('" + scene.slot + "')");
}

TEST_CASE("a slot that is in use is left alone, and who uses it is told", "[G7][durable_slot]") {
  Scene scene;
  scene.database.exec("SELECT pg_create_logical_replication_slot('" + scene.slot + "', 'pgoutput')");
  auto user = consume(scene);
  btreemapped::Options options = scene.options();
  options.slot_timeout = 300ms;
  scene.start(options);
  CHECK_THROWS_AS(scene.replicator->synced().get(), SlotError);
  CHECK_THAT(scene.log.wait_for(EventKind::slot_waiting).message,
             ContainsSubstring("in use by pid " + std::to_string(user->connection().backend_pid()) + " (thief)"));
  scene.replicator.reset();
  CHECK(scene.is_active());
}

TEST_CASE("two processes do not share a slot", "[G7][durable_slot]") {
  Scene scene;
  scene.sync();
  test::EventLog log;
  btreemapped::Options options = scene.options();
  options.slot_timeout = 300ms;
  options.on_event = log.hook();
  test::Replicator second(options);
  static_cast<void>(second.add_replica<Account, 1>("accounts"));
  second.start();
  CHECK_THROWS_AS(second.synced().get(), SlotError);
  CHECK_THAT(log.wait_for(EventKind::slot_waiting).message, ContainsSubstring("(btreemapped), which holds its lock"));
  second.stop();
  CHECK(scene.is_active());
  CHECK(scene.log.count(EventKind::stale) == 0);
  scene.check_equal();
}

TEST_CASE("a successor waits for the slot until its predecessor has stopped", "[G7][durable_slot]") {
  Scene scene;
  scene.sync();
  test::EventLog log;
  btreemapped::Options options = scene.options();
  options.on_event = log.hook();
  test::Replicator second(options);
  const auto accounts = second.add_replica<Account, 1>("accounts");
  second.start();
  static_cast<void>(log.wait_for(EventKind::slot_waiting));
  scene.replicator.reset();
  test::wait_until_synced(second);
  CHECK(accounts.to_vector() == table(scene.database));
}

TEST_CASE("stop() leaves no slot behind, wherever it comes", "[G7][durable_slot]") {
  Scene scene;
  const auto stop_in_time = [&] {
    const auto begin = std::chrono::steady_clock::now();
    scene.replicator->stop();
    CHECK(std::chrono::steady_clock::now() - begin < 1s);
    CHECK_FALSE(scene.slot_exists());
  };
  SECTION("in the stream") {
    scene.sync();
    scene.replicator->prove();
    stop_in_time();
  }
  SECTION("in the copy") {
    scene.proxy.hold("COPY ");
    scene.start(scene.options());
    scene.proxy.wait_until_held();
    // A held connection ends for the server only when the proxy closes it, as the Replicator does.
    stop_in_time();
  }
  SECTION("while the slot is being created") {
    test::Sql writer(scene.database.dsn());
    writer.exec("BEGIN; SELECT pg_current_xact_id()");
    scene.start(scene.options());
    REQUIRE(test::eventually([&] { return scene.is_active(); }));
    stop_in_time();
  }
  SECTION("while it tries again") {
    btreemapped::Options options = scene.options();
    options.shortest_backoff = options.longest_backoff = 60s;
    scene.sync(options);
    scene.replicator->prove();
    scene.database.end_sessions("backend_type = 'walsender'");
    static_cast<void>(scene.log.wait_for(EventKind::stale));
    stop_in_time();
  }
}

TEST_CASE("stop() is prompt where the server of a durable slot does not answer", "[G7][durable_slot]") {
  Scene scene;
  scene.sync();
  scene.replicator->prove();
  scene.proxy.freeze();
  const auto begin = std::chrono::steady_clock::now();
  scene.replicator->stop();
  CHECK(std::chrono::steady_clock::now() - begin < 1s);
  scene.proxy.thaw();
}

TEST_CASE("an error that ends the Replicator leaves no slot behind", "[G7][durable_slot]") {
  Scene scene;
  scene.database.exec("ALTER TABLE accounts ALTER amount TYPE numeric");  // what int64 holds not in every value
  scene.start(scene.options());
  CHECK_THROWS_AS(scene.replicator->synced().get(), btreemapped::SchemaError);
  scene.replicator->stop();
  CHECK_FALSE(scene.slot_exists());
}

TEST_CASE("what ends one copy after the other ends the Replicator, which says what it was", "[durable_slot]") {
  Scene scene;
  btreemapped::Options options = scene.options();
  options.max_rebuilds_per_hour = 2;
  scene.sync(options);
  for (std::size_t round = 2; round <= 3; ++round) {
    scene.cut();
    scene.drop_slot();
    scene.proxy.mend();
    static_cast<void>(scene.log.wait_for(EventKind::synced, round));
  }
  scene.cut();
  scene.drop_slot();
  scene.proxy.mend();
  const std::string why = scene.log.wait_for(EventKind::stopped).message;
  CHECK_THAT(why, ContainsSubstring("2 times within an hour") && ContainsSubstring("is gone") &&
                      ContainsSubstring("max_rebuilds_per_hour"));
  CHECK(scene.accounts->size() == 100);
  CHECK(scene.accounts->state() == TableState::stale);
  scene.replicator->ends_unproved("it has ended: its slot was lost too often");
}

TEST_CASE("what ends a Replicator ends the verification that nobody watches any more", "[durable_slot][G10]") {
  Scene scene;
  btreemapped::Options options = scene.options();
  options.max_rebuilds_per_hour = 0;
  scene.sync(options);
  scene.proxy.hold("COPY ");
  auto verified = std::async(std::launch::async, [&] { return scene.replicator->verify(*scene.accounts); });
  scene.proxy.wait_until_held();
  // The slot is lost while nobody may come back for it.
  scene.database.exec("ALTER ROLE " + scene.database.reader_role() + " CONNECTION LIMIT 0");
  scene.database.end_sessions("backend_type = 'walsender'");
  CHECK(test::eventually([&] { return !scene.is_active(); }));
  scene.drop_slot();
  scene.database.exec("ALTER ROLE " + scene.database.reader_role() + " CONNECTION LIMIT -1");
  static_cast<void>(scene.log.wait_for(EventKind::stopped));
  CHECK(verified.wait_for(test::patience) == std::future_status::ready);
  scene.proxy.release();
  CHECK_THROWS_AS(verified.get(), btreemapped::StoppedError);
  scene.replicator->ends_unproved("it has ended: its slot was lost too often");
}

TEST_CASE("a control session that is ended costs a durable slot nothing", "[durable_slot]") {
  Scene scene;
  scene.sync();
  const std::string lock =
      "SELECT count(*) FROM pg_locks l JOIN pg_stat_activity a USING (pid) WHERE l.locktype = 'advisory' AND a.datname "
      "= "
      "current_database()";
  CHECK(scene.database.value(lock) == "1");
  scene.database.end_sessions("backend_type = 'client backend' AND application_name = 'btreemapped'");
  REQUIRE(test::eventually([&] { return scene.database.value(lock) == "1"; }));
  CHECK(scene.log.count(EventKind::stale) == 0);
  scene.check_equal();
}

}  // namespace durable_slot_test
