#pragma once

#include <atomic>
#include <chrono>
#include <cstddef>
#include <cstdint>
#include <map>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <thread>
#include <utility>
#include <variant>

#include <poll.h>

#include <btreemapped.hpp>

namespace bench {

namespace detail = btreemapped::detail;

/// Keeps a copy of the table "items", follows the publication "pub" by a slot "naive", and acknowledges each commit that
/// it receives, and nothing else: at once, and again every second or when it is asked. When the stream is lost it makes
/// another slot, and publishes another copy in place of the one that it had.
class NaiveClient {
 public:
  explicit NaiveClient(std::string dsn) : dsn_(std::move(dsn)) {
    connect();
    thread_ = std::thread([this] { run(); });
  }
  NaiveClient(const NaiveClient&) = delete;
  NaiveClient& operator=(const NaiveClient&) = delete;
  ~NaiveClient() {
    interrupt_->interrupt();
    thread_.join();
  }

  /// While it is busy it does not read.
  void be_busy(bool busy) { busy_.store(busy); }

  [[nodiscard]] std::size_t copies() const { return copies_.load(); }
  /// All rows that were published, of all copies.
  [[nodiscard]] std::size_t published() const { return published_.load(); }

 private:
  using Clock = std::chrono::steady_clock;
  using Rows = std::map<std::int32_t, std::int64_t>;

  void connect() {
    using detail::no_deadline;
    stream_.emplace(detail::pq::ReplicationStream::open(dsn_, interrupt_, no_deadline));
    const auto slot = stream_->create_slot("naive", std::chrono::seconds{30}, no_deadline);
    auto session = detail::pq::SnapshotCopy::open(dsn_, slot.snapshot, interrupt_, no_deadline);
    Rows rows;
    session.copy({.table = {"public", "items"}, .columns = {"id", "amount"}}, [&](std::string_view line) {
      const std::size_t tab = line.find('\t');
      rows.insert_or_assign(std::stoi(std::string{line.substr(0, tab)}), std::stoll(std::string{line.substr(tab + 1)}));
    });
    const std::string publications[] = {"pub"};
    stream_->start("naive", btreemapped::Lsn{}, publications, no_deadline);
    rows_.swap(rows);
    published_.fetch_add(rows_.size());
    copies_.fetch_add(1);
  }

  void run() {
    bool connected = true;
    while (!interrupt_->interrupted()) {
      try {
        if (!connected) connect();
        connected = true;
        acknowledge_commits();
      } catch (const btreemapped::Error&) {
        connected = false;
        pollfd stopped{interrupt_->fd(), POLLIN, 0};
        ::poll(&stopped, 1, 10);  // the server may be away
      }
    }
  }

  void acknowledge_commits() {
    btreemapped::Lsn applied{};
    auto said = Clock::now();
    while (true) {
      interrupt_->check();
      bool reply = false;
      if (const auto bytes = busy_.load() ? std::nullopt : stream_->receive()) {
        read(*bytes, applied, reply);
      } else {
        pollfd socket{stream_->socket(), POLLIN, 0};
        ::poll(&socket, busy_.load() ? 0 : 1, 10);
      }
      if (!reply && Clock::now() - said < std::chrono::seconds{1}) continue;
      stream_->send(detail::wire::encode({applied, applied, applied, 0, false}));
      said = Clock::now();
    }
  }

  static void read(std::string_view bytes, btreemapped::Lsn& applied, bool& reply) {
    detail::wire::Frame frame;
    require(detail::wire::parse_frame(bytes, frame));
    if (const auto* const alive = std::get_if<detail::wire::Keepalive>(&frame)) {
      reply = alive->reply_requested;
      return;
    }
    detail::wire::Message message;
    require(detail::wire::parse_message(std::get<detail::wire::XLogData>(frame).payload, message));
    if (const auto* const commit = std::get_if<detail::wire::Commit>(&message)) {
      applied = commit->end_lsn;
      reply = true;
    }
  }

  static void require(btreemapped::Errc error) {
    if (error != btreemapped::Errc::ok) throw btreemapped::ProtocolError("not a message of the stream");
  }

  const std::string dsn_;
  const std::shared_ptr<detail::Interrupt> interrupt_ = std::make_shared<detail::Interrupt>();
  std::optional<detail::pq::ReplicationStream> stream_{};
  Rows rows_{};
  std::atomic<bool> busy_{false};
  std::atomic<std::size_t> copies_{0};
  std::atomic<std::size_t> published_{0};
  std::thread thread_{};
};

}  // namespace bench
