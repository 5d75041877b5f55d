// SPDX-License-Identifier: Apache-2.0
#include "agent/desk.h"

#include <fmt/core.h>

#include <nlohmann/json.hpp>

#include "agent/fence.h"
#include "archive/lessons.h"

namespace kernelwright::agent {
namespace {

constexpr size_t kResultBytes = 24 << 10;
constexpr size_t kSaidBytes = 300;

// The bench as one conversation sees it: stamps what is submitted and remembers what came of it.
class StampedBench : public Workbench {
 public:
  StampedBench(Workbench& bench, const Author& author, double at_s)
      : bench_(bench), author_(author), at_s_(at_s) {}

  const WorkloadFacts& facts() const override { return bench_.facts(); }

  Result<Judged> judge(const std::string& region, const program::Proposal& proposal, Depth depth,
                       const Call& call) override {
    if (region != author_.region)
      return fail(ErrorKind::kUsage,
                  fmt::format("region: this conversation is about {}", author_.region));
    program::Proposal stamped = proposal;
    stamped.proposer = "llm";
    stamped.idea =
        archive::short_change(author_.idea + (proposal.idea.empty() ? "" : ": " + proposal.idea));
    if (stamped.parent.empty()) stamped.parent = author_.parent;
    KW_TRY(Judged judged, bench_.judge(region, stamped, depth, call));
    if (depth == Depth::kSubmit) {
      Submission done;
      done.proposal = std::move(stamped);
      done.program = judged.program;
      done.kind = judged.verdict.kind;
      done.reason = judged.verdict.reason;
      // A verdict of a run that is resumed comes without a clock of its own.
      done.ms = judged.ms > 0 ? judged.ms : judged.verdict.timing ? judged.verdict.timing->ms : 0;
      done.at_s = at_s_;
      submitted.push_back(std::move(done));
    }
    return judged;
  }
  Result<Profile> profile(const std::string& region, const program::Proposal& proposal,
                          const Call& call) override {
    return bench_.profile(region, proposal, call);
  }
  std::optional<BestProgram> best(const std::string& region) const override {
    return bench_.best(region);
  }
  archive::Archive& archive() override { return bench_.archive(); }

  std::vector<Submission> submitted;

 private:
  Workbench& bench_;
  const Author& author_;
  double at_s_;
};

// What is wrong with a call or a program goes on as text; what is wrong with us does not.
bool ours(const Error& error) {
  return error.kind == ErrorKind::kInternal || error.kind == ErrorKind::kEnvironment;
}

}  // namespace

Desk::Desk(Workbench& bench, std::function<bool()> cancelled)
    : bench_(bench),
      cancelled_(std::move(cancelled)),
      start_(std::chrono::steady_clock::now()),
      owner_(std::this_thread::get_id()) {}

void Desk::on_owner(const std::function<void()>& job) {
  if (std::this_thread::get_id() == owner_) return job();
  std::unique_lock lock(mutex_);
  Waiting waiting{&job, false};
  queue_.push_back(&waiting);
  arrived_.notify_one();
  served_.wait(lock, [&] { return waiting.done; });
}

void Desk::pump(double wait_s) {
  std::unique_lock lock(mutex_);
  arrived_.wait_for(lock, std::chrono::duration<double>(wait_s),
                    [&] { return !queue_.empty() || woken_; });
  woken_ = false;
  while (!queue_.empty()) {
    Waiting* next = queue_.front();
    queue_.pop_front();
    lock.unlock();
    (*next->job)();
    lock.lock();
    next->done = true;
    served_.notify_all();
  }
}

void Desk::wake() {
  const std::lock_guard lock(mutex_);
  woken_ = true;
  arrived_.notify_one();
}

double Desk::elapsed() const {
  return std::chrono::duration<double>(std::chrono::steady_clock::now() - start_).count();
}

Desk::Served Desk::serve(const ToolCall& call, const Author& author) {
  Served served;
  on_owner([&] { served = serve_now(call, author); });
  return served;
}

Desk::Served Desk::serve_now(const ToolCall& call, const Author& author) {
  Served served;
  served.result.call_id = call.id;
  served.use.tool = archive::short_change(call.name).substr(0, 64);
  served.use.at_s = elapsed();
  StampedBench bench(bench_, author, served.use.at_s);
  const auto answer = [&]() -> Result<nlohmann::json> {
    if (!call.malformed.empty())
      return fail(ErrorKind::kUsage, "the arguments are no JSON object: " + call.malformed);
    if (cancelled_ && cancelled_())
      return fail(ErrorKind::kInterrupted, "the run is ending: no more calls");
    ToolContext context;
    context.bench = &bench;
    context.proposer = "llm";
    context.call.cancelled = cancelled_;
    return call_tool_text(context, call.name, call.arguments);
  }();
  if (answer) {
    served.result.text = abridged(
        answer->dump(1, ' ', false, nlohmann::json::error_handler_t::replace), kResultBytes);
  } else {
    served.result.error = true;
    served.result.text = answer.error().text();
    if (ours(answer.error())) trouble_ = answer.error();
  }
  served.submitted = std::move(bench.submitted);
  for (auto& submission : served.submitted)
    submission.repeated = !seen_.insert(submission.program).second;
  served.use.seconds = elapsed() - served.use.at_s;
  served.use.error = served.result.error;
  if (!served.submitted.empty()) {
    const Submission& last = served.submitted.back();
    served.use.program = last.program;
    served.use.said = fmt::format("{}: {}", referee::verdict_name(last.kind), last.reason);
  } else if (served.result.error) {
    served.use.said = served.result.text;
  }
  served.use.said = abridged(archive::short_change(served.use.said), kSaidBytes);
  return served;
}

void Desk::know(const std::set<std::string>& programs) {
  on_owner([&] { seen_.insert(programs.begin(), programs.end()); });
}

std::optional<Error> Desk::trouble() {
  std::optional<Error> found;
  on_owner([&] { found = trouble_; });
  return found;
}

Result<Profile> Desk::profile(const std::string& region, const program::Proposal& proposal) {
  Result<Profile> found = fail(ErrorKind::kInternal, "not asked");
  on_owner([&] {
    Call call;
    call.cancelled = cancelled_;
    found = bench_.profile(region, proposal, call);
  });
  return found;
}

std::optional<BestProgram> Desk::best(const std::string& region) {
  std::optional<BestProgram> found;
  on_owner([&] { found = bench_.best(region); });
  return found;
}

}  // namespace kernelwright::agent
