// What is judged of role, server and connection beside what keeps a table from being followed.

#include <cstddef>
#include <string>
#include <utility>
#include <vector>

#include <catch2/catch_test_macros.hpp>
#include <catch2/matchers/catch_matchers_string.hpp>

#include <btreemapped/detail/loop/checkup_judge.hpp>
#include <btreemapped/detail/shape.hpp>
#include <btreemapped/detail/sql/checkup.hpp>
#include <btreemapped/detail/sql/table_facts.hpp>
#include <btreemapped/finding.hpp>

namespace checkup_judge_test {

using btreemapped::Finding;
using btreemapped::detail::CheckupJudge;
using btreemapped::detail::ConnectionFacts;
using btreemapped::detail::Intention;
using btreemapped::detail::judge_connection;
using btreemapped::detail::ServerShape;
using btreemapped::detail::sql::Checkup;
using btreemapped::detail::sql::TableFacts;
using Catch::Matchers::ContainsSubstring;

constexpr auto note = Finding::Severity::note;
constexpr auto warning = Finding::Severity::warning;
constexpr auto error = Finding::Severity::error;

/// A server, role and table of which there is nothing to say but what a right to replicate means.
struct Patient {
  Patient() {
    server.version = 170000;
    server.role = "reader";
    server.max_slots = server.max_senders = 10;
    server.publications = {{"pub", true, true, true, true, true}};
    checkup.database = "shop";
    checkup.wal_sender_timeout = 60'000;
    checkup.max_slot_wal = 10'240;
    checkup.max_wal = 1024;
    checkup.owned = {false};
    tables[0].shape.table = {"public", "t"};
    tables[0].shape.oid = 16384;
    tables[0].publications = {{"pub", {}}};
    intention.may_replicate = false;
  }

  [[nodiscard]] std::vector<Finding> findings() const { return CheckupJudge{server, checkup, tables}.judge(intention); }

  [[nodiscard]] Finding only(Finding::Severity severity) const {
    std::vector<Finding> found = findings();
    REQUIRE(found.size() == 1);
    CHECK(found[0].severity == severity);
    return std::move(found[0]);
  }

  ServerShape server;
  Checkup checkup;
  std::vector<TableFacts> tables{1};
  Intention intention;
};

TEST_CASE("of a good server and a role that may just read there is nothing to say") {
  CHECK(Patient{}.findings().empty());
}

TEST_CASE("what a right to replicate means is told, with the line of pg_hba.conf that limits it") {
  Patient patient;
  patient.intention.may_replicate = true;
  const Finding finding = patient.only(note);
  CHECK_THAT(finding.what, ContainsSubstring("BASE_BACKUP"));
  CHECK_THAT(finding.remedy, ContainsSubstring("host \"shop\" \"reader\" <address>/32 scram-sha-256"));
  CHECK_THAT(finding.remedy, ContainsSubstring("host all,replication \"reader\" all reject"));
}

TEST_CASE("a single free slot or walsender is a warning, unless the stream has its own already") {
  Patient patient;
  patient.server.used_slots = 9;
  CHECK_THAT(patient.only(warning).remedy, ContainsSubstring("max_replication_slots = 13"));
  std::swap(patient.server.used_slots, patient.server.used_senders);
  CHECK_THAT(patient.only(warning).remedy, ContainsSubstring("max_wal_senders = 13"));
  patient.intention.slots = 1;
  CHECK(patient.findings().empty());
}

TEST_CASE("log that is kept without bound, or not for long, is a warning") {
  Patient patient;
  patient.checkup.max_slot_wal = -1;
  CHECK_THAT(patient.only(warning).what, ContainsSubstring("without bound"));
  patient.checkup.max_slot_wal = 1023;
  const Finding finding = patient.only(warning);
  CHECK_THAT(finding.what, ContainsSubstring("less than max_wal_size"));
  CHECK_THAT(finding.remedy, ContainsSubstring("'4096MB'"));
  patient.checkup.max_slot_wal = 1024;
  CHECK(patient.findings().empty());
}

TEST_CASE("a server that never gives up a silent reader is a warning, mended where it was made so") {
  Patient patient;
  patient.checkup.wal_sender_timeout = 0;
  CHECK_THAT(patient.only(warning).remedy, ContainsSubstring("ALTER SYSTEM SET wal_sender_timeout"));
  const auto remedy_of = [&](const std::string& source) {
    patient.checkup.sender_timeout_source = source;
    return patient.only(warning).remedy;
  };
  CHECK(remedy_of("user") == "ALTER ROLE \"reader\" RESET wal_sender_timeout;");
  CHECK(remedy_of("database") == "ALTER DATABASE \"shop\" RESET wal_sender_timeout;");
  CHECK(remedy_of("database user") == "ALTER ROLE \"reader\" IN DATABASE \"shop\" RESET wal_sender_timeout;");
  CHECK_THAT(remedy_of("client"), ContainsSubstring("connection string"));
}

TEST_CASE("a standby without feedback is a warning, and any standby a note") {
  Patient patient;
  patient.server.in_recovery = true;
  patient.checkup.hot_standby_feedback = true;
  CHECK_THAT(patient.only(note).remedy, ContainsSubstring("pg_log_standby_snapshot()"));
  patient.checkup.hot_standby_feedback = false;
  const std::vector<Finding> findings = patient.findings();
  REQUIRE(findings.size() == 2);
  CHECK(findings[0].severity == warning);
  CHECK_THAT(findings[0].remedy, ContainsSubstring("hot_standby_feedback = on"));
}

TEST_CASE("a way to the primary is told the right that it needs there") {
  Patient patient;
  patient.server.in_recovery = patient.checkup.hot_standby_feedback = patient.intention.reaches_primary = true;
  CHECK_THAT(patient.only(note).remedy,
             ContainsSubstring("GRANT EXECUTE ON FUNCTION pg_log_standby_snapshot() TO \"reader\""));
}

/// The warnings, of which there are so many.
std::vector<Finding> warnings_of(const Patient& patient, std::size_t count) {
  std::vector<Finding> found = patient.findings();
  std::erase_if(found, [](const Finding& each) { return each.severity != warning; });
  REQUIRE(found.size() == count);
  return found;
}

TEST_CASE("a failover slot wants a standby that is waited for and feeds back") {
  Patient patient;
  CHECK(patient.findings().empty());
  patient.intention.failover_slot = true;
  CHECK_THAT(warnings_of(patient, 2)[0].remedy, ContainsSubstring("pg_create_physical_replication_slot"));
  patient.checkup.physical_slots = {{"one", true, true}};
  CHECK_THAT(warnings_of(patient, 1)[0].remedy, ContainsSubstring("synchronized_standby_slots = 'one'"));
  patient.checkup.waits_for = {"one"};
  CHECK_THAT(patient.only(note).remedy, ContainsSubstring("synced AND NOT temporary"));
  patient.checkup.physical_slots = {{"one", true, false}};
  CHECK_THAT(warnings_of(patient, 1)[0].remedy, ContainsSubstring("hot_standby_feedback = on"));
  patient.checkup.physical_slots = {{"one", false, false}};
  CHECK_THAT(warnings_of(patient, 1)[0].what, ContainsSubstring("\"one\", which no standby uses"));
}

TEST_CASE("a standby that is to take over is told what it lacks for failover slots") {
  Patient patient;
  patient.server.in_recovery = patient.checkup.hot_standby_feedback = patient.intention.failover_slot = true;
  patient.checkup.upstream_lacks_dbname = true;
  const std::vector<Finding> found = warnings_of(patient, 3);
  CHECK_THAT(found[0].remedy, ContainsSubstring("sync_replication_slots = on"));
  CHECK_THAT(found[1].remedy, ContainsSubstring("primary_slot_name = 'standby1'"));
  CHECK_THAT(found[2].what, ContainsSubstring("no dbname"));
  patient.checkup.syncs_slots = patient.checkup.has_primary_slot = true;
  patient.checkup.upstream_lacks_dbname = false;
  static_cast<void>(warnings_of(patient, 0));
  patient.server.version = 160000;
  patient.checkup.syncs_slots = false;
  static_cast<void>(warnings_of(patient, 0));
}

TEST_CASE("of commits that wait for a durable slot's Replicator it is told what that means, and how it ends") {
  Patient patient;
  patient.server.waits_for_us = true;
  CHECK(patient.findings().empty());  // with a temporary slot that is a warning, said elsewhere
  patient.intention.durable_slot = true;
  const Finding found = patient.only(note);
  CHECK_THAT(found.what, ContainsSubstring("in memory only"));
  CHECK_THAT(found.remedy, ContainsSubstring("ALTER SYSTEM SET synchronous_standby_names = '';"));
}

TEST_CASE("a superuser is one warning, with a role that may do just what is needed") {
  Patient patient;
  patient.checkup.superuser = patient.checkup.creates_roles = patient.checkup.creates_databases = true;
  patient.checkup.owned = {true};
  patient.intention.may_replicate = true;
  const Finding finding = patient.only(warning);
  CHECK_THAT(finding.remedy, ContainsSubstring("LOGIN REPLICATION; GRANT CONNECT ON DATABASE \"shop\" TO"));
  CHECK_THAT(finding.remedy, ContainsSubstring("GRANT USAGE ON SCHEMA \"public\" TO"));
  CHECK_THAT(finding.remedy, ContainsSubstring("GRANT SELECT ON \"public\".\"t\" TO"));
}

TEST_CASE("each predefined role that it does not need is a warning of its own, with the SQL that takes it away") {
  Patient patient;
  patient.checkup.powers = {"pg_read_all_data", "pg_signal_backend"};
  const std::vector<Finding> findings = patient.findings();
  REQUIRE(findings.size() == 2);
  for (std::size_t n = 0; n < findings.size(); ++n) {
    const std::string& power = patient.checkup.powers[n];
    CHECK(findings[n].severity == warning);
    CHECK_THAT(findings[n].what, ContainsSubstring("role reader is a member of " + power + ","));
    CHECK_THAT(findings[n].remedy, Catch::Matchers::EndsWith("REVOKE \"" + power + "\" FROM \"reader\";"));
  }
  // What it reads by that role it must be able to read without it.
  CHECK_THAT(findings[0].remedy,
             Catch::Matchers::StartsWith("GRANT USAGE ON SCHEMA \"public\" TO \"reader\"; GRANT SELECT ON "));
  patient.checkup.superuser = true;  // then these are the least
  CHECK_THAT(patient.only(warning).what, ContainsSubstring("superuser"));
}

TEST_CASE("whoever creates the publication must own its tables and may create in the database") {
  Patient patient;
  patient.intention.creates_publication = true;
  CHECK(patient.findings().empty());  // it is there
  patient.server.publications[0].exists = false;
  patient.checkup.owned = {true};
  CHECK(patient.only(error).remedy == "GRANT CREATE ON DATABASE \"shop\" TO \"reader\";");
  patient.checkup.may_publish = true;
  CHECK(patient.findings().empty());
  patient.checkup.owned = {false};
  CHECK_THAT(patient.only(error).what, ContainsSubstring("does not own it"));
  patient.checkup.superuser = true;
  CHECK(patient.only(warning).table.empty());
}

TEST_CASE("a connection that leaves the machine is to be encrypted and verified") {
  ConnectionFacts connection;
  const auto only = [&] {
    std::vector<Finding> findings = judge_connection(connection);
    REQUIRE(findings.size() == 1);
    CHECK(findings[0].severity == warning);
    return findings[0].what;
  };
  CHECK_THAT(only(), ContainsSubstring("not encrypted"));
  connection.tls = true;
  for (const char* const mode : {"allow", "prefer", "require", "verify-ca"}) {
    connection.sslmode = mode;
    CHECK_THAT(only(), ContainsSubstring("sslmode=" + std::string{mode}));
  }
  connection.sslmode = "verify-full";
  CHECK(judge_connection(connection).empty());
  connection = {.gss = true};
  CHECK(judge_connection(connection).empty());
  connection = {.local = true};
  CHECK(judge_connection(connection).empty());
  connection.keepalives = false;
  CHECK_THAT(only(), ContainsSubstring("keepalives"));
}

}  // namespace checkup_judge_test
