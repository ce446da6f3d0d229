#include <chrono>
#include <memory>
#include <thread>
#include <utility>

#include <poll.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#include <catch2/catch_test_macros.hpp>

#include <btreemapped/detail/interrupt.hpp>
#include <btreemapped/error.hpp>

using btreemapped::StoppedError;
using btreemapped::detail::Interrupt;
using btreemapped::detail::no_deadline;
using btreemapped::detail::poll_timeout;
using btreemapped::detail::wait_for_socket;
using std::chrono::milliseconds;
using std::chrono::steady_clock;

namespace {

struct Pair {
  int fds[2];

  Pair() { REQUIRE(::socketpair(AF_UNIX, SOCK_STREAM, 0, fds) == 0); }
  Pair(const Pair&) = delete;
  Pair& operator=(const Pair&) = delete;
  ~Pair() {
    ::close(fds[0]);
    ::close(fds[1]);
  }
  [[nodiscard]] bool is_shut_down() const {
    char byte = 0;
    return ::recv(fds[1], &byte, 1, MSG_DONTWAIT) == 0;
  }
};

}  // namespace

TEST_CASE("a wait ends with what the socket has") {
  const Pair pair;
  const Interrupt interrupt;
  CHECK((wait_for_socket(pair.fds[0], POLLOUT, interrupt, no_deadline) & POLLOUT) != 0);
}

TEST_CASE("a wait ends at its deadline") {
  const Pair pair;
  const Interrupt interrupt;
  CHECK(wait_for_socket(pair.fds[0], POLLIN, interrupt, steady_clock::now() + milliseconds{10}) == 0);
  CHECK(wait_for_socket(pair.fds[0], POLLIN, interrupt, steady_clock::now() - milliseconds{10}) == 0);
}

TEST_CASE("a wait ends when it is interrupted, and so does every later one") {
  const Pair pair;
  Interrupt interrupt;
  CHECK_FALSE(interrupt.interrupted());
  std::thread other([&] { interrupt.interrupt(); });
  CHECK_THROWS_AS(wait_for_socket(pair.fds[0], POLLIN, interrupt, no_deadline), StoppedError);
  other.join();
  CHECK(interrupt.interrupted());
  interrupt.interrupt();
  CHECK_THROWS_AS(wait_for_socket(pair.fds[0], POLLOUT, interrupt, no_deadline), StoppedError);
  CHECK_THROWS_AS(interrupt.check(), StoppedError);
}

TEST_CASE("registered sockets are shut down, others are not") {
  const Pair registered;
  const Pair moved;
  const Pair left;
  const auto interrupt = std::make_shared<Interrupt>();
  const Interrupt::Socket one{interrupt, registered.fds[0]};
  Interrupt::Socket two{interrupt, moved.fds[0]};
  const Interrupt::Socket three{std::move(two)};
  {
    const Interrupt::Socket gone{interrupt, left.fds[0]};
  }
  interrupt->interrupt();
  CHECK(registered.is_shut_down());
  CHECK(moved.is_shut_down());
  CHECK_FALSE(left.is_shut_down());
}

TEST_CASE("a socket registered too late is shut down at once") {
  const Pair pair;
  const auto interrupt = std::make_shared<Interrupt>();
  interrupt->interrupt();
  const Interrupt::Socket late{interrupt, pair.fds[0]};
  CHECK(pair.is_shut_down());
}

TEST_CASE("a forked child interrupts nobody else") {
  const Pair pair;
  const auto interrupt = std::make_shared<Interrupt>();
  const Interrupt::Socket socket{interrupt, pair.fds[0]};
  const ::pid_t child = ::fork();
  if (child == 0) {
    interrupt->interrupt();
    ::_exit(0);
  }
  int status = 0;
  REQUIRE(::waitpid(child, &status, 0) == child);
  CHECK_FALSE(pair.is_shut_down());
  CHECK(wait_for_socket(pair.fds[0], POLLIN, *interrupt, steady_clock::now()) == 0);
}

TEST_CASE("a timeout is rounded up to a millisecond") {
  CHECK(poll_timeout(no_deadline) == -1);
  CHECK(poll_timeout(steady_clock::now() - milliseconds{5}) == 0);
  CHECK(poll_timeout(steady_clock::now() + std::chrono::microseconds{900}) == 1);
  CHECK(poll_timeout(steady_clock::now() + std::chrono::hours{1000}) > 0);
}

TEST_CASE("a deadline as early as there is lets nobody wait") {
  CHECK(poll_timeout(steady_clock::time_point::min()) == 0);
}
