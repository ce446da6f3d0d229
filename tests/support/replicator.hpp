#pragma once

#include <chrono>
#include <exception>
#include <future>
#include <string>
#include <vector>

#include <catch2/catch_test_macros.hpp>

#include <btreemapped/error.hpp>
#include <btreemapped/replicator.hpp>
#include <btreemapped/state.hpp>
#include <btreemapped/status.hpp>
#include <btreemapped/verification.hpp>

namespace test {

/// A Replicator that is proved when it goes: where it still follows, its replicas must be equal to their tables.
/// What the test has left in the way of a verdict, such as a transaction or a connection that is held, is no failure.
class Replicator : public btreemapped::Replicator {
 public:
  using btreemapped::Replicator::Replicator;

  Replicator(const Replicator&) = delete;
  Replicator& operator=(const Replicator&) = delete;
  ~Replicator() {
    if (proves_ && std::uncaught_exceptions() == exceptions_) prove();
  }

  /// For a test that is about rows that are wrong.
  void ends_different() noexcept { proves_ = false; }

 private:
  void prove() {
    try {
      if (status().state != btreemapped::ReplicatorState::streaming) return;
      btreemapped::VerifyOptions options;
      options.timeout = std::chrono::seconds{1};
      auto proof = std::async(std::launch::async, [&] { return verify(options); });
      if (proof.wait_for(std::chrono::seconds{10}) != std::future_status::ready) stop();
      for (const btreemapped::TableVerification& each : proof.get()) {
        INFO(each.table << " at the end: " << each.missing << " rows missing, " << each.extra << " extra, "
                        << each.different << " different");
        CHECK(each.verdict != btreemapped::Verdict::different);
      }
    } catch (const btreemapped::Error&) {  // it was stopped, or this is a forked child
    }
  }

  bool proves_ = true;
  const int exceptions_ = std::uncaught_exceptions();
};

}  // namespace test
