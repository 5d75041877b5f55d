// SPDX-License-Identifier: Apache-2.0
#include "report/machine_section.h"

#include <fmt/core.h>

#include <filesystem>
#include <nlohmann/json.hpp>

#include "report/markup.h"
#include "report/table.h"

namespace kernelwright::report {
namespace {

using nlohmann::json;

// A report is sent to others: where the folder lay is nobody's business.
std::string folder_name(const std::string& path) {
  return escape_html(std::filesystem::path(path).filename().string());
}

std::string capacity_text(double bytes) {
  const bool large = bytes >= 1 << 20;
  return fmt::format("{:.3g} {}", bytes / (large ? 1 << 20 : 1 << 10), large ? "MiB" : "KiB");
}

std::string ceilings(const json& machine) {
  std::vector<std::vector<std::string>> rows;
  for (const auto& level : list_at(machine, "levels")) {
    const double bytes = number_at(level, "bytes");
    const double read = number_at(level, "read_bytes_per_s");
    rows.push_back({html_at(level, "name") + (bytes > 0 ? ", " + capacity_text(bytes) : ""),
                    scaled(number_at(level, "copy_bytes_per_s"), "B/s") + " copied" +
                        (read > 0 ? ", " + scaled(read, "B/s") + " read" : "")});
  }
  for (const auto& rate : list_at(machine, "rates"))
    rows.push_back({html_at(rate, "unit") + " " + html_at(rate, "dtype"),
                    scaled(number_at(rate, "flops_per_s"), "FLOP/s")});
  if (const double launch = number_at(machine, "launch_s"); launch > 0)
    rows.push_back({"launch of nothing", ms_text(launch * 1e3)});
  if (rows.empty()) return "";
  const std::string when = html_at(machine, "measured_at");
  return "<h3>Ceilings, as measured" + (when.empty() ? "" : " on " + when) + "</h3>" +
         html_table({{"what"}, {"rate", Column::kNumber}}, rows);
}

}  // namespace

std::string machine_html(const json& result) {
  const json& machine = object_at(result, "machine");
  std::vector<std::pair<std::string, std::string>> facts = {
      {"device", html_at(result, "device")},
      {"target", html_at(result, "target")},
      {"threads", html_at(result, "threads")},
      {"instruction sets", html_at(result, "cpu_features")},
      {"multiprocessors", html_at(machine, "multiprocessors")},
      {"policy", html_at(result, "policy")}};
  for (const auto& [name, version] : object_at(result, "versions").items())
    if (version.is_string())
      facts.emplace_back(escape_html(name), escape_html(version.get<std::string>()));
  facts.emplace_back("runtime ABI", html_at(result, "abi"));
  facts.emplace_back("started", html_at(result, "started"));
  facts.emplace_back(
      "took", fmt::format("{:.0f} s, {:.0f} s of them search", number_at(result, "elapsed_s"),
                          number_at(result, "search_s")));
  if (const std::string command = html_at(result, "command"); !command.empty())
    facts.emplace_back("command", "<code>kernelwright " + command + "</code>");
  facts.emplace_back("judge it again", "<code>kernelwright verify " +
                                           folder_name(text_at(result, "artifact")) + "</code>");
  std::string counts;
  for (const auto& [name, count] : object_at(result, "verdicts").items())
    if (count.is_number())
      counts += fmt::format("{}{} {}", counts.empty() ? "" : ", ", count.dump(), escape_html(name));
  facts.emplace_back("programs tried", html_at(result, "tried"));
  facts.emplace_back("verdicts", counts);
  return "<h2 id=\"machine\">Machine and versions</h2>" + html_facts(facts) + ceilings(machine);
}

}  // namespace kernelwright::report
