#pragma once

#include <algorithm>
#include <cstddef>
#include <functional>
#include <memory>
#include <stdexcept>
#include <string>
#include <string_view>

namespace test {

/// The bytes that hexadecimal text stands for; spaces may separate them.
inline std::string from_hex(std::string_view hex) {
  const auto digit = [](char c) -> unsigned {
    if (c >= '0' && c <= '9') return static_cast<unsigned>(c - '0');
    if (c >= 'a' && c <= 'f') return static_cast<unsigned>(c - 'a') + 10;
    throw std::invalid_argument("from_hex: not a lower-case hexadecimal digit");
  };
  std::string bytes;
  for (std::size_t i = 0; i < hex.size();) {
    if (hex[i] == ' ') {
      ++i;
      continue;
    }
    if (i + 1 == hex.size()) throw std::invalid_argument("from_hex: half a byte at the end");
    bytes.push_back(static_cast<char>(static_cast<unsigned char>(digit(hex[i]) * 16 + digit(hex[i + 1]))));
    i += 2;
  }
  return bytes;
}

/// A copy of bytes in a heap block of exactly their size: AddressSanitizer sees a read of one byte too many, which it
/// does not in a std::string.
class ExactBytes {
 public:
  explicit ExactBytes(std::string_view bytes) : data_(new char[bytes.size()]), size_(bytes.size()) {
    std::copy(bytes.begin(), bytes.end(), data_.get());
  }

  [[nodiscard]] std::string_view view() const noexcept { return {data_.get(), size_}; }

  /// Whether a view lies within, its end included.
  [[nodiscard]] bool holds(std::string_view part) const noexcept {
    const std::less_equal<const char*> at_or_before;
    return at_or_before(data_.get(), part.data()) && at_or_before(part.data(), data_.get() + size_) &&
           part.size() <= static_cast<std::size_t>(data_.get() + size_ - part.data());
  }

 private:
  std::unique_ptr<char[]> data_;
  std::size_t size_;
};

}  // namespace test
