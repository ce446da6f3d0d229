#pragma once

#include <atomic>
#include <chrono>
#include <memory>
#include <optional>
#include <string>
#include <thread>
#include <variant>

#include <poll.h>

#include <btreemapped.hpp>

namespace bench {

namespace detail = btreemapped::detail;

/// Streams the publication "pub" by a slot "naive", and acknowledges each commit that it receives, and nothing else: at
/// once, and again every second or when it is asked.
class NaiveClient {
 public:
  explicit NaiveClient(const std::string& dsn)
      : stream_(detail::pq::ReplicationStream::open(dsn, interrupt_, detail::no_deadline)) {
    static_cast<void>(stream_.create_slot("naive", std::chrono::seconds{30}, detail::no_deadline));
    const std::string publications[] = {"pub"};
    stream_.start("naive", btreemapped::Lsn{}, publications, detail::no_deadline);
    thread_ = std::thread([this] { run(); });
  }
  NaiveClient(const NaiveClient&) = delete;
  NaiveClient& operator=(const NaiveClient&) = delete;
  ~NaiveClient() {
    stop_.store(true);
    interrupt_->interrupt();
    thread_.join();
  }

  /// While it is busy it does not read.
  void be_busy(bool busy) { busy_.store(busy); }

 private:
  using Clock = std::chrono::steady_clock;

  void run() {
    try {
      btreemapped::Lsn applied{};
      auto said = Clock::now();
      while (!stop_.load()) {
        bool reply = false;
        if (const auto bytes = busy_.load() ? std::nullopt : stream_.receive()) {
          if (!read(*bytes, applied, reply)) return;
        } else {
          pollfd socket{stream_.socket(), POLLIN, 0};
          ::poll(&socket, busy_.load() ? 0 : 1, 10);
        }
        if (!reply && Clock::now() - said < std::chrono::seconds{1}) continue;
        stream_.send(detail::wire::encode({applied, applied, applied, 0, false}));
        said = Clock::now();
      }
    } catch (const btreemapped::Error&) {
      return;  // the server has gone
    }
  }

  template <class Bytes>
  static bool read(const Bytes& bytes, btreemapped::Lsn& applied, bool& reply) {
    detail::wire::Frame frame;
    if (detail::wire::parse_frame(bytes, frame) != btreemapped::Errc::ok) return false;
    if (const auto* const alive = std::get_if<detail::wire::Keepalive>(&frame)) {
      reply = alive->reply_requested;
      return true;
    }
    detail::wire::Message message;
    const auto payload = std::get<detail::wire::XLogData>(frame).payload;
    if (detail::wire::parse_message(payload, message) != btreemapped::Errc::ok) return false;
    if (const auto* const commit = std::get_if<detail::wire::Commit>(&message)) {
      applied = commit->end_lsn;
      reply = true;
    }
    return true;
  }

  std::shared_ptr<detail::Interrupt> interrupt_ = std::make_shared<detail::Interrupt>();
  detail::pq::ReplicationStream stream_;
  std::atomic<bool> stop_{false};
  std::atomic<bool> busy_{false};
  std::thread thread_;
};

}  // namespace bench
