// SPDX-License-Identifier: Apache-2.0
#include "mcp/prompts.h"

#include <fmt/core.h>

namespace kernelwright::mcp {
namespace {

using nlohmann::json;

constexpr size_t kMaxArgument = 1024;

constexpr const char* kOptimize =
    R"(Make the PyTorch module in this file faster with the kernelwright tools: {}
{}
1. open_workload with that path. Note the regions, the baseline to beat and the speed of light.
2. describe_target: the machine, the program format, one example. read_playbook for this target: what pays there.
3. run_expert for about 20 seconds: its best program is your starting point. read_program shows it, list_programs what was tried, search_lessons what paid off elsewhere.
4. Where the best is well short of the speed of light, submit programs of your own: one idea at a time, with the parent it came from. When a verdict is not 'accepted', fix what first_to_fix says. Where a program has params, parent and params alone try other sizes of it. Drop an idea after two right but slower results.
5. Stop when the share of the speed of light is high, or when no idea is left. Then write_artifact (it verifies on more inputs: where it keeps the baseline, open_workload with resume true goes on), and tell the measured speedup with its interval, or why the baseline was kept.

Times and correctness come from kernelwright's verdicts alone: never judge by reading the code.)";

std::string argument(const json& params, const char* name) {
  const json arguments = params.value("arguments", json::object());
  if (!arguments.is_object() || !arguments.contains(name) || !arguments[name].is_string())
    return "";
  return arguments[name].get<std::string>().substr(0, kMaxArgument);
}

}  // namespace

json list_prompts() {
  return json::array(
      {{{"name", "optimize"},
        {"title", "Optimize this file"},
        {"description", "The way from a PyTorch file to a verified, faster drop-in"},
        {"arguments",
         json::array(
             {{{"name", "path"}, {"description", "file.py or file.py:Class"}, {"required", true}},
              {{"name", "target"},
               {"description", "cpu or cuda; left out: cuda when a device answers"},
               {"required", false}}})}}});
}

Result<json> get_prompt(const json& params) {
  const json name = params.value("name", json());
  if (name != "optimize") return fail(ErrorKind::kUsage, "name: the one prompt is 'optimize'");
  const std::string path = argument(params, "path");
  if (path.empty()) return fail(ErrorKind::kUsage, "arguments.path: missing");
  const std::string target = argument(params, "target");
  const std::string text =
      fmt::format(fmt::runtime(kOptimize), path, target.empty() ? "" : "Target: " + target + "\n");
  return json{{"description", "Optimize " + path},
              {"messages",
               json::array({{{"role", "user"}, {"content", {{"type", "text"}, {"text", text}}}}})}};
}

}  // namespace kernelwright::mcp
