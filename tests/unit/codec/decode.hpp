#pragma once

#include <string>
#include <string_view>

#include <btreemapped/codec.hpp>
#include <btreemapped/detail/shape.hpp>
#include <btreemapped/error.hpp>

namespace decode_test {

/// A column of one of PostgreSQL's own types.
inline btreemapped::SqlType builtin(btreemapped::Oid oid) { return {.oid = oid, .base = oid}; }

/// A column of a domain over one of PostgreSQL's own types.
inline btreemapped::SqlType domain_over(btreemapped::Oid base) { return {.oid = 16'500, .base = base, .name = "d"}; }

/// A column of a type that somebody made, and may have given any name.
inline btreemapped::SqlType user_type(std::string_view name) {
  return {.oid = 16'400, .base = 16'400, .name = std::string(name)};
}

/// What codec<T> makes of a text.
template <class T>
struct Decoded {
  btreemapped::Errc error = btreemapped::Errc::ok;
  T value{};
};

template <class T>
Decoded<T> decode(std::string_view text) {
  Decoded<T> result;
  result.error = btreemapped::codec<T>::decode(text, result.value);
  return result;
}

template <class T>
btreemapped::Errc error_of(std::string_view text) {
  return decode<T>(text).error;
}

}  // namespace decode_test
