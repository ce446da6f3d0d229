#pragma once

#include <btreemapped/detail/shape.hpp>

namespace btreemapped {
inline namespace v0 {
namespace detail {

// The OIDs of PostgreSQL's own types, the same on every server. Types are known by these and never by a name, since
// anybody may call a type of their own "int4".
// Source: src/include/catalog/pg_type.dat
inline constexpr Oid bool_oid = 16;
inline constexpr Oid bytea_oid = 17;
inline constexpr Oid int8_oid = 20;
inline constexpr Oid int2_oid = 21;
inline constexpr Oid int4_oid = 23;
inline constexpr Oid oid_oid = 26;
inline constexpr Oid xid_oid = 28;
inline constexpr Oid cid_oid = 29;
inline constexpr Oid json_oid = 114;
inline constexpr Oid cidr_oid = 650;
inline constexpr Oid float4_oid = 700;
inline constexpr Oid float8_oid = 701;
inline constexpr Oid macaddr8_oid = 774;
inline constexpr Oid money_oid = 790;
inline constexpr Oid macaddr_oid = 829;
inline constexpr Oid inet_oid = 869;
inline constexpr Oid date_oid = 1082;
inline constexpr Oid time_oid = 1083;
inline constexpr Oid timestamp_oid = 1114;
inline constexpr Oid timestamptz_oid = 1184;
inline constexpr Oid interval_oid = 1186;
inline constexpr Oid timetz_oid = 1266;
inline constexpr Oid bit_oid = 1560;
inline constexpr Oid varbit_oid = 1562;
inline constexpr Oid numeric_oid = 1700;
inline constexpr Oid uuid_oid = 2950;
inline constexpr Oid pg_lsn_oid = 3220;
inline constexpr Oid jsonb_oid = 3802;
inline constexpr Oid xid8_oid = 5069;
/// regproc, aclitem, regprocedure, regoper, regoperator, regclass, regtype, regconfig, regdictionary, regnamespace,
/// regrole, regcollation: printed as the names that these objects have by then.
inline constexpr Oid object_name_oids[] = {24, 1033, 2202, 2203, 2204, 2205, 2206, 3734, 3769, 4089, 4096, 4191};

}  // namespace detail
}  // namespace v0
}  // namespace btreemapped
