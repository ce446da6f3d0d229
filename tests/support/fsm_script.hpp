#pragma once

#include <chrono>
#include <cstddef>
#include <optional>
#include <stdexcept>
#include <string>
#include <string_view>
#include <vector>

#include <btreemapped/detail/loop/stream_fsm.hpp>
#include <btreemapped/error.hpp>
#include <btreemapped/lsn.hpp>

#include <support/bytes.hpp>
#include <support/messages.hpp>

namespace test {

/// Plays driver and server of a state machine. The clock moves only when it is told to.
class FsmScript {
 public:
  using Fsm = btreemapped::detail::StreamFsm;
  using Step = Fsm::Step;
  using Action = Fsm::Action;
  using Time = Fsm::Time;
  using Duration = Fsm::Duration;
  using Lsn = btreemapped::Lsn;

  static constexpr Lsn consistent_point{0x1000};

  explicit FsmScript(Fsm::Settings settings = {}) : fsm(settings) {}

  [[nodiscard]] Action next() { return fsm.next(now); }
  [[nodiscard]] Step step() { return next().step; }
  void pass(Duration time) { now += time; }

  /// The start-up, done without a hitch.
  void start_streaming(Lsn at = consistent_point, Duration wal_sender_timeout = std::chrono::seconds{60}) {
    expect(Step::connect);
    fsm.connected(wal_sender_timeout);
    expect(Step::preflight);
    fsm.preflight_passed();
    expect(Step::create_slot);
    fsm.slot_created(at);
    expect(Step::copy);
    fsm.copied();
    expect(Step::publish_copy);
    fsm.published(now);
    expect(Step::start_stream);
    fsm.stream_started(now);
  }

  /// The start-up of an attempt that goes on where the stream was.
  void resume_streaming(bool sends_landmark = false) {
    expect(Step::connect);
    fsm.connected(std::chrono::seconds{60});
    expect(Step::resume);
    fsm.resumed(sends_landmark);
    expect(Step::start_stream);
    fsm.stream_started(now);
  }

  [[nodiscard]] btreemapped::Errc receive(const std::string& bytes) {
    frame_.emplace(bytes);
    return fsm.frame(now, frame_->view());
  }
  [[nodiscard]] btreemapped::Errc receive(const MessageBuilder& message, Lsn lsn = {}) {
    return receive(xlog_data(message, lsn));
  }

  /// A frame that must be all right.
  void hear(const std::string& bytes) {
    if (receive(bytes) != btreemapped::Errc::ok) throw std::logic_error("a frame of the script was refused");
  }
  void hear(const MessageBuilder& message, Lsn lsn = {}) { hear(xlog_data(message, lsn)); }

  /// Says how one step has gone; `receive` finds nothing to read.
  void carry_out(const Action& action) {
    switch (action.step) {
      case Step::stage:
        staged_types += message_type();
        fsm.staged();
        return;
      case Step::publish:
        published.push_back(fsm.commit().end_lsn);
        fsm.published(now);
        return;
      case Step::advance: fsm.advanced(); return;
      case Step::send_feedback:
        feedback.push_back(action);
        fsm.feedback_sent(now, action);
        return;
      case Step::receive: fsm.drained(now); return;
      default: throw std::logic_error("not a step that the script can carry out");
    }
  }

  /// Does what there is to do until nothing is left but to wait for the server, or to give it up.
  void settle() {
    for (bool drained = false;;) {
      const Action action = next();
      if (action.step == Step::give_up || (action.step == Step::receive && drained)) return;
      drained = action.step == Step::receive;
      carry_out(action);
    }
  }

  /// A whole transaction of one row, up to where its commit is to be published.
  void hear_transaction(Lsn commit_lsn, Lsn end_lsn) {
    hear(begin_message(commit_lsn));
    settle();
    hear(insert_message({1}));
    settle();
    hear(commit_message(commit_lsn, end_lsn));
  }

  Fsm fsm;
  Time now{std::chrono::hours{1000}};
  std::vector<Action> feedback{};  ///< that carry_out() has sent
  std::string staged_types{};      ///< of the messages that carry_out() has staged, one letter each
  std::vector<Lsn> published{};    ///< ends of the commits that carry_out() has published

 private:
  void expect(Step step) {
    if (next().step != step) throw std::logic_error("the start-up does not take its usual course");
  }

  [[nodiscard]] char message_type() const {
    static constexpr std::size_t frame_header = 25;
    return frame_->view().at(frame_header);
  }

  std::optional<ExactBytes> frame_{};
};

}  // namespace test
