// What the doctor finds on a real server, and that the SQL that it prints mends it.

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include <catch2/catch_test_macros.hpp>
#include <catch2/matchers/catch_matchers.hpp>
#include <catch2/matchers/catch_matchers_string.hpp>

#include <btreemapped.hpp>

#include "support/conninfo.hpp"
#include "support/database.hpp"
#include "support/proxy.hpp"
#include "support/replicator.hpp"

namespace doctor_test {

using btreemapped::Diagnosis;
using btreemapped::doctor;
using btreemapped::Finding;
using Catch::Matchers::ContainsSubstring;

constexpr auto note = Finding::Severity::note;
constexpr auto warning = Finding::Severity::warning;
constexpr auto error = Finding::Severity::error;

struct Item {
  std::int32_t id;
  std::string name;
};

const std::string items = "CREATE TABLE items (id int PRIMARY KEY, name text NOT NULL); ";
const std::string publish_items = "CREATE PUBLICATION pub FOR TABLE items; ";

std::string text_of(const Diagnosis& diagnosis) {
  std::string out;
  for (const Finding& each : diagnosis.findings) out += to_string(each) + "\n";
  return out;
}

std::vector<Finding> matching(const Diagnosis& diagnosis, std::string_view what) {
  std::vector<Finding> out;
  std::copy_if(diagnosis.findings.begin(), diagnosis.findings.end(), std::back_inserter(out),
               [&](const Finding& each) { return each.what.find(what) != std::string::npos; });
  return out;
}

/// The one finding with these words.
Finding the(const Diagnosis& diagnosis, std::string_view what) {
  INFO(text_of(diagnosis));
  const std::vector<Finding> found = matching(diagnosis, what);
  REQUIRE(found.size() == 1);
  return found[0];
}

/// It is found, and no more once the operator has done what it says.
template <class Examine>
Finding must_be_mended(test::Database& database, Examine examine, std::string_view what, Finding::Severity severity) {
  const Finding finding = the(examine(), what);
  CHECK(finding.severity == severity);
  INFO(finding.remedy);
  REQUIRE_NOTHROW(database.exec(finding.remedy));
  const Diagnosis after = examine();
  INFO(text_of(after));
  CHECK(matching(after, what).empty());
  if (severity == error) CHECK(after.can_follow());
  return finding;
}

/// As another role of the database.
btreemapped::Options as(const test::Database& database, const std::string& role) {
  btreemapped::Options options = database.options();
  options.connection = test::with_parts(database.dsn(), {{"user", role}});
  return options;
}

bool has_slot(test::Database& database) {
  return database.value("SELECT count(*) FROM pg_replication_slots WHERE database = current_database()") != "0";
}

TEST_CASE("with the rights that the README grants there is no error, and of the role nothing but a note", "[doctor]") {
  test::Database database;
  database.exec(items + publish_items);
  const Diagnosis diagnosis = doctor(database.options());
  INFO(text_of(diagnosis));
  CHECK(diagnosis.can_follow());
  CHECK(diagnosis.role == database.name() + "_reader");
  CHECK(diagnosis.tables == std::vector<std::string>{"public.items"});
  CHECK_THAT(diagnosis.server, ContainsSubstring("PostgreSQL " + database.value("SHOW server_version").substr(0, 2)));
  const Finding power = the(diagnosis, "BASE_BACKUP");
  CHECK(power.severity == note);
  CHECK_THAT(power.remedy, ContainsSubstring("pg_hba.conf"));
  // Besides, the server that the tests run on sets no bound to its log.
  for (const Finding& each : diagnosis.findings)
    CHECK((each.what == power.what || each.what.find("max_slot_wal_keep_size") != std::string::npos));
}

TEST_CASE("the doctor creates no slot and changes nothing", "[doctor]") {
  test::Database database;
  database.exec(items);
  btreemapped::Options options = database.options();
  options.connection = database.dsn();
  options.create_publication = true;
  test::Replicator replicator(options);
  static_cast<void>(replicator.add_replica<Item, 1>("items"));
  CHECK(replicator.doctor().can_follow());
  CHECK_FALSE(has_slot(database));
  CHECK(database.value("SELECT count(*) FROM pg_publication") == "0");
  test::start_and_sync(replicator);
  CHECK(database.value("SELECT count(*) FROM pg_publication") == "1");
}

TEST_CASE("the doctor of a Replicator that follows has nothing else to say", "[doctor]") {
  test::Database database;
  database.exec(items + publish_items);
  test::Replicator replicator(database.options());
  const auto replica = replicator.add_replica<Item, 1>("items");
  const std::string before = text_of(replicator.doctor());
  test::start_and_sync(replicator);
  CHECK(text_of(replicator.doctor()) == before);
  database.exec("INSERT INTO items VALUES (1, 'a')");
  database.catch_up(replicator);
  CHECK(replica.size() == 1);
  CHECK(replicator.status().reconnects == 0);
}

TEST_CASE("a Replicator's doctor judges the columns that its rows map", "[doctor]") {
  struct Misfit {
    std::int32_t id;
    std::int32_t name;
  };
  test::Database database;
  database.exec(items + publish_items);
  test::Replicator replicator(database.options());
  static_cast<void>(replicator.add_replica<Misfit, 1>("items"));
  const Diagnosis diagnosis = replicator.doctor();
  CHECK_FALSE(diagnosis.can_follow());
  const Finding finding = the(diagnosis, "the column is text");
  CHECK(finding.table == "public.items");
  CHECK(finding.column == "name");
  CHECK(doctor(database.options()).can_follow());
}

TEST_CASE("a role that lacks a right is told the SQL that grants it", "[doctor]") {
  test::Database database;
  database.exec(
      "CREATE SCHEMA \"Sales\"; CREATE TABLE \"Sales\".items (id int PRIMARY KEY, name text NOT NULL);"
      "CREATE PUBLICATION pub FOR ALL TABLES");
  const std::string role = database.add_role("LOGIN");
  database.exec("REVOKE CONNECT ON DATABASE " + database.name() + " FROM " + role);
  const auto examine = [&] { return doctor(as(database, role)); };
  const auto must_be_granted = [&](std::string_view what, const std::string& remedy) {
    const Finding finding = the(examine(), what);
    CHECK(finding.severity == error);
    CHECK(finding.remedy == remedy);
    database.exec(finding.remedy);
    CHECK(matching(examine(), what).empty());
  };
  const std::string to = " TO \"" + role + "\";";
  must_be_granted("permission denied", "GRANT CONNECT ON DATABASE \"" + database.name() + "\"" + to);
  must_be_granted("may not replicate", "ALTER ROLE \"" + role + "\" REPLICATION;");
  must_be_granted("may not use its schema", "GRANT USAGE ON SCHEMA \"Sales\"" + to);
  must_be_granted("may not read it", "GRANT SELECT ON \"Sales\".\"items\"" + to);
  CHECK(examine().can_follow());
}

TEST_CASE("a role that may do more than is needed is a warning, and the SQL takes it away", "[doctor]") {
  test::Database database;
  database.exec(items + publish_items);
  const std::string role = database.add_role("LOGIN REPLICATION CREATEROLE CREATEDB");
  database.exec("GRANT SELECT, INSERT, DELETE ON items TO " + role +
                "; GRANT UPDATE ON items TO PUBLIC; GRANT pg_read_server_files TO " + role);
  const auto examine = [&] { return doctor(as(database, role)); };
  must_be_mended(database, examine, "may create roles", warning);
  must_be_mended(database, examine, "may create databases", warning);
  must_be_mended(database, examine, "member of pg_read_server_files", warning);
  must_be_mended(database, examine, "may change it (DELETE, INSERT)", warning);
  must_be_mended(database, examine, "may change it (UPDATE)", warning);
  CHECK(examine().can_follow());
}

TEST_CASE("a superuser and an owner are told how to make a role that may do just what is needed", "[doctor]") {
  test::Database database;
  database.exec(items + publish_items);
  const std::string owner = database.add_role();
  const std::string made = "btreemapped_reader";
  const auto remedy_works = [&](const std::string& connection, std::string_view what) {
    btreemapped::Options options = database.options();
    options.connection = connection;
    const Finding finding = the(doctor(options), what);
    CHECK(finding.severity == warning);
    database.exec(finding.remedy);
    const Diagnosis after = doctor(as(database, made));
    INFO(text_of(after));
    CHECK(after.can_follow());
    CHECK(matching(after, what).empty());
    database.exec("DROP OWNED BY " + made + "; DROP ROLE " + made);
  };
  remedy_works(database.dsn(), "is a superuser");
  database.exec("ALTER TABLE items OWNER TO " + owner);
  remedy_works(as(database, owner).connection, "owns it");
  database.exec("ALTER TABLE items OWNER TO CURRENT_USER");
}

TEST_CASE("row level security that hides rows is found, and mended", "[doctor]") {
  test::Database database;
  const std::string role = database.add_role();
  database.exec(items + publish_items + "ALTER TABLE items ENABLE ROW LEVEL SECURITY; GRANT SELECT ON items TO " +
                role);
  must_be_mended(database, [&] { return doctor(as(database, role)); }, "row level security would hide rows", error);
}

TEST_CASE("tables may be named, and those that are not published or not there are found", "[doctor]") {
  test::Database database;
  database.exec(items + "CREATE TABLE others (id int PRIMARY KEY); CREATE PUBLICATION pub FOR TABLE others");
  const auto examine = [&] { return doctor(database.options(), std::vector<std::string>{"items", "public.others"}); };
  CHECK(must_be_mended(database, examine, "does not publish it", error).table == "public.items");
  const Diagnosis diagnosis = doctor(database.options(), std::vector<std::string>{"nowhere.nothing"});
  CHECK(the(diagnosis, "no such table").table == "nowhere.nothing");
  CHECK_FALSE(diagnosis.can_follow());
  CHECK_THROWS_AS(doctor(database.options(), std::vector<std::string>{"a.b.c"}), btreemapped::UsageError);
}

TEST_CASE("a publication that is missing, or publishes nothing, is found", "[doctor]") {
  test::Database database;
  database.exec(items);
  const std::vector<std::string> named{"items"};
  CHECK_FALSE(doctor(database.options()).can_follow());
  must_be_mended(database, [&] { return doctor(database.options(), named); }, "there is no publication pub", error);
  database.exec("ALTER PUBLICATION pub DROP TABLE items");
  CHECK(the(doctor(database.options()), "publishes no table").severity == error);
}

TEST_CASE("a table is judged by any key that it has", "[doctor]") {
  test::Database database;
  const auto examine = [&] { return doctor(database.options()); };
  database.exec("CREATE TABLE items (id int PRIMARY KEY, code int NOT NULL CONSTRAINT by_code UNIQUE);" +
                publish_items + "ALTER TABLE items REPLICA IDENTITY USING INDEX by_code");
  CHECK(examine().can_follow());
  database.exec("ALTER TABLE items REPLICA IDENTITY NOTHING");
  must_be_mended(database, examine, "no replica identity", error);
  database.exec("ALTER TABLE items DROP CONSTRAINT items_pkey, DROP CONSTRAINT by_code");
  const Finding finding = the(examine(), "no unique index");
  CHECK(finding.severity == error);
  CHECK_THAT(finding.remedy, ContainsSubstring("ADD PRIMARY KEY"));
}

TEST_CASE("filters, column lists and columns that may not be read are notes", "[doctor]") {
  test::Database database;
  const std::string role = database.add_role();
  database.exec(
      "CREATE TABLE items (id int PRIMARY KEY, name text, secret text, internal text);"
      "CREATE PUBLICATION pub FOR TABLE items (id, name, secret) WHERE (id > 5);"
      "GRANT SELECT (id, name) ON items TO " +
      role);
  const auto examine = [&] { return doctor(as(database, role)); };
  CHECK(examine().can_follow());
  CHECK(the(examine(), "published without \"internal\"").severity == note);
  const Finding secret = the(examine(), "may not read \"secret\"");
  CHECK(secret.severity == note);
  must_be_mended(database, examine, "filters its rows", note);
}

TEST_CASE("timeouts of role and database are notes", "[doctor]") {
  test::Database database;
  database.exec(items + publish_items);
  const std::string role = database.name() + "_reader";
  database.exec("ALTER ROLE " + role + " SET statement_timeout = '1s'; ALTER ROLE " + role + " IN DATABASE " +
                database.name() + " SET idle_session_timeout = '2s'; ALTER DATABASE " + database.name() +
                " SET lock_timeout = '0'; ALTER DATABASE " + database.name() + " SET lock_timeout = '3s'");
  const auto examine = [&] { return doctor(database.options()); };
  must_be_mended(database, examine, "statement_timeout = 1s is set for the role", note);
  must_be_mended(database, examine, "idle_session_timeout = 2s is set for the role", note);
  must_be_mended(database, examine, "lock_timeout = 3s is set for the database", note);
}

TEST_CASE("a role for which the server never gives up a silent reader is a warning", "[doctor]") {
  test::Database database;
  database.exec(items + publish_items + "ALTER ROLE " + database.name() + "_reader SET wal_sender_timeout = 0");
  must_be_mended(database, [&] { return doctor(database.options()); }, "wal_sender_timeout is 0", warning);
}

TEST_CASE("a server that cannot be reached, or lets nobody in, is one finding", "[doctor]") {
  test::Database database;
  const auto only = [&](const std::string& keyword, const std::string& value) {
    btreemapped::Options options = database.options();
    options.connection = test::with_parts(options.connection, {{keyword, value}, {"password", "s3cret-w0rd"}});
    const Diagnosis diagnosis = doctor(options);
    REQUIRE(diagnosis.findings.size() == 1);
    CHECK_FALSE(diagnosis.can_follow());
    CHECK_THAT(text_of(diagnosis), !ContainsSubstring("s3cret"));
    CHECK(diagnosis.tables.empty());
    return diagnosis.findings[0];
  };
  CHECK_THAT(only("port", "1").remedy, ContainsSubstring("listen_addresses"));
  CHECK_THAT(only("dbname", "nowhere").remedy, ContainsSubstring("CREATE DATABASE \"nowhere\""));
  CHECK_THAT(only("user", "nobody").remedy, ContainsSubstring("CREATE ROLE \"nobody\" LOGIN REPLICATION"));
}

TEST_CASE("options that cannot work are the caller's mistake", "[doctor]") {
  CHECK_THROWS_AS(doctor({.connection = "host=localhost"}), btreemapped::UsageError);
  CHECK_THROWS_AS(doctor({.connection = "oops", .publication = "pub"}), btreemapped::UsageError);
}

TEST_CASE("a connection without keepalives is a warning", "[doctor]") {
  test::Database database;
  database.exec(items + publish_items);
  btreemapped::Options options = database.options();
  options.connection = test::with_parts(options.connection, {{"keepalives", "0"}});
  CHECK(the(doctor(options), "keepalives are off").severity == warning);
}

TEST_CASE("a pooler in between is found by the backend that it promises and does not give", "[doctor]") {
  test::Database database;
  database.exec(items + publish_items);
  test::Proxy proxy(database.reader_dsn());
  btreemapped::Options options = database.options();
  options.connection = proxy.dsn();
  CHECK(doctor(options).can_follow());
  // What a pooler does: the client gets a number that is no backend's.
  using namespace std::string_literals;
  proxy.damage("K\0\0\0\f\0"s, "K\0\0\0\f\1"s);
  const Diagnosis diagnosis = doctor(options);
  const Finding finding = the(diagnosis, "a pooler is in between");
  CHECK(finding.severity == error);
  CHECK_THAT(finding.remedy, ContainsSubstring("port=" + database.value("SHOW port")));
}

TEST_CASE("who is to create the publication is told what is missing for it", "[doctor]") {
  test::Database database;
  database.exec(items);
  const std::string role = database.add_role();
  database.exec("GRANT SELECT ON items TO " + role);
  btreemapped::Options options = as(database, role);
  options.create_publication = true;
  const auto examine = [&] { return doctor(options, std::vector<std::string>{"items"}); };
  CHECK(the(examine(), "does not own it").severity == error);
  database.exec("ALTER TABLE items OWNER TO " + role);
  must_be_mended(database, examine, "may not create the publication", error);
  database.exec("ALTER TABLE items OWNER TO CURRENT_USER");
}

TEST_CASE("odd names are quoted in what the doctor says", "[doctor]") {
  test::Database database;
  const std::string role = database.add_role("LOGIN", "_\"Reader, é\"");
  database.exec(
      "CREATE SCHEMA \"Odd.\"\"Schema\"; CREATE TABLE \"Odd.\"\"Schema\".\"a b\" (id int PRIMARY KEY);"
      "CREATE PUBLICATION pub FOR ALL TABLES");
  for (int i = 0; i < 3; ++i) {
    const Diagnosis diagnosis = doctor(as(database, role));
    for (const Finding& each : diagnosis.findings)
      if (each.severity == error) database.exec(each.remedy);
  }
  CHECK(doctor(as(database, role)).can_follow());
}

}  // namespace doctor_test
