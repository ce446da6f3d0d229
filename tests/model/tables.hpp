#pragma once

#include <cstddef>
#include <cstdint>
#include <optional>
#include <string>

#include <btreemapped/numeric.hpp>
#include <btreemapped/replica.hpp>

namespace model {

/// Accounts and positions together always hold `wealth`.
struct Account {
  std::int64_t id;
  std::string owner;
  std::int64_t balance;
  bool open;
  std::optional<std::string> note;
};

struct Position {
  std::string owner;
  std::string symbol;
  std::int64_t amount;
  std::optional<btreemapped::Numeric> cost;
  std::string history;
};

/// The levels of a ladder, one ladder for each venue and symbol, are renumbered by single statements. The same level
/// may be spelled in several ways. Each venue is a partition.
struct Quote {
  std::string venue;
  std::string symbol;
  btreemapped::Numeric level;
  std::int64_t token;  ///< which of two rows is meant while both have the same key
  btreemapped::Numeric price;
  std::optional<std::string> book;
};

/// The three replicas, which a Replicator keeps at one commit.
struct Replicas {
  btreemapped::Replica<Account, 1> accounts;
  btreemapped::Replica<Position, 2> positions;
  btreemapped::Replica<Quote, 3> quotes;
};

inline constexpr std::int64_t wealth = 1'000'000;

/// The number of sessions, and the symbol of the position in which each of them leaves its mark.
inline constexpr std::size_t writer_count = 4;
inline constexpr const char* signature = "signature";

/// The three kinds of replica identity. Columns stand in another order than fields, and some are no fields at all;
/// notes, histories and books are stored outside of their rows, so that updates that leave them alone leave them out.
inline constexpr const char* quote_schema = R"sql(
  CREATE TABLE quote (
    venue text,
    symbol text,
    level numeric,
    token bigint NOT NULL,
    touched bigint NOT NULL DEFAULT 0,
    price numeric NOT NULL,
    book text,
    PRIMARY KEY (venue, symbol, level) DEFERRABLE INITIALLY DEFERRED) PARTITION BY LIST (venue);
  CREATE TABLE quote_oslo PARTITION OF quote FOR VALUES IN ('Oslo');
  CREATE TABLE quote_rome PARTITION OF quote FOR VALUES IN ('Rome');
  CREATE TABLE quote_bonn (LIKE quote INCLUDING ALL);
  INSERT INTO quote_bonn (venue, symbol, level, token, price) SELECT 'Bonn', 'AAA', i, i, i FROM generate_series(1, 9) i;
  ALTER TABLE quote ALTER book SET STORAGE EXTERNAL;
  ALTER TABLE quote REPLICA IDENTITY FULL;
  ALTER TABLE quote_oslo REPLICA IDENTITY FULL;
  ALTER TABLE quote_rome REPLICA IDENTITY FULL;
  ALTER TABLE quote_bonn REPLICA IDENTITY FULL;
)sql";
inline constexpr const char* schema_but_quote = R"sql(
  CREATE TABLE account (
    note text,
    balance bigint NOT NULL,
    touched bigint NOT NULL DEFAULT 0,
    open boolean NOT NULL DEFAULT true,
    id bigint PRIMARY KEY,
    owner text NOT NULL);
  ALTER TABLE account ALTER note SET STORAGE EXTERNAL;

  CREATE TABLE position (
    owner text NOT NULL,
    symbol text NOT NULL,
    amount bigint NOT NULL,
    cost numeric,
    history text NOT NULL) WITH (toast_tuple_target = 128);  -- beside a long history, a long owner is outside as well
  ALTER TABLE position ALTER history SET STORAGE EXTERNAL, ALTER owner SET STORAGE EXTERNAL;
  CREATE UNIQUE INDEX position_key ON position (symbol, owner);
  ALTER TABLE position REPLICA IDENTITY USING INDEX position_key;

  CREATE TABLE journal (entry text);  -- which nobody follows
  CREATE PUBLICATION pub FOR TABLE account, position, quote WITH (publish_via_partition_root = true);

  -- Text that does not compress, 32 characters a piece.
  CREATE FUNCTION ballast(seed bigint, pieces bigint) RETURNS text LANGUAGE sql AS
    $$ SELECT string_agg(md5(seed || '/' || piece), '') FROM generate_series(1, pieces) AS piece $$;

  INSERT INTO account (id, owner, balance) VALUES (0, 'Alice', 1000000);
)sql";

inline const std::string schema = std::string{quote_schema} + schema_but_quote;

/// What the stream says of the old rows of two tables, besides the schema: each statement is a transaction of its own,
/// as two locks could mean a deadlock with a session.
inline constexpr const char* identity_by_row[] = {
    "ALTER TABLE account REPLICA IDENTITY FULL",
    "ALTER TABLE position REPLICA IDENTITY FULL",
};
inline constexpr const char* identity_by_key[] = {
    "ALTER TABLE account REPLICA IDENTITY DEFAULT",
    "ALTER TABLE position REPLICA IDENTITY USING INDEX position_key",
};

/// Changes of the rows or of the table that no message shows, each a transaction. What accounts and positions hold
/// together stays the same.
struct Alteration {
  const char* table;
  const char* sql;
};
inline constexpr Alteration alterations[] = {
    {"quote",
     "ALTER TABLE quote DETACH PARTITION quote_rome; UPDATE quote_rome SET price = price + 100;"
     "ALTER TABLE quote ATTACH PARTITION quote_rome FOR VALUES IN ('Rome')"},
    {"account", "ALTER TABLE account ALTER open TYPE boolean USING NOT open"},
    {"position", "ALTER TABLE position ALTER history TYPE text USING 'rewritten ' || history"},
    {"quote", "ALTER TABLE quote ATTACH PARTITION quote_bonn FOR VALUES IN ('Bonn')"},
    {"account",
     "CREATE TABLE successor (LIKE account INCLUDING ALL); LOCK TABLE account; INSERT INTO successor SELECT * FROM "
     "account; DROP TABLE account; ALTER TABLE successor RENAME TO account; ALTER PUBLICATION pub ADD TABLE account"},
    {"quote", "ALTER TABLE quote ALTER price TYPE numeric USING price * 2"},
    {"account", "ALTER TABLE account ALTER note TYPE text USING 'rewritten'"},
    {"quote", "ALTER TABLE quote DETACH PARTITION quote_bonn"},
    {"position", "ALTER TABLE position ALTER cost TYPE numeric USING cost * 1.0"},
};

}  // namespace model
