#pragma once

#include <algorithm>
#include <chrono>
#include <exception>
#include <future>
#include <string>
#include <utility>
#include <vector>

#include <catch2/catch_test_macros.hpp>

#include <btreemapped/error.hpp>
#include <btreemapped/replicator.hpp>
#include <btreemapped/state.hpp>
#include <btreemapped/status.hpp>
#include <btreemapped/verification.hpp>

#include "support/eventually.hpp"
#include "support/threads.hpp"

namespace test {

/// A Replicator that is proved when it goes: each of its replicas must be found equal to its table then, unless the
/// test says why that cannot be. One that never showed a row, not started or refused say, has nothing to prove.
class Replicator : public btreemapped::Replicator {
 public:
  using btreemapped::Replicator::Replicator;

  Replicator(const Replicator&) = delete;
  Replicator& operator=(const Replicator&) = delete;
  ~Replicator() {
    if (std::uncaught_exceptions() > exceptions_ || !has_something_to_prove()) return;
    if (unproved_.empty()) {
      prove();
    } else {
      SUCCEED("it ends unproved: " << unproved_);
    }
  }

  /// Waits until each replica is judged, and wants it equal. Before stop() it stands for the proof at the end.
  void prove() {
    std::vector<btreemapped::TableVerification> tables;
    const auto all_judged = [&] {
      tables = verify({.timeout = std::chrono::seconds{5}});
      return std::none_of(tables.begin(), tables.end(), [](const btreemapped::TableVerification& each) {
        return each.verdict == btreemapped::Verdict::inconclusive;
      });
    };
    try {
      auto judged = std::async(std::launch::async, [&] { return eventually(all_judged); });
      // Whatever keeps a table from being read, such as a connection that is held, does so for ever.
      if (judged.wait_for(2 * patience) != std::future_status::ready) stop();
      static_cast<void>(judged.get());
    } catch (const btreemapped::Error& error) {
      FAIL_CHECK("nothing can be proved: " << error.what() << " (" << status().last_error << ")");
      return;
    }
    for (const btreemapped::TableVerification& each : tables) {
      INFO(each.table << ": " << each.missing << " rows missing, " << each.extra << " extra, " << each.different
                      << " different" << (each.why.empty() ? "" : "; ") << each.why);
      CHECK(each.verdict == btreemapped::Verdict::equal);
    }
    proved_ = true;
  }

  /// For a test that leaves nothing that can be proved.
  void ends_unproved(std::string why) { unproved_ = std::move(why); }

 private:
  bool has_something_to_prove() const {
    try {
      const btreemapped::ReplicatorState state = status().state;
      if (state == btreemapped::ReplicatorState::stopped) {
        synced().get();
        return !proved_;
      }
      return state != btreemapped::ReplicatorState::idle;
    } catch (const btreemapped::Error&) {  // it never showed a row, or this is a forked child
      return false;
    }
  }

  bool proved_ = false;
  std::string unproved_{};
  const int exceptions_ = std::uncaught_exceptions();
};

}  // namespace test
