// What an operator wants to know, in figures, beside a naive client: one that acknowledges only the commits that it
// receives, as many do. On a private server of its own.
//   btreemapped_bench_operations [SECONDS of churn, 180 unless said]

#include <algorithm>
#include <atomic>
#include <chrono>
#include <cstdint>
#include <cstdlib>
#include <filesystem>
#include <iomanip>
#include <iostream>
#include <memory>
#include <optional>
#include <random>
#include <string>
#include <thread>
#include <utility>
#include <variant>
#include <vector>

#include <poll.h>

#include <btreemapped.hpp>

#include "support/database.hpp"
#include "support/event_log.hpp"
#include "support/server.hpp"

namespace {

using Clock = std::chrono::steady_clock;
using btreemapped::Lsn;
namespace detail = btreemapped::detail;
using namespace std::chrono_literals;

struct Item {
  std::int32_t id;
  std::int64_t amount;
};

struct OwnServer {
  ~OwnServer() { static_cast<void>(std::system(("'" BTREEMAPPED_POSTGRES_SH "' remove '" + state + "'").c_str())); }
  const std::string state =
      (std::filesystem::temp_directory_path() / ("btreemapped-bench-" + std::to_string(std::random_device{}())))
          .string();
  const test::Server server{state};
};

/// Streams the publication, and acknowledges each commit that it receives, and nothing else.
class NaiveClient {
 public:
  explicit NaiveClient(const std::string& dsn)
      : stream_(detail::pq::ReplicationStream::open(dsn, interrupt_, detail::no_deadline)) {
    static_cast<void>(stream_.create_slot("naive", 30s, detail::no_deadline));
    const std::string publications[] = {"pub"};
    stream_.start("naive", Lsn{}, publications, detail::no_deadline);
    thread_ = std::thread([this] { run(); });
  }
  ~NaiveClient() {
    stop_.store(true);
    interrupt_->interrupt();
    thread_.join();
  }

 private:
  void run() {
    try {
      Lsn applied{};
      auto said = Clock::now();
      while (!stop_.load()) {
        if (const auto bytes = stream_.receive()) {
          detail::wire::Frame frame;
          if (detail::wire::parse_frame(*bytes, frame) != btreemapped::Errc::ok) return;
          bool reply = false;
          if (const auto* const alive = std::get_if<detail::wire::Keepalive>(&frame)) {
            reply = alive->reply_requested;
          } else {
            detail::wire::Message message;
            const auto payload = std::get<detail::wire::XLogData>(frame).payload;
            if (detail::wire::parse_message(payload, message) != btreemapped::Errc::ok) return;
            if (const auto* const commit = std::get_if<detail::wire::Commit>(&message)) {
              applied = commit->end_lsn;
              reply = true;
            }
          }
          if (!reply && Clock::now() - said < 1s) continue;
          stream_.send(detail::wire::encode({applied, applied, applied, 0, false}));
          said = Clock::now();
        } else {
          pollfd socket{stream_.socket(), POLLIN, 0};
          ::poll(&socket, 1, 100);
        }
      }
    } catch (const btreemapped::Error&) {
      return;  // the server has gone
    }
  }

  std::shared_ptr<detail::Interrupt> interrupt_ = std::make_shared<detail::Interrupt>();
  detail::pq::ReplicationStream stream_;
  std::atomic<bool> stop_{false};
  std::thread thread_;
};

/// A Replicator of the table items.
struct Follower {
  explicit Follower(const test::Database& database) {
    btreemapped::Options options = database.options();
    options.on_event = log.hook();
    replicator.emplace(options);
    items.emplace(replicator->add_replica<Item, 1>("items"));
    test::start_and_sync(*replicator);
  }

  test::EventLog log{};
  std::optional<btreemapped::Replicator> replicator{};
  std::optional<btreemapped::Replica<Item, 1>> items{};
};

void make_items(test::Database& database, int rows) {
  database.exec(
      "CREATE TABLE items (id int PRIMARY KEY, amount bigint NOT NULL); INSERT INTO items SELECT i, 0 FROM "
      "generate_series(1, " +
      std::to_string(rows) + ") i; CREATE PUBLICATION pub FOR TABLE items; CREATE TABLE unpublished (t text)");
}

double milliseconds(Clock::duration time) { return std::chrono::duration<double, std::milli>(time).count(); }

/// How far behind the end of the log a slot is, in MB.
double megabytes_behind(test::Database& database, const std::string& column) {
  return std::stod(database.value("SELECT pg_wal_lsn_diff(pg_current_wal_lsn(), " + column +
                                  ") / 1048576.0 FROM pg_replication_slots"));
}

/// An idle mirrored table while another database is busy: what the slot holds back.
template <class Client>
void churn(const std::string& name, int seconds) {
  const OwnServer own;
  own.server.start();
  test::Database database({}, own.server.dsn());
  test::Database busy({}, own.server.dsn());
  make_items(database, 1'000);
  busy.exec("CREATE TABLE t (id int, filler text)");
  const auto client = std::make_unique<Client>(database);
  double confirmed = 0;
  double restart = 0;
  const auto end = Clock::now() + std::chrono::seconds{seconds};
  while (Clock::now() < end) {
    busy.exec("INSERT INTO t SELECT i, repeat('x', 200) FROM generate_series(1, 50000) i; TRUNCATE t");
    confirmed = std::max(confirmed, megabytes_behind(database, "confirmed_flush_lsn"));
    restart = megabytes_behind(database, "restart_lsn");
  }
  const double written = std::stod(database.value("SELECT pg_wal_lsn_diff(pg_current_wal_lsn(), '0/0') / 1048576.0"));
  std::cout << name << ": " << seconds << " s of churn elsewhere, " << written << " MB of log: confirmed at most "
            << confirmed << " MB behind, retained at the end " << restart << " MB\n";
}

struct NaiveFollower {
  explicit NaiveFollower(const test::Database& database) : client(database.dsn()) {}
  NaiveClient client;
};

/// How long a fast shutdown takes after a write that is not published.
template <class Client>
double time_to_stop() {
  const OwnServer own;
  own.server.start();
  std::optional<test::Database> database(std::in_place, "", own.server.dsn());
  make_items(*database, 1'000);
  const auto client = std::make_unique<Client>(*database);
  database->exec("INSERT INTO unpublished VALUES ('x')");
  const auto begin = Clock::now();
  own.server.stop("fast");
  const double time = milliseconds(Clock::now() - begin);
  own.server.start();
  return time;
}

struct Nobody {
  explicit Nobody(const test::Database&) {}
};

/// From the end of the walsender to fresh again, and what was published for it.
void reconnect(int rows) {
  const OwnServer own;
  own.server.start();
  test::Database database({}, own.server.dsn());
  make_items(database, rows);
  Follower follower(database);
  for (const bool changes : {false, true}) {
    const auto* const before = changes ? "with 100 rows changed meanwhile" : "with nothing changed meanwhile";
    const std::uint64_t sequence = follower.replicator->status().commits;
    const std::size_t synced = follower.log.count(btreemapped::EventKind::synced);
    const auto begin = Clock::now();
    if (changes) database.exec("UPDATE items SET amount = amount + 1 WHERE id <= 100");
    database.end_sessions("backend_type = 'walsender'");
    static_cast<void>(follower.log.wait_for(btreemapped::EventKind::synced, synced + 1));
    std::cout << "walsender ended, " << rows << " rows, " << before << ": fresh again after "
              << milliseconds(Clock::now() - begin) << " ms, " << follower.replicator->status().commits - sequence
              << " commit\n";
  }
}

}  // namespace

int main(int argc, char** argv) {
  const int seconds = argc > 1 ? std::atoi(argv[1]) : 180;
  std::cout << std::fixed << std::setprecision(1);
  churn<Follower>("btreemapped", seconds);
  churn<NaiveFollower>("naive client", seconds);
  std::cout << "fast stop of the server after a write that is not published: " << time_to_stop<Nobody>()
            << " ms without a client, " << time_to_stop<Follower>() << " ms with btreemapped\n";
  reconnect(1'000'000);
}
