// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <chrono>
#include <condition_variable>
#include <deque>
#include <functional>
#include <mutex>
#include <optional>
#include <set>
#include <string>
#include <thread>
#include <vector>

#include "agent/conversation.h"
#include "agent/tools.h"
#include "agent/workbench.h"

namespace kernelwright::agent {

// A program that a conversation handed in, and what became of it.
struct Submission {
  program::Proposal proposal;
  std::string program;  // id
  referee::VerdictKind kind = referee::VerdictKind::kBuildFailed;
  std::string reason;
  double ms = 0;          // right: on the clock of the best
  bool repeated = false;  // handed in before, here or by somebody else: says nothing new
  double at_s = 0;        // since the desk was opened

  // It was faster than all before it, when it was judged.
  bool gained() const { return !repeated && kind == referee::VerdictKind::kAccepted; }

  bool right() const {
    return kind == referee::VerdictKind::kSlower || kind == referee::VerdictKind::kAccepted;
  }
};

// Whose programs these are.
struct Author {
  std::string region;
  std::string idea;    // of the catalogue; stands before the model's own words
  std::string parent;  // its last program, else the one that the conversation began with
};

// One tool call as the timeline shows it.
struct ToolUse {
  std::string tool;
  std::string said;  // one line: verdict and reason, or the error
  std::string program;
  double at_s = 0, seconds = 0;
  bool error = false;
};

// Where parallel conversations meet the one workbench. A workbench belongs to one thread (its
// worker processes end with it), so calls from other threads wait until that thread, the owner,
// pumps: one at a time. What a model submits is stamped here with the idea that it was given, and
// with its last program as the parent when it names none.
class Desk {
 public:
  // The calling thread is the owner.
  explicit Desk(Workbench& bench, std::function<bool()> cancelled = {});

  struct Served {
    ToolResult result;
    std::vector<Submission> submitted;
    ToolUse use;
  };
  // Never fails: what goes wrong is told to the model.
  Served serve(const ToolCall& call, const Author& author);
  // A fault of our own, after which no call can succeed.
  std::optional<Error> trouble();
  // Programs that are nobody's news here.
  void know(const std::set<std::string>& programs);

  Result<Profile> profile(const std::string& region, const program::Proposal& proposal);
  std::optional<BestProgram> best(const std::string& region);
  const WorkloadFacts& facts() const { return bench_.facts(); }  // does not change
  // For the owner.
  Workbench& bench() { return bench_; }

  // For the owner, while others hold conversations: runs what waits; returns after `wait_s` at the
  // latest when nothing comes, or when woken.
  void pump(double wait_s);
  void wake();

  double elapsed() const;  // seconds since it was opened

 private:
  struct Waiting {
    const std::function<void()>* job = nullptr;
    bool done = false;
  };
  void on_owner(const std::function<void()>& job);
  Served serve_now(const ToolCall& call, const Author& author);

  Workbench& bench_;
  std::function<bool()> cancelled_;
  const std::chrono::steady_clock::time_point start_;
  const std::thread::id owner_;
  std::mutex mutex_;
  std::condition_variable arrived_, served_;
  std::deque<Waiting*> queue_;
  bool woken_ = false;
  // The owner's alone.
  std::optional<Error> trouble_;
  std::set<std::string> seen_;
};

}  // namespace kernelwright::agent
