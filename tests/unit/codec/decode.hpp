#pragma once

#include <memory>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

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

/// A type that is made of others.
inline btreemapped::SqlType made_of(char kind, std::string name, btreemapped::SqlTypeParts parts) {
  return {.oid = 16'600,
          .base = 16'600,
          .kind = kind,
          .name = std::move(name),
          .parts = std::make_shared<const btreemapped::SqlTypeParts>(std::move(parts))};
}
inline btreemapped::SqlType array_of(const btreemapped::SqlType& element, char delimiter = ',') {
  return made_of('a', element.name + "[]", {.element = element, .delimiter = delimiter});
}
inline btreemapped::SqlType range_of(const btreemapped::SqlType& bound) {
  // As int4range, int8range and daterange.
  const bool canonical = bound.base == 23 || bound.base == 20 || bound.base == 1082;
  return made_of('r', bound.name + "range", {.element = bound, .canonical = canonical});
}
inline btreemapped::SqlType multirange_of(const btreemapped::SqlType& range) {
  return made_of('m', "multirange", {.element = range});
}
inline btreemapped::SqlType composite_of(std::vector<btreemapped::SqlAttribute> attributes) {
  return made_of('c', "pair", {.attributes = std::move(attributes)});
}
inline btreemapped::SqlType enum_of(std::vector<std::string> labels) {
  return made_of('e', "mood", {.labels = std::move(labels)});
}
/// A domain over a type that is made of others.
inline btreemapped::SqlType domain_over(btreemapped::SqlType type) {
  type.oid = 16'700;
  return type;
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
Decoded<T> decode(std::string_view text, const btreemapped::SqlType& type) {
  Decoded<T> result;
  result.error = btreemapped::detail::decode_text(text, type, result.value);
  return result;
}

template <class T>
btreemapped::Errc error_of(std::string_view text, const btreemapped::SqlType& type) {
  return decode<T>(text, type).error;
}

template <class T>
btreemapped::Errc error_of(std::string_view text) {
  return decode<T>(text).error;
}

}  // namespace decode_test
