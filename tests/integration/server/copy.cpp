#include <chrono>
#include <cstddef>
#include <functional>
#include <memory>
#include <stdexcept>
#include <string>
#include <string_view>
#include <thread>
#include <vector>

#include <catch2/catch_test_macros.hpp>
#include <catch2/matchers/catch_matchers_string.hpp>

#include <btreemapped/detail/pq/snapshot_copy.hpp>
#include <btreemapped/detail/pq/stream.hpp>
#include <btreemapped/detail/shape.hpp>
#include <btreemapped/detail/sql/copy_guard.hpp>
#include <btreemapped/detail/sql/copy_query.hpp>
#include <btreemapped/detail/sql/session.hpp>
#include <btreemapped/error.hpp>

#include "integration/server/server_database.hpp"

using btreemapped::ConnectionError;
using btreemapped::SchemaError;
using btreemapped::SlotError;
using btreemapped::StoppedError;
using btreemapped::detail::TableName;
using btreemapped::detail::sql::CopySource;
using btreemapped::detail::sql::GuardReport;
using Catch::Matchers::ContainsSubstring;
using test::Interrupt;
using test::ServerDatabase;
using test::soon;

namespace {

const std::vector<std::string> publications{"pub"};

/// A slot with its snapshot, and a session that copies under it.
struct Copier {
  std::shared_ptr<Interrupt> interrupt = std::make_shared<Interrupt>();
  test::pq::ReplicationStream stream;
  std::string slot = test::unique_name("slot");
  test::pq::CreatedSlot created;
  test::pq::SnapshotCopy copy;
  test::sql::Session session;

  explicit Copier(const std::string& dsn)
      : stream(test::pq::ReplicationStream::open(dsn, interrupt, soon())),
        created(stream.create_slot(slot, std::chrono::seconds{30}, soon())),
        copy(test::pq::SnapshotCopy::open(dsn, created.snapshot, interrupt, soon())),
        session(dsn, interrupt) {}

  std::string rows_of(const CopySource& source) {
    std::string out;
    copy.copy(source, [&](std::string_view line) { out += line; });
    return out;
  }

  GuardReport guard(const std::vector<CopySource>& sources,
                    std::chrono::milliseconds lock_timeout = std::chrono::seconds{30}) {
    return guard_copy(copy, session, sources, publications, lock_timeout, soon());
  }
};

CopySource source(const std::string& name, std::vector<std::string> columns = {"id", "v"}, char kind = 'r') {
  return {TableName{"public", name}, kind, std::move(columns), {}};
}

/// Tables a and b of two rows each, published.
void make_tables(ServerDatabase& db) {
  db.exec(R"sql(
    CREATE TABLE public.a (id int PRIMARY KEY, v int);
    CREATE TABLE public.b (id int PRIMARY KEY, v int);
    INSERT INTO public.a VALUES (1, 10), (2, NULL);
    INSERT INTO public.b VALUES (1, -10), (2, -20);
    CREATE PUBLICATION pub FOR TABLE public.a, public.b)sql");
}

/// What the guard finds of table a, and of nothing else, when `ddl` is run between slot and copy.
btreemapped::detail::sql::GuardFinding finding_after(ServerDatabase& db, const std::string& ddl) {
  Copier copier{db.reader_dsn()};
  db.exec(ddl);
  const GuardReport report = copier.guard({source("b"), source("a")});
  REQUIRE(report.findings.size() == 1);
  CHECK(report.findings.front().table == 1);
  CHECK_THAT(report.findings.front().what, ContainsSubstring("public.a"));
  CHECK(report.findings.front().retryable);
  return report.findings.front();
}

}  // namespace

TEST_CASE("a copy under the slot's snapshot has exactly the rows committed before the slot") {
  ServerDatabase db;
  make_tables(db);
  Copier copier{db.reader_dsn()};
  db.exec("INSERT INTO public.a VALUES (3, 30); DELETE FROM public.a WHERE id = 1; UPDATE public.b SET v = 0");
  REQUIRE(copier.guard({source("a"), source("b")}).ok());
  copier.stream.release_snapshot(soon());
  CHECK(copier.rows_of(source("a")) == "1\t10\n2\t\\N\n");
  CHECK(copier.rows_of(source("b", {"v", "id"})) == "-10\t1\n-20\t2\n");
  copier.copy.commit(soon());
}

TEST_CASE("a copy gives each row with its newline and tells their number") {
  ServerDatabase db;
  db.exec(
      "CREATE TABLE public.lines (id int PRIMARY KEY, v text);"
      "INSERT INTO public.lines SELECT i, repeat(E'x\\n', i) FROM generate_series(1, 5000) i");
  Copier copier{db.reader_dsn()};
  std::uint64_t lines = 0;
  bool complete = true;
  const std::uint64_t counted = copier.copy.copy(source("lines"), [&](std::string_view line) {
    ++lines;
    complete = complete && line.back() == '\n' && line.find('\n') == line.size() - 1;
  });
  CHECK(counted == 5000);
  CHECK(lines == counted);
  CHECK(complete);
}

TEST_CASE("a copy leaves out inheritance children and takes in partitions") {
  ServerDatabase db;
  db.exec(R"sql(
    CREATE TABLE public.parent (id int PRIMARY KEY, v int);
    CREATE TABLE public.child () INHERITS (public.parent);
    INSERT INTO public.parent VALUES (1, 1);
    INSERT INTO public.child VALUES (2, 2);
    CREATE TABLE public.root (id int PRIMARY KEY, v int) PARTITION BY RANGE (id);
    CREATE TABLE public.leaf PARTITION OF public.root FOR VALUES FROM (0) TO (10);
    INSERT INTO public.root VALUES (3, 3))sql");
  Copier copier{db.reader_dsn()};
  CHECK(copier.rows_of(source("parent")) == "1\t1\n");
  CHECK(copier.rows_of(source("root", {"id", "v"}, 'p')) == "3\t3\n");
}

TEST_CASE("a copy has only the rows that pass the row filter") {
  ServerDatabase db;
  make_tables(db);
  Copier copier{db.reader_dsn()};
  CopySource filtered = source("a");
  filtered.row_filter = "(id > 1)";
  CHECK(copier.rows_of(filtered) == "2\t\\N\n");
}

TEST_CASE("names that need quotes are copied") {
  ServerDatabase db;
  db.exec(R"sql(CREATE SCHEMA "My ""Schema""";
    CREATE TABLE "My ""Schema"""."select" ("a,b" int, "ключ" int);
    INSERT INTO "My ""Schema"""."select" VALUES (1, 2))sql");
  Copier copier{db.reader_dsn()};
  const CopySource odd{TableName{"My \"Schema\"", "select"}, 'r', {"ключ", "a,b"}, {}};
  CHECK(copier.guard({odd}).ok());
  CHECK(copier.rows_of(odd) == "2\t1\n");
}

TEST_CASE("a snapshot that is gone asks for another slot") {
  ServerDatabase db;
  auto stream = test::pq::ReplicationStream::open(db.reader_dsn(), std::make_shared<Interrupt>(), soon());
  const auto created = stream.create_slot(test::unique_name("slot"), std::chrono::seconds{30}, soon());
  stream.release_snapshot(soon());
  try {
    static_cast<void>(
        test::pq::SnapshotCopy::open(db.reader_dsn(), created.snapshot, std::make_shared<Interrupt>(), soon()));
    FAIL("the snapshot was imported");
  } catch (const SlotError& error) {
    CHECK(error.retryable());
    CHECK_FALSE(error.sqlstate().empty());
  }
}

TEST_CASE("what a copy's callback throws reaches the caller") {
  ServerDatabase db;
  make_tables(db);
  Copier copier{db.reader_dsn()};
  CHECK_THROWS_AS(copier.copy.copy(source("a"), [](std::string_view) { throw std::logic_error("mine"); }),
                  std::logic_error);
}

TEST_CASE("an error in the midst of a copy names the table and no value") {
  ServerDatabase db;
  db.exec(
      "CREATE TABLE public.texts (id int PRIMARY KEY, v text); INSERT INTO public.texts VALUES (1, '7'), (2, "
      "'SECRET')");
  Copier copier{db.reader_dsn()};
  CopySource failing = source("texts");
  failing.row_filter = "(v::int = 7)";
  try {
    copier.rows_of(failing);
    FAIL("the copy succeeded");
  } catch (const SchemaError& error) {
    CHECK(error.table() == "public.texts");
    CHECK(error.sqlstate() == "22P02");
    CHECK_THAT(error.what(), !ContainsSubstring("SECRET"));
  }
}

TEST_CASE("a backend terminated in the midst of a copy is a lost connection") {
  ServerDatabase db;
  db.exec("CREATE TABLE public.endless (id int PRIMARY KEY, v int); INSERT INTO public.endless VALUES (1, 1), (2, 2)");
  Copier copier{db.reader_dsn()};
  CopySource blocked = source("endless");
  blocked.row_filter = "(id = 1 OR pg_catalog.pg_sleep(1000) IS NULL)";
  const std::string pid = std::to_string(copier.copy.connection().backend_pid());
  std::thread killer([&] {
    db.wait_until("SELECT wait_event = 'PgSleep' FROM pg_stat_activity WHERE pid = " + pid);
    db.exec("SELECT pg_terminate_backend(" + pid + ")");
  });
  try {
    copier.rows_of(blocked);
    FAIL("the copy succeeded");
  } catch (const ConnectionError& error) {
    CHECK(error.sqlstate() == "57P01");
    CHECK(error.retryable());
  }
  killer.join();
}

TEST_CASE("an interrupted copy stops at once") {
  ServerDatabase db;
  make_tables(db);
  Copier copier{db.reader_dsn()};
  CopySource blocked = source("a");
  blocked.row_filter = "(pg_catalog.pg_sleep(1000) IS NULL)";
  const std::string pid = std::to_string(copier.copy.connection().backend_pid());
  std::chrono::steady_clock::time_point start;
  std::thread stopper([&] {
    db.wait_until("SELECT wait_event = 'PgSleep' FROM pg_stat_activity WHERE pid = " + pid);
    start = std::chrono::steady_clock::now();
    copier.interrupt->interrupt();
  });
  CHECK_THROWS_AS(copier.rows_of(blocked), StoppedError);
  const auto end = std::chrono::steady_clock::now();
  stopper.join();
  CHECK(end - start < std::chrono::seconds{10});
}

TEST_CASE("the guard lets unchanged tables through and tells their fingerprints") {
  ServerDatabase db;
  make_tables(db);
  Copier copier{db.reader_dsn()};
  const GuardReport report = copier.guard({source("a"), source("b")});
  CHECK(report.ok());
  REQUIRE(report.fingerprints.size() == 2);
  CHECK_FALSE(report.fingerprints[0].empty());
  CHECK(report.fingerprints[0] != report.fingerprints[1]);
}

TEST_CASE("the guard notices a TRUNCATE between slot and copy") {
  ServerDatabase db;
  make_tables(db);
  CHECK_THAT(finding_after(db, "TRUNCATE public.a; INSERT INTO public.a VALUES (1, 10)").what,
             ContainsSubstring("truncated or rewritten"));
}

TEST_CASE("the guard notices a rewriting ALTER between slot and copy") {
  ServerDatabase db;
  make_tables(db);
  finding_after(db, "ALTER TABLE public.a ALTER v TYPE bigint");
}

TEST_CASE("the guard notices an ALTER that changes values and not the type") {
  ServerDatabase db;
  make_tables(db);
  finding_after(db, "ALTER TABLE public.a ALTER v TYPE int USING v * 2");
}

TEST_CASE("the guard notices two columns that swapped their names") {
  ServerDatabase db;
  make_tables(db);
  CHECK_THAT(finding_after(db,
                           "ALTER TABLE public.a RENAME id TO x; ALTER TABLE public.a RENAME v TO id; "
                           "ALTER TABLE public.a RENAME x TO v")
                 .what,
             ContainsSubstring("altered"));
}

TEST_CASE("the guard notices a table that took another one's name") {
  ServerDatabase db;
  make_tables(db);
  db.exec("CREATE TABLE public.c (id int PRIMARY KEY, v int)");
  finding_after(db, "ALTER TABLE public.a RENAME TO x; ALTER TABLE public.c RENAME TO a");
}

TEST_CASE("the guard notices a dropped table") {
  ServerDatabase db;
  make_tables(db);
  Copier copier{db.reader_dsn()};
  db.exec("DROP TABLE public.a");
  const GuardReport report = copier.guard({source("a"), source("b")});
  REQUIRE(report.findings.size() == 1);
  CHECK(report.findings[0].table == 0);
  CHECK(report.findings[0].sqlstate == "42P01");
}

TEST_CASE("the guard notices a change of the publication between slot and copy") {
  ServerDatabase db;
  make_tables(db);
  finding_after(db, "ALTER PUBLICATION pub SET TABLE public.a (id), public.b");
}

TEST_CASE("the guard notices a truncated partition") {
  ServerDatabase db;
  db.exec(R"sql(
    CREATE TABLE public.root (id int PRIMARY KEY, v int) PARTITION BY RANGE (id);
    CREATE TABLE public.leaf PARTITION OF public.root FOR VALUES FROM (0) TO (10);
    INSERT INTO public.root VALUES (1, 1))sql");
  Copier copier{db.reader_dsn()};
  db.exec("TRUNCATE public.leaf");
  const GuardReport report = copier.guard({source("root", {"id", "v"}, 'p')});
  REQUIRE(report.findings.size() == 1);
  CHECK_THAT(report.findings[0].what, ContainsSubstring("public.root"));
}

TEST_CASE("the guard does not mind a new column that nobody asked for") {
  ServerDatabase db;
  make_tables(db);
  Copier copier{db.reader_dsn()};
  db.exec("ALTER TABLE public.a ADD w int DEFAULT 5");
  CHECK(copier.guard({source("a"), source("b")}).ok());
}

TEST_CASE("the guard does not mind VACUUM FULL of a table that was not changed, and says so of one that was moved") {
  ServerDatabase db;
  make_tables(db);
  Copier copier{db.reader_dsn()};
  db.exec("VACUUM FULL public.a");
  // The rows would be right, but moved storage looks the same as lost rows.
  const GuardReport report = copier.guard({source("a"), source("b")});
  REQUIRE(report.findings.size() == 1);
  CHECK(report.findings[0].retryable);
}

TEST_CASE("the guard names every table that cannot be locked or read") {
  ServerDatabase db;
  make_tables(db);
  const std::string role = db.add_role("REPLICATION");
  db.exec("GRANT SELECT ON public.a TO " + role +
          "; CREATE TABLE public.c (id int PRIMARY KEY, v int); "
          "GRANT SELECT ON public.c TO " +
          role);
  Copier copier{db.dsn(role)};
  auto holder = test::connect(db.dsn());
  holder.exec("BEGIN; LOCK TABLE public.a");
  const GuardReport report = copier.guard({source("a"), source("b"), source("c")}, std::chrono::milliseconds{50});
  REQUIRE(report.findings.size() == 2);
  CHECK(report.findings[0].table == 0);
  CHECK(report.findings[0].sqlstate == "55P03");
  CHECK(report.findings[0].retryable);
  CHECK(report.findings[1].table == 1);
  CHECK(report.findings[1].sqlstate == "42501");
  CHECK_FALSE(report.findings[1].retryable);
}

TEST_CASE("a locked table is not truncated until the copy ends") {
  ServerDatabase db;
  make_tables(db);
  Copier copier{db.reader_dsn()};
  REQUIRE(copier.guard({source("a")}).ok());
  auto other = test::connect(db.dsn());
  CHECK_THROWS_AS(other.exec("SET lock_timeout = 50; TRUNCATE public.a"), SchemaError);
  CHECK(copier.rows_of(source("a")) == "1\t10\n2\t\\N\n");
  copier.copy.commit(soon());
  other.exec("SET lock_timeout = 0; TRUNCATE public.a");
}

TEST_CASE("a copy needs the right to read the mapped columns only") {
  ServerDatabase db;
  make_tables(db);
  const std::string role = db.add_role("REPLICATION");
  db.exec("GRANT SELECT (id) ON public.a TO " + role);
  Copier copier{db.dsn(role)};
  CHECK(copier.guard({source("a", {"id"})}).ok());
  CHECK(copier.rows_of(source("a", {"id"})) == "1\n2\n");
}
