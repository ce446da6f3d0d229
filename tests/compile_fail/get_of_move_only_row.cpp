// A copy of a row that can only be moved.
// expect: btreemapped: a move-only row has no get\(\); use get_with
#include <cstdint>
#include <memory>
#include <string_view>

#include <btreemapped/replica.hpp>

struct Row {
  std::int32_t id;
  std::unique_ptr<std::int32_t> value;
};
template <>
struct btreemapped::codec<std::unique_ptr<std::int32_t>> {
  static Errc decode(std::string_view, std::unique_ptr<std::int32_t>&) { return Errc::ok; }
};

bool has(const btreemapped::Replica<Row, 1>& rows) { return rows.get(1).has_value(); }
