#!/usr/bin/env bash
# Makes the corpus in tests/fuzz/corpus anew from what a real server sends over a varied workload: messages of pgoutput,
# rows of COPY, and values of each type as it prints them. What adds no coverage is left out, so the fuzz targets must
# have been built (cmake --preset fuzz && cmake --build --preset fuzz). "transaction" reads no bytes of a server: its
# corpus is what fuzzing has found so far, made small.
#   tests/fuzz/capture.sh         PG_BINDIR or PG_ROOT pick another server, see tests/support/postgres.sh
set -euo pipefail

here=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)
root=$(cd "$here/../.." && pwd)
postgres=$root/tests/support/postgres.sh
build=$root/build/fuzz
[ -x "$build/tests/fuzz/btreemapped_fuzz_codec" ] || {
  echo "capture.sh: build the preset fuzz first" >&2
  exit 1
}
work=$(mktemp -d)
finish() {
  "$postgres" remove "$work/server"
  rm -rf "$work"
}
trap finish EXIT
dsn=$("$postgres" start "$work/server" --fresh)
sql() { psql --no-psqlrc --quiet --tuples-only --no-align --set=ON_ERROR_STOP=1 "$@" "$dsn"; }

# files FOLDER: one file for each line of hexadecimal digits.
files() {
  local folder=$work/$1 line number
  mkdir -p "$folder"
  number=$(find "$folder" -type f | wc -l)
  while read -r line; do
    number=$((number + 1))
    printf '%b' "$line" >"$folder/$number"
  done < <(tr -d ' ' | awk '{ gsub(/../, "\\x&"); print }')
}

# ---- messages and rows ----------------------------------------------------------------------------------------------

sql >/dev/null <<'SQL'
CREATE EXTENSION hstore;
CREATE EXTENSION citext;
CREATE TYPE mood AS ENUM ('calm', 'wild', 'not, "said"');
CREATE TYPE point3 AS (x int, y numeric, label text);
CREATE TYPE named_point AS (label text, unnamed text, x int, names text[]);
CREATE TYPE textrange AS RANGE (subtype = text, collation = "C");
CREATE DOMAIN plate AS int CHECK (VALUE > 0);
CREATE TABLE kinds (id int PRIMARY KEY, b bool, s int2, i int8, o oid, r real, d float8, n numeric, v varchar(20),
  c char(5), y bytea, u uuid, dt date, ts timestamp, tz timestamptz, t time, tt timetz, iv interval, m mood, p plate,
  a int[], aa text[][], k point3, ra int4range, mr nummultirange, h hstore, j json, jb jsonb, inet inet, mac macaddr,
  bits varbit, ci citext, x xml, money money);
CREATE TABLE pair (owner text, plate plate, color mood, PRIMARY KEY (plate, owner));
CREATE TABLE note (id int PRIMARY KEY, big text, small text);
ALTER TABLE note ALTER big SET STORAGE EXTERNAL;
CREATE TABLE audit (a int, b text);
ALTER TABLE audit REPLICA IDENTITY FULL;
CREATE TABLE picked (a int, b int NOT NULL);
CREATE UNIQUE INDEX picked_b ON picked (b) INCLUDE (a);
ALTER TABLE picked REPLICA IDENTITY USING INDEX picked_b;
CREATE TABLE log (line text);
ALTER TABLE log REPLICA IDENTITY NOTHING;
CREATE TABLE parent (id int PRIMARY KEY);
CREATE TABLE child (id int PRIMARY KEY REFERENCES parent);
CREATE TABLE place (id int, area text, PRIMARY KEY (id, area)) PARTITION BY LIST (area);
CREATE TABLE place_north PARTITION OF place FOR VALUES IN ('north');
CREATE TABLE place_rest (area text, id int, PRIMARY KEY (id, area));
ALTER TABLE place ATTACH PARTITION place_rest DEFAULT;
CREATE SCHEMA "Žluté";
CREATE TABLE "Žluté"."kůň ""x""" (" id" int PRIMARY KEY, amount numeric(10,2) DEFAULT 1.50);
CREATE TABLE nothing_at_all ();
CREATE PUBLICATION pub FOR ALL TABLES WITH (publish = 'insert, truncate');
CREATE PUBLICATION all_of_some FOR TABLE kinds, pair, note, audit, picked, parent, child, place,
  "Žluté"."kůň ""x""" WITH (publish_via_partition_root);
SELECT pg_create_logical_replication_slot('capture', 'pgoutput');
SELECT pg_replication_origin_create('far away');

INSERT INTO kinds SELECT 1;
INSERT INTO kinds VALUES (2, true, -32768, 9223372036854775807, 4294967295, 'NaN', -0.0, 'Infinity', '', 'ab',
  '\x00ff5c', 'a0eebc99-9c0b-4ef8-bb6d-6bb9bd380a11', '0044-03-15 BC', 'infinity', '2024-02-29 23:59:59.999999+05:45',
  '24:00', '12:00-15:59:59', '-1 mon +2 days -00:00:00.000001', 'not, "said"', 7, '{1,NULL,-3}',
  '[0:1][2:3]={{a,"b c"},{NULL,"NULL"}}', '(1,,"a ""b"" \\")', '[1,)', '{[1,2),(3.5,]}', 'a=>1, "b c"=>NULL',
  '{"a" : 1, "a":2}', '{"b": [1, "\u20ac", null]}', '::ffff:1.2.3.4/97', '08:00:2b:01:02:03', '101', 'Straße',
  '<a>&amp;</a>', '-12.34');
INSERT INTO kinds (id, r, d, n, v, y, a, k, ra, h) VALUES (3, 1e-45, 1.7976931348623157e308, -1.10, E'tab\tline\n\\.',
  '', '{}', '(,,)', 'empty', '');
BEGIN;
INSERT INTO pair VALUES ('Alice', 1, 'calm'), ('Bob', 2, NULL), ('', 3, 'wild');
UPDATE pair SET color = 'wild' WHERE owner = 'Alice';
UPDATE pair SET plate = plate + 10;
SAVEPOINT here;
DELETE FROM pair;
ROLLBACK TO here;
DELETE FROM pair WHERE owner = 'Bob';
COMMIT;
INSERT INTO note SELECT id, repeat('x', 3000 * id), 'a' FROM generate_series(0, 2) id;
UPDATE note SET small = 'b';
UPDATE note SET id = id + 10;
INSERT INTO audit VALUES (1, NULL), (2, ''), (2, '');
UPDATE audit SET b = 'two' WHERE a = 2;
DELETE FROM audit WHERE a = 1;
INSERT INTO picked VALUES (1, 2);
UPDATE picked SET b = 3;
DELETE FROM picked;
INSERT INTO log VALUES (E'tab\there');
INSERT INTO parent VALUES (1), (2);
INSERT INTO child VALUES (1);
TRUNCATE parent, audit RESTART IDENTITY CASCADE;
INSERT INTO place VALUES (1, 'north'), (2, 'south');
UPDATE place SET area = 'east' WHERE id = 1;
TRUNCATE place;
INSERT INTO "Žluté"."kůň ""x""" VALUES (7, DEFAULT);
INSERT INTO nothing_at_all DEFAULT VALUES;
ALTER TABLE pair ADD age int DEFAULT 5;
INSERT INTO pair VALUES ('Carol', 4, 'calm', 6);
ALTER TABLE pair DROP color;
UPDATE pair SET age = NULL;
SELECT pg_logical_emit_message(true, 'prefix', 'a message'), pg_logical_emit_message(false, '', '\x00ff'::bytea);
SELECT pg_replication_origin_session_setup('far away');
BEGIN;
SELECT pg_replication_origin_xact_setup('0/1234', '2001-02-03 04:05:06+00');
INSERT INTO parent VALUES (3);
COMMIT;
SELECT pg_replication_origin_session_reset();
SQL
sql <<'SQL' | files message
SET datestyle = ISO; SET intervalstyle = postgres; SET extra_float_digits = 3; SET timezone = UTC; SET lc_monetary = 'C';
SELECT encode(data, 'hex') FROM pg_logical_slot_get_binary_changes('capture', NULL, NULL, 'proto_version', '1',
  'publication_names', 'pub,all_of_some', 'messages', 'true');
SQL
# Frames do not come through SQL; these were recorded from a connection.
sed -nE 's/^(inline constexpr std::string_view [a-z_]+ =)? +"((77|6b) [0-9a-f ]+)";.*/\2/p; s/^inline .* = "(6b [0-9a-f ]+)";.*/\1/p' \
  "$root/tests/support/captured_wire.hpp" | files message

mkdir -p "$work/copy_line"
for table in kinds pair note log picked '"Žluté"."kůň ""x"""' \
  "(SELECT E'\\\\\\\\N', E'\\b\\f\\n\\r\\t\\v', NULL, '', E'\\\\\\\\.', 'é', chr(1))"; do
  sql --command="COPY $table TO STDOUT" | split --lines=1 --suffix-length=4 - "$work/copy_line/$(cksum <<<"$table" | cut -c1-6)"
done

# ---- values ---------------------------------------------------------------------------------------------------------

# Each of these texts, as each type that takes it prints it.
{
  echo "CREATE FUNCTION printed(type text, value text) RETURNS text LANGUAGE plpgsql AS"
  echo "\$\$ DECLARE out text; BEGIN EXECUTE format('SELECT %L::%s::text', value, type) INTO out; RETURN out;"
  echo "EXCEPTION WHEN OTHERS THEN RETURN NULL; END \$\$;"
  echo "SET timezone = UTC;"
  echo "CREATE TABLE texts (value text);"
  echo "COPY texts FROM STDIN;"
  sed 's/\\/\\\\/g' "$here/literals.txt"
  echo '\.'
  sed -nE 's/^ *\{([0-9]+), "([^"]+)",.*/\1 \2/p' "$here/codec.cpp" | while read -r number type; do
    echo "SELECT DISTINCT to_hex($number + 256) || encode(convert_to(printed, 'UTF8'), 'hex')"
    echo "FROM texts, LATERAL (SELECT printed(\$type\$$type\$type\$, value)) AS p (printed) WHERE printed IS NOT NULL;"
  done
} | sql | sed 's/^1//' | files codec

# ---- what is worth keeping ------------------------------------------------------------------------------------------

mkdir -p "$work/transaction"
cp "$here"/corpus/transaction/* "$build"/corpus/transaction/* "$work/transaction" 2>/dev/null || true
for target in message copy_line codec transaction; do
  rm -rf "$work/kept"
  mkdir -p "$work/kept"
  "$build/tests/fuzz/btreemapped_fuzz_$target" -set_cover_merge=1 "$work/kept" "$work/$target" 2>"$work/merge.log" || {
    tail -n 20 "$work/merge.log" >&2
    exit 1
  }
  rm -rf "$here/corpus/$target"
  mkdir -p "$here/corpus"
  mv "$work/kept" "$here/corpus/$target"
  echo "$target: $(find "$work/$target" -type f | wc -l) inputs, kept $(find "$here/corpus/$target" -type f | wc -l)"
done
