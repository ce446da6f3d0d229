// Copies of rows that can only be moved.
// expect: btreemapped: a move-only row has no to_vector\(\); use for_each
#include <cstddef>
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

std::size_t count(const btreemapped::Replica<Row, 1>& rows) { return rows.to_vector().size(); }
