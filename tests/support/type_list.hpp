#pragma once

#include <chrono>
#include <cstddef>
#include <cstdint>
#include <map>
#include <optional>
#include <string>
#include <string_view>
#include <tuple>
#include <vector>

#include <btreemapped/bit_string.hpp>
#include <btreemapped/detail/shape.hpp>
#include <btreemapped/inet.hpp>
#include <btreemapped/interval.hpp>
#include <btreemapped/lsn.hpp>
#include <btreemapped/macaddr.hpp>
#include <btreemapped/money.hpp>
#include <btreemapped/numeric.hpp>
#include <btreemapped/row.hpp>
#include <btreemapped/sql_range.hpp>
#include <btreemapped/time_of_day.hpp>
#include <btreemapped/timestamp.hpp>
#include <btreemapped/uuid.hpp>

// Which C++ type holds which of PostgreSQL's types: the one list of them. Unit tests hold the codecs and the README's
// table against it, integration tests feed values of a server through each pair.
namespace test {

/// One of PostgreSQL's own types.
struct SqlTypeName {
  std::string_view name;  ///< as the README calls it
  btreemapped::Oid oid;
  std::string_view sql = name;  ///< as a column is declared
};

inline constexpr SqlTypeName sql_types[] = {
    {"boolean", 16},
    {"bytea", 17},
    {"\"char\"", 18},
    {"name", 19},
    {"bigint", 20},
    {"smallint", 21},
    {"integer", 23},
    {"text", 25},
    {"oid", 26},
    {"xid", 28},
    {"cid", 29},
    {"json", 114},
    {"xml", 142},
    {"cidr", 650},
    {"real", 700},
    {"double precision", 701},
    {"macaddr8", 774},
    {"money", 790},
    {"macaddr", 829},
    {"inet", 869},
    {"char(n)", 1042, "char(7)"},
    {"varchar", 1043},
    {"date", 1082},
    {"time", 1083},
    {"timestamp", 1114},
    {"timestamptz", 1184},
    {"interval", 1186},
    {"timetz", 1266},
    {"bit(n)", 1560, "bit(11)"},
    {"bit varying", 1562},
    {"numeric", 1700},
    {"uuid", 2950},
    {"pg_lsn", 3220},
    {"jsonb", 3802},
    {"xid8", 5069},
};

/// A type of the language or of ours, and the types of PostgreSQL that it holds, all of their values.
template <class T>
struct CppType {
  using type = T;
  std::string_view name;              ///< as the README calls it
  std::vector<std::string_view> sql;  ///< names of sql_types; none: any type
};

inline const auto number_types = std::tuple{
    CppType<bool>{"bool", {"boolean"}},
    CppType<std::int16_t>{"std::int16_t", {"smallint"}},
    CppType<std::int32_t>{"std::int32_t", {"smallint", "integer"}},
    CppType<std::int64_t>{"std::int64_t", {"smallint", "integer", "bigint", "oid"}},
    CppType<std::uint32_t>{"std::uint32_t", {"oid", "xid", "cid"}},
    CppType<std::uint64_t>{"std::uint64_t", {"oid", "xid", "cid", "xid8"}},
    CppType<float>{"float", {"real", "smallint"}},
    CppType<double>{"double", {"double precision", "real", "smallint", "integer"}},
    CppType<btreemapped::Numeric>{"Numeric", {"numeric", "smallint", "integer", "bigint", "oid"}},
    CppType<btreemapped::Money>{"Money", {"money"}},
    CppType<btreemapped::Lsn>{"Lsn", {"pg_lsn"}},
};

inline const auto time_types = std::tuple{
    CppType<std::chrono::sys_days>{"std::chrono::sys_days", {"date"}},
    CppType<btreemapped::TimeOfDay>{"TimeOfDay", {"time"}},
    CppType<btreemapped::TimeTz>{"TimeTz", {"timetz"}},
    CppType<btreemapped::Timestamp>{"Timestamp", {"timestamp"}},
    CppType<std::chrono::local_time<std::chrono::microseconds>>{"std::chrono::local_time<std::chrono::microseconds>",
                                                                {"timestamp"}},
    CppType<btreemapped::TimestampTz>{"TimestampTz", {"timestamptz"}},
    CppType<std::chrono::sys_time<std::chrono::microseconds>>{"std::chrono::sys_time<std::chrono::microseconds>",
                                                              {"timestamptz"}},
    CppType<btreemapped::Interval>{"Interval", {"interval"}},
};

inline const auto other_types = std::tuple{
    CppType<std::vector<std::byte>>{"std::vector<std::byte>", {"bytea"}},
    CppType<btreemapped::BitString>{"BitString", {"bit(n)", "bit varying"}},
    CppType<btreemapped::Uuid>{"Uuid", {"uuid"}},
    CppType<btreemapped::Inet>{"Inet", {"inet", "cidr"}},
    CppType<btreemapped::Cidr>{"Cidr", {"cidr"}},
    CppType<btreemapped::Macaddr>{"Macaddr", {"macaddr"}},
    CppType<btreemapped::Macaddr8>{"Macaddr8", {"macaddr8"}},
};

/// Holds every type, as its text.
inline const auto text_type = CppType<std::string>{"std::string", {}};

/// Some of each kind that is made of others, whose values structured_types.cpp feeds through a server.
inline const auto structured_types = std::tuple{
    CppType<std::vector<std::int32_t>>{"std::vector<std::int32_t>", {"integer[]"}},
    CppType<std::vector<std::optional<std::int32_t>>>{"std::vector<std::optional<std::int32_t>>", {"integer[]"}},
    CppType<std::vector<std::vector<std::int32_t>>>{"std::vector<std::vector<std::int32_t>>", {"integer[]"}},
    CppType<btreemapped::SqlRange<std::int32_t>>{"SqlRange<std::int32_t>", {"int4range"}},
    CppType<btreemapped::SqlMultirange<std::int32_t>>{"SqlMultirange<std::int32_t>", {"int4multirange"}},
    CppType<std::map<std::string, std::optional<std::string>>>{"std::map<std::string, std::optional<std::string>>",
                                                               {"hstore"}},
};

/// All of them; those with an opt-in header are in optional_type_list.hpp.
inline const auto cpp_types =
    std::tuple_cat(number_types, time_types, other_types, structured_types, std::tuple{text_type});

}  // namespace test
