// SPDX-License-Identifier: Apache-2.0
#include "search/param_tuner.h"

#include <fmt/core.h>

#include <cctype>

namespace kernelwright::search {
namespace {

constexpr int64_t kLargest = 1 << 20;

void add_names(const program::SizeExpr& size, std::set<std::string>& names) {
  std::string word;
  for (const char c : size.text + " ") {
    if (std::isalnum(static_cast<unsigned char>(c)) || c == '_') {
      word += c;
    } else {
      names.insert(word);
      word.clear();
    }
  }
}

void add_extents(const std::vector<program::Interface::Slot>& slots, std::set<int64_t>& extents) {
  for (const auto& slot : slots) {
    extents.insert(slot.type.elements());
    extents.insert(slot.type.shape.begin(), slot.type.shape.end());
  }
}

}  // namespace

std::vector<std::string> tunable_params(const program::Program& program,
                                        const program::Interface& interface) {
  std::set<std::string> in_shapes;
  for (const auto& buffer : program.buffers) {
    const auto role = buffer.role;
    if (role == program::BufferRole::kInput || role == program::BufferRole::kOutput ||
        role == program::BufferRole::kWeight || role == program::BufferRole::kState)
      for (const auto& extent : buffer.shape) add_names(extent, in_shapes);
  }
  std::set<int64_t> extents;
  add_extents(interface.inputs, extents);
  add_extents(interface.outputs, extents);
  add_extents(interface.weights, extents);
  add_extents(interface.states, extents);
  std::vector<std::string> names;
  for (const auto& [name, value] : program.params)
    if (value >= 1 && value <= kLargest && !in_shapes.count(name) && !extents.count(value))
      names.push_back(name);
  return names;
}

ParamTuner::ParamTuner(program::Proposal base, double seconds, const program::Interface& interface)
    : best_(std::move(base)),
      best_s_(seconds),
      params_(tunable_params(best_.candidate.program, interface)) {
  seen_.insert(program::candidate_id(best_.candidate));
  look_around();
}

void ParamTuner::look_around() {
  waiting_.clear();
  for (const auto& name : params_) {
    const int64_t value = best_.candidate.program.params.at(name);
    for (const int64_t other : {value * 2, value / 2}) {
      if (other < 1 || other > kLargest) continue;
      Step step{name, best_};
      step.proposal.candidate.program.params[name] = other;
      step.proposal.idea = fmt::format("{} {} instead of {}", name, other, value);
      step.proposal.parent = program::candidate_id(best_.candidate);
      step.proposal.predicted_s = 0;
      if (!seen_.count(program::candidate_id(step.proposal.candidate)))
        waiting_.push_back(std::move(step));
    }
  }
}

Result<std::vector<program::Proposal>> ParamTuner::propose(int count) {
  std::vector<program::Proposal> out;
  while (static_cast<int>(out.size()) < count && !waiting_.empty()) {
    Step step = std::move(waiting_.front());
    waiting_.pop_front();
    const std::string id = program::candidate_id(step.proposal.candidate);
    if (given_up_.count(step.param) || !seen_.insert(id).second) continue;
    out.push_back(step.proposal);
    proposed_[id] = std::move(step);
  }
  return out;
}

void ParamTuner::learn(const program::Outcome& outcome) {
  const auto it = proposed_.find(outcome.candidate_id);
  if (it == proposed_.end()) return;
  if (!outcome.correct) {
    given_up_.insert(it->second.param);
    return;
  }
  if (outcome.seconds <= 0 || (best_s_ > 0 && outcome.seconds >= best_s_)) return;
  best_ = it->second.proposal;
  best_s_ = outcome.seconds;
  look_around();
}

}  // namespace kernelwright::search
