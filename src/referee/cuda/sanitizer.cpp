// SPDX-License-Identifier: Apache-2.0
#include "referee/cuda/sanitizer.h"

#include <unistd.h>

#include <cstdlib>
#include <sstream>

namespace kernelwright::referee {
namespace {

std::string find_sanitizer() {
  std::istringstream path(std::string(std::getenv("PATH") ? std::getenv("PATH") : "") +
                          ":/usr/local/cuda/bin");
  for (std::string folder; std::getline(path, folder, ':');) {
    const std::string file = folder + "/compute-sanitizer";
    if (!folder.empty() && access(file.c_str(), X_OK) == 0) return file;
  }
  return "";
}

constexpr char kMark[] = "========= ";

// "ERROR SUMMARY: 0 errors", "RACECHECK SUMMARY: 2 hazards displayed (0 errors, 2 warnings)".
bool counts_none(const std::string& summary) {
  const size_t at = summary.find("0 error");
  return at != std::string::npos && (at == 0 || summary[at - 1] < '0' || summary[at - 1] > '9');
}

}  // namespace

std::vector<CheckTool> sanitizer_tools() {
  static const std::string program = find_sanitizer();
  std::vector<CheckTool> tools;
  if (program.empty()) return tools;
  for (const char* name : {"memcheck", "racecheck", "synccheck", "initcheck"}) {
    CheckTool tool;
    tool.name = name;
    tool.command = {program, "--tool", name, "--log-file", "{log}", "--print-limit", "3"};
    // The runtime checks every driver call itself, and learns from an error where a kernel's
    // parameters end.
    if (tool.name == "memcheck") {
      tool.command.emplace_back("--report-api-errors");
      tool.command.emplace_back("no");
    }
    tool.refuses = tool.name != "initcheck";
    tool.first_finding = &sanitizer_finding;
    tools.push_back(std::move(tool));
  }
  return tools;
}

std::optional<std::string> sanitizer_finding(const std::string& log) {
  std::istringstream lines(log);
  std::string first;
  bool summary = false, clean = false;
  for (std::string line; std::getline(lines, line);) {
    const size_t mark = line.find(kMark);
    if (mark == std::string::npos) continue;
    const std::string text = line.substr(mark + sizeof kMark - 1);
    if (text.find("SUMMARY") != std::string::npos) {
      summary = true;
      clean = counts_none(text);
      continue;
    }
    if (!first.empty() || text.empty() || text[0] == ' ' ||
        text.find("COMPUTE-SANITIZER") != std::string::npos)
      continue;
    first = text.substr(0, 300);
  }
  if (!summary) return std::nullopt;
  if (clean) return "";
  return first.empty() ? "a finding without a text" : first;
}

}  // namespace kernelwright::referee
