#pragma once

#include <array>
#include <cstddef>
#include <string>
#include <string_view>

#include <btreemapped/detail/wire/message.hpp>

namespace btreemapped {
inline namespace v0 {
namespace detail {

/// How a quoted piece tells a quote or backslash of its own: arrays and hstore by a backslash, composite types and
/// ranges by doubling it.
enum class Quoting : bool { backslash, doubled };

/// The characters that are never printed without quotes in one kind of text. All kinds quote blanks.
using Specials = std::array<bool, 256>;

[[nodiscard]] consteval Specials specials(std::string_view characters) {
  Specials out{};
  for (const char c : characters) out[static_cast<unsigned char>(c)] = true;
  for (const char c : std::string_view{"\"\\ \t\n\r\v\f"}) out[static_cast<unsigned char>(c)] = true;
  return out;
}

inline constexpr Specials array_specials = specials("{}");  // and the delimiter
inline constexpr Specials composite_specials = specials("(),");
inline constexpr Specials range_specials = specials("()[],");

/// Reads the texts that are made of other texts, from left to right, as strictly as PostgreSQL prints them.
class PieceReader {
 public:
  explicit PieceReader(std::string_view text) noexcept : text_(text) {}

  /// How far the text is read.
  [[nodiscard]] std::size_t position() const noexcept { return at_; }
  /// What has been read since a position, as it is printed.
  [[nodiscard]] std::string_view since(std::size_t start) const noexcept { return text_.substr(start, at_ - start); }

  [[nodiscard]] bool at_end() const noexcept { return at_ == text_.size(); }
  [[nodiscard]] bool sees(char c) const noexcept { return at_ < text_.size() && text_[at_] == c; }

  bool accept(char c) noexcept {
    if (!sees(c)) return false;
    ++at_;
    return true;
  }
  bool accept(std::string_view text) noexcept {
    if (!text_.substr(at_).starts_with(text)) return false;
    at_ += text.size();
    return true;
  }

  /// All up to a special character or the delimiter. May be empty.
  [[nodiscard]] std::string_view bare(const Specials& special, char delimiter) noexcept {
    const std::size_t start = at_;
    while (at_ < text_.size() && text_[at_] != delimiter && !special[static_cast<unsigned char>(text_[at_])]) ++at_;
    return text_.substr(start, at_ - start);
  }

  /// What stands between a quote, which has just been accepted, and the closing one; false if that is not there.
  /// Lifetime: `out` views the text, or this reader.
  template <Quoting How>
  [[nodiscard]] bool quoted(std::string_view& out) {
    std::size_t start = at_;
    const std::size_t unescaped = scratch_.size();
    for (; at_ < text_.size(); ++at_) {
      const char c = text_[at_];
      if (c != '"' && c != '\\') continue;
      const char next = at_ + 1 < text_.size() ? text_[at_ + 1] : '\0';
      if (How == Quoting::doubled ? next == c : c == '\\' && (next == '"' || next == '\\')) {
        // All that is ever unescaped is shorter than the text, so that no view into it is left dangling.
        if (scratch_.empty()) scratch_.reserve(text_.size());
        scratch_.append(text_.substr(start, at_ - start)).push_back(next);
        ++at_;
        start = at_ + 1;
      } else if (c == '"') {
        out = text_.substr(start, at_ - start);
        if (scratch_.size() != unescaped) {
          scratch_.append(out);
          out = std::string_view{scratch_}.substr(unescaped);
        }
        ++at_;
        return true;
      } else {
        return false;
      }
    }
    return false;
  }

  /// One value of a composite type, or one bound of a range: text, bare or quoted, or nothing at all, which is NULL.
  /// False if the text is none.
  [[nodiscard]] bool value_or_nothing(const Specials& special, wire::Cell& out) {
    if (accept('"')) {
      out.kind = wire::Cell::Kind::text;
      return quoted<Quoting::doubled>(out.text);
    }
    out.text = bare(special, ',');
    out.kind = out.text.empty() ? wire::Cell::Kind::null : wire::Cell::Kind::text;
    return true;
  }

 private:
  std::string_view text_;
  std::size_t at_ = 0;
  std::string scratch_{};
};

}  // namespace detail
}  // namespace v0
}  // namespace btreemapped
