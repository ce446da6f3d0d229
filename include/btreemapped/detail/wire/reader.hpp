#pragma once

#include <cstddef>
#include <cstdint>
#include <string_view>

#include <btreemapped/error.hpp>

namespace btreemapped {
inline namespace v0 {
namespace detail {
namespace wire {

/// Reads the fields of one message, integers in network order. The first error sticks: from then on nothing is left,
/// so every read is zero or empty and a parser needs to ask only once, at its end.
/// Lifetime: the views are parts of the bytes given to the constructor.
class Reader {
 public:
  constexpr Reader() noexcept = default;
  constexpr explicit Reader(std::string_view bytes) noexcept : left_(bytes) {}

  [[nodiscard]] constexpr std::uint8_t u8() noexcept { return integer<std::uint8_t>(); }
  [[nodiscard]] constexpr std::uint16_t u16() noexcept { return integer<std::uint16_t>(); }
  [[nodiscard]] constexpr std::uint32_t u32() noexcept { return integer<std::uint32_t>(); }
  [[nodiscard]] constexpr std::uint64_t u64() noexcept { return integer<std::uint64_t>(); }
  [[nodiscard]] constexpr std::int16_t i16() noexcept { return static_cast<std::int16_t>(u16()); }
  [[nodiscard]] constexpr std::int32_t i32() noexcept { return static_cast<std::int32_t>(u32()); }
  [[nodiscard]] constexpr std::int64_t i64() noexcept { return static_cast<std::int64_t>(u64()); }

  /// An Int16 or Int32 that counts or measures something, so a negative one is an error.
  [[nodiscard]] constexpr std::size_t length16() noexcept { return length(i16()); }
  [[nodiscard]] constexpr std::size_t length32() noexcept { return length(i32()); }

  /// The bytes before the next NUL, which is skipped.
  [[nodiscard]] constexpr std::string_view cstring() noexcept {
    const std::size_t size = left_.find('\0');
    if (size == std::string_view::npos) {
      fail(Errc::truncated);
      return {};
    }
    const std::string_view text = bytes(size);
    left_.remove_prefix(1);
    return text;
  }

  [[nodiscard]] constexpr std::string_view bytes(std::size_t size) noexcept {
    if (size > left_.size()) {
      fail(Errc::truncated);
      return {};
    }
    const std::string_view taken = left_.substr(0, size);
    left_.remove_prefix(size);
    return taken;
  }

  /// All that is left.
  [[nodiscard]] constexpr std::string_view rest() noexcept { return bytes(left_.size()); }

  /// How many bytes are left.
  [[nodiscard]] constexpr std::size_t left() const noexcept { return left_.size(); }

  /// Notes what the caller found wrong with a field, unless an earlier error stands.
  constexpr void fail(Errc error) noexcept {
    if (error_ == Errc::ok) error_ = error;
    left_ = {};
  }

  /// Refuses a field that cannot be.
  constexpr void require(bool holds) noexcept {
    if (!holds) fail(Errc::invalid_message);
  }

  [[nodiscard]] constexpr Errc error() const noexcept { return error_; }
  [[nodiscard]] constexpr bool ok() const noexcept { return error_ == Errc::ok; }

  /// The verdict at the end of a message, where nothing may be left.
  [[nodiscard]] constexpr Errc finish() noexcept {
    if (!left_.empty()) fail(Errc::trailing_bytes);
    return error_;
  }

 private:
  template <class Unsigned>
  constexpr Unsigned integer() noexcept {
    if (left_.size() < sizeof(Unsigned)) {
      fail(Errc::truncated);
      return 0;
    }
    std::uint64_t value = 0;
    for (std::size_t i = 0; i < sizeof(Unsigned); ++i) value = (value << 8U) | static_cast<unsigned char>(left_[i]);
    left_.remove_prefix(sizeof(Unsigned));
    return static_cast<Unsigned>(value);
  }

  constexpr std::size_t length(std::int32_t signed_length) noexcept {
    if (signed_length < 0) {
      fail(Errc::invalid_length);
      return 0;
    }
    return static_cast<std::size_t>(signed_length);
  }

  std::string_view left_{};
  Errc error_ = Errc::ok;
};

}  // namespace wire
}  // namespace detail
}  // namespace v0
}  // namespace btreemapped
