// Barriers: when is a certain commit visible? By a position, by a token in the writer's transaction, or by all that has
// been committed so far.

#include <algorithm>
#include <chrono>
#include <cstddef>
#include <cstdint>
#include <functional>
#include <future>
#include <memory>
#include <optional>
#include <stdexcept>
#include <string>
#include <utility>
#include <vector>

#include <catch2/catch_test_macros.hpp>
#include <catch2/matchers/catch_matchers.hpp>
#include <catch2/matchers/catch_matchers_string.hpp>
#include <pqxx/connection>
#include <pqxx/except>
#include <pqxx/transaction>

#include <btreemapped.hpp>
#include <btreemapped/pqxx.hpp>

#include "support/conninfo.hpp"
#include "support/database.hpp"
#include "support/event_log.hpp"
#include "support/eventually.hpp"
#include "support/proxy.hpp"
#include "support/replicator.hpp"
#include "support/sql.hpp"
#include "support/threads.hpp"

namespace barriers_test {

using btreemapped::EventKind;
using btreemapped::Lsn;
using btreemapped::Reached;
using btreemapped::StoppedError;
using btreemapped::TableState;
using btreemapped::Token;
using btreemapped::UsageError;
using Catch::Matchers::ContainsSubstring;
using Catch::Matchers::StartsWith;
using test::Replicator;
using namespace std::chrono_literals;

struct Item {
  std::int32_t id;
  std::int32_t amount;
};

constexpr std::chrono::milliseconds patience = test::patience;
constexpr std::chrono::milliseconds now{0};

/// Two tables that follow through a proxy, and one that is not published.
class Scene {
 public:
  explicit Scene(const std::function<void(btreemapped::Options&)>& adjust = {}) {
    database.exec(
        "CREATE TABLE items (id int PRIMARY KEY, amount int NOT NULL); INSERT INTO items VALUES (1, 1);"
        "CREATE TABLE others (id int PRIMARY KEY, amount int NOT NULL); CREATE TABLE private (id int);"
        "CREATE PUBLICATION pub FOR TABLE items, others");
    btreemapped::Options options = database.options();
    options.connection = proxy.dsn();
    options.on_event = log.hook();
    if (adjust) adjust(options);
    replicator.emplace(options);
    items.emplace(replicator->add_replica<Item, 1>("items"));
    others.emplace(replicator->add_replica<Item, 1>("others"));
    test::start_and_sync(*replicator);
  }

  /// The connection is lost, and with it all that has not arrived.
  void lose() {
    proxy.cut();
    static_cast<void>(log.wait_for(EventKind::stale, ++losses_));
    proxy.thaw();
    proxy.mend();
  }
  void lose_and_rebuild() {
    lose();
    static_cast<void>(log.wait_for(EventKind::synced, losses_ + 1));
  }

  /// Has a token's transaction not been seen although all that was committed is visible?
  bool is_pending(const Token& token) {
    database.catch_up(*replicator);
    CHECK(test::eventually([&] { return replicator->status().state == btreemapped::ReplicatorState::streaming; }));
    const Reached reached = replicator->wait_for(token, now);
    CHECK_THAT(reached.why, ContainsSubstring("no commit with this token"));
    return !reached;
  }

  test::Database database{};
  test::EventLog log{};
  test::Proxy proxy{database.reader_dsn()};
  std::optional<Replicator> replicator{};
  std::optional<btreemapped::Replica<Item, 1>> items{};
  std::optional<btreemapped::Replica<Item, 1>> others{};

 private:
  std::size_t losses_ = 0;
};

/// Runs the token's SQL and hands its answer back.
void put(test::Sql& session, Token& token) { token.use_xid(session.value(token.sql())); }

std::string insert(int id) { return "INSERT INTO items VALUES (" + std::to_string(id) + ", 0)"; }

// Reading one's own writes.

void read_own_writes(const std::string& setting) {
  Scene scene;
  test::Sql writer(scene.database.dsn());
  writer.exec(setting);
  int id = 100;
  for (int round = 0; round < 3; ++round) {
    writer.exec(insert(++id));
    const Lsn end = writer.position();
    const Reached by_position = scene.replicator->wait_for(end, patience);
    CHECK(by_position);
    CHECK(by_position.target == end);
    CHECK(by_position.why.empty());
    CHECK(scene.items->contains(id));

    writer.exec(insert(++id));
    CHECK(scene.replicator->catch_up(patience));
    CHECK(scene.items->contains(id));

    Token token = scene.replicator->token();
    writer.exec("BEGIN; " + insert(++id));
    put(writer, token);
    writer.exec("COMMIT");
    const Reached by_token = scene.replicator->wait_for(token, patience);
    CHECK(by_token);
    CHECK(by_token.target > by_position.target);
    CHECK(by_token.applied >= by_token.target);
    CHECK(scene.items->contains(id));
  }
  CHECK(scene.replicator->status().reconnects == 0);
}

TEST_CASE("a writer reads its own writes behind each barrier", "[G9]") {
  read_own_writes("SET synchronous_commit = on");
}

TEST_CASE("a writer that does not wait for the disk reads its own writes behind each barrier", "[G9]") {
  read_own_writes("SET synchronous_commit = off");
}

TEST_CASE("each of many writers reads its own writes behind each barrier", "[G9]") {
  Scene scene;
  std::vector<std::function<void()>> writers;
  for (int number = 0; number < 6; ++number) {
    writers.emplace_back([&, number] {
      pqxx::connection connection(scene.database.dsn());
      for (int id = 1000 * (number + 1); id < 1000 * (number + 1) + 30; ++id) {
        pqxx::work work(connection);
        work.exec(insert(id));
        bool reached = false;
        if (number % 2 == 0) {
          reached = btreemapped::commit_and_wait(work, *scene.replicator, patience).reached;
        } else {
          work.commit();
          reached = scene.replicator->catch_up(patience).reached;
        }
        if (!reached || !scene.items->contains(id)) throw std::runtime_error("a write is not read");
      }
    });
  }
  test::run_together(std::move(writers));
  CHECK(scene.items->size() == 181);
}

TEST_CASE("transactions that change nothing that is published pass each barrier", "[G9]") {
  Scene scene;
  test::Sql writer(scene.database.dsn());
  for (const std::string sql : {"INSERT INTO private VALUES (1)", "SELECT 1",
                                "UPDATE items SET amount = 1 WHERE id = 0", "CREATE TABLE more (id int)"}) {
    CAPTURE(sql);
    Token token = scene.replicator->token();
    writer.exec("BEGIN; " + sql);
    put(writer, token);
    writer.exec("COMMIT");
    CHECK(scene.replicator->wait_for(token, patience));
    CHECK(scene.replicator->wait_for(writer.position(), patience));
    CHECK(scene.replicator->catch_up(patience));
  }
}

TEST_CASE("on an idle server a position inside a page header is passed", "[G9]") {
  Scene scene;
  constexpr std::uint64_t page = 8192;
  // Messages outside of transactions fill the page to its last byte.
  const auto emit = [&](std::uint64_t size) {
    const Lsn before = scene.database.position();
    scene.database.exec("SELECT pg_logical_emit_message(false, 'fill', repeat('x', " + std::to_string(size) + "))");
    return scene.database.position().value() - before.value();
  };
  Lsn end{};
  REQUIRE(test::eventually([&] {
    emit(page - 1500 - std::min<std::uint64_t>(page - 1500, scene.database.position().value() % page));
    const std::uint64_t overhead = emit(400) - 400;
    const std::uint64_t left = page - scene.database.position().value() % page;
    if (overhead > 200 || left < overhead + 300) return false;
    emit(left - overhead);
    end = scene.database.position();
    return end.value() % page == 24 || end.value() % page == 40;
  }));
  CHECK(scene.replicator->wait_for(end, patience));
  CHECK(scene.replicator->catch_up(patience));
}

// Tokens.

TEST_CASE("a token whose transaction is rolled back never comes", "[G9]") {
  Scene scene;
  test::Sql writer(scene.database.dsn());
  Token token = scene.replicator->token();
  writer.exec("BEGIN; " + insert(2));
  put(writer, token);
  writer.exec("ROLLBACK");
  CHECK(scene.is_pending(token));
  scene.lose_and_rebuild();
  CHECK(scene.is_pending(token));
}

TEST_CASE("a token belongs to the savepoint in which its SQL was run", "[G9]") {
  Scene scene;
  test::Sql writer(scene.database.dsn());
  Token undone = scene.replicator->token();
  Token released = scene.replicator->token();
  Token before = scene.replicator->token();
  writer.exec("BEGIN; " + insert(2));
  put(writer, before);
  writer.exec("SAVEPOINT a");
  put(writer, undone);
  writer.exec("ROLLBACK TO a; SAVEPOINT b");
  put(writer, released);
  writer.exec("RELEASE b; COMMIT");
  CHECK(scene.replicator->wait_for(before, patience));
  CHECK(scene.replicator->wait_for(released, patience));
  CHECK(scene.is_pending(undone));
  CHECK(scene.items->contains(2));
}

TEST_CASE("a token of a prepared transaction comes when that is committed", "[G9]") {
  Scene scene;
  test::Sql writer(scene.database.dsn());
  Token committed = scene.replicator->token();
  Token undone = scene.replicator->token();
  const std::string name = "'" + scene.database.name();
  for (Token* const token : {&committed, &undone}) {
    writer.exec("BEGIN; " + insert(token == &committed ? 2 : 3));
    put(writer, *token);
    writer.exec("PREPARE TRANSACTION " + name + (token == &committed ? "_1'" : "_2'"));
  }
  CHECK(scene.is_pending(committed));
  writer.exec("COMMIT PREPARED " + name + "_1'");
  writer.exec("ROLLBACK PREPARED " + name + "_2'");
  CHECK(scene.replicator->wait_for(committed, patience));
  CHECK(scene.items->contains(2));
  CHECK(scene.is_pending(undone));
}

TEST_CASE("messages of others are no tokens", "[G9]") {
  Scene scene;
  Replicator other(scene.database.options());
  const auto items = other.add_replica<Item, 1>("items");
  test::start_and_sync(other);
  const Token token = scene.replicator->token();
  Token of_other = other.token();
  const auto changed = [&](const std::string& what, const std::string& into) {
    std::string sql = token.sql();
    sql.replace(sql.find(what), what.size(), into);
    return sql;
  };
  for (const std::string& sql :
       {changed("true", "false"), changed("'btreemapped'", "'other'"), changed("'btreemapped'", "''"),
        changed("'::", "0'::"), std::string("SELECT pg_logical_emit_message(true, 'btreemapped', '')"),
        std::string("SELECT pg_logical_emit_message(true, 'btreemapped', '\\x00ff00ff80'::bytea)"),
        std::string("SELECT pg_logical_emit_message(true, 'btreemapped', repeat('x', 10000000))"), of_other.sql()})
    scene.database.exec(sql);
  CHECK(scene.is_pending(token));
  CHECK(other.wait_for(of_other, patience));
  CHECK(scene.replicator->status().reconnects == 0);
  CHECK_THROWS_AS(scene.replicator->wait_for(of_other, now), UsageError);
}

TEST_CASE("use_xid() takes nothing but the number of a transaction", "[G9]") {
  Replicator replicator({});
  Token token = replicator.token();
  for (const std::string wrong : {"", "0", "x", "-1", " 1", "1 ", "1x", "18446744073709551616"}) {
    CAPTURE(wrong);
    CHECK_THROWS_AS(token.use_xid(wrong), UsageError);
  }
  token.use_xid("18446744073709551615");
}

TEST_CASE("a token that was made before the start, and one of the first copy, are told", "[G9]") {
  Scene scene;
  Replicator late(scene.database.options());
  const auto items = late.add_replica<Item, 1>("items");
  Token in_copy = late.token();
  Token in_stream = late.token();
  test::Sql writer(scene.database.dsn());
  writer.exec("BEGIN; " + insert(2));
  put(writer, in_copy);
  writer.exec("COMMIT");
  CHECK(late.wait_for(in_copy, now).why == "not started");
  auto reached = std::async(std::launch::async, [&] { return late.wait_for(in_copy, patience); });
  test::start_and_sync(late);
  CHECK(reached.get());
  CHECK(items.contains(2));
  writer.exec("BEGIN");
  put(writer, in_stream);
  writer.exec("COMMIT");
  CHECK(late.wait_for(in_stream, patience));
}

// Across a lost connection.

TEST_CASE("tokens that committed just before the tables are copied afresh are settled by the copy", "[G9]") {
  Scene scene;
  Token told = scene.replicator->token();
  Token untold = scene.replicator->token();
  Token undone = scene.replicator->token();
  Token absurd = scene.replicator->token();
  absurd.use_xid("18446744073709551615");
  test::Sql writer(scene.database.dsn());
  scene.proxy.freeze();
  writer.exec("BEGIN; " + insert(3));
  put(writer, undone);
  writer.exec("ROLLBACK; BEGIN; " + insert(2));
  put(writer, told);
  writer.exec(untold.sql());
  writer.exec("COMMIT");
  scene.database.end_sessions("backend_type = 'walsender'");
  auto waiting = std::async(std::launch::async, [&] { return scene.replicator->wait_for(told, patience); });
  auto in_vain = std::async(std::launch::async, [&] { return scene.replicator->wait_for(untold, patience); });
  scene.lose();
  const Reached reached = waiting.get();
  CHECK(reached);
  CHECK(scene.items->contains(2));
  CHECK(reached.applied >= reached.target);
  CHECK_THAT(in_vain.get().why, StartsWith("rebuilt: "));
  CHECK(scene.is_pending(undone));
  CHECK(scene.is_pending(absurd));
}

TEST_CASE("a token of a transaction that is open while the tables are copied afresh comes with its commit", "[G9]") {
  Scene scene;
  const auto held_up_by = [&](test::Sql& session) {
    const std::string pid = session.value("SELECT pg_backend_pid()");
    return test::eventually([&] {
      return scene.database.value(
                 "SELECT count(*) FROM pg_stat_activity WHERE backend_type = 'walsender' AND datname "
                 "= current_database() AND " +
                 pid + " = ANY (pg_blocking_pids(pid))") != "0";
    });
  };
  // The slot waits for those that write when it begins, then for those that have begun meanwhile, then for nobody.
  test::Sql first(scene.database.dsn());
  test::Sql second(scene.database.dsn());
  test::Sql writer(scene.database.dsn());
  Token told = scene.replicator->token();
  Token untold = scene.replicator->token();
  first.exec("BEGIN; INSERT INTO private VALUES (1)");
  scene.lose();
  REQUIRE(held_up_by(first));
  second.exec("BEGIN; INSERT INTO private VALUES (2)");
  first.exec("COMMIT");
  REQUIRE(held_up_by(second));
  writer.exec("BEGIN; " + insert(2));
  put(writer, told);
  writer.exec(untold.sql());
  second.exec("COMMIT");
  static_cast<void>(scene.log.wait_for(EventKind::synced, 2));
  CHECK(scene.is_pending(told));
  CHECK_THAT(scene.replicator->wait_for(untold, patience).why, StartsWith("rebuilt: "));
  writer.exec("COMMIT");
  CHECK(scene.replicator->wait_for(told, patience));
  CHECK(scene.items->contains(2));
  CHECK(scene.replicator->wait_for(untold, patience));
}

TEST_CASE("catch_up() outlasts a lost connection", "[G9]") {
  Scene scene;
  for (int round = 0; round < 3; ++round) {
    scene.database.exec(insert(10 + round));
    scene.proxy.freeze();
    scene.database.exec(insert(20 + round));
    auto reached = std::async(std::launch::async, [&] { return scene.replicator->catch_up(patience); });
    scene.lose();
    CHECK(reached.get());
    CHECK(scene.items->contains(20 + round));
  }
}

TEST_CASE("catch_up() does not mind that its session was ended", "[G9]") {
  Scene scene;
  for (int round = 0; round < 3; ++round) {
    REQUIRE(scene.database.end_sessions("backend_type = 'client backend' AND application_name = 'btreemapped'") == 1);
    scene.database.exec(insert(10 + round));
    CHECK(scene.replicator->catch_up(patience));
    CHECK(scene.items->contains(10 + round));
  }
  CHECK(scene.replicator->status().reconnects == 0);
}

// What a barrier says that is not passed.

TEST_CASE("a barrier says that there is no connection", "[G9]") {
  Scene scene;
  scene.proxy.cut();
  static_cast<void>(scene.log.wait_for(EventKind::stale));
  scene.database.exec(insert(2));
  const Lsn end = scene.database.position();
  const Reached reached = scene.replicator->wait_for(end, 20ms);
  CHECK_FALSE(reached);
  CHECK(reached.target == end);
  CHECK(reached.applied < end);
  CHECK_THAT(reached.why, StartsWith("disconnected: "));
  CHECK_THAT(scene.replicator->wait_for(scene.replicator->token(), 20ms).why, StartsWith("disconnected: "));
  CHECK_THAT(scene.replicator->catch_up(20ms).why, StartsWith("disconnected: "));
  scene.proxy.mend();
}

TEST_CASE("a barrier says that a commit waits for a read", "[G9]") {
  Scene scene;
  std::promise<void> inside;
  std::promise<void> leave;
  test::run_together({[&] {
                        const auto guard = scene.items->read();
                        inside.set_value();
                        leave.get_future().wait();
                      },
                      [&] {
                        inside.get_future().wait();
                        scene.database.exec(insert(2));
                        const bool waits = test::eventually([&] { return test::commit_waits(*scene.replicator); });
                        const Reached reached = scene.replicator->wait_for(scene.database.position(), 20ms);
                        const Reached caught_up = scene.replicator->catch_up(20ms);
                        leave.set_value();
                        CHECK(waits);
                        CHECK_FALSE(reached);
                        CHECK_THAT(reached.why, StartsWith("behind: "));
                        CHECK_FALSE(caught_up);
                        CHECK_THAT(caught_up.why, StartsWith("behind: "));
                      }});
  CHECK(scene.replicator->catch_up(patience));
}

TEST_CASE("a barrier says what the server has not sent", "[G9]") {
  Scene scene;
  const Lsn never{std::uint64_t{1} << 60U};
  const Reached reached = scene.replicator->wait_for(never, 20ms);
  CHECK_FALSE(reached);
  CHECK(reached.target == never);
  CHECK_THAT(reached.why, ContainsSubstring(to_string(never)) && ContainsSubstring(to_string(reached.applied)));
}

TEST_CASE("a table that has failed keeps no barrier waiting, and no barrier is passed without it", "[G9]") {
  Scene scene([](btreemapped::Options& options) { options.catalog_watch_interval = 50ms; });
  scene.database.exec("ALTER TABLE items RENAME amount TO sum; UPDATE items SET sum = 5");
  static_cast<void>(scene.log.wait_for(EventKind::table_failed, 1, "public.items"));
  scene.database.exec("INSERT INTO others VALUES (2, 2)");
  for (const Reached& reached :
       {scene.replicator->wait_for(scene.database.position(), patience), scene.replicator->catch_up(patience)}) {
    CHECK_FALSE(reached);
    CHECK(reached.applied >= btreemapped::detail::before_page_header(reached.target, 8192));
    CHECK_THAT(reached.why, StartsWith("table not following: public.items is failed") && ContainsSubstring("amount") &&
                                !ContainsSubstring("others"));
  }
  CHECK(scene.others->contains(2));  // others go on
  scene.database.exec("ALTER TABLE items RENAME sum TO amount");
  static_cast<void>(scene.log.wait_for(EventKind::table_healed, 1, "public.items"));
  CHECK(scene.replicator->catch_up(patience));
  CHECK(scene.items->get(1)->amount == 5);
}

TEST_CASE("a barrier waits for a table that is copied afresh", "[G9]") {
  Scene scene([](btreemapped::Options& options) { options.catalog_watch_interval = 50ms; });
  scene.proxy.hold("COPY ");
  scene.database.exec("ALTER TABLE items ALTER amount TYPE int USING 7");
  scene.proxy.wait_until_held();
  scene.database.exec("INSERT INTO others VALUES (2, 2)");
  const Reached reached = scene.replicator->catch_up(500ms);
  CHECK_FALSE(reached);
  CHECK_THAT(reached.why, StartsWith("table not following: public.items is stale"));
  CHECK(scene.others->contains(2));
  auto waiting = std::async(std::launch::async, [&] { return scene.replicator->catch_up(patience); });
  scene.proxy.release();
  CHECK(waiting.get());
  CHECK(scene.items->get(1)->amount == 7);
}

TEST_CASE("catch_up() says that the server refuses to tell its position, and the stream goes on", "[G9]") {
  Scene scene;
  const std::string role = scene.database.add_role();
  scene.database.exec("GRANT SELECT ON items TO " + role +
                      "; REVOKE EXECUTE ON FUNCTION pg_current_wal_insert_lsn() FROM PUBLIC");
  btreemapped::Options options = scene.database.options();
  options.connection = test::with_parts(scene.database.dsn(), {{"user", role}});
  Replicator replicator(options);
  const auto items = replicator.add_replica<Item, 1>("items");
  test::start_and_sync(replicator);
  const Reached reached = replicator.catch_up(patience);
  CHECK_FALSE(reached);
  CHECK_THAT(reached.why, ContainsSubstring("permission denied") && ContainsSubstring("pg_current_wal_insert_lsn"));
  scene.database.exec(insert(2));
  scene.database.catch_up(replicator);
  CHECK(items.contains(2));
  CHECK(replicator.status().reconnects == 0);
}

// Where nobody may wait, and where nothing will come.

TEST_CASE("no barrier may be waited for inside a read", "[G9]") {
  Scene scene;
  const Token token = scene.replicator->token();
  pqxx::connection connection(scene.database.dsn());
  scene.items->get_with(1, [&](const Item&) {
    CHECK_THROWS_AS(scene.replicator->wait_for(Lsn{1}, now), UsageError);
    CHECK_THROWS_AS(scene.replicator->wait_for(token, now), UsageError);
    CHECK_THROWS_AS(scene.replicator->catch_up(now), UsageError);
    pqxx::work work(connection);
    work.exec(insert(2));
    CHECK_THROWS_AS(btreemapped::commit_and_wait(work, *scene.replicator, now), UsageError);
  });
  CHECK(scene.database.value("SELECT count(*) FROM items") == "1");  // told before the commit
}

TEST_CASE("barriers end with the Replicator", "[G9]") {
  Scene scene;
  Token visible = scene.replicator->token();
  const Token pending = scene.replicator->token();
  test::Sql writer(scene.database.dsn());
  writer.exec("BEGIN");
  put(writer, visible);
  writer.exec("COMMIT");
  CHECK(scene.replicator->wait_for(visible, patience));
  scene.replicator->prove();
  auto waiting = std::async(std::launch::async, [&] { return scene.replicator->wait_for(pending, patience); });
  scene.proxy.freeze();
  auto asking = std::async(std::launch::async, [&] { return scene.replicator->catch_up(patience); });
  scene.replicator->stop();
  CHECK_THROWS_AS(waiting.get(), StoppedError);
  CHECK_THROWS_AS(asking.get(), StoppedError);
  CHECK(scene.replicator->wait_for(visible, now));
  CHECK_THROWS_AS(scene.replicator->wait_for(pending, patience), StoppedError);
  CHECK_THROWS_AS(scene.replicator->catch_up(patience), StoppedError);
}

TEST_CASE("catch_up() comes after the start", "[G9]") {
  Replicator replicator({});
  CHECK_THROWS_AS(replicator.catch_up(patience), UsageError);
}

// <btreemapped/pqxx.hpp>

TEST_CASE("commit_and_wait() returns when the transaction is visible", "[G9]") {
  Scene scene;
  pqxx::connection connection(scene.database.dsn());
  for (int id = 2; id < 20; ++id) {
    pqxx::work work(connection);
    work.exec(insert(id));
    const Reached reached = btreemapped::commit_and_wait(work, *scene.replicator, patience);
    CHECK(reached);
    CHECK(reached.why.empty());
    CHECK(scene.items->contains(id));
  }
  pqxx::work nothing(connection);
  CHECK(btreemapped::commit_and_wait(nothing, *scene.replicator, patience));
}

TEST_CASE("commit_and_wait() throws what keeps the transaction from being committed", "[G9]") {
  Scene scene;
  scene.database.exec("ALTER TABLE items ADD CONSTRAINT late UNIQUE (amount) DEFERRABLE INITIALLY DEFERRED");
  pqxx::connection connection(scene.database.dsn());
  pqxx::work work(connection);
  work.exec("INSERT INTO items VALUES (2, 1)");
  CHECK_THROWS_AS(btreemapped::commit_and_wait(work, *scene.replicator, patience), pqxx::sql_error);
  CHECK(scene.database.value("SELECT count(*) FROM items") == "1");
}

TEST_CASE("commit_and_wait() throws nothing after the commit", "[G9]") {
  Scene scene;
  pqxx::connection connection(scene.database.dsn());
  {
    scene.proxy.cut();
    static_cast<void>(scene.log.wait_for(EventKind::stale));
    pqxx::work work(connection);
    work.exec(insert(2));
    const Reached reached = btreemapped::commit_and_wait(work, *scene.replicator, 20ms);
    CHECK_FALSE(reached);
    CHECK_THAT(reached.why, StartsWith("disconnected: "));
  }
  scene.replicator->ends_unproved("it is stopped while it is disconnected");
  scene.replicator->stop();
  pqxx::work work(connection);
  work.exec(insert(3));
  const Reached reached = btreemapped::commit_and_wait(work, *scene.replicator, patience);
  CHECK_FALSE(reached);
  CHECK_THAT(reached.why, ContainsSubstring("stopped"));
  CHECK(scene.database.value("SELECT count(*) FROM items") == "3");
}

}  // namespace barriers_test
