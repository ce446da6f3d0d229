#pragma once

#include <cstddef>
#include <cstdint>
#include <iterator>
#include <string_view>
#include <variant>

#include <btreemapped/detail/shape.hpp>
#include <btreemapped/detail/wire/reader.hpp>
#include <btreemapped/error.hpp>
#include <btreemapped/lsn.hpp>

namespace btreemapped {
inline namespace v0 {
namespace detail {
namespace wire {

/// One column of one row, in the server's text format. Binary values are never asked for, so there is no kind for them.
struct Cell {
  enum class Kind : char {
    null = 'n',
    unchanged = 'u',  ///< a TOAST value that the change did not touch and the server did not send
    text = 't',
  };
  Kind kind = Kind::null;
  std::string_view text{};

  friend constexpr bool operator==(const Cell&, const Cell&) noexcept = default;
};

struct RelationColumn {
  bool in_identity = false;
  std::string_view name{};
  Oid type_oid = 0;
  std::int32_t typmod = -1;

  friend constexpr bool operator==(const RelationColumn&, const RelationColumn&) noexcept = default;
};

constexpr void read_fields(Reader& reader, Oid& oid) noexcept { oid = reader.u32(); }

constexpr void read_fields(Reader& reader, Cell& cell) noexcept {
  cell = {};
  switch (static_cast<char>(reader.u8())) {
    case 'n': return;
    case 'u': cell.kind = Cell::Kind::unchanged; return;
    case 't':
      cell.kind = Cell::Kind::text;
      cell.text = reader.bytes(reader.length32());
      return;
    default: reader.fail(Errc::invalid_message); return;
  }
}

constexpr void read_fields(Reader& reader, RelationColumn& column) noexcept {
  const std::uint8_t flags = reader.u8();
  reader.require(flags <= 1);
  column.in_identity = flags == 1;
  column.name = reader.cstring();
  column.type_oid = reader.u32();
  column.typmod = reader.i32();
}

/// A run of records inside a message, as a forward range. All of them are checked once, by take(); an iterator decodes
/// them again, by the same checked reader. It stays at the end when incremented there, and shows an empty record.
/// Lifetime: a view of the parsed bytes; iterators do not refer to the range.
template <class Record>
class Records {
 public:
  class Iterator {
   public:
    using iterator_concept = std::forward_iterator_tag;
    using iterator_category = std::input_iterator_tag;  // of C++17, where a forward iterator must refer to memory
    using value_type = Record;
    using difference_type = std::ptrdiff_t;
    using pointer = const Record*;
    using reference = Record;

    constexpr Iterator() noexcept = default;

    [[nodiscard]] constexpr Record operator*() const noexcept { return current_; }
    [[nodiscard]] constexpr const Record* operator->() const noexcept { return &current_; }

    constexpr Iterator& operator++() noexcept {
      if (left_ != 0) --left_;
      decode();
      return *this;
    }
    constexpr Iterator operator++(int) noexcept {
      const Iterator before = *this;
      ++*this;
      return before;
    }

    friend constexpr bool operator==(const Iterator& a, const Iterator& b) noexcept { return a.left_ == b.left_; }

   private:
    friend class Records;
    constexpr Iterator(std::string_view bytes, std::size_t count) noexcept : reader_(bytes), left_(count) { decode(); }

    constexpr void decode() noexcept {
      current_ = Record{};
      if (left_ != 0) read_fields(reader_, current_);
    }

    Reader reader_{};
    std::size_t left_ = 0;  // counts the current record
    Record current_{};
  };

  constexpr Records() noexcept = default;

  /// Reads and checks `count` records; the range is empty when one of them is wrong.
  [[nodiscard]] static constexpr Records take(Reader& reader, std::size_t count) noexcept {
    Reader ahead = reader;
    for (std::size_t i = 0; i < count && ahead.ok(); ++i) {
      Record record{};
      read_fields(ahead, record);
    }
    if (!ahead.ok()) {
      reader.fail(ahead.error());
      return {};
    }
    Records records;
    records.bytes_ = reader.bytes(reader.left() - ahead.left());
    records.count_ = reader.ok() ? count : 0;
    return records;
  }

  [[nodiscard]] constexpr std::size_t size() const noexcept { return count_; }
  [[nodiscard]] constexpr bool empty() const noexcept { return count_ == 0; }
  [[nodiscard]] constexpr Iterator begin() const noexcept { return {bytes_, count_}; }
  [[nodiscard]] constexpr Iterator end() const noexcept { return {}; }

 private:
  std::string_view bytes_{};
  std::size_t count_ = 0;
};

/// The columns of one row, in the order of the newest Relation message.
using Tuple = Records<Cell>;

/// What the server leaves out where it names its own schema; the parser puts it back.
inline constexpr std::string_view catalog_schema = "pg_catalog";

/// The messages of pgoutput, protocol version 1, without streaming and two-phase commit. Strings are unquoted names.
/// Units: times are microseconds since 2000-01-01 UTC, see from_pg_clock().
/// Lifetime: views of the parsed bytes, except for `catalog_schema`.
/// Source: https://www.postgresql.org/docs/current/protocol-logicalrep-message-formats.html
struct Begin {
  Lsn commit_lsn{};
  std::int64_t commit_time = 0;
  std::uint32_t xid = 0;
};

struct Commit {
  Lsn commit_lsn{};  ///< where the commit record starts
  Lsn end_lsn{};     ///< where it ends: what to acknowledge
  std::int64_t commit_time = 0;
};

/// Where a transaction was first committed, when this server only replays it.
struct Origin {
  Lsn commit_lsn{};  ///< on that server
  std::string_view name{};
};

struct Relation {
  Oid oid = 0;
  std::string_view schema{};
  std::string_view name{};
  char replica_identity = 'd';  ///< d(efault) n(othing) f(ull) i(ndex)
  Records<RelationColumn> columns{};
};

/// A column type that is not built in. For a domain it is the domain's OID with the name of its base type.
struct Type {
  Oid oid = 0;
  std::string_view schema{};
  std::string_view name{};
};

struct Insert {
  Oid relation = 0;
  Tuple row{};
};

/// Which columns of an old row were sent. In a `key` image the others are there as nulls that say nothing.
enum class OldKind : std::uint8_t { none, key, full };

struct Update {
  Oid relation = 0;
  OldKind old_kind = OldKind::none;
  Tuple old_row{};
  Tuple row{};
};

struct Delete {
  Oid relation = 0;
  OldKind old_kind = OldKind::key;
  Tuple old_row{};
};

struct Truncate {
  bool cascade = false;  ///< only for the record: the server lists every table
  bool restart_identity = false;
  Records<Oid> relations{};
};

/// What pg_logical_emit_message() wrote.
struct LogicalMessage {
  bool transactional = false;
  Lsn lsn{};
  std::string_view prefix{};
  std::string_view content{};
};

using Message = std::variant<Begin, Commit, Origin, Relation, Type, Insert, Update, Delete, Truncate, LogicalMessage>;

constexpr std::string_view read_schema(Reader& reader) noexcept {
  const std::string_view name = reader.cstring();
  return reader.ok() && name.empty() ? catalog_schema : name;
}

constexpr Tuple read_tuple(Reader& reader) noexcept { return Tuple::take(reader, reader.length16()); }

constexpr OldKind to_old_kind(char tag) noexcept {
  return tag == 'K' ? OldKind::key : tag == 'O' ? OldKind::full : OldKind::none;
}

constexpr void read_fields(Reader& reader, Begin& begin) noexcept {
  begin.commit_lsn = Lsn{reader.u64()};
  begin.commit_time = reader.i64();
  begin.xid = reader.u32();
}

constexpr void read_fields(Reader& reader, Commit& commit) noexcept {
  reader.require(reader.u8() == 0);
  commit.commit_lsn = Lsn{reader.u64()};
  commit.end_lsn = Lsn{reader.u64()};
  commit.commit_time = reader.i64();
}

constexpr void read_fields(Reader& reader, Origin& origin) noexcept {
  origin.commit_lsn = Lsn{reader.u64()};
  origin.name = reader.cstring();
}

constexpr void read_fields(Reader& reader, Relation& relation) noexcept {
  relation.oid = reader.u32();
  relation.schema = read_schema(reader);
  relation.name = reader.cstring();
  relation.replica_identity = static_cast<char>(reader.u8());
  reader.require(std::string_view{"dnfi"}.find(relation.replica_identity) != std::string_view::npos);
  relation.columns = Records<RelationColumn>::take(reader, reader.length16());
}

constexpr void read_fields(Reader& reader, Type& type) noexcept {
  type.oid = reader.u32();
  type.schema = read_schema(reader);
  type.name = reader.cstring();
}

constexpr void read_fields(Reader& reader, Insert& insert) noexcept {
  insert.relation = reader.u32();
  reader.require(reader.u8() == 'N');
  insert.row = read_tuple(reader);
}

constexpr void read_fields(Reader& reader, Update& update) noexcept {
  update.relation = reader.u32();
  auto tag = static_cast<char>(reader.u8());
  update.old_kind = to_old_kind(tag);
  if (update.old_kind != OldKind::none) {
    update.old_row = read_tuple(reader);
    tag = static_cast<char>(reader.u8());
  }
  reader.require(tag == 'N');
  update.row = read_tuple(reader);
}

constexpr void read_fields(Reader& reader, Delete& erased) noexcept {
  erased.relation = reader.u32();
  erased.old_kind = to_old_kind(static_cast<char>(reader.u8()));
  reader.require(erased.old_kind != OldKind::none);
  erased.old_row = read_tuple(reader);
}

constexpr void read_fields(Reader& reader, Truncate& truncate) noexcept {
  const std::size_t count = reader.length32();
  const std::uint8_t options = reader.u8();
  reader.require(options <= 3);
  truncate.cascade = (options & 1U) != 0;
  truncate.restart_identity = (options & 2U) != 0;
  truncate.relations = Records<Oid>::take(reader, count);
}

constexpr void read_fields(Reader& reader, LogicalMessage& message) noexcept {
  const std::uint8_t flags = reader.u8();
  reader.require(flags <= 1);
  message.transactional = flags == 1;
  message.lsn = Lsn{reader.u64()};
  message.prefix = reader.cstring();
  message.content = reader.bytes(reader.length32());
}

template <class Kind>
[[nodiscard]] constexpr Errc parse_as(Reader reader, Message& out) noexcept {
  Kind message{};
  read_fields(reader, message);
  if (reader.finish() != Errc::ok) return reader.error();
  out = message;
  return Errc::ok;
}

/// Reads one message, the payload of one XLogData; `out` is written only on success.
[[nodiscard]] inline Errc parse_message(std::string_view payload, Message& out) noexcept {
  Reader reader{payload};
  const auto type = static_cast<char>(reader.u8());
  if (!reader.ok()) return reader.error();
  switch (type) {
    case 'B': return parse_as<Begin>(reader, out);
    case 'C': return parse_as<Commit>(reader, out);
    case 'O': return parse_as<Origin>(reader, out);
    case 'R': return parse_as<Relation>(reader, out);
    case 'Y': return parse_as<Type>(reader, out);
    case 'I': return parse_as<Insert>(reader, out);
    case 'U': return parse_as<Update>(reader, out);
    case 'D': return parse_as<Delete>(reader, out);
    case 'T': return parse_as<Truncate>(reader, out);
    case 'M': return parse_as<LogicalMessage>(reader, out);
    // Skipping what is not known could lose a row change.
    default: return Errc::unknown_message;
  }
}

}  // namespace wire
}  // namespace detail
}  // namespace v0
}  // namespace btreemapped
