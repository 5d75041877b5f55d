// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <chrono>
#include <nlohmann/json_fwd.hpp>
#include <optional>
#include <string>
#include <vector>

#include "base/channel.h"
#include "base/subprocess.h"
#include "referee/bench_protocol.h"
#include "referee/verdict.h"

namespace kernelwright::referee {

// Why a judgement came to nothing: the verdict that the candidate earned by it, or a failure of our
// own, which is nobody's verdict.
struct Trouble {
  VerdictKind kind = VerdictKind::kCrashed;
  std::string reason;
  std::optional<Error> ours = std::nullopt;
};
template <class T>
using Reply = tl::expected<T, Trouble>;

// What only we can fail at, on the way to a Reply.
template <class T>
Reply<T> as_reply(Result<T> result) {
  if (result) return std::move(*result);
  return tl::unexpected(Trouble{VerdictKind::kCrashed, result.error().text(), result.error()});
}
inline Reply<void> as_reply(Status status) {
  if (status) return {};
  return tl::unexpected(Trouble{VerdictKind::kCrashed, status.error().text(), status.error()});
}

struct BenchOptions {
  std::string executable;                // has the `bench-worker` command; empty: our own
  uint64_t memory_bytes = 0;             // address space; 0: unbounded
  std::vector<std::string> environment;  // "K=V", beside the little that every worker gets
  std::vector<std::string> command;      // a tool that runs the worker: its words come first
};

// The coordinator's end of one bench worker. Every request is bounded by the deadline; a worker
// that misses it is killed. After a Trouble the client is used up.
class BenchClient {
 public:
  using Clock = std::chrono::steady_clock;

  // Starts the process; does not wait for it.
  static Result<BenchClient> start(const BenchOptions& options);

  void set_deadline(Clock::time_point deadline) {
    deadline_ = deadline;
    allowed_s_ = std::chrono::duration<double>(deadline - Clock::now()).count();
  }
  Reply<bench::Loaded> load(const bench::Load& request, const std::vector<int>& object_fds);
  Reply<int> map(const Arena& arena, bool writable);  // id
  Reply<void> unmap(int arena);
  Reply<int> bind(bench::Binding request);  // id; request.id is set here
  Reply<bench::Ran> run(const bench::Run& request);
  Reply<bench::Timed> time(const bench::Time& request);
  Reply<bench::Repeated> repeat(const bench::Repeat& request);
  Reply<bench::Profiled> profile(const bench::Profile& request);
  // Waits until the process has said that it is ready (or is dead: the next request tells).
  void greet(Clock::time_point deadline);
  // Lets the process end by itself; false when it had to be killed.
  bool finish(std::chrono::milliseconds patience);
  // Of the latest request, by our clock.
  double wall_ms() const { return wall_ms_; }
  // How long threads of the worker have waited for a processor so far, by the kernel's count; 0
  // where it keeps none.
  double waited_ms() const;

 private:
  tl::expected<nlohmann::json, Trouble> ask(const nlohmann::json& request,
                                            const std::vector<int>& fds = {});
  tl::expected<nlohmann::json, Trouble> receive();
  // An answer to this shows that the worker is done with what came before; its time counts with
  // that.
  Reply<void> settle();
  Trouble died();

  base::ChildProcess process_;
  base::Channel channel_;
  Clock::time_point deadline_ = Clock::now() + std::chrono::seconds(30);
  double allowed_s_ = 30;  // from when the deadline was set
  bool greeted_ = false;
  int next_arena_ = 0, next_binding_ = 0;
  double wall_ms_ = 0;
};

// Keeps a few workers warm, so that a verdict does not wait for a process to start.
class BenchPool {
 public:
  BenchPool(BenchOptions options, int spares) : options_(std::move(options)), spares_(spares) {}
  // Spares that are still starting are waited for: nothing starts beside a timing.
  Result<BenchClient> take();
  // Starts the spares when none is left; called when no timing runs.
  void refill();

 private:
  BenchOptions options_;
  int spares_;
  std::vector<BenchClient> spare_;
};

}  // namespace kernelwright::referee
