#include <cstddef>
#include <cstdint>
#include <iterator>
#include <random>
#include <string>
#include <string_view>
#include <vector>

#include <catch2/catch_test_macros.hpp>

#include <btreemapped/detail/wire/copy_text.hpp>

#include "support/bytes.hpp"
#include "support/captured_wire.hpp"
#include "support/random.hpp"

namespace wire = btreemapped::detail::wire;
namespace captured = test::captured;
using btreemapped::Errc;
using test::below;
using test::ExactBytes;
using test::from_hex;
using wire::Cell;
using Cells = std::vector<Cell>;

namespace {

constexpr Cell null{};
constexpr Cell text(std::string_view value) { return {Cell::Kind::text, value}; }

/// One split line together with what its cells view.
struct Split {
  explicit Split(std::string_view line) : bytes(line), error(wire::split_copy_line(bytes.view(), scratch, cells)) {}
  Split(const Split&) = delete;
  Split& operator=(const Split&) = delete;

  ExactBytes bytes;
  std::string scratch{};
  Cells cells{};
  Errc error;
};

Errc error_of(std::string_view line) {
  const Split split{line};
  if (split.error != Errc::ok) CHECK(split.cells.empty());
  return split.error;
}

/// The value of a line with one column.
std::string value_of(std::string_view line) {
  const Split split{line};
  CAPTURE(line);
  REQUIRE(split.error == Errc::ok);
  REQUIRE(split.cells.size() == 1);
  REQUIRE(split.cells.front().kind == Cell::Kind::text);
  return std::string{split.cells.front().text};
}

bool is_value(const Cell& cell, std::string_view hex) {
  return hex == "NULL" ? cell == null : cell == text(from_hex(hex));
}

}  // namespace

TEST_CASE("fields are separated by tabs and may be empty", "[unit][wire][copy]") {
  CHECK(Split{"a\tbc\td\n"}.cells == Cells{text("a"), text("bc"), text("d")});
  CHECK(Split{"\t\n"}.cells == Cells{text(""), text("")});
  CHECK(Split{"\tx\t\n"}.cells == Cells{text(""), text("x"), text("")});
}

TEST_CASE("NULL is neither the empty text nor a text that spells its sign", "[unit][wire][copy]") {
  CHECK(Split{"\\N\t\t\\\\N\tN\n"}.cells == Cells{null, text(""), text("\\N"), text("N")});
  CHECK(Split{"\\N\n"}.cells == Cells{null});
}

TEST_CASE("NULL is the whole field or not at all", "[unit][wire][copy]") {
  CHECK(value_of("\\N \n") == "N ");
  CHECK(value_of("a\\N\n") == "aN");
  CHECK(value_of("\\N\\N\n") == "NN");
}

TEST_CASE("every escaped letter is its control character", "[unit][wire][copy]") {
  CHECK(value_of("\\b\\f\\n\\r\\t\\v\\\\\n") == "\b\f\n\r\t\v\\");
}

TEST_CASE("a backslash before any other character is dropped", "[unit][wire][copy]") {
  CHECK(value_of("\\a\\q\\\"\\8\\9\n") == "aq\"89");
}

TEST_CASE("octal escapes have one to three digits and wrap at a byte", "[unit][wire][copy]") {
  CHECK(value_of("\\1\n") == "\x01");
  CHECK(value_of("\\12\n") == "\n");
  CHECK(value_of("\\101\n") == "A");
  CHECK(value_of("\\1012\n") == "A2");
  CHECK(value_of("\\18\n") == from_hex("0138"));
  CHECK(value_of("\\777\n") == "\xff");
}

TEST_CASE("hexadecimal escapes have one or two digits", "[unit][wire][copy]") {
  CHECK(value_of("\\x4\n") == "\x04");
  CHECK(value_of("\\x4A\n") == "J");
  CHECK(value_of("\\x4a4\n") == "J4");
  CHECK(value_of("\\xff\n") == "\xff");
}

TEST_CASE("an x without hexadecimal digits is the letter", "[unit][wire][copy]") {
  CHECK(value_of("\\x\n") == "x");
  CHECK(value_of("\\xg\n") == "xg");
  CHECK(value_of("\\X41\n") == "X41");
}

TEST_CASE("an escape does not reach into the next field", "[unit][wire][copy]") {
  CHECK(Split{"\\x4\t1\n"}.cells == Cells{text("\x04"), text("1")});
  CHECK(Split{"\\1\t1\n"}.cells == Cells{text("\x01"), text("1")});
  CHECK(Split{"\\x\t41\n"}.cells == Cells{text("x"), text("41")});
}

TEST_CASE("an escaped backslash does not escape what follows it", "[unit][wire][copy]") {
  CHECK(Split{"\\\\\t\\\\\\\\\n"}.cells == Cells{text("\\"), text("\\\\")});
  CHECK(value_of("\\\\n\n") == "\\n");
}

TEST_CASE("an escaped tab or newline is data", "[unit][wire][copy]") {
  CHECK(Split{"a\\\tb\tc\n"}.cells == Cells{text("a\tb"), text("c")});
  CHECK(value_of("a\\\nb\n") == "a\nb");
}

TEST_CASE("the text of the end marker is data when it is escaped", "[unit][wire][copy]") {
  CHECK(value_of("\\\\.\n") == "\\.");
  CHECK(value_of(".\n") == ".");
}

TEST_CASE("the end marker of files is refused, as the server refuses it within a line", "[unit][wire][copy]") {
  CHECK(error_of("\\.\n") == Errc::invalid_message);
  CHECK(error_of("ab\\.cd\n") == Errc::invalid_message);
}

TEST_CASE("a row without columns and one with an empty text are the same line", "[unit][wire][copy]") {
  CHECK(Split{"\n"}.cells == Cells{text("")});  // captured from COPY of a table without columns
}

TEST_CASE("what the server writes reads as the values that it reports", "[unit][wire][copy]") {
  for (const captured::CopiedRow& row : captured::copied_rows) {
    CAPTURE(row.line);
    const Split split{from_hex(row.line)};
    REQUIRE(split.error == Errc::ok);
    REQUIRE(split.cells.size() == 2);
    CHECK(is_value(split.cells[0], row.first));
    CHECK(is_value(split.cells[1], row.second));
  }
}

TEST_CASE("what the server's own reader understands is understood the same", "[unit][wire][copy]") {
  for (const captured::ReadLine& read : captured::read_lines) CHECK(value_of(read.line) == from_hex(read.value));
}

TEST_CASE("every strict prefix of a line that the server wrote is truncated", "[unit][wire][copy]") {
  for (const captured::CopiedRow& row : captured::copied_rows) {
    const std::string line = from_hex(row.line);
    CAPTURE(row.line);
    for (std::size_t size = 0; size < line.size(); ++size)
      CHECK(error_of(std::string_view{line}.substr(0, size)) == Errc::truncated);
  }
}

TEST_CASE("a line whose newline is escaped is truncated", "[unit][wire][copy]") {
  CHECK(error_of("\\\n") == Errc::truncated);
  CHECK(error_of("a\tb\\\n") == Errc::truncated);
  CHECK(error_of("\\\\\\\n") == Errc::truncated);
}

TEST_CASE("a bare line break inside a line is refused", "[unit][wire][copy]") {
  for (const std::string_view line : {"\n\n", "a\nb\n", "a\tb\n\n", "\\t\n\n", "a\nb\\t\n", "\\t\nb\\t\n", "\\\\\n\n"})
    CHECK(error_of(line) == Errc::invalid_message);
  for (const std::string_view line : {"\r\n", "a\rb\n", "a\t\r\n", "\\t\r\n"})
    CHECK(error_of(line) == Errc::invalid_message);
}

TEST_CASE("a field without backslash views the line and any other the scratch", "[unit][wire][copy]") {
  const Split split{"plain\tesc\\taped\tmore\\\\\t\n"};
  REQUIRE(split.cells.size() == 4);
  const auto in_scratch = [&](std::string_view view) {
    return view.data() >= split.scratch.data() &&
           view.data() + view.size() <= split.scratch.data() + split.scratch.size();
  };
  CHECK(split.bytes.holds(split.cells[0].text));
  CHECK(in_scratch(split.cells[1].text));
  CHECK(in_scratch(split.cells[2].text));
  CHECK(split.bytes.holds(split.cells[3].text));
}

TEST_CASE("views of the scratch survive many long fields", "[unit][wire][copy]") {
  std::string line;
  for (int i = 0; i < 200; ++i) line += (i == 0 ? "" : "\t") + std::string(static_cast<std::size_t>(i), 'x') + "\\\\";
  const Split split{line + '\n'};
  REQUIRE(split.cells.size() == 200);
  for (std::size_t i = 0; i < split.cells.size(); ++i) CHECK(split.cells[i] == text(std::string(i, 'x') + "\\"));
}

TEST_CASE("a second line reuses the caller's memory", "[unit][wire][copy]") {
  std::string scratch;
  Cells cells;
  REQUIRE(wire::split_copy_line("a long line with an escape\\n in it\tb\tc\n", scratch, cells) == Errc::ok);
  const char* const text_memory = scratch.data();
  const Cell* const cell_memory = cells.data();
  REQUIRE(wire::split_copy_line("shorter\\n\td\n", scratch, cells) == Errc::ok);
  CHECK(cells == Cells{text("shorter\n"), text("d")});
  CHECK(scratch.data() == text_memory);
  CHECK(cells.data() == cell_memory);
}

TEST_CASE("a line that is refused leaves no cells of the line before", "[unit][wire][copy]") {
  std::string scratch;
  Cells cells;
  REQUIRE(wire::split_copy_line("a\tb\n", scratch, cells) == Errc::ok);
  CHECK(wire::split_copy_line("c\td", scratch, cells) == Errc::truncated);
  CHECK(cells.empty());
}

TEST_CASE("no damage to a line makes a cell leave the line and the scratch", "[unit][wire][copy]") {
  constexpr std::string_view alphabet{"\\\\\\\\\t\nN.xab018f\r\0\xff", 18};
  std::mt19937_64 generator = test::seeded_generator("damaged lines");
  std::size_t accepted = 0;
  for (int round = 0; round < 100'000; ++round) {
    std::string line = from_hex(captured::copied_rows[below(generator, std::size(captured::copied_rows))].line);
    for (std::uint64_t stroke = below(generator, 6); stroke != 0; --stroke) {
      const std::size_t position = below(generator, line.size());
      const char byte = alphabet[below(generator, alphabet.size())];
      if (below(generator, 2) == 0) line[position] = byte;
      else line.insert(position, 1, byte);
    }
    const Split split{line};
    if (split.error != Errc::ok) {
      CHECK(split.cells.empty());
      continue;
    }
    ++accepted;
    for (const Cell& cell : split.cells) {
      const char* const begin = split.scratch.data();
      const bool inside =
          cell.kind == Cell::Kind::null || split.bytes.holds(cell.text) ||
          (cell.text.data() >= begin && cell.text.data() + cell.text.size() <= begin + split.scratch.size());
      if (!inside) FAIL("round " << round);
    }
  }
  CHECK(accepted > 1000);
}
