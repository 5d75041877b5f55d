// SPDX-License-Identifier: Apache-2.0
#include <fmt/core.h>

#include <fstream>
#include <map>
#include <nlohmann/json.hpp>
#include <random>

#include "base/file.h"
#include "base/log.h"
#include "cli/commands.h"
#include "cli/judging.h"
#include "report/table.h"
#include "search/bench_suite.h"
#include "search/budget.h"
#include "search/run.h"

namespace kernelwright::cli {
namespace {

using nlohmann::json;

// One row to be: a workload at one size.
struct Job {
  std::string path, size;
  std::string key;  // what the row is known by when a bench is resumed
};

std::vector<Job> jobs_of(const std::vector<std::string>& paths, const BenchOptions& options) {
  const auto key = [&](const std::string& path, const std::string& size) {
    return fmt::format("{}|{}|{}|{}|{:.0f}", path, options.judge.target, options.judge.policy, size,
                       options.search.budget_s);
  };
  std::string kind = options.size;
  if (kind.empty()) kind = options.judge.target.starts_with("cuda") ? "gpu" : "cpu";
  const uint64_t seed =
      options.judge.seed != 0 ? options.judge.seed : std::random_device()() % 1'000'000;
  std::vector<Job> jobs;
  for (const auto& path : paths) {
    if (options.drawn == 0) jobs.push_back({path, options.size, key(path, options.size)});
    // The seed stays out of the key: a bench that goes on need not know it.
    for (int i = 0; i < options.drawn; ++i)
      jobs.push_back({path, fmt::format("{}:{}", kind, seed + static_cast<uint64_t>(i)),
                      key(path, fmt::format("{}, drawn {}", kind, i + 1))});
  }
  return jobs;
}

// Rows of an earlier bench; a last line that was cut short is dropped.
std::map<std::string, json> read_rows(const std::string& path) {
  std::map<std::string, json> rows;
  std::ifstream in(path);
  for (std::string line; std::getline(in, line);) {
    json row = json::parse(line, nullptr, false);
    if (!row.is_object() || !row.contains("key") || !row["key"].is_string()) continue;
    const std::string key = row["key"];
    rows[key] = std::move(row);
  }
  return rows;
}

// Whether the last line was cut short: the next row must not continue it.
bool ends_within_a_line(const std::string& path) {
  std::ifstream in(path, std::ios::binary | std::ios::ate);
  if (!in || in.tellg() <= 0) return false;
  in.seekg(-1, std::ios::end);
  return in.get() != '\n';
}

json run_one(const Job& job, const BenchOptions& options) {
  const std::string& path = job.path;
  search::RunOptions run;
  run.spec = workload_spec({path, "", "", job.size}, options.judge);
  run.threads = options.judge.threads;
  run.budget_s = options.search.budget_s;
  run.seed = options.judge.seed;
  if (auto ok = set_proposers(options.search, "", false, run); !ok)
    return {{"workload", search::short_name(path)},
            {"status", "error"},
            {"error", json::parse(ok.error().json_text(), nullptr, false)}};
  run.command = fmt::format("bench {} --budget {:.0f}s", path, options.search.budget_s);
  if (!options.judge.target.empty()) run.command += " --target " + options.judge.target;
  if (!options.judge.policy.empty()) run.command += " --policy " + options.judge.policy;
  if (options.judge.threads > 0) run.command += fmt::format(" --threads {}", options.judge.threads);
  if (!job.size.empty()) run.command += " --size " + job.size;
  const auto result = search::optimize(run);
  if (!result)
    return {{"workload", search::short_name(path)},
            {"status", "error"},
            {"error", json::parse(result.error().json_text(), nullptr, false)}};
  const auto text = base::read_file(std::filesystem::path(result->artifact) / "result.json");
  json row = text ? json::parse(*text, nullptr, false) : json();
  if (!row.is_object())
    return {{"workload", search::short_name(path)},
            {"status", "error"},
            {"error", {{"message", "result.json is not readable"}}}};
  return row;
}

}  // namespace

int cmd_bench(const BenchOptions& options, const GlobalOptions& global) {
  search::RunOptions tried;
  if (auto ok = set_proposers(options.search, "", false, tried); !ok)
    return report_error(ok.error(), global);
  auto found = search::find_workloads(options.paths);
  if (!found) return report_error(found.error(), global);
  if (options.drawn > 0 && options.size.find(':') != std::string::npos)
    return report_error({ErrorKind::kUsage, "--drawn draws the seeds: --size takes none", {}},
                        global);
  search::install_interrupt_handler();
  const auto jobs =
      jobs_of(search::shard(*found, options.shard_index, options.shard_count), options);
  const std::string out_path = options.out.empty() ? "bench.jsonl" : options.out;
  if (std::error_code code;
      !options.resume && std::filesystem::file_size(out_path, code) > 0 && !code)
    return report_error(
        {ErrorKind::kUsage,
         out_path + " exists already: choose another --out, or go on with it by --resume",
         {}},
        global);
  std::map<std::string, json> known;
  if (options.resume) known = read_rows(out_path);
  const bool cut = options.resume && ends_within_a_line(out_path);
  std::ofstream out(out_path, options.resume ? std::ios::app : std::ios::trunc);
  if (cut) out << '\n';
  if (!out) return report_error({ErrorKind::kEnvironment, "cannot write " + out_path, {}}, global);

  std::vector<json> rows;
  for (size_t i = 0; i < jobs.size() && !search::interrupted(); ++i) {
    const std::string& key = jobs[i].key;
    json row;
    if (const auto it = known.find(key);
        it != known.end() && it->second.value("status", "") != "error") {
      row = it->second;
    } else {
      base::note(fmt::format("[{}/{}] {} {}", i + 1, jobs.size(), jobs[i].path, jobs[i].size));
      row = run_one(jobs[i], options);
      if (search::interrupted()) break;  // half a search is no row
      row["key"] = key;
      out << row.dump(-1, ' ', false, json::error_handler_t::replace) << std::endl;
      if (!out)
        return report_error(
            {ErrorKind::kEnvironment, "cannot write " + out_path + ": disk full?", {}}, global);
    }
    rows.push_back(row);
    if (!global.json)
      base::note(report::text_table({search::kSuiteHeader, search::suite_row(row)}));
  }
  base::end_progress();
  const auto summary = search::summarize(rows);
  if (global.json) {
    fmt::print(
        "{}\n",
        json{{"rows", rows.size()}, {"out", out_path}, {"summary", search::summary_json(summary)}}
            .dump());
  } else {
    std::vector<std::vector<std::string>> table = {search::kSuiteHeader};
    for (const auto& row : rows) table.push_back(search::suite_row(row));
    fmt::print("\n{}{}\n  rows in {}\n", report::text_table(table), search::summary_text(summary),
               out_path);
  }
  if (search::interrupted()) return base::exit_code(ErrorKind::kInterrupted);
  if (summary.errors == 0) return 0;
  std::fflush(stdout);
  fmt::print(stderr, "error: {} of {} workloads failed\n", summary.errors, summary.workloads);
  return base::exit_code(ErrorKind::kInput);
}

}  // namespace kernelwright::cli
