// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <nlohmann/json_fwd.hpp>
#include <string>

#include "agent/workbench.h"

namespace kernelwright::agent {

// What tools answer, as JSON: short, and the first thing to fix first.

nlohmann::json workload_answer(const WorkloadFacts& facts, const Workbench& bench);
nlohmann::json target_answer(const WorkloadFacts& facts);
// A verdict for whoever proposed the program; `timed` says whether it was timed against the best.
nlohmann::json judged_answer(const Judged& judged, const RegionFacts& region,
                             const std::optional<BestProgram>& best, bool timed);
nlohmann::json profile_answer(const Profile& profile, const RegionFacts& region,
                              const target::MachineModel& model);
nlohmann::json program_answer(const program::Candidate& candidate, const std::string& id);
// One line of list_programs.
nlohmann::json listed_answer(const archive::VerdictRecord& record);

// The first `bytes` of a text, whole characters, with a note of what was left out.
std::string shortened(const std::string& text, size_t bytes);

}  // namespace kernelwright::agent
