#include <string>
#include <vector>

#include <catch2/catch_test_macros.hpp>
#include <catch2/generators/catch_generators.hpp>

#include <btreemapped/detail/pq/stream.hpp>
#include <btreemapped/error.hpp>
#include <btreemapped/lsn.hpp>

using btreemapped::Lsn;
using btreemapped::UsageError;
using btreemapped::detail::pq::check_slot_name;
using btreemapped::detail::pq::start_replication_sql;

TEST_CASE("a stream is started at a position with the publications as identifiers inside one string") {
  const std::vector<std::string> publications{"cars_pub", "Mixed, \"quoted\" and it's"};
  CHECK(start_replication_sql("my_slot", Lsn{0x16B374D848}, publications) ==
        "START_REPLICATION SLOT \"my_slot\" LOGICAL 16/B374D848 (proto_version '1', publication_names "
        "'\"cars_pub\", \"Mixed, \"\"quoted\"\" and it''s\"', messages 'true')");
}

TEST_CASE("slot names of up to 63 letters, digits and underscores are accepted") {
  const std::string name = GENERATE(std::string{"a"}, std::string{"slot_1"}, std::string(63, 'z'));
  CHECK_NOTHROW(check_slot_name(name));
}

TEST_CASE("other slot names are refused") {
  const std::string name = GENERATE(std::string{}, std::string{"Slot"}, std::string{"a-b"}, std::string{"ä"},
                                    std::string{"a\" LOGICAL"}, std::string(64, 'z'));
  CHECK_THROWS_AS(check_slot_name(name), UsageError);
}
