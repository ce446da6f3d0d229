#include <chrono>
#include <cstddef>
#include <exception>
#include <stdexcept>
#include <string>

#include <catch2/catch_test_macros.hpp>
#include <catch2/matchers/catch_matchers.hpp>
#include <catch2/matchers/catch_matchers_string.hpp>

#include <btreemapped/detail/loop/failure.hpp>
#include <btreemapped/detail/loop/failure_policy.hpp>
#include <btreemapped/error.hpp>
#include <btreemapped/options.hpp>

// After which failures to go on, where, and how often.

namespace {

using btreemapped::ConnectionError;
using btreemapped::Error;
using btreemapped::Options;
using btreemapped::ProtocolError;
using btreemapped::SchemaError;
using btreemapped::SlotError;
using btreemapped::detail::FailurePolicy;
using btreemapped::detail::leaves_slot_usable;
using btreemapped::detail::message_of;
using btreemapped::detail::RebuildNeeded;
using Catch::Matchers::ContainsSubstring;

std::exception_ptr lost() { return std::make_exception_ptr(ConnectionError("lost", {.retryable = true})); }
std::exception_ptr terminated() {
  return std::make_exception_ptr(ConnectionError("terminated", {.sqlstate = "57P01", .retryable = true}));
}
/// The stream has ended with an error that another one like it would end with, too.
std::exception_ptr publication_gone() {
  return std::make_exception_ptr(ConnectionError("no publication", {.sqlstate = "42704"}));
}

Options allowing(std::size_t rebuilds) {
  Options options;
  options.max_rebuilds_per_hour = rebuilds;
  return options;
}

}  // namespace

TEST_CASE("a stream goes on where it was after a lost connection, not after what would end it again", "[failure]") {
  CHECK(leaves_slot_usable(lost()));
  CHECK(leaves_slot_usable(terminated()));
  CHECK(leaves_slot_usable(std::make_exception_ptr(SlotError("in use", {.sqlstate = "55006", .retryable = true}))));
  CHECK(
      leaves_slot_usable(std::make_exception_ptr(SchemaError("cancelled", {.sqlstate = "57014", .retryable = true}))));
  CHECK_FALSE(leaves_slot_usable(publication_gone()));
  CHECK_FALSE(leaves_slot_usable(std::make_exception_ptr(SlotError("gone", {.sqlstate = "42704"}))));
  CHECK_FALSE(leaves_slot_usable(std::make_exception_ptr(ProtocolError("nonsense", {.retryable = true}))));
  CHECK_FALSE(leaves_slot_usable(std::make_exception_ptr(RebuildNeeded("too long", {.retryable = true}))));
  CHECK_FALSE(leaves_slot_usable(std::make_exception_ptr(std::runtime_error("what is this"))));
}

TEST_CASE("lost connections are mended by copies for ever", "[failure]") {
  FailurePolicy policy(allowing(2));
  for (int i = 0; i < 100; ++i) {
    policy.copied();
    CHECK(policy.forbid_rebuild(i % 2 == 0 ? lost() : terminated(), false) == nullptr);
  }
}

TEST_CASE("what ends copy after copy ends them all, by its own words", "[failure]") {
  FailurePolicy policy(allowing(2));
  for (int i = 0; i < 2; ++i) {
    policy.copied();
    CHECK(policy.forbid_rebuild(publication_gone(), false) == nullptr);
  }
  policy.copied();
  const std::exception_ptr end = policy.forbid_rebuild(publication_gone(), false);
  REQUIRE(end != nullptr);
  CHECK_THAT(message_of(end), ContainsSubstring("2 times") && ContainsSubstring("no publication"));
  CHECK_FALSE(policy.is_retryable(end));
}

TEST_CASE("copies of all tables for want of a second slot are not counted, as they mend what they are for",
          "[failure]") {
  FailurePolicy policy(allowing(1));
  for (const char* const sqlstate : {"53400", "53300"}) {
    const auto full = std::make_exception_ptr(RebuildNeeded("full", {.sqlstate = sqlstate, .retryable = true}));
    for (int i = 0; i < 10; ++i) {
      policy.copied();
      CHECK(policy.forbid_rebuild(full, false) == nullptr);
    }
  }
}

TEST_CASE("attempts that never got as far as a copy are not counted", "[failure]") {
  FailurePolicy policy(allowing(1));
  policy.copied();
  CHECK(policy.forbid_rebuild(publication_gone(), false) == nullptr);
  for (int i = 0; i < 100; ++i) CHECK(policy.forbid_rebuild(publication_gone(), false) == nullptr);
}

TEST_CASE("a copy that fails for good is counted, one that may succeed later is not", "[failure]") {
  FailurePolicy policy(allowing(1));
  const auto locked = std::make_exception_ptr(SchemaError("locked", {.sqlstate = "55P03", .retryable = true}));
  for (int i = 0; i < 10; ++i) CHECK(policy.forbid_rebuild(locked, true) == nullptr);
  const auto broken = std::make_exception_ptr(ProtocolError("broken"));
  CHECK(policy.forbid_rebuild(broken, true) == nullptr);
  CHECK(policy.forbid_rebuild(broken, true) != nullptr);
}

TEST_CASE("a slot's name that is taken is waited for as long as the slot itself", "[failure]") {
  Options options;
  const auto taken = std::make_exception_ptr(SlotError("taken", {.sqlstate = "55006", .retryable = true}));
  options.slot_timeout = std::chrono::hours{1};
  CHECK(FailurePolicy(options).is_retryable(taken));
  options.slot_timeout = std::chrono::milliseconds{0};
  CHECK_FALSE(FailurePolicy(options).is_retryable(taken));
}
