// In a forked child a replica cannot be read, and what the child destroys leaves the parent's sockets and threads alone.

#include <cerrno>
#include <chrono>
#include <csignal>
#include <cstdint>
#include <optional>
#include <string>
#include <system_error>
#include <vector>

#include <poll.h>
#include <sys/wait.h>
#include <unistd.h>

#include <catch2/catch_test_macros.hpp>

#include <btreemapped.hpp>

#include "support/conninfo.hpp"
#include "support/database.hpp"
#include "support/eventually.hpp"
#include "support/replicator.hpp"
#include "support/threads.hpp"

namespace fork_test {

struct Row {
  std::int64_t id;
  std::string text;
};

using Rows = btreemapped::Replica<Row, 1>;

/// Runs `body` in a forked child, and returns its exit status; 128 if it does not end in time.
template <class Body>
int in_child(Body&& body) {
  int alive[2];
  if (::pipe(alive) != 0) throw std::system_error(errno, std::generic_category());
  const ::pid_t child = ::fork();
  if (child == -1) throw std::system_error(errno, std::generic_category());
  if (child == 0) {
    int status = 99;
    try {
      status = body();
    } catch (...) {
    }
    ::_exit(status);  // not exit(): the test's own objects are the parent's to destroy
  }
  ::close(alive[1]);  // only the child holds it now: its end is seen at the other one
  ::pollfd end{alive[0], POLLIN, 0};
  const auto patience = std::chrono::duration_cast<std::chrono::milliseconds>(test::patience);
  const bool ended = ::poll(&end, 1, static_cast<int>(patience.count())) == 1;
  ::close(alive[0]);
  if (!ended) ::kill(child, SIGKILL);
  int status = 0;
  ::waitpid(child, &status, 0);
  return ended && WIFEXITED(status) ? WEXITSTATUS(status) : 128;
}

template <class Read>
bool is_refused(Read&& read) {
  try {
    read();
    return false;
  } catch (const btreemapped::UsageError&) {
    return true;
  }
}

/// A Replicator that follows a table of one row, and the sessions that it has on the server.
struct Followed {
  Followed() {
    database.exec(
        "CREATE TABLE t (id bigint PRIMARY KEY, text text NOT NULL); INSERT INTO t VALUES (1, 'one');"
        "CREATE PUBLICATION pub FOR TABLE t");
    btreemapped::Options options = database.options();
    options.connection = test::with_parts(options.connection, {{"application_name", "forks"}});
    replicator.emplace(options);
    rows.emplace(replicator->add_replica<Row, 1>("t"));
    test::start_and_sync(*replicator);
  }

  std::vector<test::SqlRow> sessions() {
    return database.rows(
        "SELECT pid, backend_start FROM pg_stat_activity WHERE application_name = 'forks' ORDER BY pid");
  }

  test::Database database{};
  std::optional<test::Replicator> replicator{};
  std::optional<Rows> rows{};
};

TEST_CASE("a read in a forked child throws UsageError", "[G8]") {
  Followed followed;
  const Rows& rows = *followed.rows;
  enum : int { all_refused = 0, get_read = 1, range_read = 2, guard_read = 3 };
  const int status = in_child([&] {
    if (!is_refused([&] { static_cast<void>(rows.get(1)); })) return get_read;
    if (!is_refused([&] { rows.for_range1(btreemapped::all, [](const Row&) {}); })) return range_read;
    if (!is_refused([&] { static_cast<void>(rows.read().size()); })) return guard_read;
    return all_refused;
  });
  CHECK(status == all_refused);
}

TEST_CASE("a read in a child that was forked inside a read throws UsageError", "[G8]") {
  Followed followed;
  int status = -1;
  followed.rows->for_each([&](const Row&) {
    status = in_child([&] { return is_refused([&] { static_cast<void>(followed.rows->get(1)); }) ? 0 : 1; });
  });
  CHECK(status == 0);
  CHECK(followed.rows->get(1)->text == "one");
}

TEST_CASE("what a forked child destroys leaves the parent's stream alone", "[G7][G8]") {
  Followed followed;
  // Stream and control; the session of the copy may still be ending.
  REQUIRE(test::eventually([&] { return followed.sessions().size() == 2; }));
  const auto sessions_before = followed.sessions();

  const int status = in_child([&] {
    followed.replicator.reset();
    followed.rows.reset();
    return 0;
  });
  CHECK(status == 0);

  followed.database.exec("INSERT INTO t VALUES (2, 'two')");
  followed.database.catch_up(*followed.replicator);
  CHECK(followed.rows->get(2)->text == "two");
  CHECK(followed.replicator->status().reconnects == 0);
  CHECK(followed.sessions() == sessions_before);
}

TEST_CASE("a Replicator made in a forked child follows there", "[G8]") {
  Followed followed;
  const std::string dsn = followed.database.reader_dsn();
  const int status = in_child([&] {
    btreemapped::Replicator replicator({.connection = dsn, .publication = "pub"});
    const Rows rows = replicator.add_replica<Row, 1>("t");
    test::start_and_sync(replicator);
    if (rows.get(1)->text != "one") return 1;
    return replicator.verify(rows).verdict == btreemapped::Verdict::equal ? 0 : 2;
  });
  CHECK(status == 0);
  CHECK(followed.replicator->status().reconnects == 0);
}

}  // namespace fork_test
