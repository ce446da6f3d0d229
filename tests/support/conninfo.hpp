#pragma once

#include <map>
#include <memory>
#include <stdexcept>
#include <string>

#include <libpq-fe.h>

namespace test {

/// A libpq connection string, or URI, as its parts.
inline std::map<std::string, std::string> parse_conninfo(const std::string& text) {
  const std::unique_ptr<PQconninfoOption, decltype(&PQconninfoFree)> options(PQconninfoParse(text.c_str(), nullptr),
                                                                             &PQconninfoFree);
  if (options == nullptr) throw std::runtime_error("not a connection string");
  std::map<std::string, std::string> parts;
  for (const PQconninfoOption* option = options.get(); option->keyword != nullptr; ++option)
    if (option->val != nullptr) parts[option->keyword] = option->val;
  return parts;
}

inline std::string make_conninfo(const std::map<std::string, std::string>& parts) {
  std::string text;
  for (const auto& [keyword, value] : parts) {
    text += (text.empty() ? "" : " ") + keyword + "='";
    for (const char each : value) {
      if (each == '\'' || each == '\\') text += '\\';
      text += each;
    }
    text += "'";
  }
  return text;
}

/// The same with some parts replaced.
inline std::string with_parts(const std::string& conninfo, const std::map<std::string, std::string>& parts) {
  std::map<std::string, std::string> all = parse_conninfo(conninfo);
  for (const auto& [keyword, value] : parts) all[keyword] = value;
  return make_conninfo(all);
}

}  // namespace test
