#pragma once

#include <stdexcept>
#include <string>
#include <utility>

#include "support/eventually.hpp"
#include "support/sql.hpp"

namespace test {

/// Commits of a server wait for standbys of these names, until this dies.
class SynchronousCommits {
 public:
  SynchronousCommits(std::string dsn, std::string standbys) : dsn_(std::move(dsn)), standbys_(std::move(standbys)) {
    set(standbys_);
  }
  SynchronousCommits(const SynchronousCommits&) = delete;
  SynchronousCommits& operator=(const SynchronousCommits&) = delete;
  ~SynchronousCommits() { set(""); }

  void turn_off() { set(""); }
  void turn_on() { set(standbys_); }

 private:
  /// Returns when it holds for every commit.
  void set(const std::string& names) {
    Sql sql(dsn_);
    sql.exec("SET synchronous_commit = local");
    sql.exec("ALTER SYSTEM SET synchronous_standby_names = '" + names + "'");
    sql.exec("SELECT pg_reload_conf()");
    if (!eventually([&] { return sql.value("SELECT current_setting('synchronous_standby_names')") == names; }))
      throw std::runtime_error("synchronous_standby_names is not '" + names + "'");
    // It is the checkpointer that tells all commits. A new session means that the postmaster has told it before, and
    // the second checkpoint that it has listened.
    Sql(dsn_).exec("CHECKPOINT");
    Sql(dsn_).exec("CHECKPOINT");
  }

  const std::string dsn_;
  const std::string standbys_;
};

}  // namespace test
