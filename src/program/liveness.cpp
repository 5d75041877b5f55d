// SPDX-License-Identifier: Apache-2.0
#include "program/liveness.h"

#include <algorithm>

#include "program/target_rules.h"

namespace kernelwright::program {
namespace {

// Beyond these the question of what precedes what costs too much: one after the other.
constexpr size_t kMostBranchingSteps = 4096;
constexpr int64_t kMostVisits = 4'000'000;

struct Touch {
  std::string buffer;
  bool writes = false, whole = true;
};

// What one top-level step touches.
struct Footprint {
  std::vector<Touch> touches;
  std::vector<std::pair<std::string, std::string>> swaps;
  bool alone = false;  // runs beside nothing: it expects its blocks to be resident
  bool pdl = false;
};

void add_args(const std::vector<Arg>& args, Footprint& out) {
  for (const Arg& arg : args)
    if (const auto* buffer = std::get_if<BufferArg>(&arg))
      out.touches.push_back(
          {buffer->buffer, buffer->access != Access::kRead, !buffer->view || buffer->tensor_map});
}

void add_step(const Step& step, Footprint& out) {
  if (const auto* launch = std::get_if<Launch>(&step.action)) {
    add_args(launch->args, out);
    out.alone = out.alone || launch->cooperative || launch->resident_per_sm;
    out.pdl = out.pdl || launch->pdl;
  } else if (const auto* call = std::get_if<LibraryCall>(&step.action)) {
    add_args(call->args, out);
  } else if (const auto* fill = std::get_if<Fill>(&step.action)) {
    out.touches.push_back({fill->buffer, true, !fill->view});
  } else if (const auto* copy = std::get_if<Copy>(&step.action)) {
    out.touches.push_back({copy->from, false, !copy->from_view});
    out.touches.push_back({copy->to, true, !copy->to_view});
  } else if (const auto* repeat = std::get_if<Repeat>(&step.action)) {
    for (const Step& inner : repeat->body) add_step(inner, out);
    for (const auto& pair : repeat->swap) {
      out.touches.push_back({pair.first, true, true});
      out.touches.push_back({pair.second, true, true});
      out.swaps.push_back(pair);
    }
  }
}

std::vector<Footprint> footprints(const Program& program) {
  std::vector<Footprint> out(program.run.size());
  for (size_t i = 0; i < out.size(); ++i) {
    add_step(program.run[i], out[i]);
    for (const Touch& touch : out[i].touches)
      if (const Buffer* buffer = program.find(touch.buffer);
          buffer && buffer->role == BufferRole::kSync)
        out[i].alone = true;
  }
  return out;
}

void set(std::vector<uint64_t>& bits, uint32_t at) {
  bits[at / 64] |= uint64_t{1} << (at % 64);
}
bool test(const std::vector<uint64_t>& bits, uint32_t at) {
  return bits[at / 64] >> (at % 64) & 1;
}

// What each step waits for, directly or not. A write waits for all earlier uses of the buffer, a
// read for earlier writes; writes into views of one buffer are taken to be apart. Empty: too many
// to compare.
std::vector<std::vector<uint64_t>> predecessors(const std::vector<Footprint>& steps) {
  std::vector<std::vector<uint64_t>> before(steps.size(),
                                            std::vector<uint64_t>((steps.size() + 63) / 64));
  struct Earlier {
    uint32_t step;
    bool writes, whole;
  };
  std::map<std::string, std::vector<Earlier>> uses;
  int64_t barrier = -1, visits = 0;
  for (uint32_t i = 0; i < steps.size(); ++i) {
    auto wait = [&](uint32_t other) {
      if (test(before[i], other)) return;
      set(before[i], other);
      for (size_t w = 0; w < before[i].size(); ++w) before[i][w] |= before[other][w];
    };
    if (steps[i].alone) {
      for (uint32_t other = 0; other < i; ++other) set(before[i], other);
      barrier = i;
    }
    if (barrier >= 0 && barrier != i) wait(static_cast<uint32_t>(barrier));
    for (const Touch& touch : steps[i].touches) {
      auto& list = uses[touch.buffer];
      visits += static_cast<int64_t>(list.size());
      if (visits > kMostVisits) return {};
      for (auto it = list.rbegin(); it != list.rend(); ++it)
        if (it->step != i && (touch.writes || it->writes) && (touch.whole || it->whole))
          wait(it->step);
      if (touch.writes && touch.whole) list.clear();
      list.push_back({i, touch.writes, touch.whole});
    }
  }
  return before;
}

}  // namespace

Liveness::Liveness(const Program& program) {
  const TargetRules* rules = target_rules(program.target);
  std::vector<Footprint> steps = footprints(program);
  std::vector<std::pair<std::string, std::string>> swaps;
  branching_ = rules && !rules->cpu && steps.size() <= kMostBranchingSteps;
  for (uint32_t i = 0; i < steps.size(); ++i) {
    // A plan with dependent launches is a chain.
    if (steps[i].pdl) branching_ = false;
    for (const Touch& touch : steps[i].touches) uses_[touch.buffer].steps.push_back(i);
    swaps.insert(swaps.end(), steps[i].swaps.begin(), steps[i].swaps.end());
  }
  auto tidy = [](std::vector<uint32_t>& list) {
    std::sort(list.begin(), list.end());
    list.erase(std::unique(list.begin(), list.end()), list.end());
  };
  for (auto& [name, use] : uses_) tidy(use.steps);
  // Chains of swaps need more than one pass.
  for (bool changed = true; changed;) {
    changed = false;
    for (const auto& [a, b] : swaps) {
      std::vector<uint32_t> both = uses_[a].steps;
      both.insert(both.end(), uses_[b].steps.begin(), uses_[b].steps.end());
      tidy(both);
      for (const std::string& name : {a, b}) {
        changed = changed || uses_[name].steps != both;
        uses_[name].steps = both;
      }
    }
  }
  if (!branching_) return;
  auto before = predecessors(steps);
  branching_ = !before.empty();
  if (!branching_) return;
  for (auto& [name, use] : uses_) {
    use.before = before[use.steps[0]];
    for (uint32_t step : use.steps)
      for (size_t w = 0; w < use.before.size(); ++w) use.before[w] &= before[step][w];
  }
}

bool Liveness::precedes(const Use& a, const Use& b) const {
  if (!branching_) return a.steps.back() < b.steps.front();
  return std::all_of(a.steps.begin(), a.steps.end(),
                     [&](uint32_t step) { return test(b.before, step); });
}

const Liveness::Use* Liveness::find(const std::string& buffer) const {
  auto it = uses_.find(buffer);
  return it == uses_.end() ? nullptr : &it->second;
}

}  // namespace kernelwright::program
