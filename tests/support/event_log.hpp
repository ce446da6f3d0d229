#pragma once

#include <algorithm>
#include <condition_variable>
#include <cstddef>
#include <functional>
#include <memory>
#include <mutex>
#include <stdexcept>
#include <string>
#include <string_view>
#include <vector>

#include <btreemapped/status.hpp>

#include "support/threads.hpp"

namespace test {

/// Remembers all events of a Replicator, and waits for them. It may go before the Replicator does.
class EventLog {
 public:
  /// For Options::on_event.
  [[nodiscard]] std::function<void(const btreemapped::Event&)> hook() const {
    return [shared = shared_](const btreemapped::Event& event) {
      const std::lock_guard lock(shared->mutex);
      shared->events.push_back(event);
      shared->changed.notify_all();
    };
  }

  /// The nth event of a kind (and table), counted from 1, when it has come.
  /// Throws: when it does not come in time.
  [[nodiscard]] btreemapped::Event wait_for(btreemapped::EventKind kind, std::size_t nth = 1,
                                            std::string_view table = {}) const {
    return wait_for("event '" + std::string{to_string(kind)} + "'", nth,
                    [&](const btreemapped::Event& event) { return matches(event, kind, table); });
  }

  /// The first event whose message holds this, when it has come.
  /// Throws: when it does not come in time.
  [[nodiscard]] btreemapped::Event wait_for_message(std::string_view text) const {
    return wait_for("an event that says '" + std::string{text} + "'", 1,
                    [&](const btreemapped::Event& event) { return event.message.find(text) != std::string::npos; });
  }

  [[nodiscard]] std::size_t count(btreemapped::EventKind kind, std::string_view table = {}) const {
    const std::lock_guard lock(shared_->mutex);
    return static_cast<std::size_t>(std::count_if(shared_->events.begin(), shared_->events.end(),
                                                  [&](const auto& event) { return matches(event, kind, table); }));
  }

  [[nodiscard]] std::vector<btreemapped::Event> all() const {
    const std::lock_guard lock(shared_->mutex);
    return shared_->events;
  }

  /// The last ones, for the message of a failure.
  [[nodiscard]] std::string describe() const {
    const std::lock_guard lock(shared_->mutex);
    return shared_->describe();
  }

 private:
  struct Shared {
    std::mutex mutex;
    std::condition_variable changed;
    std::vector<btreemapped::Event> events;

    [[nodiscard]] std::string describe() const {
      std::string all;
      for (std::size_t i = events.size() - std::min<std::size_t>(events.size(), 20); i < events.size(); ++i)
        all += "\n  " + std::string{to_string(events[i].kind)} + " " + events[i].table + ": " + events[i].message;
      return all;
    }
  };

  static bool matches(const btreemapped::Event& event, btreemapped::EventKind kind, std::string_view table) {
    return event.kind == kind && (table.empty() || event.table == table);
  }

  template <class Matches>
  [[nodiscard]] btreemapped::Event wait_for(const std::string& what, std::size_t nth, const Matches& is_it) const {
    std::unique_lock lock(shared_->mutex);
    std::size_t place = 0;
    const bool found = shared_->changed.wait_for(lock, patience, [&] {
      std::size_t count = 0;
      for (place = 0; place < shared_->events.size(); ++place)
        if (is_it(shared_->events[place]) && ++count == nth) return true;
      return false;
    });
    if (!found) throw std::runtime_error(what + " has not come; the last were:" + shared_->describe());
    return shared_->events[place];
  }

  std::shared_ptr<Shared> shared_ = std::make_shared<Shared>();
};

}  // namespace test
