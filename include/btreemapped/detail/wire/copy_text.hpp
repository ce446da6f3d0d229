#pragma once

#include <cstddef>
#include <string>
#include <string_view>
#include <vector>

#include <btreemapped/detail/wire/message.hpp>
#include <btreemapped/error.hpp>

namespace btreemapped {
inline namespace v0 {
namespace detail {
namespace wire {

/// The value of a hexadecimal digit, or -1.
[[nodiscard]] constexpr int hex_digit(char digit) noexcept {
  if (digit >= '0' && digit <= '9') return digit - '0';
  if (digit >= 'a' && digit <= 'f') return digit - 'a' + 10;
  if (digit >= 'A' && digit <= 'F') return digit - 'A' + 10;
  return -1;
}

/// The byte that an escape of COPY's text format stands for; `position` is after the backslash and moves past the
/// escape. There must be a byte at `position`.
[[nodiscard]] constexpr char unescape(std::string_view text, std::size_t& position) noexcept {
  const char letter = text[position++];
  switch (letter) {
    case 'b': return '\b';
    case 'f': return '\f';
    case 'n': return '\n';
    case 'r': return '\r';
    case 't': return '\t';
    case 'v': return '\v';
    case 'x': {
      unsigned value = 0;
      const std::size_t first = position;
      while (position < text.size() && position < first + 2 && hex_digit(text[position]) >= 0)
        value = value * 16 + static_cast<unsigned>(hex_digit(text[position++]));
      return position == first ? letter : static_cast<char>(static_cast<unsigned char>(value));
    }
    default: break;
  }
  if (letter < '0' || letter > '7') return letter;
  unsigned value = static_cast<unsigned>(letter - '0');
  const std::size_t first = position;
  while (position < text.size() && position < first + 2 && text[position] >= '0' && text[position] <= '7')
    value = value * 8 + static_cast<unsigned>(text[position++] - '0');
  return static_cast<char>(static_cast<unsigned char>(value & 0xFFU));
}

/// Splits one row of COPY ... TO STDOUT in text format, with its newline, into cells; `cells` is empty after an error.
/// What PostgreSQL's own reader refuses (bare line breaks, the end marker "\.") is refused here too. A row without
/// columns has the same bytes as a row of one empty text, and is read as the latter.
/// Throws: std::bad_alloc.
/// Lifetime: a field without backslash is a view of `line`, any other of `scratch`, so `line` must be no view of it.
/// Source: https://www.postgresql.org/docs/current/sql-copy.html, "Text Format"
[[nodiscard]] inline Errc split_copy_line(std::string_view line, std::string& scratch, std::vector<Cell>& cells) {
  cells.clear();
  scratch.clear();
  if (line.empty() || line.back() != '\n') return Errc::truncated;
  line.remove_suffix(1);
  const auto failed = [&cells](Errc error) {
    cells.clear();
    return error;
  };

  constexpr std::size_t none = std::string_view::npos;
  // Both are looked for only as far as the next one, so the whole line is searched once for each.
  std::size_t tab = line.find('\t');
  std::size_t backslash = line.find('\\');
  // No text is longer than its escaped form: with this the views of `scratch` stay where they are.
  if (backslash != none) scratch.reserve(line.size());
  const bool has_breaks = line.find('\n') != none || line.find('\r') != none;
  const auto breaks = [&](std::size_t from, std::size_t to) {
    return has_breaks && line.substr(from, to - from).find_first_of("\n\r") != none;
  };

  for (std::size_t start = 0;; start = tab + 1, tab = line.find('\t', start)) {
    std::size_t end = tab == none ? line.size() : tab;
    if (backslash >= end) {  // also when there is none
      if (breaks(start, end)) return failed(Errc::invalid_message);
      cells.push_back({Cell::Kind::text, line.substr(start, end - start)});
      if (tab == none) return Errc::ok;
      continue;
    }

    const std::size_t unescaped = scratch.size();
    std::size_t position = start;
    while (backslash < end) {
      if (breaks(position, backslash)) return failed(Errc::invalid_message);
      scratch.append(line, position, backslash - position);
      position = backslash + 1;
      if (position == line.size()) return failed(Errc::truncated);  // the newline belongs to the row
      if (line[position] == '.') return failed(Errc::invalid_message);
      scratch.push_back(unescape(line, position));
      backslash = line.find('\\', position);
      if (tab < position) {  // the tab was escaped
        tab = line.find('\t', position);
        end = tab == none ? line.size() : tab;
      }
    }
    if (breaks(position, end)) return failed(Errc::invalid_message);
    scratch.append(line, position, end - position);
    // NULL is told from the text "N" by its raw form.
    if (line.substr(start, end - start) == "\\N") cells.push_back({});
    else cells.push_back({Cell::Kind::text, std::string_view{scratch}.substr(unescaped)});
    if (tab == none) return Errc::ok;
  }
}

}  // namespace wire
}  // namespace detail
}  // namespace v0
}  // namespace btreemapped
