#pragma once

#include <string>
#include <string_view>
#include <vector>

namespace types_test {

/// How the values of a column are compared with ours.
enum class Order {
  ours,   ///< < and = of PostgreSQL are those of the field
  bytes,  ///< likewise under COLLATE "C"
  other,  ///< none, or another one than that of the text
};

/// Values that one of PostgreSQL's types can have.
struct Literals {
  std::string_view type;  ///< as the README calls it, or where it does not, as a column is declared
  Order order;
  std::vector<std::string> texts;  ///< as the type's input function reads them, none twice
  int since = 0;                   ///< the first version of the server that reads them
  std::string_view setup = {};     ///< SQL that makes the type
};

/// Values of all types. To feed more through copy and stream, add them here.
[[nodiscard]] const std::vector<Literals>& all_literals();

/// Those of one type, all its entries together, that this version of the server knows.
[[nodiscard]] std::vector<std::string> literals_of(std::string_view type, int server_version);

}  // namespace types_test
