#include <array>
#include <atomic>
#include <chrono>
#include <cstddef>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <thread>
#include <utility>
#include <variant>
#include <vector>

#include <arpa/inet.h>
#include <netinet/in.h>
#include <poll.h>
#include <sys/socket.h>
#include <unistd.h>

#include <catch2/catch_test_macros.hpp>
#include <catch2/matchers/catch_matchers_string.hpp>

#include <btreemapped/detail/pq/stream.hpp>
#include <btreemapped/detail/sql/blockers.hpp>
#include <btreemapped/detail/sql/session.hpp>
#include <btreemapped/detail/wire/frame.hpp>
#include <btreemapped/error.hpp>

#include "integration/server/server_database.hpp"
#include "support/eventually.hpp"

using btreemapped::ConnectionError;
using btreemapped::Errc;
using btreemapped::Lsn;
using btreemapped::SlotError;
using btreemapped::StoppedError;
using btreemapped::UsageError;
namespace wire = btreemapped::detail::wire;
using Catch::Matchers::ContainsSubstring;
using test::Interrupt;
using test::ServerDatabase;
using test::soon;
using test::pq::ReplicationStream;

namespace {

const std::vector<std::string> publications{"pub"};
constexpr std::chrono::milliseconds patient{30'000};

ReplicationStream open_stream(const std::string& dsn) {
  return ReplicationStream::open(dsn, std::make_shared<Interrupt>(), soon());
}

/// A stream that has begun, of a database with the published table public.t.
struct Streaming {
  ServerDatabase db;
  ReplicationStream stream;
  std::string slot = test::unique_name("slot");

  explicit Streaming(const std::string& names = "pub") : stream(prepare(db, names)) {
    static_cast<void>(stream.create_slot(slot, patient, soon()));
    stream.start(slot, Lsn{}, std::vector<std::string>{names}, soon());
  }

  static ReplicationStream prepare(ServerDatabase& db, const std::string& name) {
    db.exec("CREATE TABLE public.t (id int PRIMARY KEY, v text); CREATE PUBLICATION " + test::sql::identifier(name) +
            " FOR TABLE public.t");
    return open_stream(db.reader_dsn());
  }

  void answer(Lsn position) {
    wire::StatusUpdate update;
    update.written = update.flushed = update.applied = position;
    stream.send(wire::encode(update));
  }

  /// The next frame, waited for. Its views live until the next call.
  wire::Frame next() {
    const Interrupt never;
    while (true) {
      if (const auto bytes = stream.receive()) {
        wire::Frame frame;
        REQUIRE(wire::parse_frame(*bytes, frame) == Errc::ok);
        return frame;
      }
      REQUIRE(btreemapped::detail::wait_for_socket(stream.socket(), POLLIN, never, soon()) != 0);
    }
  }

  /// The types of the messages up to and with the next Commit.
  std::string next_transaction() {
    std::string types;
    while (types.empty() || types.back() != 'C') {
      const wire::Frame frame = next();
      if (const auto* const data = std::get_if<wire::XLogData>(&frame)) types += data->payload.front();
    }
    return types;
  }
};

/// A relay between the library and the server that can stop to read what the library sends.
class Relay {
 public:
  explicit Relay(const test::pq::Address& server) : server_(server) {
    listener_ = ::socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    sockaddr_in any{};
    any.sin_family = AF_INET;
    any.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    socklen_t size = sizeof any;
    const int small = 4096;  // so that a connection that is not read from fills soon
    ::setsockopt(listener_, SOL_SOCKET, SO_RCVBUF, &small, sizeof small);
    REQUIRE(::bind(listener_, reinterpret_cast<sockaddr*>(&any), size) == 0);
    REQUIRE(::listen(listener_, 1) == 0);
    REQUIRE(::getsockname(listener_, reinterpret_cast<sockaddr*>(&any), &size) == 0);
    port_ = ntohs(any.sin_port);
    thread_ = std::thread([this] { run(); });
  }
  ~Relay() {
    ::shutdown(listener_, SHUT_RDWR);
    ended_ = true;
    thread_.join();
    ::close(listener_);
  }

  [[nodiscard]] std::string port() const { return std::to_string(port_); }
  void read_from_client(bool on) { reads_client_ = on; }

 private:
  void run() {
    const int client = ::accept(listener_, nullptr, nullptr);
    if (client < 0) return;
    const int server = ::socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    sockaddr_in address{};
    address.sin_family = AF_INET;
    address.sin_port = htons(static_cast<std::uint16_t>(std::stoi(server_.port)));
    ::inet_pton(AF_INET, server_.hostaddr.c_str(), &address.sin_addr);
    bool open = ::connect(server, reinterpret_cast<sockaddr*>(&address), sizeof address) == 0;
    const auto pump = [&](int from, int to) {
      std::array<char, 8192> buffer;
      const ssize_t got = ::recv(from, buffer.data(), buffer.size(), 0);
      open = got > 0 && ::send(to, buffer.data(), static_cast<std::size_t>(got), MSG_NOSIGNAL) == got;
    };
    while (open && !ended_) {
      pollfd fds[2] = {{server, POLLIN, 0}, {client, static_cast<short>(reads_client_ ? POLLIN : 0), 0}};
      if (::poll(fds, 2, 10) <= 0) continue;
      if ((fds[0].revents & POLLIN) != 0) pump(server, client);
      if (open && (fds[1].revents & POLLIN) != 0) pump(client, server);
      if (((fds[0].revents | fds[1].revents) & (POLLHUP | POLLERR)) != 0) open = false;
    }
    ::close(server);
    ::close(client);
  }

  test::pq::Address server_;
  int listener_ = -1;
  std::uint16_t port_ = 0;
  std::atomic<bool> reads_client_{true};
  std::atomic<bool> ended_{false};
  std::thread thread_;
};

}  // namespace

TEST_CASE("the server tells its identity and its timeout to the replication session") {
  ServerDatabase db;
  auto stream = open_stream(db.reader_dsn());
  const auto identity = stream.identify_system(soon());
  CHECK(identity.system_identifier == db.value("SELECT system_identifier FROM pg_control_system()"));
  CHECK(identity.timeline == 1);
  CHECK(identity.position > Lsn{});
  CHECK(identity.database == db.name());
  const auto timeout = db.value("SELECT setting FROM pg_settings WHERE name = 'wal_sender_timeout'");
  CHECK(stream.sender_timeout(soon()) == std::chrono::milliseconds{std::stoi(timeout)});
}

TEST_CASE("a role that may not replicate is told which right it lacks") {
  ServerDatabase db;
  const std::string role = db.add_role("");
  try {
    open_stream(db.dsn(role));
    FAIL("the session was opened");
  } catch (const ConnectionError& error) {
    CHECK(error.sqlstate() == "42501");
    CHECK_FALSE(error.retryable());
    CHECK_THAT(error.what(), ContainsSubstring("ALTER ROLE \"" + role + "\" REPLICATION;"));
  }
  db.exec("ALTER ROLE " + role + " REPLICATION");
  CHECK_NOTHROW(open_stream(db.dsn(role)));
}

TEST_CASE("a new slot is temporary and gone with its session") {
  ServerDatabase db;
  const std::string slot = test::unique_name("slot");
  const std::string count = "SELECT count(*) FROM pg_replication_slots WHERE temporary AND slot_name = '" + slot + "'";
  {
    auto stream = open_stream(db.reader_dsn());
    const auto created = stream.create_slot(slot, patient, soon());
    CHECK(created.consistent_point > Lsn{});
    CHECK_FALSE(created.snapshot.empty());
    CHECK(db.value(count) == "1");
  }
  db.wait_until("SELECT (" + count + ") = 0");
}

TEST_CASE("a slot name that PostgreSQL would refuse is refused here") {
  ServerDatabase db;
  auto stream = open_stream(db.reader_dsn());
  for (const std::string& name : {std::string{}, std::string{"Upper"}, std::string{"a-b"}, std::string(64, 'a')}) {
    CAPTURE(name);
    CHECK_THROWS_AS(stream.create_slot(name, patient, soon()), UsageError);
  }
  CHECK_NOTHROW(stream.create_slot(std::string(63, 'a'), patient, soon()));
}

TEST_CASE("a slot of a name that is taken is refused with its code") {
  ServerDatabase db;
  const std::string slot = test::unique_name("slot");
  auto first = open_stream(db.reader_dsn());
  static_cast<void>(first.create_slot(slot, patient, soon()));
  auto second = open_stream(db.reader_dsn());
  try {
    static_cast<void>(second.create_slot(slot, patient, soon()));
    FAIL("the slot was created");
  } catch (const SlotError& error) {
    CHECK(error.sqlstate() == "42710");
  }
}

TEST_CASE("an open transaction holds up slot creation until the lock timeout, and is named meanwhile") {
  ServerDatabase db;
  auto writer = test::connect(db.dsn());
  writer.exec("BEGIN; SELECT pg_current_xact_id()");
  auto stream = open_stream(db.reader_dsn());
  const int pid = stream.connection().backend_pid();
  const std::string role = db.add_role("");
  std::string sqlstate;
  bool retryable = false;
  std::thread creator([&] {
    try {
      static_cast<void>(stream.create_slot(test::unique_name("slot"), std::chrono::milliseconds{1500}, soon()));
    } catch (const SlotError& error) {
      sqlstate = error.sqlstate();
      retryable = error.retryable();
    }
  });
  test::sql::Session session{db.dsn(role), std::make_shared<Interrupt>()};
  std::vector<test::sql::Blocker> blockers;
  for (const auto deadline = soon(); blockers.empty() && std::chrono::steady_clock::now() < deadline;)
    blockers = find_blockers(session, pid);
  creator.join();
  REQUIRE(blockers.size() == 1);
  CHECK(blockers[0].pid == writer.backend_pid());
  CHECK_THAT(describe(blockers),
             ContainsSubstring("pg_terminate_backend(" + std::to_string(writer.backend_pid()) + ")"));
  CHECK(sqlstate == "55P03");
  CHECK(retryable);
}

TEST_CASE("a prepared transaction that holds up slot creation is named") {
  ServerDatabase db;
  const std::string gid = test::unique_name("it's prepared");
  db.exec("BEGIN; CREATE TABLE public.x (); PREPARE TRANSACTION " + test::sql::literal(gid));
  auto stream = open_stream(db.reader_dsn());
  const int pid = stream.connection().backend_pid();
  const std::string role = db.add_role("");
  std::thread creator([&] { static_cast<void>(stream.create_slot(test::unique_name("slot"), patient, soon())); });
  test::sql::Session session{db.dsn(role), std::make_shared<Interrupt>()};
  std::vector<test::sql::Blocker> blockers;
  for (const auto deadline = soon(); blockers.empty() && std::chrono::steady_clock::now() < deadline;)
    blockers = find_blockers(session, pid);
  db.exec("ROLLBACK PREPARED " + test::sql::literal(gid));
  creator.join();
  REQUIRE(blockers.size() == 1);
  CHECK(blockers[0].pid == 0);
  CHECK(blockers[0].prepared == gid);
  CHECK_THAT(describe(blockers), ContainsSubstring("ROLLBACK PREPARED " + test::sql::literal(gid)));
}

TEST_CASE("nobody is blamed for a session that does not wait") {
  ServerDatabase db;
  auto idle = test::connect(db.dsn());
  test::sql::Session session{db.reader_dsn(), std::make_shared<Interrupt>()};
  const auto blockers = find_blockers(session, idle.backend_pid());
  CHECK(blockers.empty());
  CHECK(describe(blockers).empty());
}

TEST_CASE("an interrupted slot creation stops at once, and the server gives it up too") {
  ServerDatabase db;
  auto writer = test::connect(db.dsn());
  writer.exec("BEGIN; SELECT pg_current_xact_id()");
  const auto interrupt = std::make_shared<Interrupt>();
  auto stream = ReplicationStream::open(db.reader_dsn(), interrupt, soon());
  const std::string pid = std::to_string(stream.connection().backend_pid());
  std::chrono::steady_clock::time_point start;
  std::thread stopper([&] {
    db.wait_until("SELECT wait_event = 'transactionid' FROM pg_stat_activity WHERE pid = " + pid);
    start = std::chrono::steady_clock::now();
    interrupt->interrupt();
  });
  CHECK_THROWS_AS(stream.create_slot(test::unique_name("slot"), patient, soon()), StoppedError);
  const auto end = std::chrono::steady_clock::now();
  stopper.join();
  CHECK(end - start < std::chrono::seconds{10});
  // Although the writer goes on.
  db.wait_until("SELECT count(*) = 0 FROM pg_stat_activity WHERE pid = " + pid);
}

TEST_CASE("a slot creation past its own deadline ends") {
  ServerDatabase db;
  auto writer = test::connect(db.dsn());
  writer.exec("BEGIN; SELECT pg_current_xact_id()");
  auto stream = open_stream(db.reader_dsn());
  const auto deadline = std::chrono::steady_clock::now() + std::chrono::milliseconds{200};
  CHECK_THROWS_AS(stream.create_slot(test::unique_name("slot"), patient, deadline), ConnectionError);
}

TEST_CASE("a released snapshot can no longer be imported, and the lock timeout is gone") {
  ServerDatabase db;
  auto stream = open_stream(db.reader_dsn());
  const auto created = stream.create_slot(test::unique_name("slot"), patient, soon());
  stream.release_snapshot(soon());
  CHECK(stream.connection().exec("SHOW lock_timeout").text(0, 0) == "0");
  auto other = test::connect(db.dsn());
  CHECK_THROWS(
      other.exec("BEGIN ISOLATION LEVEL REPEATABLE READ; SET TRANSACTION SNAPSHOT '" + created.snapshot + "'"));
}

TEST_CASE("a stream brings what was committed after the slot, from Begin to Commit") {
  Streaming streaming;
  streaming.db.exec("INSERT INTO public.t VALUES (1, 'a')");
  streaming.db.exec("BEGIN; UPDATE public.t SET v = 'b'; DELETE FROM public.t; COMMIT");
  CHECK(streaming.next_transaction() == "BRIC");
  CHECK(streaming.next_transaction() == "BUDC");
}

TEST_CASE("a publication name with quotes and commas is one name") {
  Streaming streaming{"Odd, \"name\" it's"};
  streaming.db.exec("INSERT INTO public.t VALUES (1, 'a')");
  CHECK(streaming.next_transaction() == "BRIC");
}

TEST_CASE("a value of many megabytes arrives in one piece") {
  Streaming streaming;
  streaming.db.exec("INSERT INTO public.t VALUES (1, repeat('x', 30000000))");
  std::size_t longest = 0;
  for (char type = ' '; type != 'C';) {
    const wire::Frame frame = streaming.next();
    if (const auto* const data = std::get_if<wire::XLogData>(&frame)) {
      type = data->payload.front();
      longest = std::max(longest, data->payload.size());
    }
  }
  CHECK(longest > 30'000'000);
}

TEST_CASE("receive says at once that nothing is there") {
  ServerDatabase db;
  auto stream = Streaming::prepare(db, "pub");
  stream.connection().exec("SET wal_sender_timeout = 0");  // so that nothing comes, however long one waits
  const std::string slot = test::unique_name("slot");
  static_cast<void>(stream.create_slot(slot, patient, soon()));
  stream.start(slot, Lsn{}, publications, soon());
  while (stream.receive()) continue;  // the keepalive of the start
  const auto start = std::chrono::steady_clock::now();
  static_cast<void>(stream.receive());
  CHECK(std::chrono::steady_clock::now() - start < std::chrono::seconds{10});
}

TEST_CASE("a stream whose keepalives are answered outlives the server's timeout") {
  ServerDatabase db;
  auto stream = Streaming::prepare(db, "pub");
  stream.connection().exec("SET wal_sender_timeout = '2s'");
  CHECK(stream.sender_timeout(soon()) == std::chrono::seconds{2});
  const std::string slot = test::unique_name("slot");
  static_cast<void>(stream.create_slot(slot, patient, soon()));
  stream.start(slot, Lsn{}, publications, soon());
  const Interrupt never;
  const auto start = std::chrono::steady_clock::now();
  int requests = 0;
  while (requests < 3) {
    wire::Frame frame;
    if (const auto bytes = stream.receive()) {
      REQUIRE(wire::parse_frame(*bytes, frame) == Errc::ok);
      const auto* const keepalive = std::get_if<wire::Keepalive>(&frame);
      if (keepalive == nullptr || !keepalive->reply_requested) continue;
      ++requests;
      wire::StatusUpdate update;
      update.written = update.flushed = update.applied = keepalive->wal_end;
      CHECK(stream.send(wire::encode(update)));
    } else {
      REQUIRE(btreemapped::detail::wait_for_socket(stream.socket(), POLLIN, never, soon()) != 0);
    }
  }
  CHECK(std::chrono::steady_clock::now() - start > std::chrono::seconds{2});
}

TEST_CASE("an acknowledged position moves the slot") {
  Streaming streaming;
  streaming.db.exec("INSERT INTO public.t VALUES (1, 'a')");
  const auto target = Lsn::parse(streaming.db.value("SELECT pg_current_wal_lsn()"));
  REQUIRE(target);
  Lsn seen;
  while (seen < *target) {
    const wire::Frame frame = streaming.next();
    if (const auto* const keepalive = std::get_if<wire::Keepalive>(&frame)) seen = keepalive->wal_end;
    streaming.answer(seen);
  }
  streaming.db.wait_until("SELECT confirmed_flush_lsn >= '" + to_string(*target) +
                          "' FROM pg_replication_slots WHERE slot_name = '" + streaming.slot + "'");
}

TEST_CASE("a slot in use is refused with the code that means: try again") {
  Streaming streaming;
  auto second = open_stream(streaming.db.reader_dsn());
  try {
    second.start(streaming.slot, Lsn{}, publications, soon());
    FAIL("the stream was started");
  } catch (const SlotError& error) {
    CHECK(error.sqlstate() == "55006");
    CHECK(error.retryable());
  }
}

TEST_CASE("a slot that is not there is refused with its code") {
  ServerDatabase db;
  auto stream = open_stream(db.reader_dsn());
  try {
    stream.start("btreemapped_nowhere", Lsn{}, publications, soon());
    FAIL("the stream was started");
  } catch (const SlotError& error) {
    CHECK(error.sqlstate() == "42704");
    CHECK_FALSE(error.retryable());
  }
}

TEST_CASE("a terminated walsender ends the stream with its code") {
  Streaming streaming;
  streaming.db.exec("SELECT pg_terminate_backend(" + std::to_string(streaming.stream.connection().backend_pid()) + ")");
  try {
    while (true) streaming.next();
  } catch (const ConnectionError& error) {
    CHECK(error.sqlstate() == "57P01");
    CHECK(error.retryable());
  }
  CHECK_THROWS_AS(streaming.stream.receive(), ConnectionError);
}

TEST_CASE("a stream that is given up tells whether the server had ended it by will") {
  Streaming streaming;
  streaming.db.exec("INSERT INTO public.t VALUES (1, 'a')");
  CHECK_FALSE(streaming.stream.was_ended());
  streaming.db.exec("SELECT pg_terminate_backend(" + std::to_string(streaming.stream.connection().backend_pid()) + ")");
  CHECK(test::eventually([&] { return streaming.stream.was_ended(); }));
  CHECK_FALSE(streaming.stream.was_ended());  // it has told
}

TEST_CASE("a missing publication ends the stream with its code") {
  Streaming streaming;
  streaming.db.exec("DROP PUBLICATION pub; INSERT INTO public.t VALUES (1, 'a')");
  if (std::stoi(streaming.db.value("SHOW server_version_num")) >= 180000) return;  // it only warns
  try {
    while (true) streaming.next();
  } catch (const ConnectionError& error) {
    CHECK(error.sqlstate() == "42704");
    CHECK_FALSE(error.retryable());
  }
}

TEST_CASE("while output is blocked input still arrives, and the output follows when it can") {
  ServerDatabase db;
  Streaming::prepare(db, "pub").close();
  Relay relay{test::connect(db.dsn()).address()};
  const std::string port = relay.port();
  const test::pq::ConninfoOverride through[] = {{"host", "127.0.0.1"}, {"hostaddr", ""}, {"port", port}};
  auto stream = open_stream(test::pq::with_overrides(db.reader_dsn(), through));
  const int small = 4096;
  REQUIRE(::setsockopt(stream.socket(), SOL_SOCKET, SO_SNDBUF, &small, sizeof small) == 0);
  stream.connection().exec("SET wal_sender_timeout = 0");  // the server hears nothing for a while
  const std::string slot = test::unique_name("slot");
  static_cast<void>(stream.create_slot(slot, patient, soon()));
  stream.start(slot, Lsn{}, publications, soon());

  relay.read_from_client(false);
  const Interrupt never;
  // More than the kernel's buffers on the way can hold.
  for (int i = 0; i < 5'000; ++i) stream.send(wire::encode(wire::StatusUpdate{}));
  REQUIRE(stream.wants_write());
  db.exec("INSERT INTO public.t SELECT i, 'x' FROM generate_series(1, 1000) i");
  std::size_t inserts = 0;
  while (inserts < 1000) {
    REQUIRE_FALSE(stream.flush());
    if (const auto bytes = stream.receive()) {
      wire::Frame frame;
      REQUIRE(wire::parse_frame(*bytes, frame) == Errc::ok);
      const auto* const data = std::get_if<wire::XLogData>(&frame);
      if (data != nullptr && data->payload.front() == 'I') ++inserts;
    } else {
      REQUIRE(btreemapped::detail::wait_for_socket(stream.socket(), POLLIN, never, soon()) != 0);
    }
  }
  relay.read_from_client(true);
  while (!stream.flush()) {
    REQUIRE(btreemapped::detail::wait_for_socket(stream.socket(), POLLIN | POLLOUT, never, soon()) != 0);
    while (stream.receive()) continue;
  }
  CHECK_FALSE(stream.wants_write());
}
