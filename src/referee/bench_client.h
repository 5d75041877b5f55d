// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <chrono>
#include <nlohmann/json_fwd.hpp>
#include <string>
#include <vector>

#include "base/channel.h"
#include "base/subprocess.h"
#include "referee/bench_protocol.h"
#include "referee/verdict.h"

namespace kernelwright::referee {

// Why a request to a bench worker came to nothing: the verdict that the candidate earned by it.
struct Trouble {
  VerdictKind kind = VerdictKind::kCrashed;
  std::string reason;
};
template <class T>
using Reply = tl::expected<T, Trouble>;

struct BenchOptions {
  std::string executable;     // has the `bench-worker` command; empty: our own
  uint64_t memory_bytes = 0;  // address space; 0: unbounded
};

// The coordinator's end of one bench worker. Every request is bounded by the deadline; a worker
// that misses it is killed. After a Trouble the client is used up.
class BenchClient {
 public:
  using Clock = std::chrono::steady_clock;

  // Starts the process; does not wait for it.
  static Result<BenchClient> start(const BenchOptions& options);

  void set_deadline(Clock::time_point deadline) { deadline_ = deadline; }
  Reply<bench::Loaded> load(const bench::Load& request, const std::vector<int>& object_fds);
  Reply<int> map(const Arena& arena, bool writable);  // id
  Reply<void> unmap(int arena);
  Reply<int> bind(bench::Binding request);  // id; request.id is set here
  Reply<bench::Ran> run(const bench::Run& request);
  Reply<bench::Timed> time(const bench::Time& request);
  Reply<bench::Repeated> repeat(const bench::Repeat& request);
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
  bool greeted_ = false;
  int next_arena_ = 0, next_binding_ = 0;
  double wall_ms_ = 0;
};

// Keeps one worker warm, so that a verdict does not wait for a process to start.
class BenchPool {
 public:
  explicit BenchPool(BenchOptions options) : options_(std::move(options)) {}
  Result<BenchClient> take();
  // Starts the spare; called when no timing runs.
  void refill();

 private:
  BenchOptions options_;
  std::vector<BenchClient> spare_;
};

}  // namespace kernelwright::referee
