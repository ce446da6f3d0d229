// Any bytes as what the server sends in one CopyData of a replication stream, and as one message of pgoutput.

#include <cstddef>
#include <cstdint>
#include <string_view>
#include <variant>

#include <btreemapped/detail/wire/frame.hpp>
#include <btreemapped/detail/wire/message.hpp>
#include <btreemapped/error.hpp>

#include "fuzz/require.hpp"
#include "support/bytes.hpp"
#include "support/message_views.hpp"

namespace {

namespace wire = btreemapped::detail::wire;
using btreemapped::Errc;

/// `payload` is a part of `bytes`.
void read_message(const test::ExactBytes& bytes, std::string_view payload) {
  wire::Message message = wire::LogicalMessage{.prefix = "untouched"};
  if (wire::parse_message(payload, message) != Errc::ok) {
    const auto* const before = std::get_if<wire::LogicalMessage>(&message);
    fuzz::require(before != nullptr && before->prefix == "untouched", "a refused message leaves no trace");
    return;
  }
  test::Views views{bytes};
  std::visit(views, message);
  fuzz::require(views.inside, "every view lies in the message, and every list is as long as it says");
  // What a message says is said by all of its bytes.
  wire::Message shorter;
  fuzz::require(wire::parse_message(payload.substr(0, payload.size() - 1), shorter) != Errc::ok,
                "a message that lacks its last byte is refused");
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  const test::ExactBytes bytes(std::string_view(reinterpret_cast<const char*>(data), size));
  read_message(bytes, bytes.view());
  wire::Frame frame;
  if (wire::parse_frame(bytes.view(), frame) != Errc::ok) return 0;
  if (const auto* const envelope = std::get_if<wire::XLogData>(&frame)) {
    fuzz::require(bytes.holds(envelope->payload), "the payload lies in the frame");
    read_message(bytes, envelope->payload);
  }
  return 0;
}
