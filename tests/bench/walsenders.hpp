#pragma once

#include <chrono>
#include <cstdint>
#include <fstream>
#include <iomanip>
#include <iostream>
#include <iterator>
#include <map>
#include <memory>
#include <optional>
#include <sstream>
#include <stdexcept>
#include <string>
#include <vector>

#include <unistd.h>

#include <btreemapped.hpp>

#include "support/conninfo.hpp"
#include "support/database.hpp"
#include "support/eventually.hpp"
#include "support/server.hpp"
#include "support/sql.hpp"

/// What WAL senders cost a server: processor time per GB of log, beside what the session takes that writes it.
namespace bench::walsenders {

struct Item {
  std::int32_t id;
  std::int64_t amount;
  std::string filler;
};

/// What somebody follows; the name becomes that of the WAL sender.
struct Subject {
  std::string name;
  std::string table;
  std::string publication;
};

inline const Subject unpublished{"of a table that is not written to", "idle", "idle_pub"};
inline const Subject published{"of a table that is written to", "busy", "busy_pub"};

inline constexpr int shards = 4;
inline Subject shard(int number) { return {"of a shard", "busy", "shard" + std::to_string(number)}; }

/// A server with a table that is written to, one that is not, and publications of them.
struct Scene {
  Scene() {
    server.start();
    database.emplace("", server.dsn());
    for (const std::string table : {"idle", "busy"})
      database->exec("CREATE TABLE " + table + " (id int PRIMARY KEY, amount bigint NOT NULL, filler text NOT NULL);" +
                     "INSERT INTO " + table + " SELECT id, 0, repeat('x', 200) FROM generate_series(1, 20000) id;" +
                     "CREATE PUBLICATION " + table + "_pub FOR TABLE " + table);
    for (int i = 0; i < shards; ++i)
      database->exec("CREATE PUBLICATION " + shard(i).publication + " FOR TABLE busy WHERE (abs(hashint4(id) % " +
                     std::to_string(shards) + ") = " + std::to_string(i) + ")");
  }

  const test::OwnServer server{};
  std::optional<test::Database> database{};
};

/// Replicators in this process, whose own time is not counted.
class Followers {
 public:
  explicit Followers(test::Database& database) : database_(database) {}

  /// Of the database's own server, or of a standby of it.
  void add(const Subject& subject, const test::Server* standby = nullptr) {
    btreemapped::Options options = database_.options();
    options.publication = subject.publication;
    std::map<std::string, std::string> changed{{"application_name", subject.name}};
    if (standby != nullptr) {
      options.primary_connection = options.connection;
      changed["port"] = test::parse_conninfo(standby->dsn()).at("port");
    }
    options.connection = test::with_parts(options.connection, changed);
    auto& follower = *followers_.emplace_back(std::make_unique<btreemapped::Replicator>(options));
    static_cast<void>(follower.add_replica<Item, 1>(subject.table));
    test::start_and_sync(follower);
  }

  /// Returns when they have all that is committed.
  void catch_up() const {
    const btreemapped::Lsn end = database_.position();
    for (const auto& each : followers_)
      if (const auto reached = each->wait_for(end, std::chrono::minutes{5}); !reached)
        throw std::runtime_error("a follower is left behind: " + reached.why);
  }

 private:
  test::Database& database_;
  std::vector<std::unique_ptr<btreemapped::Replicator>> followers_{};
};

/// What a process has used of the processors, in seconds.
inline double processor_time(const std::string& pid) {
  std::ifstream file("/proc/" + pid + "/stat");
  std::string line;
  if (!std::getline(file, line)) throw std::runtime_error("process " + pid + " has ended");
  // From the third field on: the second one, in parentheses, may contain anything.
  std::istringstream rest(line.substr(line.rfind(')') + 1));
  const std::vector<std::string> fields(std::istream_iterator<std::string>{rest}, {});
  return (std::stod(fields.at(11)) + std::stod(fields.at(12))) / static_cast<double>(::sysconf(_SC_CLK_TCK));
}

/// Processes of one kind, and what they have used.
struct Use {
  int processes = 0;
  double seconds = 0;
};

/// What the processes of a server that have to do with the log, and the writer, use from now on.
class Meter {
 public:
  explicit Meter(const std::string& dsn) : sql_(dsn) {}

  [[nodiscard]] std::map<std::string, Use> used() {
    std::map<std::string, Use> out = read();
    for (auto& [name, use] : out) use.seconds -= before_.at(name).seconds;
    return out;
  }

  /// Returns when a standby has replayed all of this.
  void wait_for_replay(const std::string& end) {
    if (!test::eventually([&] { return sql_.value("SELECT pg_last_wal_replay_lsn() >= '" + end + "'") == "t"; }))
      throw std::runtime_error("the standby is left behind");
  }

 private:
  [[nodiscard]] std::map<std::string, Use> read() {
    std::map<std::string, Use> out;
    for (const test::SqlRow& row : sql_.rows(
             "SELECT CASE backend_type WHEN 'client backend' THEN application_name WHEN 'walsender' THEN 'WAL sender ' "
             "|| application_name ELSE backend_type END, pid FROM pg_stat_activity WHERE application_name = 'writer' "
             "OR "
             "backend_type IN ('walsender', 'walreceiver', 'startup')")) {
      Use& use = out[row[0].value()];
      ++use.processes;
      use.seconds += processor_time(row[1].value());
    }
    return out;
  }

  test::Sql sql_;
  const std::map<std::string, Use> before_ = read();
};

/// Writes half a GB of log, and prints what that costs each process.
inline void measure(const std::string& what, Scene& scene, const Followers& followers,
                    const test::Server* standby = nullptr) {
  constexpr int updates = 60;
  test::Database& database = *scene.database;
  test::Sql writer(test::with_parts(database.dsn(), {{"application_name", "writer"}}));
  Meter meter(database.dsn());
  std::optional<Meter> meter_of_standby;
  if (standby != nullptr) meter_of_standby.emplace(standby->dsn());

  const btreemapped::Lsn start = database.position();
  for (int i = 0; i < updates; ++i) writer.exec("UPDATE busy SET amount = amount + 1");
  followers.catch_up();
  if (meter_of_standby) meter_of_standby->wait_for_replay(database.value("SELECT pg_current_wal_flush_lsn()"));

  const double gigabytes = static_cast<double>(database.position().value() - start.value()) / (1 << 30);
  const std::map<std::string, Use> used = meter.used();
  const double of_writer = used.at("writer").seconds;
  std::cout << std::setprecision(2) << what << ", " << gigabytes << " GB of log:\n";
  const auto print = [&](const char* where, const std::map<std::string, Use>& uses) {
    for (const auto& [name, use] : uses) {
      const double each = use.seconds / use.processes;
      std::cout << "  " << where << ", " << use.processes << " x " << name << ": " << each / gigabytes
                << " s per GB each, " << each / of_writer << " of the writer\n";
    }
  };
  print("server", used);
  if (meter_of_standby) print("standby", meter_of_standby->used());
  std::cout << std::setprecision(1);
}

inline void followers_of_one_server() {
  for (const Subject& subject : {unpublished, published}) {
    for (const int count : {1, 4, 16}) {
      Scene scene;
      Followers followers(*scene.database);
      for (int i = 0; i < count; ++i) followers.add(subject);
      measure("followers " + subject.name + ": " + std::to_string(count), scene, followers);
    }
  }
  Scene scene;
  Followers followers(*scene.database);
  for (int i = 0; i < shards; ++i) followers.add(shard(i));
  measure("a follower of each shard", scene, followers);
}

/// (From PostgreSQL 16 on a standby can be followed.)
inline void followers_of_a_standby() {
  Scene scene;
  const test::OwnServer standby;
  standby.start_as_standby_of(scene.server);
  Followers followers(*scene.database);
  measure("a standby without followers", scene, followers, &standby);
  if (std::stoi(scene.database->value("SHOW server_version_num")) < 160000) return;
  scene.database->exec("GRANT EXECUTE ON FUNCTION pg_log_standby_snapshot() TO " +
                       test::parse_conninfo(scene.database->reader_dsn()).at("user"));
  for (const Subject& subject : {unpublished, published, shard(0)}) followers.add(subject, &standby);
  measure("a standby with three followers", scene, followers, &standby);
}

}  // namespace bench::walsenders
