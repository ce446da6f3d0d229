#pragma once

#include <chrono>
#include <cstdint>
#include <cstdio>
#include <exception>
#include <future>
#include <map>
#include <optional>
#include <random>
#include <stdexcept>
#include <string>
#include <vector>

#include <btreemapped/detail/loop/barriers.hpp>
#include <btreemapped/lsn.hpp>
#include <btreemapped/options.hpp>
#include <btreemapped/replicator.hpp>
#include <btreemapped/status.hpp>

#include "support/conninfo.hpp"
#include "support/eventually.hpp"
#include "support/server.hpp"
#include "support/sql.hpp"
#include "support/threads.hpp"

namespace test {

/// A new database with a name of its own, dropped at the end with all who are still connected to it and with the roles
/// and origins that were added. The library is let in as a role that may do what the README grants, and nothing else;
/// the test itself is the operator.
class Database {
 public:
  /// `clauses` go to CREATE DATABASE, `server` is a connection string.
  explicit Database(const std::string& clauses = {}, const std::string& server = server_dsn(),
                    const std::string& name = new_name())
      : name_(name), server_(server), dsn_(with_parts(server, {{"dbname", name_}})) {
    administrator_.emplace(server_);
    administrator_->exec("CREATE DATABASE " + name_ + " TEMPLATE template0 " + clauses);
    session_.emplace(dsn_);
    make_reader();
  }

  Database(const Database&) = delete;
  Database& operator=(const Database&) = delete;

  ~Database() {
    try {
      // A walsender is not ended by FORCE, and its slot is in the way.
      end_sessions("backend_type = 'walsender'");
      administrator_->exec("DROP DATABASE " + name_ + " WITH (FORCE)");
      for (const std::string& role : roles_) administrator_->exec("DROP ROLE " + administrator_->quoted(role));
      for (const std::string& origin : origins_)
        administrator_->exec("SELECT pg_replication_origin_drop('" + origin + "')");
    } catch (const std::exception& error) {
      std::fputs(("a database, role or origin is left behind: " + std::string{error.what()} + "\n").c_str(), stderr);
    }
  }

  static std::string new_name() {
    std::random_device random;
    return "btreemapped_" + std::to_string(random()) + "_" + std::to_string(random());
  }

  [[nodiscard]] const std::string& name() const noexcept { return name_; }
  /// A connection string for it, of the operator.
  [[nodiscard]] const std::string& dsn() const noexcept { return dsn_; }
  /// Of a role with the README's rights: CONNECT, and for whatever the operator makes USAGE and SELECT.
  [[nodiscard]] const std::string& reader_dsn() const noexcept { return reader_dsn_; }
  [[nodiscard]] std::string reader_role() const { return name_ + "_reader"; }

  void exec(const std::string& sql) { session_->exec(sql); }
  std::vector<SqlRow> rows(const std::string& sql) { return session_->rows(sql); }
  std::string value(const std::string& sql) { return session_->value(sql); }
  btreemapped::Lsn position() { return session_->position(); }

  /// A new role of the server that may connect, and use the schema public; `ending` makes its name an odd one.
  std::string add_role(const std::string& attributes = "LOGIN REPLICATION", const std::string& ending = {}) {
    const std::string role = name_ + "_role" + std::to_string(roles_.size() + 1) + ending;
    const std::string quoted = administrator_->quoted(role);
    administrator_->exec("CREATE ROLE " + quoted + " " + attributes);
    roles_.push_back(role);
    session_->exec("GRANT CONNECT ON DATABASE " + name_ + " TO " + quoted + "; GRANT USAGE ON SCHEMA public TO " +
                   quoted);
    return role;
  }

  /// A new replication origin of the server.
  std::string add_origin() {
    const std::string origin = name_ + "_origin" + std::to_string(origins_.size() + 1);
    administrator_->exec("SELECT pg_replication_origin_create('" + origin + "')");
    origins_.push_back(origin);
    return origin;
  }

  /// Needed after a restart of the server.
  void connect_again() {
    administrator_.emplace(server_);
    session_.emplace(dsn_);
  }

  /// Options that follow this database as the reader by the publication "pub", and try again soon.
  [[nodiscard]] btreemapped::Options options() const {
    btreemapped::Options options;
    options.connection = reader_dsn_;
    options.publication = "pub";
    options.shortest_backoff = std::chrono::milliseconds{5};
    options.longest_backoff = std::chrono::milliseconds{100};
    return options;
  }

  /// Returns when all that was committed so far is visible in the replicas, but for those that do not follow.
  void catch_up(const btreemapped::Replicator& replicator) {
    const btreemapped::Lsn target = position();
    if (replicator.wait_for(target, std::chrono::milliseconds{50})) return;
    const btreemapped::Lsn end = btreemapped::detail::before_page_header(target, wal_block_size);
    if (eventually([&] { return replicator.status().applied >= end; })) return;
    throw std::runtime_error("the replicas are not at " + to_string(target) + ": " +
                             replicator.wait_for(target, std::chrono::milliseconds{0}).why);
  }

  /// Ends the sessions of this database for which a condition on pg_stat_activity holds; returns how many, when they
  /// have ended.
  int end_sessions(const std::string& condition) {
    return std::stoi(
        administrator_->value("SELECT count(pg_terminate_backend(pid, 10000)) FROM pg_stat_activity"
                              " WHERE datname = '" +
                              name_ + "' AND " + condition));
  }

 private:
  static constexpr std::uint64_t wal_block_size = 8192;

  /// PUBLIC may do nothing here, so that the reader can do only what it is granted.
  void make_reader() {
    const std::map<std::string, std::string> parts = parse_conninfo(server_);
    const auto password = parts.find("password");
    const std::string role = reader_role();
    administrator_->exec("CREATE ROLE " + role + " LOGIN REPLICATION" +
                         (password == parts.end() ? "" : " PASSWORD '" + password->second + "'"));
    roles_.push_back(role);
    session_->exec("REVOKE ALL ON DATABASE " + name_ + " FROM PUBLIC; REVOKE ALL ON SCHEMA public FROM PUBLIC;" +
                   "GRANT CONNECT ON DATABASE " + name_ + " TO " + role + "; GRANT USAGE ON SCHEMA public TO " + role +
                   "; ALTER DEFAULT PRIVILEGES GRANT USAGE ON SCHEMAS TO " + role +
                   "; ALTER DEFAULT PRIVILEGES GRANT SELECT ON TABLES TO " + role);
  }

  const std::string name_;
  const std::string server_;
  const std::string dsn_;
  const std::string reader_dsn_{with_parts(dsn_, {{"user", name_ + "_reader"}})};
  std::optional<Sql> administrator_;
  std::optional<Sql> session_;
  std::vector<std::string> roles_{};
  std::vector<std::string> origins_{};
};

/// Has a commit been received that waits for readers? (The server may go on writing its log at any time, so a position
/// read there after the commit need not be reached before the readers leave.)
inline bool commit_waits(const btreemapped::Replicator& replicator) {
  const btreemapped::Status status = replicator.status();
  return status.received > status.applied;
}

/// Waits for the first complete copy, and throws what prevented it.
inline void wait_until_synced(const btreemapped::Replicator& replicator) {
  const std::shared_future<void> synced = replicator.synced();
  if (synced.wait_for(patience) == std::future_status::ready) return synced.get();
  const btreemapped::Status status = replicator.status();
  throw std::runtime_error("not synced, but " + std::string{to_string(status.state)} + ": " + status.last_error);
}

/// Starts and waits for the first complete copy.
inline void start_and_sync(btreemapped::Replicator& replicator) {
  replicator.start();
  wait_until_synced(replicator);
}

}  // namespace test
