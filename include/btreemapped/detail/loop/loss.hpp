#pragma once

#include <exception>

#include <btreemapped/error.hpp>
#include <btreemapped/status.hpp>

namespace btreemapped {
inline namespace v0 {
namespace detail {

/// The connection is given up, as the server does not answer.
class SilentServer : public ConnectionError {
 public:
  using ConnectionError::ConnectionError;
};

/// The kind of an end, for those who count.
[[nodiscard]] inline LossCause cause_of(const std::exception_ptr& reason) {
  try {
    std::rethrow_exception(reason);
  } catch (const SilentServer&) {
    return LossCause::server_silent;
  } catch (const ConnectionError& error) {
    const bool told = error.sqlstate() == "57P01" || error.sqlstate() == "57P02" || error.sqlstate() == "57P03";
    return told ? LossCause::server_ended : LossCause::connection_lost;
  } catch (const SlotError&) {
    return LossCause::slot;
  } catch (const ProtocolError&) {
    return LossCause::protocol;
  } catch (const SchemaError&) {
    return LossCause::schema;
  } catch (const DecodeError&) {
    return LossCause::schema;
  } catch (...) {
    return LossCause::other;
  }
}

}  // namespace detail
}  // namespace v0
}  // namespace btreemapped
