#pragma once

#include <tuple>

#include <boost/multiprecision/cpp_dec_float.hpp>
#include <boost/multiprecision/cpp_int.hpp>
#include <nlohmann/json.hpp>

#include <btreemapped/codec/multiprecision.hpp>
#include <btreemapped/codec/nlohmann_json.hpp>

#include "support/type_list.hpp"

namespace test {

/// As cpp_types, for those with an opt-in header.
inline const auto optional_cpp_types = std::tuple{
    CppType<boost::multiprecision::cpp_int>{"cpp_int", {"numeric", "smallint", "integer", "bigint", "oid"}},
    CppType<boost::multiprecision::cpp_dec_float_50>{"cpp_dec_float_50",
                                                     {"numeric", "smallint", "integer", "bigint", "oid"}},
    CppType<nlohmann::json>{"nlohmann::json", {"json", "jsonb"}},
    CppType<nlohmann::ordered_json>{"nlohmann::ordered_json", {"json", "jsonb"}},
};

}  // namespace test
