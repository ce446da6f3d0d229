#pragma once

#include <concepts>
#include <cstddef>
#include <cstdint>
#include <stdexcept>
#include <string>
#include <string_view>
#include <utility>
#include <variant>
#include <vector>

#include <btreemapped/detail/shape.hpp>
#include <btreemapped/detail/wire/message.hpp>
#include <btreemapped/error.hpp>
#include <btreemapped/lsn.hpp>

#include <support/bytes.hpp>

// The bytes that a server would send: messages of pgoutput, and the frames in which they come.
namespace test {

/// One cell of a row as a test writes it: a text, a number, `null`, or `unchanged` for a TOAST value that is not sent.
struct CellText {
  using Kind = btreemapped::detail::wire::Cell::Kind;

  Kind kind = Kind::null;
  std::string text{};

  // Implicit, so that a row reads {"Alice", 123, null}.
  CellText(Kind only) : kind(only) {}
  CellText(const char* given) : kind(Kind::text), text(given) {}
  CellText(std::string given) : kind(Kind::text), text(std::move(given)) {}
  CellText(std::integral auto given) : kind(Kind::text), text(std::to_string(given)) {}
};

inline constexpr CellText::Kind null = CellText::Kind::null;
inline constexpr CellText::Kind unchanged = CellText::Kind::unchanged;

using Cells = std::vector<CellText>;

/// The table that messages speak of when a test has only one.
inline constexpr btreemapped::Oid only_table = 16'400;

/// Writes one message of pgoutput.
class MessageBuilder {
 public:
  explicit MessageBuilder(char type) { bytes_ += type; }

  MessageBuilder& byte(char value) {
    bytes_ += value;
    return *this;
  }
  MessageBuilder& u16(std::size_t value) { return big_endian(value, 2); }
  MessageBuilder& u32(std::size_t value) { return big_endian(value, 4); }
  MessageBuilder& u64(std::uint64_t value) { return big_endian(value, 8); }
  MessageBuilder& lsn(btreemapped::Lsn value) { return u64(value.value()); }
  MessageBuilder& name(std::string_view text) {
    bytes_.append(text).push_back('\0');
    return *this;
  }
  MessageBuilder& text(std::string_view text) {
    bytes_.append(text);
    return *this;
  }
  MessageBuilder& tuple(char tag, const Cells& cells) {
    byte(tag).u16(cells.size());
    for (const CellText& cell : cells) {
      byte(static_cast<char>(cell.kind));
      if (cell.kind == CellText::Kind::text) u32(cell.text.size()).text(cell.text);
    }
    return *this;
  }

  [[nodiscard]] const std::string& bytes() const noexcept { return bytes_; }

 private:
  MessageBuilder& big_endian(std::uint64_t value, unsigned size) {
    for (unsigned i = size; i-- > 0;) bytes_ += static_cast<char>(static_cast<unsigned char>(value >> (8 * i)));
    return *this;
  }

  std::string bytes_{};
};

/// A message and the bytes that it views, which die with it: who keeps a view for longer is caught by the sanitizer.
template <class Message>
class Parsed {
 public:
  explicit Parsed(const MessageBuilder& builder) : bytes_(builder.bytes()) {
    if (parse_message(bytes_.view(), message_) != btreemapped::Errc::ok)
      throw std::logic_error("the test built a message that does not parse");
  }
  Parsed(const Parsed&) = delete;
  Parsed& operator=(const Parsed&) = delete;

  [[nodiscard]] const Message& operator*() const { return std::get<Message>(message_); }

 private:
  ExactBytes bytes_;
  btreemapped::detail::wire::Message message_{};
};

struct RelationColumnText {
  std::string name{};
  btreemapped::Oid type_oid = 0;
  bool in_identity = false;
  std::int32_t typmod = -1;
};

inline MessageBuilder relation_message(const btreemapped::detail::TableName& table, char identity,
                                       const std::vector<RelationColumnText>& columns,
                                       btreemapped::Oid oid = only_table) {
  MessageBuilder builder('R');
  builder.u32(oid).name(table.schema).name(table.name).byte(identity).u16(columns.size());
  for (const RelationColumnText& column : columns)
    builder.byte(column.in_identity ? '\1' : '\0')
        .name(column.name)
        .u32(column.type_oid)
        .u32(static_cast<std::uint32_t>(column.typmod));
  return builder;
}

/// Units: `clock` is in microseconds since 2000-01-01 UTC.
inline MessageBuilder begin_message(btreemapped::Lsn commit_lsn, std::uint64_t clock = 0, std::uint32_t xid = 743) {
  return MessageBuilder('B').lsn(commit_lsn).u64(clock).u32(xid);
}

/// Units: as for begin_message().
inline MessageBuilder commit_message(btreemapped::Lsn commit_lsn, btreemapped::Lsn end_lsn, std::uint64_t clock = 0) {
  return MessageBuilder('C').byte('\0').lsn(commit_lsn).lsn(end_lsn).u64(clock);
}

inline MessageBuilder insert_message(const Cells& row, btreemapped::Oid oid = only_table) {
  return MessageBuilder('I').u32(oid).tuple('N', row);
}

/// An update without an old image.
inline MessageBuilder update_message(const Cells& row, btreemapped::Oid oid = only_table) {
  return MessageBuilder('U').u32(oid).tuple('N', row);
}

inline MessageBuilder delete_message(const Cells& key, btreemapped::Oid oid = only_table) {
  return MessageBuilder('D').u32(oid).tuple('K', key);
}

inline MessageBuilder truncate_message(const std::vector<btreemapped::Oid>& oids) {
  MessageBuilder builder('T');
  builder.u32(oids.size()).byte('\0');
  for (const btreemapped::Oid oid : oids) builder.u32(oid);
  return builder;
}

inline MessageBuilder origin_message(std::string_view name) { return MessageBuilder('O').u64(0).name(name); }

inline MessageBuilder type_message(std::string_view name) {
  return MessageBuilder('Y').u32(16'385).name("public").name(name);
}

/// What pg_logical_emit_message() sends.
inline MessageBuilder emitted_message(bool transactional, std::string_view content = "content",
                                      std::string_view prefix = "prefix") {
  return MessageBuilder('M').byte(transactional ? '\1' : '\0').u64(0).name(prefix).u32(content.size()).text(content);
}

/// A message in its envelope. `lsn` is what the server puts into both positions of the header.
inline std::string xlog_data(const MessageBuilder& message, btreemapped::Lsn lsn = {}) {
  return MessageBuilder('w').lsn(lsn).lsn(lsn).u64(0).text(message.bytes()).bytes();
}

inline std::string keepalive(btreemapped::Lsn wal_end, bool wants_reply = false) {
  return MessageBuilder('k').lsn(wal_end).u64(0).byte(wants_reply ? '\1' : '\0').bytes();
}

}  // namespace test
