// Bytes, bits, addresses and identifiers.
#include <catch2/catch_test_macros.hpp>

#include "oracle.hpp"
#include "support/database.hpp"
#include "support/type_list.hpp"

namespace types_test {

TEST_CASE("bytes, bits and addresses are what the server has, through copy and stream", "[values]") {
  test::Database database;
  Oracle oracle(database);
  oracle.add_all(test::other_types);
  oracle.run(database.options());
}

TEST_CASE("bytes, bits and addresses are what the server has, whatever database and role prefer", "[values]") {
  UnfriendlyDatabase database;
  Oracle oracle(database);
  oracle.add_all(test::other_types);
  oracle.run(database.options_of_hurried_role());
}

}  // namespace types_test
