// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <optional>
#include <string>
#include <vector>

#include "agent/workbench.h"
#include "archive/archive.h"
#include "program/parse.h"

namespace kernelwright::agent {

// One part of a prompt.
struct Section {
  std::string title;
  std::string text;
  int priority = 0;      // 0 is never left out; the highest goes first when the budget is short
  bool shorten = false;  // cut to what is left instead of left out
};

// What a text costs a model, roughly: a token is about four bytes of English or code.
size_t estimate_tokens(std::string_view text);

// Sections in their order, as many as fit into `tokens` by priority. What is missing is named at
// the end.
std::string assemble(const std::vector<Section>& sections, size_t tokens);

// A program that stands in a prompt.
struct ShownProgram {
  std::string id, idea, target;
  double ms = 0;  // 0: not known
  program::Candidate candidate;
};

// All that the roles may be told about a region; see context_sections().
struct ContextInput {
  const WorkloadFacts* workload = nullptr;
  const RegionFacts* region = nullptr;
  std::vector<archive::VerdictRecord> tried;  // oldest first
  std::optional<ShownProgram> best;
  std::optional<Profile> profile;       // of the best
  std::optional<ShownProgram> foreign;  // of another target, for porting
  std::vector<archive::Lesson> lessons;
  std::string playbook;            // of the target
  std::vector<std::string> hints;  // the user's words
};

// In the order of a prompt: the user's advice, the task (shapes, numerics, baselines, speed of
// light), the program format, the PyTorch source, the graph, the machine, the best program, its
// profile, a program of another target, what was tried, lessons, the playbook.
std::vector<Section> context_sections(const ContextInput& input);

// The user's advice alone, for roles that need no more; empty without any.
std::string hint_text(const std::vector<std::string>& hints);
// Where a program's time goes, beside what the machine could do.
std::string profile_text(const Profile& profile, const RegionFacts& region);

// What a policy means for whoever writes a kernel.
std::string policy_rule(const std::string& policy);

}  // namespace kernelwright::agent
