// SPDX-License-Identifier: Apache-2.0
#include "agent/roles.h"

#include <fmt/core.h>

#include "agent/fence.h"
#include "agent/tools.h"

namespace kernelwright::agent {

namespace say {
const char* const kSubmit =
    "That reply handed in no program. Do so with submit_program: a plain one that is right is "
    "worth "
    "more than a plan. If nothing is left to try, say so in one line and stop.";
const char* const kCutOff =
    "Your reply was cut off at its length limit. Say less and keep the source short.";
const char* const kNowFaster =
    "That program is right. From now on make it faster, in the direction of your idea; change one "
    "thing at a time and submit each. It counts when it beats the best program with confidence.";
const char* const kOneSlower =
    "That program is right but not faster. A second slower one ends this idea, so change what the "
    "measurements point at.";
const char* const kRepeated = "That program was handed in before; the verdict is the one of then.";
const char* const kTooManyCalls =
    "Not run: too many tool calls in one reply. Make fewer at a time.";
}  // namespace say

std::string synthesizer_rules() {
  return fmt::format(
      "You write device kernels for kernelwright, which turns a PyTorch module into a verified, "
      "faster drop-in. A referee builds, verifies and times every program; its verdict is all that "
      "counts, and it cannot be talked to. Other engineers work on the same region with other "
      "ideas; stay with yours.\n\n"
      "How to work:\n"
      "1. First get a right program: submit early, read the first fault in the verdict, mend "
      "that.\n"
      "2. Then make it faster: predict from the machine's figures what limits it, change that, "
      "submit, compare.\n"
      "3. Leave tile sizes, unroll factors and thread counts as `params`: a search tunes them "
      "afterwards.\n"
      "4. Two right but slower results in a row end your idea, as do many failures.\n"
      "5. Say in the program's idea, in one line, what is new in it.\n\n{}",
      kFenceRule);
}

std::string analyst_rules() {
  return fmt::format(
      "You analyse the performance of kernels for kernelwright. You are given a program, its build "
      "report, its profile and what the machine could do at most. Return one concrete "
      "recommendation for the next program: what to change, where in the source, and by how much "
      "it should help, with the figures that say so. If the figures do not point anywhere, say "
      "which single experiment would tell. At most 200 words, no source code beyond a few "
      "lines.\n\n"
      "{}",
      kFenceRule);
}

std::string idea_task(const Idea& idea, bool has_parent) {
  return fmt::format(
      "## Your idea\n\n{}\n\n{} Begin with submit_program.\n", idea.what,
      has_parent ? "Start from the program above and keep what is right about it."
                 : "There is no right program yet: write a simple one first, then apply the idea.");
}

std::vector<ToolDefinition> run_tools() {
  std::vector<ToolDefinition> out;
  for (const Tool& tool : tool_table())
    if (!tool.session) out.push_back({tool.name, tool.description, tool.schema});
  return out;
}

}  // namespace kernelwright::agent
