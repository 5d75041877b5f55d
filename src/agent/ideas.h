// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <string>
#include <vector>

#include "agent/workbench.h"

namespace kernelwright::agent {

// What decides which ideas are worth a conversation.
struct IdeaFacts {
  int ops = 0;           // nodes of the region
  int contractions = 0;  // stages that are sums of products
  int reductions = 0;    // other stages with reduced axes
  int launches = 0;      // of the best program; 0: there is none
  bool memory_bound = true;
  bool other_target = false;  // a program or a lesson of another target is at hand
  std::string target, policy;
};
IdeaFacts idea_facts(const WorkloadFacts& workload, const RegionFacts& region, int launches,
                     bool other_target);

// One way to make a region faster. The catalogue is what synthesizers are given, one each, so that
// several conversations do not try the same.
struct Idea {
  const char* name;  // "fuse"; also in conversation ids and in the lineage
  const char* what;  // told to the model
  const char* when;  // told to people (docs/agents.md)
  bool (*applies)(const IdeaFacts& facts);
  int memory_rank;  // order when the region is memory-bound, and else; small first
  int compute_rank;
};

const std::vector<Idea>& idea_table();
const Idea* find_idea(const std::string& name);
// Those that apply, most promising first.
std::vector<const Idea*> ideas_for(const IdeaFacts& facts);

}  // namespace kernelwright::agent
