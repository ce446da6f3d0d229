// A key names the field of another struct.
// expect: btreemapped: key<.* names a member that is not a field of the row
#include <cstddef>
#include <cstdint>
#include <string>

#include <btreemapped/replica.hpp>

struct Other {
  std::int32_t id;
};

struct Row {
  std::int32_t id;
  std::string text;

  static constexpr std::int32_t limit = 5;
  [[nodiscard]] std::int32_t twice() const { return 2 * id; }

  static constexpr auto key = btreemapped::key<&Other::id>;
};

std::size_t size(const btreemapped::Replica<Row>& rows) { return rows.size(); }
