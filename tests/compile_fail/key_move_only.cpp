// The map keeps a copy of the key fields.
// expect: btreemapped: a key field must be copyable
#include <cstddef>
#include <cstdint>
#include <memory>
#include <string_view>

#include <btreemapped/replica.hpp>

template <>
struct btreemapped::codec<std::unique_ptr<std::int32_t>> {
  static Errc decode(std::string_view text, std::unique_ptr<std::int32_t>& out) {
    out = std::make_unique<std::int32_t>(static_cast<std::int32_t>(text.size()));
    return Errc::ok;
  }
};

struct Row {
  std::unique_ptr<std::int32_t> id;
};

std::size_t size(const btreemapped::Replica<Row, 1>& rows) { return rows.size(); }
