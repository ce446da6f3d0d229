// What an operator wants to know, in figures, beside a naive client: one that acknowledges only the commits that it
// receives, as many do. On private servers of its own. Fails when one of the bounds is broken.
//   btreemapped_bench_operations [SECONDS of churn] [churn|stop|commit|barrier|reconnect|walsenders]...
// The churn lasts for 180 s unless said, and for a minute at least, as the server moves slots on every 15 s.

#include <algorithm>
#include <chrono>
#include <cstdint>
#include <cstdlib>
#include <functional>
#include <future>
#include <iomanip>
#include <iostream>
#include <optional>
#include <set>
#include <stdexcept>
#include <string>
#include <thread>

#include <pqxx/connection>
#include <pqxx/transaction>

#include <btreemapped.hpp>
#include <btreemapped/pqxx.hpp>

#include "bench/bounds.hpp"
#include "bench/naive_client.hpp"
#include "bench/slot_watch.hpp"
#include "bench/times.hpp"
#include "bench/walsenders.hpp"
#include "support/conninfo.hpp"
#include "support/database.hpp"
#include "support/event_log.hpp"
#include "support/eventually.hpp"
#include "support/server.hpp"
#include "support/sql.hpp"
#include "support/synchronous_commits.hpp"

namespace {

using bench::Bounds;
using bench::Clock;
using bench::milliseconds;
using bench::NaiveClient;
using bench::SlotWatch;
using bench::Times;
using btreemapped::EventKind;
using btreemapped::Lsn;
using namespace std::chrono_literals;

struct Item {
  std::int32_t id;
  std::int64_t amount;
};

/// Nobody else's server, with PostgreSQL's own wal_sender_timeout, and a database with a table that is published.
struct Scene {
  explicit Scene(int rows = 1'000) {
    server.start();
    test::Sql sql(server.dsn());
    sql.exec("ALTER SYSTEM SET wal_sender_timeout = '60s'");
    sql.exec("SELECT pg_reload_conf()");
    database.emplace("", server.dsn());
    database->exec(
        "CREATE TABLE items (id int PRIMARY KEY, amount bigint NOT NULL); INSERT INTO items SELECT i, 0 FROM "
        "generate_series(1, " +
        std::to_string(rows) + ") i; CREATE PUBLICATION pub FOR TABLE items; CREATE TABLE unpublished (t text)");
  }

  const test::OwnServer server{};
  std::optional<test::Database> database{};
};

/// A Replicator of the table items.
struct Follower {
  explicit Follower(const test::Database& database, const std::string& durable_slot = {}) {
    btreemapped::Options options = database.options();
    options.connection = test::with_parts(options.connection, {{"application_name", "replica"}});
    options.on_event = log.hook();
    options.slot_name = durable_slot;
    options.durable_slot = !durable_slot.empty();
    replicator.emplace(options);
    items.emplace(replicator->add_replica<Item, 1>("items"));
    test::start_and_sync(*replicator);
    static_cast<void>(log.wait_for(EventKind::synced));  // which is counted later on
  }

  test::EventLog log{};
  std::optional<btreemapped::Replicator> replicator{};
  std::optional<btreemapped::Replica<Item, 1>> items{};
};

std::string naive_dsn(const test::Database& database) {
  return test::with_parts(database.dsn(), {{"application_name", "replica"}});
}

// ---- what a slot holds back ------------------------------------------------------------------------------------------

/// An idle mirrored table while another database is busy.
void churn(int seconds, Bounds& bounds) {
  constexpr double megabytes_per_second = 25;
  Scene scene;
  test::Database busy("", scene.server.dsn());
  busy.exec("CREATE TABLE t (id int, filler text)");
  const Follower follower(*scene.database);
  const NaiveClient naive(scene.database->dsn());
  SlotWatch ours("btreemapped", "slot_name LIKE 'btreemapped%'");
  SlotWatch theirs("naive client", "slot_name = 'naive'");
  const Lsn start = scene.database->position();
  const auto begin = Clock::now();
  double written = 0;
  double time = 0;
  while (time < seconds) {
    busy.exec("INSERT INTO t SELECT i, repeat('x', 200) FROM generate_series(1, 20000) i; TRUNCATE t");
    time = std::chrono::duration<double>(Clock::now() - begin).count();
    ours.look(*scene.database);
    theirs.look(*scene.database);
    written = static_cast<double>(scene.database->position().value() - start.value()) / (1 << 20);
    std::this_thread::sleep_until(begin + std::chrono::duration_cast<Clock::duration>(
                                              std::chrono::duration<double>(written / megabytes_per_second)));
  }
  std::cout << "an idle table while another database writes " << written << " MB of log in " << time << " s:\n";
  ours.print();
  theirs.print();
  constexpr double grows = 1.5;  // what retains everything retains twice as much in the second half
  bounds.at_most("btreemapped, not confirmed", ours.unconfirmed(), 64, " MB");
  bounds.at_most("btreemapped, age of the log that is retained", ours.age(), 60, " s");
  bounds.at_most("btreemapped, growth of the log that is retained", ours.growth(), grows, " times");
  bounds.at_least("naive client, growth of the log that is retained", theirs.growth(), grows, " times");
}

// ---- a fast shutdown -------------------------------------------------------------------------------------------------

constexpr auto longest_stop = 20s;

/// A fast shutdown; past `longest_stop` the client that it waits for is ended.
void stop_in_spite_of(std::optional<NaiveClient>& client, const test::Server& server) {
  auto stopped = std::async(std::launch::async, [&] { server.stop("fast"); });
  if (stopped.wait_for(longest_stop) == std::future_status::timeout) client.reset();
  stopped.get();
}

void change(test::Database& database, bool backlog) {
  database.exec("INSERT INTO unpublished VALUES ('x')");
  if (backlog) database.exec("UPDATE items SET amount = amount + 1");
}

/// In turn with nobody and with a client, as the time that a server takes by itself varies.
void stop(bool backlog, Bounds& bounds) {
  constexpr int rounds = 7;
  constexpr double tolerance = 500;
  Scene scene(backlog ? 300'000 : 1'000);
  test::Database& database = *scene.database;
  const auto start_again = [&] {
    scene.server.start();
    database.connect_again();
  };
  Times nobody;
  Times ours;
  Times theirs;
  for (int round = 0; round < rounds; ++round) {
    change(database, backlog);
    nobody.measure([&] { scene.server.stop(); });
    start_again();
    const Follower follower(database);
    if (backlog) {
      const auto guard = follower.items->read();  // is in the way of the first commit; what follows it is the backlog
      database.exec("UPDATE items SET amount = amount + 1 WHERE id = 1");
      if (!test::eventually([&] { return test::commit_waits(*follower.replicator); }))
        throw std::runtime_error("a commit does not wait for its reader");
      change(database, backlog);
      ours.measure([&] { scene.server.stop(); });
    } else {
      change(database, backlog);
      ours.measure([&] { scene.server.stop(); });
    }
    start_again();
  }
  std::optional<NaiveClient> naive(std::in_place, database.dsn());
  naive->be_busy(backlog);
  change(database, backlog);
  theirs.measure([&] { stop_in_spite_of(naive, scene.server); });
  naive.reset();
  start_again();
  std::cout << "fast shutdown " << (backlog ? "with a backlog that is held up here" : "with nothing to catch up")
            << ": " << nobody.median() << " ms without a client, " << ours.median() << " ms with btreemapped, "
            << theirs.median() << " ms with the naive client"
            << (theirs.median() >= milliseconds(longest_stop) ? ", which was ended for it\n" : "\n");
  bounds.at_most("btreemapped, longer than without a client", ours.median() - nobody.median(), tolerance, " ms");
}

// ---- how long something takes, many times ----------------------------------------------------------------------------

/// A synchronous writer's commits; none when one of them has not returned after a while.
std::optional<Times> time_commits(test::Database& database, const std::string& level, const std::string& sql) {
  constexpr int count = 500;
  constexpr auto longest = 10s;
  test::Sql writer(database.dsn());
  writer.exec("SET synchronous_commit = " + level);
  writer.exec("SET client_min_messages = error");
  const std::string pid = writer.value("SELECT pg_backend_pid()");
  Times times;
  for (int i = 0; i < count; ++i) {
    auto done = std::async(std::launch::async, [&] { times.measure([&] { writer.exec(sql); }); });
    if (done.wait_for(longest) != std::future_status::timeout) continue;
    test::Sql(database.dsn()).exec("SELECT pg_cancel_backend(" + pid + ")");
    done.get();
    return std::nullopt;
  }
  return times;
}

/// What a commit costs that waits for a synchronous replica.
void commit_latency() {
  for (const bool published : {false, true}) {
    const std::string sql =
        published ? "UPDATE items SET amount = amount + 1 WHERE id = 1" : "INSERT INTO unpublished VALUES ('x')";
    std::cout << "commit of a change that is " << (published ? "" : "not ") << "published, with remote_apply:\n";
    Scene scene;
    test::Database& database = *scene.database;
    const Times local = time_commits(database, "local", sql).value();
    local.print("local, for nobody");
    const auto print = [&](const std::string& who) {
      const test::SynchronousCommits waiting(database.dsn(), "replica");
      if (const auto times = time_commits(database, "remote_apply", sql))
        times->print_beside(local, "a local one", who);
      else std::cout << "  " << who << ": one has not returned, and was cancelled\n";
    };
    {
      const Follower follower(database, "ours");
      print("btreemapped");
    }
    const NaiveClient naive(naive_dsn(database));
    print("naive client");
  }
}

// ---- barriers --------------------------------------------------------------------------------------------------------

void barrier_latency() {
  constexpr int count = 1'000;
  constexpr auto patience = 10s;
  constexpr std::uint64_t wal_block_size = 8192;
  Scene scene;
  const std::string update = "UPDATE items SET amount = amount + 1 WHERE id = 1";
  test::Sql sql(scene.database->dsn());
  const auto need = [](const btreemapped::Reached& reached) {
    if (!reached) throw std::runtime_error("a barrier is not passed: " + reached.why);
  };
  std::cout << "from the end of a COMMIT until it is known to be visible:\n";
  Times polling;
  {
    const NaiveClient naive(scene.database->dsn());
    for (int i = 0; i < count; ++i) {
      sql.exec(update);
      // Where somebody else writes in between, that is no commit, and never acknowledged.
      const auto longest = Clock::now() + 1s;
      polling.measure([&] {
        const Lsn end = btreemapped::detail::before_page_header(sql.position(), wal_block_size);
        const std::string is_there = "SELECT confirmed_flush_lsn >= '" + to_string(end) + "' FROM pg_replication_slots";
        while (sql.value(is_there) != "t" && Clock::now() < longest) continue;
      });
    }
  }
  const Follower follower(*scene.database);
  pqxx::connection connection{scene.database->dsn()};
  Times token_times;
  Times all_times;
  Times lsn_times;
  for (int i = 0; i < count; ++i) {
    pqxx::work work{connection};
    btreemapped::Token token = follower.replicator->token();
    work.exec(update);
    token.use_xid(work.exec(token.sql())[0][0].as<std::string>());
    work.commit();
    token_times.measure([&] { need(follower.replicator->wait_for(token, patience)); });
  }
  for (int i = 0; i < count; ++i) {
    sql.exec(update);
    all_times.measure([&] { need(follower.replicator->catch_up(patience)); });
  }
  for (int i = 0; i < count; ++i) {
    sql.exec(update);
    lsn_times.measure([&] { need(follower.replicator->wait_for(sql.position(), patience)); });
  }
  polling.print("naive client, asking for confirmed_flush_lsn until it is there");
  token_times.print_beside(polling, "that", "btreemapped, token");
  all_times.print_beside(polling, "that", "btreemapped, catch_up()");
  lsn_times.print_beside(polling, "that", "btreemapped, wait_for(lsn), with the question for it");
}

// ---- a lost stream ---------------------------------------------------------------------------------------------------

/// From the end of the walsender to fresh again, in ms.
template <class Fresh>
double time_to_recover(test::Database& database, bool changes, Fresh&& fresh) {
  Times times;
  times.measure([&] {
    database.end_sessions("backend_type = 'walsender'");
    if (changes) database.exec("UPDATE items SET amount = amount + 1 WHERE id <= 100");
    if (!fresh()) throw std::runtime_error("it is not fresh again");
  });
  return times.median();
}

/// What a lost stream costs, and what is published for it.
void reconnect(int rows, Bounds& bounds) {
  std::cout << "walsender ended, " << rows << " rows:\n";
  double naive_time = 0;
  {
    Scene scene(rows);
    const NaiveClient naive(scene.database->dsn());
    const std::size_t before = naive.published();
    naive_time =
        time_to_recover(*scene.database, false, [&] { return test::eventually([&] { return naive.copies() == 2; }); });
    std::cout << "  naive client, nothing changed meanwhile: fresh again after " << naive_time << " ms, "
              << naive.published() - before << " rows published\n";
  }
  for (const bool durable : {false, true}) {
    Scene scene(rows);
    const Follower follower(*scene.database, durable ? "ours" : "");
    const EventKind back = durable ? EventKind::resumed : EventKind::synced;
    for (const bool changes : {false, true}) {
      const std::string who = durable ? "durable slot" : "temporary slot";
      const std::size_t changed = changes ? 100 : 0;
      const std::size_t before = follower.log.count(back);
      const std::size_t rebuilt = follower.log.count(EventKind::rebuilt);
      const double time = time_to_recover(*scene.database, changes, [&] {
        const Lsn end = scene.database->position();
        static_cast<void>(follower.log.wait_for(back, before + 1));
        return static_cast<bool>(follower.replicator->wait_for(end, 60s));
      });
      std::cout << "  " << who << ", " << changed << " rows changed meanwhile: fresh again after " << time
                << " ms, which is " << std::setprecision(2) << time / naive_time << " of that\n"
                << std::setprecision(1);
      const std::size_t of_copy = durable ? follower.log.count(EventKind::rebuilt) - rebuilt
                                          : follower.log.wait_for(EventKind::rebuilt, rebuilt + 1).rows;
      bounds.at_most(durable ? who + ", copies" : who + ", rows of the copy that are published",
                     static_cast<double>(of_copy), durable ? 0 : static_cast<double>(changed), "");
    }
  }
}

}  // namespace

int main(int argc, char** argv) {
  int seconds = 180;
  std::set<std::string> parts;
  for (int i = 1; i < argc; ++i) {
    if (const int number = std::atoi(argv[i]); number > 0) seconds = std::max(number, 60);
    else parts.insert(argv[i]);
  }
  const auto wanted = [&](const char* part) { return parts.empty() || parts.contains(part); };
  std::cout << std::unitbuf << std::fixed << std::setprecision(1);
  Bounds bounds;
  if (wanted("stop")) {
    stop(false, bounds);
    stop(true, bounds);
  }
  if (wanted("commit")) commit_latency();
  if (wanted("barrier")) barrier_latency();
  if (wanted("reconnect")) reconnect(1'000'000, bounds);
  if (wanted("churn")) churn(seconds, bounds);
  if (wanted("walsenders")) {
    bench::walsenders::followers_of_one_server();
    bench::walsenders::followers_of_a_standby();
  }
  return bounds.all_held() ? EXIT_SUCCESS : EXIT_FAILURE;
}
