#pragma once

#include <memory>
#include <string>
#include <string_view>

#include <btreemapped/codec.hpp>
#include <btreemapped/error.hpp>

namespace test {

/// A text that can only be moved.
struct Document {
  std::unique_ptr<std::string> text{};

  friend bool operator==(const Document& a, const Document& b) {
    return a.text == nullptr || b.text == nullptr ? a.text == b.text : *a.text == *b.text;
  }
};

}  // namespace test

template <>
struct btreemapped::codec<test::Document> {
  static Errc decode(std::string_view text, test::Document& out) {
    out.text = std::make_unique<std::string>(text);
    return Errc::ok;
  }
};
