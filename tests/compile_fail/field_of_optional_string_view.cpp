// A view in an optional dangles as well.
// expect: btreemapped: a field is a view or pointer and would dangle
#include <cstddef>
#include <cstdint>
#include <optional>
#include <string_view>

#include <btreemapped/replica.hpp>

struct Row {
  std::int32_t id;
  std::optional<std::string_view> text;
};

std::size_t size(const btreemapped::Replica<Row, 1>& rows) { return rows.size(); }
