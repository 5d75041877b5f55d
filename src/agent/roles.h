// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <string>

#include "agent/ideas.h"
#include "agent/provider.h"

namespace kernelwright::agent {

// What the roles are told, apart from the context (context.h).
std::string synthesizer_rules();
std::string analyst_rules();
// The task of one synthesizer, at the end of its first message.
std::string idea_task(const Idea& idea, bool has_parent);

// The tools of a conversation within a run, from the one table.
std::vector<ToolDefinition> run_tools();

// What the supervisor says between turns.
namespace say {
extern const char* const kSubmit;     // a reply without a program
extern const char* const kCutOff;     // a reply that was too long
extern const char* const kNowFaster;  // after the first right program
extern const char* const kOneSlower;  // after a right but slower one
extern const char* const kRepeated;   // after a program that was judged before
extern const char* const kTooManyCalls;
}  // namespace say

}  // namespace kernelwright::agent
