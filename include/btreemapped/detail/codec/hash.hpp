#pragma once

#include <cstddef>
#include <cstdint>
#include <functional>
#include <span>
#include <string_view>

namespace btreemapped {
inline namespace v0 {
namespace detail {

[[nodiscard]] inline std::size_t hash_bytes(std::span<const std::byte> bytes) noexcept {
  return std::hash<std::string_view>{}({reinterpret_cast<const char*>(bytes.data()), bytes.size()});
}

/// One hash of two.
[[nodiscard]] constexpr std::size_t mix_hash(std::size_t seed, std::size_t more) noexcept {
  // A multiplication by an odd constant and a shift: neither forgets a bit, and their order tells (a, b) from (b, a).
  std::uint64_t mixed = (seed ^ (seed >> 32U)) * 0x9E37'79B9'7F4A'7C15U + more;
  mixed ^= mixed >> 29U;
  return static_cast<std::size_t>(mixed * 0xBF58'476D'1CE4'E5B9U);
}

}  // namespace detail
}  // namespace v0
}  // namespace btreemapped
