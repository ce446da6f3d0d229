#pragma once

#include <compare>
#include <cstddef>
#include <cstdint>
#include <functional>
#include <optional>
#include <span>
#include <string>
#include <string_view>

#include <btreemapped/detail/codec/decimal.hpp>
#include <btreemapped/detail/codec/hash.hpp>
#include <btreemapped/detail/codec/ip_text.hpp>

namespace btreemapped {
inline namespace v0 {

/// The two kinds of Internet addresses, in PostgreSQL's order.
enum class IpFamily : std::uint8_t { v4, v6 };

namespace detail {

/// What inet and cidr are made of.
struct IpNetwork {
  IpBytes bytes{};
  IpFamily family = IpFamily::v4;
  std::uint8_t prefix = 32;

  [[nodiscard]] constexpr int width() const noexcept { return family == IpFamily::v4 ? 32 : 128; }

  /// Compares the first `bits` bits of two addresses.
  [[nodiscard]] static constexpr std::strong_ordering compare_bits(const IpBytes& a, const IpBytes& b,
                                                                   int bits) noexcept {
    for (std::size_t i = 0; bits > 0; ++i, bits -= 8) {
      const std::byte mask = bits >= 8 ? std::byte{0xFF} : std::byte{0xFF} << (8 - bits);
      if ((a[i] & mask) != (b[i] & mask)) return (a[i] & mask) <=> (b[i] & mask);
    }
    return std::strong_ordering::equal;
  }

  /// PostgreSQL's order: by family, the bits of both networks, the length of the prefix, then the host's bits.
  friend constexpr std::strong_ordering operator<=>(const IpNetwork& a, const IpNetwork& b) noexcept {
    if (a.family != b.family) return a.family <=> b.family;
    const std::strong_ordering order = compare_bits(a.bytes, b.bytes, a.prefix < b.prefix ? a.prefix : b.prefix);
    if (order != 0) return order;
    if (a.prefix != b.prefix) return a.prefix <=> b.prefix;
    return a.bytes <=> b.bytes;
  }
  friend constexpr bool operator==(const IpNetwork&, const IpNetwork&) noexcept = default;

  /// True if the bits after the prefix are zero.
  [[nodiscard]] constexpr bool is_network() const noexcept {
    IpBytes masked{};
    for (std::size_t i = 0; i < masked.size(); ++i) {
      const int bits = prefix - static_cast<int>(i) * 8;
      masked[i] = bits >= 8 ? bytes[i] : bits <= 0 ? std::byte{0} : bytes[i] & (std::byte{0xFF} << (8 - bits));
    }
    return masked == bytes;
  }

  /// Reads an address and, after a slash, the length of its prefix, which is the whole width without one.
  [[nodiscard]] static constexpr std::optional<IpNetwork> parse(std::string_view text) noexcept {
    IpNetwork network;
    const std::size_t slash = text.find('/');
    const std::string_view address = text.substr(0, slash);
    if (address.find(':') != std::string_view::npos) network.family = IpFamily::v6;
    if (network.family == IpFamily::v4 ? !parse_ipv4(address, network.bytes.data())
                                       : !parse_ipv6(address, network.bytes))
      return std::nullopt;
    int bits = network.width();
    if (slash != std::string_view::npos && !parse_small_number(text.substr(slash + 1), bits, bits)) return std::nullopt;
    network.prefix = static_cast<std::uint8_t>(bits);
    return network;
  }

  [[nodiscard]] std::string print(bool always_with_prefix) const {
    std::string text;
    if (family == IpFamily::v4) append_ipv4(text, std::span(bytes).first<4>());
    else append_ipv6(text, bytes);
    if (always_with_prefix || prefix != width()) {
      text += '/';
      append_decimal(text, prefix);
    }
    return text;
  }

  [[nodiscard]] std::span<const std::byte> view() const noexcept {
    return std::span(bytes).first(static_cast<std::size_t>(width()) / 8);
  }

  [[nodiscard]] std::size_t hash() const noexcept {
    return mix_hash(hash_bytes(bytes), std::size_t{prefix} * 2 + static_cast<std::size_t>(family));
  }
};

}  // namespace detail

/// PostgreSQL's cidr: a network, of IPv4 or IPv6. Ordered as PostgreSQL orders it: a network before its parts.
class Cidr {
 public:
  /// 0.0.0.0/32
  constexpr Cidr() noexcept = default;

  /// Reads "10.0.0.0/8" or "2001:db8::/32"; empty for anything else, such as bits to the right of the prefix.
  [[nodiscard]] static constexpr std::optional<Cidr> parse(std::string_view text) noexcept {
    const auto network = detail::IpNetwork::parse(text);
    if (!network || !network->is_network()) return std::nullopt;
    Cidr parsed;
    parsed.network_ = *network;
    return parsed;
  }

  [[nodiscard]] constexpr IpFamily family() const noexcept { return network_.family; }
  /// The number of leading bits that say which network it is.
  [[nodiscard]] constexpr int prefix() const noexcept { return network_.prefix; }
  /// The address, in 4 or 16 bytes.
  /// Lifetime: a view of this object.
  [[nodiscard]] std::span<const std::byte> bytes() const noexcept { return network_.view(); }

  friend constexpr std::strong_ordering operator<=>(const Cidr&, const Cidr&) noexcept = default;

 private:
  friend class Inet;
  friend std::string to_string(const Cidr& cidr);
  friend struct std::hash<Cidr>;

  detail::IpNetwork network_{};
};

/// PostgreSQL's inet: an address of IPv4 or IPv6, and the length of its network's prefix. Ordered as PostgreSQL orders
/// it: by family, network, prefix, then address.
class Inet {
 public:
  /// 0.0.0.0
  constexpr Inet() noexcept = default;
  /// The network's first address with its prefix, as PostgreSQL casts it.
  constexpr explicit Inet(const Cidr& cidr) noexcept : network_(cidr.network_) {}

  /// Reads "10.0.0.1", "10.0.0.1/8" or "2001:db8::1/32"; empty for anything else.
  [[nodiscard]] static constexpr std::optional<Inet> parse(std::string_view text) noexcept {
    const auto network = detail::IpNetwork::parse(text);
    if (!network) return std::nullopt;
    Inet parsed;
    parsed.network_ = *network;
    return parsed;
  }

  [[nodiscard]] constexpr IpFamily family() const noexcept { return network_.family; }
  /// The number of leading bits that are the network's: 32 or 128 for a host alone.
  [[nodiscard]] constexpr int prefix() const noexcept { return network_.prefix; }
  /// The address, in 4 or 16 bytes.
  /// Lifetime: a view of this object.
  [[nodiscard]] std::span<const std::byte> bytes() const noexcept { return network_.view(); }

  friend constexpr std::strong_ordering operator<=>(const Inet&, const Inet&) noexcept = default;

 private:
  friend std::string to_string(const Inet& inet);
  friend struct std::hash<Inet>;

  detail::IpNetwork network_{};
};

/// What PostgreSQL prints, "10.0.0.0/8".
[[nodiscard]] inline std::string to_string(const Cidr& cidr) { return cidr.network_.print(true); }
/// What PostgreSQL prints: "10.0.0.1/8", and "10.0.0.1" for a host alone.
[[nodiscard]] inline std::string to_string(const Inet& inet) { return inet.network_.print(false); }

}  // namespace v0
}  // namespace btreemapped

template <>
struct std::hash<btreemapped::Cidr> {
  [[nodiscard]] std::size_t operator()(const btreemapped::Cidr& cidr) const noexcept { return cidr.network_.hash(); }
};

template <>
struct std::hash<btreemapped::Inet> {
  [[nodiscard]] std::size_t operator()(const btreemapped::Inet& inet) const noexcept { return inet.network_.hash(); }
};
