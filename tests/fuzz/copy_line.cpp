// Any bytes as one row of COPY's text format.

#include <cstddef>
#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include <btreemapped/detail/wire/copy_text.hpp>
#include <btreemapped/detail/wire/message.hpp>
#include <btreemapped/error.hpp>

#include "fuzz/require.hpp"
#include "support/bytes.hpp"

namespace {

namespace wire = btreemapped::detail::wire;
using btreemapped::Errc;

/// One row as the server would send it.
std::string line_of(const std::vector<wire::Cell>& cells) {
  std::string line;
  for (const wire::Cell& cell : cells) {
    if (&cell != &cells.front()) line += '\t';
    if (cell.kind == wire::Cell::Kind::null) line += "\\N";
    for (const char byte : cell.text) {
      switch (byte) {
        case '\b': line += "\\b"; break;
        case '\f': line += "\\f"; break;
        case '\n': line += "\\n"; break;
        case '\r': line += "\\r"; break;
        case '\t': line += "\\t"; break;
        case '\v': line += "\\v"; break;
        case '\\': line += "\\\\"; break;
        default: line += byte; break;
      }
    }
  }
  return line + '\n';
}

void split(std::string_view line) {
  const test::ExactBytes bytes(line);
  std::string scratch = "of the row before";
  std::vector<wire::Cell> cells(3);
  if (wire::split_copy_line(bytes.view(), scratch, cells) != Errc::ok) {
    fuzz::require(cells.empty(), "a refused row has no cells");
    return;
  }
  fuzz::require(!cells.empty(), "a row has a cell at least");
  const std::vector<wire::Cell> first = cells;
  const test::ExactBytes again(line_of(first));
  std::string other_scratch;
  fuzz::require(wire::split_copy_line(again.view(), other_scratch, cells) == Errc::ok && cells == first,
                "a row that is written anew has the same cells");
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  const std::string_view line(reinterpret_cast<const char*>(data), size);
  split(line);
  if (!line.ends_with('\n')) split(std::string(line) + '\n');
  return 0;
}
