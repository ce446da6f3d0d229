// Options::durable_slot over restarts, crashes, promotions and restores of the server.

#include <chrono>
#include <cstddef>
#include <cstdint>
#include <cstdlib>
#include <exception>
#include <filesystem>
#include <fstream>
#include <optional>
#include <random>
#include <stdexcept>
#include <string>
#include <string_view>
#include <thread>
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
#include "support/server.hpp"
#include "support/sql.hpp"
#include "support/threads.hpp"

namespace durable_slot_fault_test {

using btreemapped::EventKind;
using btreemapped::TableState;
using Catch::Matchers::ContainsSubstring;
using namespace std::chrono_literals;

struct Account {
  std::int32_t id;
  std::int64_t amount;

  friend bool operator==(const Account&, const Account&) = default;
};

std::vector<Account> table(test::Database& database) {
  std::vector<Account> out;
  for (const test::SqlRow& row : database.rows("SELECT id, amount FROM accounts ORDER BY id"))
    out.push_back({std::stoi(*row[0]), std::stoll(*row[1])});
  return out;
}

/// A server of its own, removed at the end.
class OwnServer {
 public:
  OwnServer() { server.start(); }
  OwnServer(const OwnServer&) = delete;
  OwnServer& operator=(const OwnServer&) = delete;
  ~OwnServer() { static_cast<void>(std::system(("'" BTREEMAPPED_POSTGRES_SH "' remove '" + state_ + "'").c_str())); }

  /// Runs a command of the shell in the folder of the server's data.
  void in_folder(const std::string& command) const {
    const char* const suffix = std::getenv("BTREEMAPPED_STATE_SUFFIX");
    std::ifstream file(state_ + (suffix != nullptr ? suffix : "") + "/folder");
    std::string folder;
    if (!std::getline(file, folder)) throw std::runtime_error("the server has no folder");
    const std::string line = "cd '" + folder + "' && " + command;
    if (std::system(line.c_str()) != 0) throw std::runtime_error("this failed: " + line);
  }

 private:
  const std::string state_ =
      (std::filesystem::temp_directory_path() / ("btreemapped-fault-" + std::to_string(std::random_device{}())))
          .string();

 public:
  const test::Server server{state_};
};

/// A database with one table on a server, and a Replicator that follows it by a durable slot.
class Scene {
 public:
  explicit Scene(const test::Server& on) : server(on), database({}, on.dsn()) {
    database.exec(
        "CREATE TABLE accounts (id int PRIMARY KEY, amount bigint NOT NULL);"
        "INSERT INTO accounts SELECT id, id FROM generate_series(0, 99) id; CREATE PUBLICATION pub FOR TABLE accounts");
    proxy.count("COPY ");
    btreemapped::Options options = database.options();
    options.connection = proxy.dsn();
    options.slot_name = slot;
    options.durable_slot = true;
    options.on_event = log.hook();
    replicator.emplace(options);
    accounts.emplace(replicator->add_replica<Account, 1>("accounts"));
    test::start_and_sync(*replicator);
  }

  void cut() {
    proxy.cut();
    static_cast<void>(log.wait_for(EventKind::stale));
  }

  void check_equal() {
    database.connect_again();
    database.catch_up(*replicator);
    INFO(log.describe());
    CHECK(accounts->to_vector() == table(database));
    CHECK(accounts->state() == TableState::live);
    const btreemapped::TableVerification report = replicator->verify(*accounts);
    INFO(report.why);
    CHECK(report.verdict == btreemapped::Verdict::equal);
  }

  const test::Server& server;
  test::Database database;
  test::Proxy proxy{database.reader_dsn()};
  const std::string slot = "durable_" + std::to_string(std::random_device{}());
  test::EventLog log{};
  std::optional<test::Replicator> replicator{};
  std::optional<btreemapped::Replica<Account, 1>> accounts{};
};

test::Server running_server() {
  test::Server server = test::Server::of_suite();
  server.start();
  return server;
}

void goes_on_after(std::string_view mode) {
  const test::Server server = running_server();
  Scene scene(server);
  test::Load load(
      scene.database.dsn(), 2,
      [](std::mt19937_64& random) {
        const std::string id = std::to_string(random() % 200);
        return "INSERT INTO accounts VALUES (" + id +
               ", 0) ON CONFLICT (id) DO UPDATE SET amount = accounts.amount + 1";
      },
      test::Load::Lost::opens_again);
  for (std::size_t round = 1; round <= 2; ++round) {
    REQUIRE(load.go_on_for(100));
    server.restart(mode);
    static_cast<void>(scene.log.wait_for(EventKind::resumed, round));
  }
  REQUIRE(load.go_on_for(100));
  load.stop();
  CHECK(scene.proxy.sent() == 1);
  CHECK(scene.log.count(EventKind::synced) == 1);
  scene.check_equal();
}

TEST_CASE("with a durable slot a restart of the server under load costs no copy", "[G3]") { goes_on_after("fast"); }

TEST_CASE("with a durable slot a crash of the server under load costs no copy", "[G3]") { goes_on_after("immediate"); }

TEST_CASE("a server that shuts down first sends all that it has to a stream with a durable slot", "[G3][G7]") {
  const test::Server server = running_server();
  Scene scene(server);
  std::jthread stop;
  {
    const auto guard = scene.accounts->read();  // so that the stream falls behind
    scene.database.exec("INSERT INTO accounts SELECT id, 1 FROM generate_series(1000, 50000) id");
    scene.database.exec("UPDATE accounts SET amount = -1 WHERE id = 7");
    REQUIRE(test::eventually([&] { return test::commit_waits(*scene.replicator); }));
    stop = std::jthread([&] { server.stop("fast"); });
    const auto refuses = [&] {
      try {
        test::Sql{scene.database.dsn()};
        return false;
      } catch (const std::exception&) {
        return true;
      }
    };
    CHECK(test::eventually(refuses));
    // Its other sessions are gone by now; the stream is not given up for that.
    CHECK_FALSE(test::eventually([&] { return scene.log.count(EventKind::stale) > 0; }, 500ms));
  }
  stop.join();
  static_cast<void>(scene.log.wait_for(EventKind::stale));
  CHECK(scene.accounts->size() == 49'101);
  CHECK(scene.accounts->get(7)->amount == -1);
  server.start();
  static_cast<void>(scene.log.wait_for(EventKind::resumed));
  scene.check_equal();
}

/// A process of the server that does not run until this dies.
class Stopped {
 public:
  Stopped(const test::Server& server, const std::string& pid) : server_(server), pid_(pid) {
    server_.signal("STOP", pid_);
  }
  Stopped(const Stopped&) = delete;
  Stopped& operator=(const Stopped&) = delete;
  ~Stopped() { server_.signal("CONT", pid_); }

 private:
  const test::Server& server_;
  const std::string pid_;
};

TEST_CASE("a walsender that hangs on to the slot is ended, and nobody else", "[G3]") {
  const test::Server server = running_server();
  Scene scene(server);
  const std::string pid =
      scene.database.value("SELECT active_pid FROM pg_replication_slots WHERE slot_name = '" + scene.slot + "'");
  // It does not notice that we are gone, nor that it is to end.
  {
    const Stopped stopped(server, pid);
    scene.cut();
    scene.database.exec("UPDATE accounts SET amount = 7 WHERE id = 7");
    scene.proxy.mend();
    CHECK_THAT(scene.log.wait_for(EventKind::slot_waiting).message, ContainsSubstring("in use by pid " + pid));
    CHECK(scene.accounts->state() == TableState::stale);
  }
  static_cast<void>(scene.log.wait_for(EventKind::resumed));
  CHECK(scene.proxy.sent() == 1);
  scene.check_equal();
}

TEST_CASE("a durable slot whose log the server has thrown away is replaced, with a new copy", "[G3]") {
  const OwnServer own;
  Scene scene(own.server);
  scene.database.exec("CREATE TABLE busy (id int)");
  scene.database.exec("ALTER SYSTEM SET max_slot_wal_keep_size = '1MB'");
  scene.database.exec("SELECT pg_reload_conf()");
  scene.cut();
  scene.database.exec("UPDATE accounts SET amount = 5");
  REQUIRE(test::eventually([&] {
    scene.database.exec("INSERT INTO busy VALUES (1)");
    scene.database.exec("SELECT pg_switch_wal()");
    scene.database.exec("CHECKPOINT");
    return scene.database.value("SELECT count(*) FROM pg_replication_slots WHERE wal_status = 'lost'") == "1";
  }));
  scene.proxy.mend();
  // From 17 on the server tells why.
  const bool tells = scene.database.value("SELECT current_setting('server_version_num')::int >= 170000") == "t";
  const std::string why = tells ? "invalidation_reason wal_removed" : "wal_status lost";
  CHECK_THAT(scene.log.wait_for_message("the server has given up replication slot").message,
             ContainsSubstring("\"" + scene.slot + "\" (" + why + ")") && ContainsSubstring("max_slot_wal_keep_size"));
  static_cast<void>(scene.log.wait_for(EventKind::synced, 2));
  CHECK(scene.log.count(EventKind::resumed) == 0);
  scene.check_equal();
}

/// Starts the server on a new timeline.
void promote(const OwnServer& own) {
  own.in_folder("touch data/standby.signal && chmod a+r data/standby.signal");
  own.server.start();
  test::Sql(own.server.dsn()).exec("SELECT pg_promote()");
}

TEST_CASE("a stream goes on on a newer timeline that has all that it had", "[G3]") {
  const OwnServer own;
  Scene scene(own.server);
  scene.database.exec("UPDATE accounts SET amount = 7 WHERE id = 7");
  scene.database.catch_up(*scene.replicator);
  own.server.stop("fast");
  promote(own);
  static_cast<void>(scene.log.wait_for(EventKind::resumed));
  scene.database.connect_again();
  CHECK(scene.database.value("SELECT timeline_id FROM pg_control_checkpoint()") != "1");
  scene.database.exec("UPDATE accounts SET amount = 8 WHERE id = 8");
  CHECK(scene.log.count(EventKind::synced) == 1);
  CHECK(scene.proxy.sent() == 1);
  scene.check_equal();
}

/// Goes back to what the server had before some commits that the replica has seen.
void restore(const OwnServer& own, Scene& scene) {
  own.server.stop("fast");
  own.in_folder("cp -a data backup");
  own.server.start();
  scene.database.connect_again();
  static_cast<void>(scene.log.wait_for(EventKind::resumed));
  scene.database.exec("UPDATE accounts SET amount = -1; INSERT INTO accounts VALUES (1000, 1)");
  scene.database.catch_up(*scene.replicator);
  scene.proxy.cut();
  static_cast<void>(scene.log.wait_for(EventKind::stale, 2));
  own.server.stop("fast");
  own.in_folder("rm -rf data && mv backup data");
}

TEST_CASE("a server that was restored from a backup is not taken for the one that was followed", "[G3]") {
  const OwnServer own;
  Scene scene(own.server);
  restore(own, scene);
  SECTION("on the same timeline") { own.server.start(); }
  SECTION("on the same timeline, whose other history has passed the stream's position") {
    own.server.start();
    test::Sql(own.server.dsn()).exec("SELECT pg_switch_wal()");
    test::Sql(own.server.dsn()).exec("CREATE TABLE other_history AS SELECT 1");
  }
  SECTION("on a newer timeline that has passed the stream's position") {
    promote(own);
    test::Sql(own.server.dsn()).exec("SELECT pg_switch_wal()");
    test::Sql(own.server.dsn()).exec("SELECT pg_current_xact_id()");
  }
  scene.database.connect_again();
  REQUIRE(scene.accounts->size() == 101);
  scene.proxy.mend();
  static_cast<void>(scene.log.wait_for(EventKind::synced, 2));
  std::string events;
  for (const btreemapped::Event& event : scene.log.all())
    events += std::string{to_string(event.kind)} + " " + event.message + "\n";
  INFO(events);
  CHECK(scene.log.count(EventKind::resumed) == 1);
  CHECK(scene.accounts->size() == 100);
  scene.check_equal();
}

TEST_CASE("a promoted standby without the slot is followed after a new copy", "[G3]") {
  const OwnServer own;
  Scene scene(own.server);
  scene.cut();
  const std::string condition = " FROM pg_replication_slots WHERE slot_name = '" + scene.slot + "'";
  REQUIRE(test::eventually([&] { return scene.database.value("SELECT active" + condition) == "f"; }));
  scene.database.exec("SELECT pg_drop_replication_slot('" + scene.slot + "')");
  scene.database.exec("UPDATE accounts SET amount = 7");
  own.server.stop("fast");
  promote(own);
  scene.proxy.mend();
  static_cast<void>(scene.log.wait_for(EventKind::synced, 2));
  CHECK(scene.log.count(EventKind::resumed) == 0);
  scene.check_equal();
  // And from then on it is as durable as before.
  REQUIRE(scene.database.end_sessions("backend_type = 'walsender'") == 1);
  static_cast<void>(scene.log.wait_for(EventKind::resumed));
  scene.check_equal();
}

}  // namespace durable_slot_fault_test
