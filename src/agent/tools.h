// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <nlohmann/json_fwd.hpp>
#include <string>
#include <string_view>
#include <vector>

#include "agent/workbench.h"
#include "base/result.h"

namespace kernelwright::agent {

// What tools work on. Within a run `bench` is its workload and there is no workshop; a session with
// coding agents has a workshop, and calls name their workload.
struct ToolContext {
  Workbench* bench = nullptr;
  Workshop* workshop = nullptr;
  std::string proposer = "mcp";  // recorded with programs: "mcp", "llm"
  Call call;
};

// One tool: its conversation form, its MCP form and docs/mcp.md all come from this row.
struct Tool {
  const char* name;
  const char* title;        // few words, for people
  const char* description;  // all that a model needs to use it
  const char*
      schema;      // JSON schema of the arguments object, in the subset that check_schema() knows
  bool session;    // belongs to a session with a coding agent: not offered within a run
  bool slow;       // may take more than a second: tells progress, can be cancelled
  bool read_only;  // records nothing
  // The result is an object, short and structured. An error is one line that says what to do.
  Result<nlohmann::json> (*run)(const ToolContext& context, const nlohmann::json& arguments);
};

const std::vector<Tool>& tool_table();
const Tool* find_tool(std::string_view name);  // null: there is none

// Checks name and arguments, then runs it. kUsage: no such tool, or arguments that do not fit its
// schema ("program.source: missing"). Never throws.
Result<nlohmann::json> call_tool(const ToolContext& context, std::string_view name,
                                 const nlohmann::json& arguments);
// The same with arguments as text from outside: at most kMaxArgumentBytes, kMaxArgumentDepth.
Result<nlohmann::json> call_tool_text(const ToolContext& context, std::string_view name,
                                      std::string_view arguments);

inline constexpr size_t kMaxArgumentBytes = 9u << 20;  // a program and its source, in JSON
inline constexpr size_t kMaxArgumentDepth = 48;

}  // namespace kernelwright::agent
