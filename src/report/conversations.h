// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <string>
#include <vector>

namespace kernelwright::report {

// The agents' conversations (lines of conversations.jsonl, docs/agents.md) as a timeline: who, with
// which idea, when, each tool call with its verdict, tokens and cost. A piece of HTML with all
// text escaped; empty without conversations. Lines that are none are skipped.
std::string conversations_html(const std::vector<std::string>& lines);

}  // namespace kernelwright::report
