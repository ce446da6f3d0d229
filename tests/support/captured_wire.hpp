#pragma once

#include <string_view>

// What a PostgreSQL 15.18 server really sent, in hexadecimal. The messages come from
//   pg_logical_slot_peek_binary_changes(slot, NULL, NULL, 'proto_version', '1', 'publication_names', 'p',
//                                       'messages', 'true')
// the frames from the connection of a pg_recvlogical, the lines from COPY ... TO STDOUT. The tables and statements:
//   CREATE TYPE mood AS ENUM ('calm', 'wild');                                                        -- oid 16385
//   CREATE DOMAIN plate AS int4;                                                                      -- oid 16390
//   CREATE TABLE car (owner text, license_plate plate, color mood, PRIMARY KEY (owner, license_plate));  -- oid 16391
//   CREATE TABLE note (id int PRIMARY KEY, big text, small text);                                     -- oid 16398
//   ALTER TABLE note ALTER big SET STORAGE EXTERNAL;
//   CREATE TABLE audit (a int, b text);  ALTER TABLE audit REPLICA IDENTITY FULL;                     -- oid 16405
//   CREATE TABLE log (line text);        ALTER TABLE log REPLICA IDENTITY NOTHING;                    -- oid 16410
//   CREATE TABLE picked (a int, b int NOT NULL);  CREATE UNIQUE INDEX picked_b ON picked (b);         -- oid 16415
//   ALTER TABLE picked REPLICA IDENTITY USING INDEX picked_b;
//   CREATE TABLE parent (id serial PRIMARY KEY);  CREATE TABLE child (id int PRIMARY KEY REFERENCES parent);
//   CREATE TABLE "Žluté"."kůň ""x""" (" id" int PRIMARY KEY, amount numeric(10,2));
//   CREATE TABLE nothing_at_all ();
namespace test::captured {

// INSERT INTO car VALUES ('Alice', 123, 'calm'), a transaction of its own; license_plate is a domain, color an enum
inline constexpr std::string_view begin = "42 000000000154d218 000303da9f400945 000002e7";
inline constexpr std::string_view type_of_domain = "59 00004006 00 696e743400";
inline constexpr std::string_view type_of_enum = "59 00004001 7075626c696300 6d6f6f6400";
inline constexpr std::string_view relation =
    "52 00004007 7075626c696300 63617200 64 0003"
    "01 6f776e657200 00000019 ffffffff"
    "01 6c6963656e73655f706c61746500 00004006 ffffffff"
    "00 636f6c6f7200 00004001 ffffffff";
inline constexpr std::string_view insert =
    "49 00004007 4e 0003 74 00000005 416c696365 74 00000003 313233 74 00000004 63616c6d";
inline constexpr std::string_view commit = "43 00 000000000154d218 000000000154d248 000303da9f400945";
// UPDATE car SET color = 'wild'
inline constexpr std::string_view update =
    "55 00004007 4e 0003 74 00000005 416c696365 74 00000003 313233 74 00000004 77696c64";
// UPDATE car SET license_plate = 124
inline constexpr std::string_view update_of_key =
    "55 00004007 4b 0003 74 00000005 416c696365 74 00000003 313233 6e"
    "4e 0003 74 00000005 416c696365 74 00000003 313234 74 00000004 77696c64";
// DELETE FROM car
inline constexpr std::string_view delete_by_key = "44 00004007 4b 0003 74 00000005 416c696365 74 00000003 313234 6e";
// INSERT INTO note VALUES (1, repeat('x', 3000), 'a'); UPDATE note SET small = 'b'
inline constexpr std::string_view update_beside_toast = "55 0000400e 4e 0003 74 00000001 31 75 74 00000001 62";
// INSERT INTO audit VALUES (1, NULL), (2, '')
inline constexpr std::string_view relation_full =
    "52 00004015 7075626c696300 617564697400 66 0002 01 6100 00000017 ffffffff 01 6200 00000019 ffffffff";
inline constexpr std::string_view insert_of_null = "49 00004015 4e 0002 74 00000001 31 6e";
inline constexpr std::string_view insert_of_empty = "49 00004015 4e 0002 74 00000001 32 74 00000000";
// UPDATE audit SET b = 'two' WHERE a = 2
inline constexpr std::string_view update_full =
    "55 00004015 4f 0002 74 00000001 32 74 00000000 4e 0002 74 00000001 32 74 00000003 74776f";
// DELETE FROM audit WHERE a = 1
inline constexpr std::string_view delete_full = "44 00004015 4f 0002 74 00000001 31 6e";
// INSERT INTO log VALUES (E'tab\there')
inline constexpr std::string_view relation_nothing =
    "52 0000401a 7075626c696300 6c6f6700 6e 0001 00 6c696e6500 00000019 ffffffff";
inline constexpr std::string_view insert_of_tab = "49 0000401a 4e 0001 74 00000008 7461620968657265";
// INSERT INTO picked VALUES (1, 2)
inline constexpr std::string_view relation_index =
    "52 0000401f 7075626c696300 7069636b656400 69 0002 00 6100 00000017 ffffffff 01 6200 00000017 ffffffff";
// UPDATE picked SET b = 3
inline constexpr std::string_view update_of_index_key =
    "55 0000401f 4b 0002 6e 74 00000001 32 4e 0002 74 00000001 31 74 00000001 33";
// INSERT INTO "Žluté"."kůň ""x""" VALUES (7, 1.50)
inline constexpr std::string_view relation_quoted =
    "52 00004035 c5bd6c7574c3a900 6bc5afc58820227822 00 64 0002 01 20696400 00000017 ffffffff"
    "00 616d6f756e7400 000006a4 000a0006";
// INSERT INTO nothing_at_all DEFAULT VALUES
inline constexpr std::string_view relation_without_columns =
    "52 0000403a 7075626c696300 6e6f7468696e675f61745f616c6c00 64 0000";
inline constexpr std::string_view insert_without_columns = "49 0000403a 4e 0000";
// TRUNCATE parent RESTART IDENTITY CASCADE
inline constexpr std::string_view truncate_cascade = "54 00000002 03 00004024 0000402a";
// TRUNCATE audit, log, note
inline constexpr std::string_view truncate = "54 00000003 00 00004015 0000401a 0000400e";
// SELECT pg_logical_emit_message(true, 'prefix', '\x00ff0a'::bytea)
inline constexpr std::string_view message = "4d 01 0000000001551ba8 70726566697800 00000003 00ff0a";
// SELECT pg_logical_emit_message(false, '', 'outside')
inline constexpr std::string_view message_outside = "4d 00 0000000001551c18 00 00000007 6f757473696465";
// after pg_replication_origin_session_setup('far away'), in a transaction with
// pg_replication_origin_xact_setup('12/ABCDEF01', '2024-02-29 12:34:56.789012+00')
inline constexpr std::string_view begin_of_origin = "42 0000000001551c58 0002b58341728614 000002fb";
inline constexpr std::string_view origin = "4f 00000012abcdef01 666172206177617900";

inline constexpr std::string_view messages[] = {
    begin,
    type_of_domain,
    type_of_enum,
    relation,
    insert,
    commit,
    update,
    update_of_key,
    delete_by_key,
    update_beside_toast,
    relation_full,
    insert_of_null,
    insert_of_empty,
    update_full,
    delete_full,
    relation_nothing,
    insert_of_tab,
    relation_index,
    relation_quoted,
    update_of_index_key,
    truncate,
    truncate_cascade,
    message,
    message_outside,
    begin_of_origin,
    origin,
    relation_without_columns,
    insert_without_columns,
};

// The server's, then the client's side of one connection.
inline constexpr std::string_view xlog_data_with_begin =
    "77 0000000001551d10 0000000001551d10 000303daa09151b4 42 0000000001551d90 000303daa0915044 000002fc";
inline constexpr std::string_view xlog_data_with_type =
    "77 0000000000000000 0000000000000000 000303daa09151c8 59 00004006 00 696e743400";
inline constexpr std::string_view xlog_data_with_insert =
    "77 0000000001551d10 0000000001551d10 000303daa0915233 49 00004007 4e 0003 74 00000003 426f62 74 00000001 35 6e";
inline constexpr std::string_view xlog_data_with_commit =
    "77 0000000001551dc0 0000000001551dc0 000303daa0915237 43 00 0000000001551d90 0000000001551dc0 000303daa0915044";
inline constexpr std::string_view keepalive = "6b 0000000001551d10 000303daa09150b8 00";
inline constexpr std::string_view keepalive_that_wants_a_reply = "6b 0000000001551e28 000303daa0afdaaa 01";

inline constexpr std::string_view frames[] = {
    xlog_data_with_begin,  xlog_data_with_type, xlog_data_with_insert,
    xlog_data_with_commit, keepalive,           keepalive_that_wants_a_reply,
};

inline constexpr std::string_view status_update =
    "72 0000000001551e28 0000000001551e28 0000000000000000 000303daa0afdac4 00";

// What COPY ... TO STDOUT sent for one table, and the values as encode(convert_to(column, 'UTF8'), 'hex') reports them.
struct CopiedRow {
  std::string_view line;
  std::string_view first;   // "NULL" for NULL
  std::string_view second;  // the same
};
inline constexpr CopiedRow copied_rows[] = {
    {"5c625c665c6e5c725c745c765c5c09706c61696e0a", "080c0a0d090b5c", "706c61696e"},
    {"5c4e090a", "NULL", ""},
    {"5c5c4e095c5c5c5c4e0a", "5c4e", "5c5c4e"},
    {"5c5c2e092e0a", "5c2e", "2e"},
    {"5c6e095c740a", "0a", "09"},
    {"5c5c095c5c5c5c0a", "5c", "5c5c"},
    {"615c74625c74635c6e645c6e095c725c6e0a", "61096209630a640a", "0d0a"},
    {"5c5c783431205c5c313031205c5c74095c5c780a", "5c783431205c313031205c74", "5c78"},
    {"010203040506070e0f1b1f7f09200a", "010203040506070e0f1b1f7f", "20"},
    {"c48d65c5a174696e6120f09f9880092271756f746564222c202773696e676c65270a", "c48d65c5a174696e6120f09f9880",
     "2271756f746564222c202773696e676c6527"},
    {"095c4e0a", "", "NULL"},
    {"4e09656e645c5c0a", "4e", "656e645c"},
    {"5c5c783030666635633061097b226b223a2022615c5c5c5c625c5c6e5c5c745c5c22227d0a", "5c783030666635633061",
     "7b226b223a2022615c5c625c6e5c745c22227d"},
    {"7b612c22222c4e554c4c2c22785c5c5c5c79222c225c5c22227d09310a", "7b612c22222c4e554c4c2c22785c5c79222c225c22227d",
     "31"},
};

// What COPY ... FROM STDIN made of a line with one column: the server never writes these, but it reads them.
struct ReadLine {
  std::string_view line;
  std::string_view value;
};
inline constexpr ReadLine read_lines[] = {
    {"\\101\\60\\060\\7z\n", "413030077a"},
    {"\\x41\\x4a4\\x7\\xg\\x\n", "414a3407786778"},
    {"\\q\\N\\0601\n", "714e3031"},
    {"a\\\tb\n", "610962"},
    {"\\1012\n", "4132"},
    {"\\401\n", "01"},
    {"\\N \n", "4e20"},
    {"x\\\ny\n", "780a79"},
    {"\\x4Aq\\X41\n", "4a71583431"},
    {"\\8\\18\n", "380138"},
    {"\\b\\f\\n\\r\\t\\v\\\\\n", "080c0a0d090b5c"},
    {"\\B\n", "42"},
    {"\\303\\251\\xC3\\xa9\n", "c3a9c3a9"},
    {"\\\"\\'\\{\n", "22277b"},
    {"a\\Nb\n", "614e62"},
};

}  // namespace test::captured
