#pragma once

#include <algorithm>
#include <array>
#include <cerrno>
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
/// connections without a word, or by closing them. It counts statements, and damages what is said.
class Proxy {
 public:
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
    std::unique_lock lock(mutex_);
    if (!held_.wait_for(lock, patience, [&] { return holding_; }))
      throw std::runtime_error("nobody sent " + hold_text_);
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

 private:
  struct Link {
    Descriptor client;
    Descriptor server;
    std::string to_client{};
    std::string to_server{};
    std::size_t until_held = 0;  // bytes of the answer
    bool held = false;
    bool ending = false;  // one side has ended
    bool closed = false;
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
      {
        const std::lock_guard lock(mutex_);
        if (ending_) return;
        if (cut_) links.clear();
        for (Link& link : links) {
          link.held = link.held && holding_;
          const bool flows = !frozen_ && !link.held && !link.ending;
          fds.push_back(
              {link.client.get(), events(flows && link.to_server.empty(), !frozen_ && !link.to_client.empty()), 0});
          fds.push_back({link.server.get(),
                         events(flows && link.to_client.empty(), !frozen_ && !link.held && !link.to_server.empty()),
                         0});
        }
      }
      ::poll(fds.data(), fds.size(), -1);
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

  static short events(bool input, bool output) {
    return static_cast<short>(POLLRDHUP | (input ? POLLIN : 0) | (output ? POLLOUT : 0));
  }

  void serve(Link& link, short client, short server) {
    if ((client & POLLIN) != 0) {
      pass(link, link.client.get(), link.to_server);
      count_text(link);
      look_for_text(link);
    } else if ((client & (POLLRDHUP | POLLHUP | POLLERR)) != 0) {
      link.closed = true;  // nobody is there any more
    }
    if ((server & POLLIN) != 0) {
      pass(link, link.server.get(), link.to_client);
      do_damage(link);
      count_answer(link);
    } else if ((server & (POLLRDHUP | POLLHUP | POLLERR)) != 0) {
      link.ending = true;
    }
    if ((client & POLLOUT) != 0) flush(link, link.client.get(), link.to_client);
    if ((server & POLLOUT) != 0) flush(link, link.server.get(), link.to_server);
    if (link.ending && link.to_client.empty()) link.closed = true;
  }

  static void pass(Link& link, int from, std::string& to) {
    std::array<char, 65'536> bytes{};
    const ssize_t size = ::recv(from, bytes.data(), bytes.size(), MSG_DONTWAIT);
    if (size > 0) to.append(bytes.data(), static_cast<std::size_t>(size));
    else if (size == 0 || (errno != EAGAIN && errno != EINTR)) link.ending = true;
  }

  static void flush(Link& link, int to, std::string& bytes) {
    const ssize_t size = ::send(to, bytes.data(), bytes.size(), MSG_DONTWAIT | MSG_NOSIGNAL);
    if (size >= 0) bytes.erase(0, static_cast<std::size_t>(size));
    else if (errno != EAGAIN && errno != EINTR) link.closed = true;
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
  bool frozen_ = false;
  bool cut_ = false;
  bool ending_ = false;

  std::thread thread_{};
};

}  // namespace test
