#pragma once

#include <algorithm>
#include <compare>
#include <cstddef>
#include <functional>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include <btreemapped/detail/codec/hash.hpp>

namespace btreemapped {
inline namespace v0 {

/// PostgreSQL's bit and bit varying: a row of bits of any length.
///
/// Order and equality are PostgreSQL's: by the first bit that differs, else the shorter one comes first.
class BitString {
 public:
  /// No bits, which a moved-from value has, too.
  BitString() noexcept = default;

  /// Reads what PostgreSQL prints, zeros and ones; empty for anything else.
  [[nodiscard]] static std::optional<BitString> parse(std::string_view text) {
    std::optional<BitString> parsed(std::in_place);
    parsed->bytes_.resize(text.size() / 8 + (text.size() % 8 == 0 ? 0 : 1));
    parsed->unused_ = static_cast<unsigned char>(parsed->bytes_.size() * 8 - text.size());
    for (std::size_t at = 0; at < text.size(); ++at) {
      if (text[at] == '1') parsed->bytes_[at / 8] |= std::byte{0x80} >> (at % 8);
      else if (text[at] != '0') return std::nullopt;
    }
    return parsed;
  }

  /// The number of bits.
  [[nodiscard]] std::size_t size() const noexcept { return bytes_.empty() ? 0 : bytes_.size() * 8 - unused_; }
  /// Are there no bits?
  [[nodiscard]] bool empty() const noexcept { return bytes_.empty(); }

  /// The bit at this position, which must be below size(); 0 is the leftmost.
  [[nodiscard]] bool operator[](std::size_t at) const noexcept {
    return (bytes_[at / 8] & (std::byte{0x80} >> (at % 8))) != std::byte{0};
  }

  /// The bits, eight to a byte.
  /// Shape: the leftmost bit is the highest of the first byte; what the last byte has left is zero.
  /// Lifetime: a view of this object.
  [[nodiscard]] std::span<const std::byte> bytes() const noexcept { return bytes_; }

  friend std::strong_ordering operator<=>(const BitString& a, const BitString& b) noexcept {
    // Bits that are not there are zero in the last byte, so that a prefix is found equal and its length decides.
    const std::size_t common = std::min(a.bytes_.size(), b.bytes_.size());
    const auto [left, right] =
        std::mismatch(a.bytes_.begin(), a.bytes_.begin() + static_cast<std::ptrdiff_t>(common), b.bytes_.begin());
    if (left != a.bytes_.begin() + static_cast<std::ptrdiff_t>(common)) return *left <=> *right;
    return a.size() <=> b.size();
  }
  friend bool operator==(const BitString& a, const BitString& b) noexcept {
    return a.size() == b.size() && a.bytes_ == b.bytes_;
  }

 private:
  std::vector<std::byte> bytes_{};
  unsigned char unused_ = 0;  // bits of the last byte
};

/// The bits as PostgreSQL prints them, "101".
[[nodiscard]] inline std::string to_string(const BitString& bits) {
  std::string text(bits.size(), '0');
  for (std::size_t at = 0; at < text.size(); ++at)
    if (bits[at]) text[at] = '1';
  return text;
}

}  // namespace v0
}  // namespace btreemapped

template <>
struct std::hash<btreemapped::BitString> {
  [[nodiscard]] std::size_t operator()(const btreemapped::BitString& bits) const noexcept {
    return btreemapped::detail::mix_hash(btreemapped::detail::hash_bytes(bits.bytes()), bits.size());
  }
};
