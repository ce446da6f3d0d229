// What an operator wants to know, in figures, beside a naive client: one that acknowledges only the commits that it
// receives, as many do. On private servers of its own.
//   btreemapped_bench_operations [SECONDS of churn, 180 unless said] [churn|stop|commit|barrier|reconnect]...

#include <algorithm>
#include <chrono>
#include <cstdint>
#include <cstdlib>
#include <functional>
#include <future>
#include <iomanip>
#include <iostream>
#include <memory>
#include <optional>
#include <set>
#include <stdexcept>
#include <string>
#include <thread>
#include <utility>
#include <vector>

#include <pqxx/connection>
#include <pqxx/transaction>

#include <btreemapped.hpp>
#include <btreemapped/pqxx.hpp>

#include "bench/naive_client.hpp"
#include "support/conninfo.hpp"
#include "support/database.hpp"
#include "support/event_log.hpp"
#include "support/server.hpp"
#include "support/sql.hpp"
#include "support/synchronous_commits.hpp"

namespace {

using Clock = std::chrono::steady_clock;
using bench::NaiveClient;
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
  }

  test::EventLog log{};
  std::optional<btreemapped::Replicator> replicator{};
  std::optional<btreemapped::Replica<Item, 1>> items{};
};

std::string naive_dsn(const test::Database& database) {
  return test::with_parts(database.dsn(), {{"application_name", "replica"}});
}

double milliseconds(Clock::duration time) { return std::chrono::duration<double, std::milli>(time).count(); }

// ---- what a slot holds back ------------------------------------------------------------------------------------------

/// Watches what a slot holds back, in MB of log and in seconds of its writing.
class SlotWatch {
 public:
  SlotWatch(std::string name, std::string condition) : name_(std::move(name)), condition_(std::move(condition)) {}

  void look(test::Database& database, Clock::time_point now) {
    const test::SqlRow row = database
                                 .rows(
                                     "SELECT pg_current_wal_lsn() - '0/0', confirmed_flush_lsn - '0/0', "
                                     "restart_lsn - '0/0' FROM pg_replication_slots WHERE " +
                                     condition_)
                                 .at(0);
    const double end = std::stod(row[0].value());
    const double restart = std::stod(row[2].value());
    history_.push_back({now, end});
    unconfirmed_ = std::max(unconfirmed_, end - std::stod(row[1].value()));
    retained_.push_back(end - restart);
    const auto written =
        std::find_if(history_.begin(), history_.end(), [&](const auto& each) { return each.second >= restart; });
    age_ = std::max(age_, std::chrono::duration<double>(now - written->first).count());
  }

  void print() const {
    const std::size_t third = retained_.size() / 3;
    const auto most = [&](std::size_t from, std::size_t to) {
      return *std::max_element(retained_.begin() + static_cast<std::ptrdiff_t>(from),
                               retained_.begin() + static_cast<std::ptrdiff_t>(to)) /
             megabyte;
    };
    std::cout << "  " << name_ << ": confirmed at most " << unconfirmed_ / megabyte
              << " MB behind the end; retained at most " << most(0, third) << ", " << most(third, 2 * third) << ", "
              << most(2 * third, retained_.size()) << " MB in the three thirds of that time, the oldest of it written "
              << age_ << " s before\n";
  }

 private:
  static constexpr double megabyte = 1 << 20;

  const std::string name_;
  const std::string condition_;
  std::vector<std::pair<Clock::time_point, double>> history_{};
  std::vector<double> retained_{};
  double unconfirmed_ = 0;
  double age_ = 0;
};

/// An idle mirrored table while another database is busy.
void churn(int seconds) {
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
    ours.look(*scene.database, Clock::now());
    theirs.look(*scene.database, Clock::now());
    written = static_cast<double>(scene.database->position().value() - start.value()) / (1 << 20);
    std::this_thread::sleep_until(begin + std::chrono::duration_cast<Clock::duration>(
                                              std::chrono::duration<double>(written / megabytes_per_second)));
  }
  std::cout << "an idle table while another database writes " << written << " MB of log in " << time << " s:\n";
  ours.print();
  theirs.print();
}

// ---- a fast shutdown -------------------------------------------------------------------------------------------------

constexpr auto longest_stop = 20s;

/// How long a fast shutdown takes; past `longest_stop` `give_up` ends what it waits for.
double time_to_stop(const test::Server& server, const std::function<void()>& give_up) {
  const auto begin = Clock::now();
  auto stopped = std::async(std::launch::async, [&] { server.stop("fast"); });
  if (stopped.wait_for(longest_stop) == std::future_status::timeout) give_up();
  stopped.get();
  return milliseconds(Clock::now() - begin);
}

void write(test::Database& database, bool backlog) {
  database.exec("INSERT INTO unpublished VALUES ('x')");
  if (backlog) database.exec("UPDATE items SET amount = amount + 1");
}

void stop(bool backlog) {
  const int rows = backlog ? 300'000 : 1'000;
  double nobody = 0;
  double ours = 0;
  double theirs = 0;
  {
    Scene scene(rows);
    write(*scene.database, backlog);
    nobody = time_to_stop(scene.server, [] {});
    scene.server.start();
    scene.database->connect_again();
  }
  {
    Scene scene(rows);
    Follower follower(*scene.database);
    const auto time = [&] {
      write(*scene.database, backlog);
      return time_to_stop(scene.server, [] {});
    };
    if (backlog) {
      const auto guard = follower.items->read();  // is in the way of the commit, so that the log is not read on
      ours = time();
    } else {
      ours = time();
    }
    scene.server.start();
    scene.database->connect_again();
  }
  {
    Scene scene(rows);
    auto naive = std::make_unique<NaiveClient>(scene.database->dsn());
    naive->be_busy(backlog);
    write(*scene.database, backlog);
    theirs = time_to_stop(scene.server, [&] { naive.reset(); });
    naive.reset();
    scene.server.start();
    scene.database->connect_again();
  }
  std::cout << "fast shutdown " << (backlog ? "with a backlog that is held up here" : "with nothing to catch up")
            << ": " << nobody << " ms without a client, " << ours << " ms with btreemapped, " << theirs
            << " ms with the naive client"
            << (theirs >= milliseconds(longest_stop) ? ", which was ended for it\n" : "\n");
}

// ---- how long something takes, many times ----------------------------------------------------------------------------

class Latencies {
 public:
  template <class Function>
  void measure(Function&& function) {
    const auto begin = Clock::now();
    function();
    times_.push_back(milliseconds(Clock::now() - begin));
  }

  void print(const std::string& what) {
    std::sort(times_.begin(), times_.end());
    std::cout << "  " << what << ": " << std::setprecision(3) << quantile(0.5) << " ms p50, " << quantile(0.99)
              << " ms p99 of " << times_.size() << "\n"
              << std::setprecision(1);
  }

 private:
  [[nodiscard]] double quantile(double part) const {
    return times_[static_cast<std::size_t>(part * static_cast<double>(times_.size() - 1))];
  }

  std::vector<double> times_{};
};

/// A synchronous writer's commits; gives up when one of them has not returned after a while.
void time_commits(test::Database& database, const std::string& who, const std::string& level, const std::string& sql,
                  int count) {
  constexpr auto longest = 10s;
  test::Sql writer(database.dsn());
  writer.exec("SET synchronous_commit = " + level);
  writer.exec("SET client_min_messages = error");
  const std::string pid = writer.value("SELECT pg_backend_pid()");
  Latencies latencies;
  for (int i = 0; i < count; ++i) {
    auto done = std::async(std::launch::async, [&] { latencies.measure([&] { writer.exec(sql); }); });
    if (done.wait_for(longest) != std::future_status::timeout) continue;
    test::Sql(database.dsn()).exec("SELECT pg_cancel_backend(" + pid + ")");
    done.get();
    std::cout << "  " << who << ": not returned after " << longest.count() << " s, and cancelled\n";
    return;
  }
  latencies.print(who);
}

/// What a commit costs that waits for a synchronous replica.
void commit_latency() {
  constexpr int count = 500;
  for (const bool published : {false, true}) {
    const std::string sql =
        published ? "UPDATE items SET amount = amount + 1 WHERE id = 1" : "INSERT INTO unpublished VALUES ('x')";
    std::cout << "commit of a change that is " << (published ? "" : "not ") << "published, with remote_apply:\n";
    Scene scene;
    time_commits(*scene.database, "local, for nobody", "local", sql, count);
    {
      const Follower follower(*scene.database, "ours");
      const test::SynchronousCommits waiting(scene.database->dsn(), "replica");
      time_commits(*scene.database, "btreemapped", "remote_apply", sql, count);
    }
    {
      const NaiveClient naive(naive_dsn(*scene.database));
      const test::SynchronousCommits waiting(scene.database->dsn(), "replica");
      time_commits(*scene.database, "naive client", "remote_apply", sql, count);
    }
  }
}

// ---- barriers --------------------------------------------------------------------------------------------------------

void barrier_latency() {
  constexpr int count = 1'000;
  constexpr auto patience = 10s;
  Scene scene;
  const std::string update = "UPDATE items SET amount = amount + 1 WHERE id = 1";
  test::Sql sql(scene.database->dsn());
  const auto need = [](const btreemapped::Reached& reached) {
    if (!reached) throw std::runtime_error("a barrier is not passed: " + reached.why);
  };
  std::cout << "from the end of a COMMIT until it is known to be visible:\n";
  {
    const Follower follower(*scene.database);
    pqxx::connection connection{scene.database->dsn()};
    Latencies token_latency;
    Latencies all_latency;
    Latencies lsn_latency;
    for (int i = 0; i < count; ++i) {
      pqxx::work work{connection};
      btreemapped::Token token = follower.replicator->token();
      work.exec(update);
      token.use_xid(work.exec(token.sql())[0][0].as<std::string>());
      work.commit();
      token_latency.measure([&] { need(follower.replicator->wait_for(token, patience)); });
    }
    for (int i = 0; i < count; ++i) {
      sql.exec(update);
      all_latency.measure([&] { need(follower.replicator->catch_up(patience)); });
    }
    for (int i = 0; i < count; ++i) {
      sql.exec(update);
      lsn_latency.measure([&] { need(follower.replicator->wait_for(sql.position(), patience)); });
    }
    token_latency.print("btreemapped, token");
    all_latency.print("btreemapped, catch_up()");
    lsn_latency.print("btreemapped, wait_for(lsn), with the question for it");
  }
  const NaiveClient naive(scene.database->dsn());
  Latencies polling;
  for (int i = 0; i < count; ++i) {
    sql.exec(update);
    polling.measure([&] {
      const std::string position = to_string(sql.position());
      while (sql.value("SELECT confirmed_flush_lsn >= '" + position + "' FROM pg_replication_slots") != "t") {
      }
    });
  }
  polling.print("naive client, asking for confirmed_flush_lsn until it is there");
}

// ---- a lost stream ---------------------------------------------------------------------------------------------------

/// From the end of the walsender to fresh again, and what was published for it.
void reconnect(int rows) {
  std::cout << "walsender ended, " << rows << " rows:\n";
  for (const bool durable : {false, true}) {
    Scene scene(rows);
    const Follower follower(*scene.database, durable ? "ours" : "");
    for (const bool changes : {false, true}) {
      const std::uint64_t changed = changes ? 100 : 0;
      const EventKind back = durable ? EventKind::resumed : EventKind::synced;
      const std::size_t before = follower.log.count(back);
      const std::size_t rebuilt = follower.log.count(EventKind::rebuilt);
      const auto begin = Clock::now();
      scene.database->end_sessions("backend_type = 'walsender'");
      if (changes) scene.database->exec("UPDATE items SET amount = amount + 1 WHERE id <= 100");
      const Lsn end = scene.database->position();
      static_cast<void>(follower.log.wait_for(back, before + 1));
      if (!follower.replicator->wait_for(end, 60s)) throw std::runtime_error("it is not fresh again");
      std::cout << "  " << (durable ? "durable slot" : "temporary slot") << ", " << changed
                << " rows changed meanwhile: fresh again after " << milliseconds(Clock::now() - begin) << " ms, ";
      if (durable) std::cout << "nothing copied\n";
      else std::cout << follower.log.wait_for(EventKind::rebuilt, rebuilt + 1).rows << " rows of the copy published\n";
    }
  }
}

}  // namespace

int main(int argc, char** argv) {
  int seconds = 180;
  std::set<std::string> parts;
  for (int i = 1; i < argc; ++i) {
    if (const int number = std::atoi(argv[i]); number > 0) seconds = number;
    else parts.insert(argv[i]);
  }
  const auto wanted = [&](const char* part) { return parts.empty() || parts.contains(part); };
  std::cout << std::unitbuf << std::fixed << std::setprecision(1);
  if (wanted("stop")) {
    stop(false);
    stop(true);
  }
  if (wanted("commit")) commit_latency();
  if (wanted("barrier")) barrier_latency();
  if (wanted("reconnect")) reconnect(1'000'000);
  if (wanted("churn")) churn(seconds);
}
