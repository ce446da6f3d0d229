// nlohmann's operator< says that 2^53 < 2^53+1, and that both equal 2^53.0.
// expect: btreemapped: this type cannot be a key, as its operator< is no order
#include <cstddef>

#include <btreemapped/codec/nlohmann_json.hpp>
#include <btreemapped/replica.hpp>

struct Row {
  nlohmann::json document;
  int id;
};

std::size_t size(const btreemapped::Replica<Row, 1>& rows) { return rows.size(); }
