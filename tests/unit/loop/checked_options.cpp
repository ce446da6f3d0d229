#include <chrono>
#include <string>

#include <catch2/catch_test_macros.hpp>
#include <catch2/matchers/catch_matchers.hpp>
#include <catch2/matchers/catch_matchers_exception.hpp>
#include <catch2/matchers/catch_matchers_string.hpp>

#include <btreemapped/detail/loop/checked_options.hpp>
#include <btreemapped/error.hpp>
#include <btreemapped/options.hpp>

namespace {

using btreemapped::Options;
using btreemapped::UsageError;
using btreemapped::detail::check_options;
using btreemapped::detail::within_limits;
using Catch::Matchers::ContainsSubstring;
using Catch::Matchers::MessageMatches;
using std::chrono::milliseconds;

Options good_options() {
  Options options;
  options.connection = "host=localhost password=secret";
  options.publication = "pub";
  return options;
}

void must_be_refused(const Options& options, const std::string& because) {
  CHECK_THROWS_MATCHES(check_options(options), UsageError, MessageMatches(ContainsSubstring(because)));
}

}  // namespace

TEST_CASE("the default options are good but for connection and publication") {
  CHECK_NOTHROW(check_options(good_options()));
}

TEST_CASE("a duration that is not positive is refused by its member's name") {
  for (const milliseconds wrong : {milliseconds{0}, milliseconds{-1}, milliseconds::min()}) {
    for (const auto& each : btreemapped::detail::duration_options) {
      Options options = good_options();
      options.*each.value = wrong;
      must_be_refused(within_limits(options), std::string("Options::") + each.name);
    }
  }
}

TEST_CASE("the longest duration that there is becomes the longest that the server takes") {
  Options options = good_options();
  for (const auto& each : btreemapped::detail::duration_options) options.*each.value = milliseconds::max();
  const Options limited = within_limits(options);
  for (const auto& each : btreemapped::detail::duration_options) CHECK(limited.*each.value == milliseconds{2147483647});
  CHECK_NOTHROW(check_options(limited));
}

TEST_CASE("a duration within the limits stays as it is") {
  Options options = good_options();
  options.slot_timeout = milliseconds{1};
  CHECK(within_limits(options).slot_timeout == milliseconds{1});
  CHECK_NOTHROW(check_options(options));
}

TEST_CASE("a publication without a name, or with a zero byte in it, is refused") {
  Options options = good_options();
  options.publication.clear();
  must_be_refused(options, "Options::publication");
  options.publication = std::string("a\0b", 3);
  must_be_refused(options, "Options::publication");
}

TEST_CASE("a slot name that the server would refuse is refused") {
  Options options = good_options();
  options.slot_name = "Not a slot's name";
  must_be_refused(options, "slot name");
}

TEST_CASE("a failover slot that is not durable is refused") {
  Options options = good_options();
  options.slot_name = "mine";
  options.failover_slot = true;
  must_be_refused(options, "Options::failover_slot needs Options::durable_slot");
  options.durable_slot = true;
  CHECK_NOTHROW(check_options(options));
}

TEST_CASE("a connection string of the primary that cannot be read is refused") {
  Options options = good_options();
  options.primary_connection = "host=localhost oops";
  must_be_refused(options, "connection string");
}

TEST_CASE("a connection string that cannot be read is refused without a word of it") {
  Options options = good_options();
  options.connection += " oops";
  try {
    check_options(options);
    FAIL("it was taken");
  } catch (const UsageError& error) {
    CHECK_THAT(error.what(), ContainsSubstring("connection string"));
    CHECK_THAT(error.what(), !ContainsSubstring("secret"));
    CHECK_THAT(error.what(), !ContainsSubstring("oops"));
  }
}

TEST_CASE("a durable slot needs a name by which it is found again") {
  Options options = good_options();
  options.durable_slot = true;
  must_be_refused(options, "Options::slot_name");
  options.slot_name = "mine";
  CHECK_NOTHROW(check_options(options));
}

TEST_CASE("bounds of nothing are refused by their names") {
  Options options = good_options();
  options.max_transaction_bytes = 0;
  must_be_refused(options, "Options::max_transaction_bytes");
  options = good_options();
  options.max_log_bytes = 0;
  must_be_refused(options, "Options::max_log_bytes");
}
