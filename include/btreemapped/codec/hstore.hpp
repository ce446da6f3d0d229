#pragma once

#include <map>
#include <optional>
#include <string>
#include <string_view>
#include <utility>

#include <btreemapped/codec.hpp>
#include <btreemapped/codec/text.hpp>
#include <btreemapped/detail/codec/pieces.hpp>
#include <btreemapped/detail/shape.hpp>
#include <btreemapped/error.hpp>

namespace btreemapped {
inline namespace v0 {

/// hstore of the extension hstore; a value may be NULL
template <>
struct codec<std::map<std::string, std::optional<std::string>>> {
  using Pairs = std::map<std::string, std::optional<std::string>>;

  static constexpr std::string_view sql_name = "hstore";

  [[nodiscard]] static bool accepts(const SqlType& type) noexcept {
    return type.parts != nullptr && type.parts->extension == "hstore" && type.parts->own_name == "hstore";
  }

  [[nodiscard]] static Errc decode(std::string_view text, Pairs& out) {
    out.clear();
    detail::PieceReader in{text};
    while (!in.at_end()) {
      std::string_view key;
      std::string_view value;
      if (!in.accept('"') || !in.quoted<detail::Quoting::backslash>(key) || !in.accept("=>")) return Errc::invalid_text;
      const bool null = in.accept("NULL");
      if (!null && (!in.accept('"') || !in.quoted<detail::Quoting::backslash>(value))) return Errc::invalid_text;
      if (!detail::is_utf8_text(key) || !detail::is_utf8_text(value)) return Errc::invalid_encoding;
      const auto [place, added] = out.try_emplace(std::string{key});
      if (!added) return Errc::invalid_text;
      if (!null) place->second.emplace(value);
      if (!in.at_end() && (!in.accept(", ") || in.at_end())) return Errc::invalid_text;
    }
    return Errc::ok;
  }
};

}  // namespace v0
}  // namespace btreemapped
