#pragma once

#include <algorithm>
#include <array>
#include <cerrno>
#include <chrono>
#include <condition_variable>
#include <cstddef>
#include <cstdint>
#include <list>
#include <map>
#include <mutex>
#include <stdexcept>
#include <string>
#include <system_error>
#include <thread>
#include <utility>
#include <vector>

#include <arpa/inet.h>
#include <netdb.h>
#include <netinet/in.h>
#include <poll.h>
#include <sys/eventfd.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include "support/conninfo.hpp"
#include "support/threads.hpp"

namespace test {

/// A descriptor that closes itself.
class Descriptor {
 public:
  explicit Descriptor(int fd = -1) : fd_(fd) {}
  Descriptor(Descriptor&& other) noexcept : fd_(std::exchange(other.fd_, -1)) {}
  Descriptor& operator=(Descriptor&& other) noexcept {
    std::swap(fd_, other.fd_);
    return *this;
  }
  ~Descriptor() {
    if (fd_ >= 0) ::close(fd_);
  }

  [[nodiscard]] int get() const noexcept { return fd_; }

 private:
  int fd_;
};

/// A TCP socket that listens on a free loopback port. Whoever connects gets no answer unless accepted.
class Listener {
 public:
  Listener() : socket_(::socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0)) {
    sockaddr_in address{};
    address.sin_family = AF_INET;
    address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    socklen_t size = sizeof address;
    const auto generic = reinterpret_cast<sockaddr*>(&address);
    if (::bind(socket_.get(), generic, size) != 0 || ::listen(socket_.get(), 64) != 0 ||
        ::getsockname(socket_.get(), generic, &size) != 0)
      throw std::system_error(errno, std::generic_category(), "cannot listen");
    port_ = ntohs(address.sin_port);
  }

  [[nodiscard]] int socket() const noexcept { return socket_.get(); }
  /// The connection string with this port in the place of its server.
  [[nodiscard]] std::string instead_of(const std::string& dsn) const {
    return with_parts(
        dsn,
        {{"host", "127.0.0.1"}, {"port", std::to_string(port_)}, {"sslmode", "disable"}, {"gssencmode", "disable"}});
  }

 private:
  Descriptor socket_;
  std::uint16_t port_ = 0;
};

/// Relays connections to the server, and lets a test stop the flow where it wants: before a certain statement, of all
/// connections without a word, or by closing them; for ever, or for some connections only. It slows them down, counts
/// statements, and damages what is said.
class Proxy {
 public:
  /// What a connection is for, as far as it has said.
  enum class Kind { any, stream, copy, control };
  enum class Way { both, to_client, to_server };

  /// How connections flow.
  struct Flow {
    std::chrono::milliseconds delay_to_client{0};
    std::chrono::milliseconds delay_to_server{0};
    std::size_t bytes_per_second = 0;  ///< each way; 0: as fast as it goes
  };

  explicit Proxy(const std::string& dsn)
      : server_(parse_conninfo(dsn)), dsn_(listener_.instead_of(dsn)), wake_(::eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK)) {
    thread_ = std::thread([this] { run(); });
  }

  Proxy(const Proxy&) = delete;
  Proxy& operator=(const Proxy&) = delete;
  ~Proxy() {
    change([&] { ending_ = true; });
    thread_.join();
  }

  /// A connection string that leads through here.
  [[nodiscard]] const std::string& dsn() const noexcept { return dsn_; }

  /// New connections lead to another server.
  void lead_to(const std::string& dsn) {
    change([&] { server_ = parse_conninfo(dsn); });
  }

  /// The connection that is about to send the nth statement with this text is held before it.
  void hold(std::string text, int nth = 1) { hold_at(std::move(text), nth, 0); }

  /// The connection that sends the first statement with this text is held in the middle of its answer, when that many
  /// bytes of it have passed.
  void hold_answer(std::string text, std::size_t bytes) { hold_at(std::move(text), 1, bytes); }

  /// Throws: when no such statement comes in time, or its answer is too short.
  void wait_until_held() {
    if (!is_held_within(patience)) throw std::runtime_error("nobody sent " + hold_text_);
  }
  [[nodiscard]] bool is_held_within(std::chrono::milliseconds time) {
    std::unique_lock lock(mutex_);
    return held_.wait_for(lock, time, [&] { return holding_; });
  }

  /// From now on counts the statements with this text, for sent().
  void count(std::string text) {
    change([&] {
      count_text_ = std::move(text);
      count_ = 0;
    });
  }
  [[nodiscard]] int sent() {
    const std::lock_guard lock(mutex_);
    return count_;
  }

  /// The first time that the server sends this, something else of the same length arrives.
  void damage(std::string what, std::string into) {
    if (what.empty() || what.size() != into.size()) throw std::invalid_argument("damage keeps the length");
    change([&] {
      damaged_text_ = std::move(what);
      damaged_into_ = std::move(into);
    });
  }

  /// What was held goes on, and nothing will be held any more.
  void release() {
    change([&] {
      hold_text_.clear();
      holding_ = false;
    });
  }

  /// From now on nothing passes any more, in either direction; connections are made and stay open.
  void freeze() {
    change([&] { frozen_ = true; });
  }
  void thaw() {
    change([&] { frozen_ = false; });
  }

  /// Closes all connections, and every new one at once.
  void cut() {
    change([&] { cut_ = true; });
  }
  void mend() {
    change([&] { cut_ = false; });
  }

  /// Closes the connections of a kind, once.
  void drop(Kind kind) {
    change([&] { orders_.push_back({kind, Way::both, true, false}); });
  }

  /// Nothing passes any more on the connections of a kind that there are, in a direction, not even their end: for ever,
  /// unless they are dropped. New ones pass.
  void half_open(Kind kind, Way way = Way::both) {
    change([&] { orders_.push_back({kind, way, false, false}); });
  }
  /// Closes those, as a server does at last.
  void drop_half_open() {
    change([&] { orders_.push_back({Kind::any, Way::both, true, true}); });
  }

  /// How all connections of a kind flow from now on, new ones, too. What is asked of a kind counts before what is asked
  /// of any.
  void slow_down(Kind kind, const Flow& flow) {
    change([&] { flows_[kind] = flow; });
  }
  void speed_up() {
    change([&] { flows_.clear(); });
  }

 private:
  using Clock = std::chrono::steady_clock;

  struct Link {
    Descriptor client;
    Descriptor server;
    std::string to_client{};
    std::string to_server{};
    Clock::time_point to_client_at{};  // not sooner
    Clock::time_point to_server_at{};
    Flow flow{};
    Kind kind = Kind::any;  // nothing said yet
    bool dead_to_client = false;
    bool dead_to_server = false;
    std::size_t until_held = 0;  // bytes of the answer
    bool held = false;
    bool ending = false;  // one side has ended
    bool closed = false;
  };

  struct Order {
    Kind kind = Kind::any;
    Way way = Way::both;
    bool drops = false;
    bool only_dead = false;
  };

  template <class Function>
  void change(Function&& f) {
    {
      const std::lock_guard lock(mutex_);
      f();
    }
    const std::uint64_t one = 1;
    static_cast<void>(::write(wake_.get(), &one, sizeof one));
  }

  void hold_at(std::string text, int nth, std::size_t bytes_of_answer) {
    change([&] {
      hold_text_ = std::move(text);
      hold_after_ = nth;
      hold_bytes_ = bytes_of_answer;
      holding_ = false;
    });
  }

  void run() {
    std::list<Link> links;
    while (true) {
      std::vector<pollfd> fds{{wake_.get(), POLLIN, 0}, {listener_.socket(), POLLIN, 0}};
      Clock::time_point next = Clock::time_point::max();
      {
        const std::lock_guard lock(mutex_);
        if (ending_) return;
        if (cut_) links.clear();
        for (const Order& order : std::exchange(orders_, {})) obey(links, order);
        const Clock::time_point now = Clock::now();
        for (Link& link : links) {
          link.held = link.held && holding_;
          link.flow = flow_of(link.kind);
          const bool flows = !frozen_ && !link.held && !link.ending;
          const bool answers = !frozen_ && !link.dead_to_client && !link.to_client.empty();
          const bool asks = !frozen_ && !link.dead_to_server && !link.held && !link.to_server.empty();
          if (answers && link.to_client_at > now) next = std::min(next, link.to_client_at);
          if (asks && link.to_server_at > now) next = std::min(next, link.to_server_at);
          fds.push_back(wanted(link.client, link.dead_to_server, flows && link.to_server.empty(),
                               answers && link.to_client_at <= now));
          fds.push_back(wanted(link.server, link.dead_to_client || link.ending, flows && link.to_client.empty(),
                               asks && link.to_server_at <= now));
        }
      }
      ::poll(fds.data(), fds.size(), timeout_until(next));
      if (fds[0].revents != 0) {
        std::uint64_t count = 0;
        static_cast<void>(::read(wake_.get(), &count, sizeof count));
        continue;  // the flow may have been changed
      }
      std::size_t place = 2;
      for (Link& link : links) {
        serve(link, fds[place].revents, fds[place + 1].revents);
        place += 2;
      }
      links.remove_if([](const Link& link) { return link.closed; });
      if (fds[1].revents != 0) accept(links);
    }
  }

  /// `deaf`: nothing is taken from there, not even its end.
  static pollfd wanted(const Descriptor& socket, bool deaf, bool input, bool output) {
    const int events = (deaf ? 0 : POLLRDHUP | (input ? POLLIN : 0)) | (output ? POLLOUT : 0);
    return {events == 0 ? -1 : socket.get(), static_cast<short>(events), 0};
  }

  static int timeout_until(Clock::time_point time) {
    if (time == Clock::time_point::max()) return -1;
    const auto left = std::chrono::ceil<std::chrono::milliseconds>(time - Clock::now()).count();
    return static_cast<int>(std::max<std::chrono::milliseconds::rep>(left, 0));
  }

  [[nodiscard]] Flow flow_of(Kind kind) const {
    const auto own = flows_.find(kind);
    const auto place = own != flows_.end() ? own : flows_.find(Kind::any);
    return place == flows_.end() ? Flow{} : place->second;
  }

  static void obey(std::list<Link>& links, const Order& order) {
    const auto meant = [&](const Link& link) { return order.kind == Kind::any || order.kind == link.kind; };
    if (order.drops) {
      links.remove_if([&](const Link& link) {
        return meant(link) && (!order.only_dead || link.dead_to_client || link.dead_to_server);
      });
      return;
    }
    for (Link& link : links) {
      if (!meant(link)) continue;
      link.dead_to_client = link.dead_to_client || order.way != Way::to_server;
      link.dead_to_server = link.dead_to_server || order.way != Way::to_client;
    }
  }

  /// The first words of a connection, and of the session that copies, tell what it is for.
  static void recognise(Link& link) {
    if (link.kind == Kind::any) {
      const bool replicates = link.to_server.find("replication") != std::string::npos;
      link.kind = replicates ? Kind::stream : Kind::control;
    }
    if (link.kind == Kind::control && link.to_server.find("SET TRANSACTION SNAPSHOT") != std::string::npos)
      link.kind = Kind::copy;
  }

  void serve(Link& link, short client, short server) {
    if ((client & POLLIN) != 0) {
      pass(link, link.client.get(), link.to_server);
      link.to_server_at = Clock::now() + link.flow.delay_to_server;
      recognise(link);
      count_text(link);
      look_for_text(link);
    } else if ((client & (POLLRDHUP | POLLHUP | POLLERR)) != 0 && !link.dead_to_server) {
      link.closed = true;  // nobody is there any more
    }
    if ((server & POLLIN) != 0) {
      pass(link, link.server.get(), link.to_client);
      link.to_client_at = Clock::now() + link.flow.delay_to_client;
      do_damage(link);
      count_answer(link);
    } else if ((server & (POLLRDHUP | POLLHUP | POLLERR)) != 0 && !link.dead_to_client) {
      link.ending = true;
    }
    if ((client & POLLOUT) != 0) flush(link, link.client.get(), link.to_client, link.to_client_at);
    if ((server & POLLOUT) != 0) flush(link, link.server.get(), link.to_server, link.to_server_at);
    if (link.ending && link.to_client.empty()) link.closed = true;
  }

  static void pass(Link& link, int from, std::string& to) {
    std::array<char, 65'536> bytes{};
    const ssize_t size = ::recv(from, bytes.data(), bytes.size(), MSG_DONTWAIT);
    if (size > 0) to.append(bytes.data(), static_cast<std::size_t>(size));
    else if (size == 0 || (errno != EAGAIN && errno != EINTR)) link.ending = true;
  }

  static void flush(Link& link, int to, std::string& bytes, Clock::time_point& again_at) {
    const std::size_t rate = link.flow.bytes_per_second;
    const std::size_t portion = rate == 0 ? bytes.size() : std::min(bytes.size(), rate / 20 + 1);
    const ssize_t size = ::send(to, bytes.data(), portion, MSG_DONTWAIT | MSG_NOSIGNAL);
    if (size >= 0) {
      bytes.erase(0, static_cast<std::size_t>(size));
      if (rate != 0) again_at = Clock::now() + std::chrono::microseconds{size * 1'000'000 / static_cast<ssize_t>(rate)};
    } else if (errno != EAGAIN && errno != EINTR) {
      // Of a connection that is open on one side only the other side does not learn it.
      if (link.dead_to_client || link.dead_to_server) bytes.clear();
      else link.closed = true;
    }
  }

  void look_for_text(Link& link) {
    const std::lock_guard lock(mutex_);
    if (hold_text_.empty() || holding_ || link.to_server.find(hold_text_) == std::string::npos || --hold_after_ != 0)
      return;
    link.until_held = hold_bytes_;
    if (hold_bytes_ == 0) keep(link);
  }

  void count_text(const Link& link) {
    const std::lock_guard lock(mutex_);
    if (count_text_.empty()) return;
    for (auto at = link.to_server.find(count_text_); at != std::string::npos;
         at = link.to_server.find(count_text_, at + 1))
      ++count_;
  }

  void do_damage(Link& link) {
    const std::lock_guard lock(mutex_);
    const auto place = damaged_text_.empty() ? std::string::npos : link.to_client.find(damaged_text_);
    if (place == std::string::npos) return;
    link.to_client.replace(place, damaged_text_.size(), damaged_into_);
    damaged_text_.clear();
  }

  void count_answer(Link& link) {
    if (link.until_held == 0) return;
    link.until_held -= std::min(link.until_held, link.to_client.size());
    const std::lock_guard lock(mutex_);
    if (link.until_held == 0 && !hold_text_.empty()) keep(link);
  }

  void keep(Link& link) {
    link.held = holding_ = true;
    held_.notify_all();
  }

  void accept(std::list<Link>& links) {
    Descriptor client(::accept4(listener_.socket(), nullptr, nullptr, SOCK_CLOEXEC));
    const std::lock_guard lock(mutex_);
    if (client.get() < 0 || cut_) return;
    Descriptor server = connect();
    if (server.get() >= 0) links.push_back({std::move(client), std::move(server)});
  }

  [[nodiscard]] std::string part(const std::string& keyword, const std::string& otherwise) const {
    const auto place = server_.find(keyword);
    return place == server_.end() ? otherwise : place->second;
  }

  /// Nothing when the server is not there.
  [[nodiscard]] Descriptor connect() const {
    const std::string host = part("hostaddr", part("host", "/var/run/postgresql"));
    const std::string port = part("port", "5432");
    if (host.starts_with('/')) {
      sockaddr_un address{};
      address.sun_family = AF_UNIX;
      const std::string path = host + "/.s.PGSQL." + port;
      path.copy(address.sun_path, sizeof address.sun_path - 1);
      Descriptor out(::socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0));
      if (::connect(out.get(), reinterpret_cast<const sockaddr*>(&address), sizeof address) == 0) return out;
      return Descriptor{};
    }
    addrinfo hints{};
    hints.ai_socktype = SOCK_STREAM;
    addrinfo* found = nullptr;
    if (::getaddrinfo(host.c_str(), port.c_str(), &hints, &found) != 0) return Descriptor{};
    Descriptor out;
    for (const addrinfo* each = found; each != nullptr; each = each->ai_next) {
      out = Descriptor(::socket(each->ai_family, SOCK_STREAM | SOCK_CLOEXEC, 0));
      if (::connect(out.get(), each->ai_addr, each->ai_addrlen) == 0) break;
      out = Descriptor{};
    }
    ::freeaddrinfo(found);
    return out;
  }

  const Listener listener_{};
  std::map<std::string, std::string> server_;
  const std::string dsn_;
  const Descriptor wake_;

  std::mutex mutex_{};
  std::condition_variable held_{};
  std::string hold_text_{};
  int hold_after_ = 0;
  std::size_t hold_bytes_ = 0;
  bool holding_ = false;
  std::string count_text_{};
  int count_ = 0;
  std::string damaged_text_{};
  std::string damaged_into_{};
  std::vector<Order> orders_{};
  std::map<Kind, Flow> flows_{};
  bool frozen_ = false;
  bool cut_ = false;
  bool ending_ = false;

  std::thread thread_{};
};

}  // namespace test
