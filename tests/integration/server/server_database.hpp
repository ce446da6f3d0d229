#pragma once

#include <atomic>
#include <chrono>
#include <iostream>
#include <memory>
#include <stdexcept>
#include <string>
#include <string_view>
#include <vector>

#include <unistd.h>

#include <btreemapped/detail/interrupt.hpp>
#include <btreemapped/detail/pq/connection.hpp>
#include <btreemapped/detail/pq/conninfo.hpp>
#include <btreemapped/detail/sql/quote.hpp>
#include <btreemapped/detail/sql/rows.hpp>

#include "support/eventually.hpp"
#include "support/server.hpp"
#include "support/threads.hpp"

namespace test {

namespace pq = btreemapped::detail::pq;
namespace sql = btreemapped::detail::sql;
using btreemapped::detail::Deadline;
using btreemapped::detail::Interrupt;

/// When a test gives up what must happen.
inline Deadline soon() { return std::chrono::steady_clock::now() + patience; }

/// A name that no other test and no other run uses.
inline std::string unique_name(std::string_view what) {
  static std::atomic<int> count{0};
  return std::string{what} + "_" + std::to_string(::getpid()) + "_" + std::to_string(++count);
}

inline pq::Connection connect(std::string_view dsn) {
  return pq::Connection::open(dsn, std::make_shared<Interrupt>(), soon());
}

/// A database of the test's own, with roles of its own; all are removed at its end. What is tested is let in as a role
/// that may do what the README grants, unless it is to be the operator.
class ServerDatabase {
 public:
  ServerDatabase() : name_(unique_name("btreemapped")), admin_(connect(server_dsn())) {
    admin_.exec("CREATE DATABASE " + name_ + " TEMPLATE template0 ENCODING 'UTF8'");
    session_ = std::make_unique<pq::Connection>(connect(dsn()));
    exec("REVOKE ALL ON DATABASE " + name_ + " FROM PUBLIC; REVOKE ALL ON SCHEMA public FROM PUBLIC");
    reader_ = add_role("REPLICATION");
    exec("ALTER DEFAULT PRIVILEGES GRANT USAGE ON SCHEMAS TO " + reader_ +
         "; ALTER DEFAULT PRIVILEGES GRANT SELECT ON TABLES TO " + reader_);
  }
  ServerDatabase(const ServerDatabase&) = delete;
  ServerDatabase& operator=(const ServerDatabase&) = delete;
  ~ServerDatabase() {
    session_.reset();
    try {
      // A walsender that has just lost its client still holds its slot.
      admin_.exec("SELECT pg_terminate_backend(pid, 10000) FROM pg_stat_activity WHERE datname = '" + name_ + "'");
      admin_.exec("DROP DATABASE " + name_ + " WITH (FORCE)");
      for (const std::string& role : roles_) admin_.exec("DROP ROLE " + role);
    } catch (const std::exception& error) {
      std::cerr << "cannot clean up after a test: " << error.what() << '\n';
    }
  }

  [[nodiscard]] const std::string& name() const { return name_; }

  /// A connection string for this database; of the superuser unless a role is named.
  [[nodiscard]] std::string dsn(std::string_view role = {}) const {
    std::vector<pq::ConninfoOverride> overrides{{"dbname", name_}};
    if (!role.empty()) overrides.emplace_back("user", role);
    return pq::with_overrides(server_dsn(), overrides);
  }

  /// Of a role with the README's rights: CONNECT, and for whatever the superuser makes USAGE and SELECT.
  [[nodiscard]] std::string reader_dsn() const { return dsn(reader_); }

  /// Runs statements as the superuser, each in a transaction of its own unless they say otherwise.
  sql::Rows exec(const std::string& statements) {
    return session_->exec(statements, "a statement of the test", soon());
  }

  /// The first column of the first row.
  std::string value(const std::string& query) { return exec(query).string(0, 0); }

  /// A role that may connect, and use the schema public.
  std::string add_role(const std::string& attributes) {
    roles_.push_back(unique_name("btreemapped_role"));
    admin_.exec("CREATE ROLE " + roles_.back() + " LOGIN " + attributes);
    exec("GRANT CONNECT ON DATABASE " + name_ + " TO " + roles_.back() + "; GRANT USAGE ON SCHEMA public TO " +
         roles_.back());
    return roles_.back();
  }

  /// Asks until the answer is yes.
  void wait_until(const std::string& question) {
    if (!eventually([&] { return value("SELECT (" + question + ")::text") == "true"; }))
      throw std::runtime_error("this never became true: " + question);
  }

 private:
  std::string name_;
  pq::Connection admin_;
  std::unique_ptr<pq::Connection> session_;
  std::vector<std::string> roles_;
  std::string reader_;
};

}  // namespace test
