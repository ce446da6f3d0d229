#include <chrono>
#include <cstddef>
#include <memory>
#include <string>
#include <string_view>
#include <thread>
#include <utility>

#include <arpa/inet.h>
#include <netinet/in.h>
#include <poll.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#include <catch2/catch_test_macros.hpp>
#include <catch2/matchers/catch_matchers_string.hpp>

#include <btreemapped/detail/pq/connection.hpp>
#include <btreemapped/detail/pq/stream.hpp>
#include <btreemapped/detail/sql/session.hpp>
#include <btreemapped/error.hpp>

#include "integration/server/server_database.hpp"

using btreemapped::ConnectionError;
using btreemapped::SchemaError;
using btreemapped::StoppedError;
using Catch::Matchers::ContainsSubstring;
using test::Interrupt;
using test::ServerDatabase;
using test::soon;

namespace {

/// Settings as a hostile administrator may have given them to a role or a database.
constexpr std::pair<std::string_view, std::string_view> unfriendly[] = {
    {"datestyle", "SQL, DMY"},
    {"intervalstyle", "iso_8601"},
    {"extra_float_digits", "-10"},
    {"bytea_output", "escape"},
    {"timezone", "Asia/Kolkata"},
    {"client_encoding", "LATIN1"},
    {"xmloption", "document"},
    {"search_path", "elsewhere"},
    {"standard_conforming_strings", "off"},
    {"quote_all_identifiers", "on"},
    {"statement_timeout", "300"},
    {"lock_timeout", "1"},
    {"idle_in_transaction_session_timeout", "100"},
    {"idle_session_timeout", "100"},
    {"exit_on_error", "on"},
    {"client_min_messages", "warning"},
    {"default_transaction_isolation", "serializable"},
    {"default_transaction_read_only", "on"},
};

constexpr std::pair<std::string_view, std::string_view> pinned[] = {
    {"datestyle", "ISO, DMY"},
    {"intervalstyle", "postgres"},
    {"extra_float_digits", "3"},
    {"bytea_output", "hex"},
    {"timezone", "UTC"},
    {"client_encoding", "UTF8"},
    {"xmloption", "content"},
    {"search_path", "\"\""},
    {"row_security", "off"},
    {"lc_monetary", "C"},
    {"standard_conforming_strings", "on"},
    {"quote_all_identifiers", "off"},
    {"statement_timeout", "0"},
    {"lock_timeout", "0"},
    {"idle_in_transaction_session_timeout", "0"},
    {"idle_session_timeout", "0"},
    {"exit_on_error", "off"},
    {"client_min_messages", "error"},
};

std::string setting_query(std::string_view name) { return "SELECT current_setting('" + std::string{name} + "')"; }

/// A role of `db` with all the unfriendly settings, half of them by way of the database.
std::string make_unfriendly_role(ServerDatabase& db) {
  const std::string role = db.add_role("REPLICATION");
  bool of_role = false;
  for (const auto& [name, value] : unfriendly) {
    of_role = !of_role;
    const std::string whose = of_role ? "ROLE " + role : "DATABASE " + db.name();
    db.exec("ALTER " + whose + " SET " + std::string{name} + " = '" + std::string{value} + "'");
  }
  return role;
}

/// Runs f on a thread until it is blocked, interrupts it, and tells how long it then took to throw StoppedError.
template <class Function, class Blocked>
std::chrono::milliseconds time_to_stop(Interrupt& interrupt, Function f, Blocked wait_until_blocked) {
  bool stopped = false;
  std::chrono::steady_clock::time_point end;
  std::thread thread([&] {
    try {
      f();
    } catch (const StoppedError&) {
      stopped = true;
    }
    end = std::chrono::steady_clock::now();
  });
  try {
    wait_until_blocked();
  } catch (...) {
    interrupt.interrupt();
    thread.join();
    throw;
  }
  const auto start = std::chrono::steady_clock::now();
  interrupt.interrupt();
  thread.join();
  CHECK(stopped);
  return std::chrono::ceil<std::chrono::milliseconds>(end - start);
}

/// Little beside what is interrupted, which takes 1000 s or for ever.
constexpr std::chrono::seconds promptly{10};

std::string is_waiting(int pid) {
  return "SELECT count(*) = 1 FROM pg_stat_activity WHERE wait_event IS NOT NULL AND state = 'active' AND pid = " +
         std::to_string(pid);
}

}  // namespace

TEST_CASE("unfriendly defaults of role and database reach no libpq session") {
  ServerDatabase db;
  const std::string role = make_unfriendly_role(db);
  auto connection = test::connect(db.dsn(role));
  for (const auto& [name, value] : pinned) {
    CAPTURE(name);
    CHECK(connection.exec(setting_query(name)).text(0, 0) == value);
  }
}

TEST_CASE("unfriendly defaults of role and database reach no replication session") {
  ServerDatabase db;
  const std::string role = make_unfriendly_role(db);
  auto stream = test::pq::ReplicationStream::open(db.dsn(role), std::make_shared<Interrupt>(), soon());
  for (const auto& [name, value] : pinned) {
    CAPTURE(name);
    CHECK(stream.connection().exec(setting_query(name)).text(0, 0) == value);
  }
}

TEST_CASE("unfriendly defaults of role and database reach no control session") {
  ServerDatabase db;
  const std::string role = make_unfriendly_role(db);
  test::sql::Session session{db.dsn(role), std::make_shared<Interrupt>(), std::chrono::milliseconds{0}};
  for (const auto& [name, value] : pinned) {
    CAPTURE(name);
    CHECK(session.query("test", setting_query(name)).text(0, 0) == value);
  }
}

TEST_CASE("the user's own startup options survive the pinned settings") {
  ServerDatabase db;
  const test::pq::ConninfoOverride options[] = {{"options", "-c geqo_threshold=7 -c datestyle=German"}};
  auto connection = test::connect(test::pq::with_overrides(db.reader_dsn(), options));
  CHECK(connection.exec("SHOW geqo_threshold").text(0, 0) == "7");
  CHECK(connection.exec("SHOW datestyle").text(0, 0) == "ISO, DMY");
}

TEST_CASE("a session is named btreemapped unless the user names it") {
  ServerDatabase db;
  CHECK(test::connect(db.reader_dsn()).exec("SHOW application_name").text(0, 0) == "btreemapped");
  const test::pq::ConninfoOverride name[] = {{"application_name", "mine"}};
  CHECK(test::connect(test::pq::with_overrides(db.reader_dsn(), name)).exec("SHOW application_name").text(0, 0) ==
        "mine");
}

TEST_CASE("the last of several statements gives the rows") {
  ServerDatabase db;
  auto connection = test::connect(db.reader_dsn());
  const auto rows = connection.exec("SELECT 1; SELECT 'two', NULL; SELECT '', NULL, 3");
  REQUIRE(rows.size() == 1);
  CHECK(rows.text(0, 0).empty());
  CHECK_FALSE(rows.is_null(0, 0));
  CHECK(rows.is_null(0, 1));
  CHECK(rows.number<int>(0, 2) == 3);
}

TEST_CASE("a refused statement is reported with its code and leaves the session usable") {
  ServerDatabase db;
  auto connection = test::connect(db.reader_dsn());
  try {
    connection.exec("SELECT * FROM public.nowhere");
    FAIL("the statement succeeded");
  } catch (const SchemaError& error) {
    CHECK(error.sqlstate() == "42P01");
    CHECK_FALSE(error.retryable());
    CHECK_THAT(error.what(), ContainsSubstring("public.nowhere"));
  }
  CHECK(connection.exec("SELECT 1").size() == 1);
}

TEST_CASE("no value gets into an error message") {
  ServerDatabase db;
  auto connection = test::connect(db.reader_dsn());
  test::sql::Session session{db.reader_dsn(), std::make_shared<Interrupt>()};
  const std::string query = "SELECT pg_catalog.lower('SECRET')::int";
  try {
    connection.exec(query);
    FAIL("the statement succeeded");
  } catch (const SchemaError& error) {
    CHECK(error.sqlstate() == "22P02");
    CHECK_THAT(error.what(), !ContainsSubstring("secret", Catch::CaseSensitive::No));
  }
  try {
    session.query("cannot ask", query);
    FAIL("the statement succeeded");
  } catch (const SchemaError& error) {
    CHECK(error.sqlstate() == "22P02");
    CHECK_THAT(error.what(), !ContainsSubstring("secret", Catch::CaseSensitive::No));
  }
}

TEST_CASE("a database that is not there is reported with its code and not tried again") {
  ServerDatabase db;
  const test::pq::ConninfoOverride nowhere[] = {{"dbname", "no such database"}};
  try {
    test::connect(test::pq::with_overrides(db.reader_dsn(), nowhere));
    FAIL("the connection succeeded");
  } catch (const ConnectionError& error) {
    CHECK(error.sqlstate() == "3D000");
    CHECK_FALSE(error.retryable());
    CHECK_THAT(error.what(), ContainsSubstring("no such database"));
    CHECK_THAT(error.what(), !ContainsSubstring("LOCATION"));
  }
}

TEST_CASE("a port on which nobody listens is worth another attempt") {
  ServerDatabase db;
  const test::pq::ConninfoOverride nobody[] = {{"host", "127.0.0.1"}, {"hostaddr", ""}, {"port", "1"}};
  try {
    test::connect(test::pq::with_overrides(db.reader_dsn(), nobody));
    FAIL("the connection succeeded");
  } catch (const ConnectionError& error) {
    CHECK(error.sqlstate().empty());
    CHECK(error.retryable());
  }
}

TEST_CASE("the second host is tried when nobody listens at the first") {
  ServerDatabase db;
  const auto here = test::connect(db.reader_dsn()).address();
  const std::string hosts = "127.0.0.1," + here.host;
  const std::string ports = "1," + here.port;
  const test::pq::ConninfoOverride both[] = {{"host", hosts}, {"hostaddr", ""}, {"port", ports}};
  auto connection = test::connect(test::pq::with_overrides(db.reader_dsn(), both));
  CHECK(connection.address().port == here.port);
}

TEST_CASE("a host that answers nothing costs its timeout and not the whole deadline") {
  ServerDatabase db;
  // A listener that accepts no one: the kernel lets the connection in, and then there is silence.
  const int listener = ::socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
  REQUIRE(listener >= 0);
  REQUIRE(::listen(listener, 1) == 0);
  sockaddr_in silent{};
  socklen_t size = sizeof silent;
  REQUIRE(::getsockname(listener, reinterpret_cast<sockaddr*>(&silent), &size) == 0);

  const auto here = test::connect(db.reader_dsn()).address();
  const std::string hosts = "127.0.0.1," + here.host;
  const std::string ports = std::to_string(ntohs(silent.sin_port)) + "," + here.port;
  const test::pq::ConninfoOverride both[] = {
      {"host", hosts}, {"hostaddr", ""}, {"port", ports}, {"connect_timeout", "1"}};
  auto connection = test::connect(test::pq::with_overrides(db.reader_dsn(), both));
  CHECK(connection.address().port == here.port);
  ::close(listener);
}

TEST_CASE("a pinned connection string leads to the same server without asking for its name") {
  ServerDatabase db;
  const auto address = test::connect(db.reader_dsn()).address();
  auto again = test::connect(test::pq::pinned_to(db.reader_dsn(), address));
  CHECK(again.address().port == address.port);
  CHECK(again.exec("SELECT current_database()").text(0, 0) == db.name());
}

TEST_CASE("a query past its deadline ends its session") {
  ServerDatabase db;
  auto connection = test::connect(db.reader_dsn());
  const auto deadline = std::chrono::steady_clock::now() + std::chrono::milliseconds{50};
  CHECK_THROWS_AS(connection.exec("SELECT pg_sleep(1000)", "cannot sleep", deadline), ConnectionError);
  CHECK_FALSE(connection.is_open());
  CHECK_THROWS_AS(connection.exec("SELECT 1"), ConnectionError);
}

TEST_CASE("a terminated backend is reported with its code") {
  ServerDatabase db;
  auto connection = test::connect(db.reader_dsn());
  db.exec("SELECT pg_terminate_backend(" + std::to_string(connection.backend_pid()) + ", 10000)");
  try {
    connection.exec("SELECT 1");
    FAIL("the query succeeded");
  } catch (const ConnectionError& error) {
    CHECK(error.retryable());
  }
}

TEST_CASE("an interrupted query stops at once") {
  ServerDatabase db;
  const auto interrupt = std::make_shared<Interrupt>();
  auto connection = test::pq::Connection::open(db.reader_dsn(), interrupt, soon());
  const int pid = connection.backend_pid();
  CHECK(time_to_stop(
            *interrupt, [&] { connection.exec("SELECT pg_sleep(1000)"); }, [&] { db.wait_until(is_waiting(pid)); }) <
        promptly);
}

TEST_CASE("an interrupted control query stops at once") {
  ServerDatabase db;
  const auto interrupt = std::make_shared<Interrupt>();
  test::sql::Session session{db.reader_dsn(), interrupt};
  const int pid = session.backend_pid();
  CHECK(time_to_stop(
            *interrupt, [&] { session.query("cannot sleep", "SELECT pg_catalog.pg_sleep(1000)"); },
            [&] { db.wait_until(is_waiting(pid)); }) < promptly);
  CHECK_THROWS_AS(session.query("cannot ask", "SELECT 1"), StoppedError);
}

TEST_CASE("an interrupted wait for a silent socket stops at once") {
  int pair[2];
  REQUIRE(::pipe(pair) == 0);
  Interrupt interrupt;
  CHECK(time_to_stop(
            interrupt,
            [&] { btreemapped::detail::wait_for_socket(pair[0], POLLIN, interrupt, btreemapped::detail::no_deadline); },
            [] {}) < promptly);
  ::close(pair[0]);
  ::close(pair[1]);
}

TEST_CASE("nothing is opened once interrupted") {
  ServerDatabase db;
  const auto interrupt = std::make_shared<Interrupt>();
  interrupt->interrupt();
  CHECK_THROWS_AS(test::pq::Connection::open(db.reader_dsn(), interrupt, soon()), StoppedError);
  CHECK_THROWS_AS(test::sql::Session(db.reader_dsn(), interrupt), StoppedError);
}

TEST_CASE("a control session whose backend is gone does not come back unnoticed") {
  ServerDatabase db;
  test::sql::Session session{db.reader_dsn(), std::make_shared<Interrupt>()};
  db.exec("SELECT pg_terminate_backend(" + std::to_string(session.backend_pid()) + ", 10000)");
  CHECK_THROWS_AS(session.query("cannot ask", "SELECT 1"), ConnectionError);
  CHECK_THROWS_AS(session.query("cannot ask", "SELECT 1"), ConnectionError);
}

TEST_CASE("a forked child leaves its parent's sessions alone") {
  ServerDatabase db;
  auto connection = std::make_unique<test::pq::Connection>(test::connect(db.reader_dsn()));
  auto session = std::make_unique<test::sql::Session>(db.reader_dsn(), std::make_shared<Interrupt>());
  const ::pid_t child = ::fork();
  if (child == 0) {
    connection.reset();
    session.reset();
    ::_exit(0);
  }
  int status = 0;
  REQUIRE(::waitpid(child, &status, 0) == child);
  CHECK(status == 0);
  CHECK(connection->exec("SELECT 1").size() == 1);
  CHECK(session->query("cannot ask", "SELECT 1").size() == 1);
}
