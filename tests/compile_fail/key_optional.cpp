// A key column is never NULL.
// expect: btreemapped: a key field cannot be std::optional
#include <cstddef>
#include <cstdint>
#include <optional>
#include <string>

#include <btreemapped/replica.hpp>

struct Row {
  std::optional<std::int32_t> id;
  std::string text;
};

std::size_t size(const btreemapped::Replica<Row, 1>& rows) { return rows.size(); }
