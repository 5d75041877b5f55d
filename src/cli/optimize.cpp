// SPDX-License-Identifier: Apache-2.0
#include <fmt/core.h>

#include <nlohmann/json.hpp>

#include "base/file.h"
#include "base/log.h"
#include "cli/commands.h"
#include "cli/judging.h"
#include "report/html.h"
#include "report/table.h"
#include "search/run.h"

namespace kernelwright::cli {

Status check_proposers(const SearchOptions& options) {
  for (const auto& proposer : options.proposers)
    if (proposer != "expert")
      return fail(
          ErrorKind::kUsage,
          fmt::format("proposer {} is not part of this build: use --proposer expert", proposer));
  if (!options.models.empty() || !options.hints.empty())
    return fail(ErrorKind::kUsage,
                "--model and --hint belong to the llm proposer, which is not part of this build");
  return {};
}

int cmd_optimize(const OptimizeOptions& options, const GlobalOptions& global) {
  if (auto ok = check_proposers(options.search); !ok) return report_error(ok.error(), global);
  if (!options.replay.empty() || options.show_prompts)
    return report_error(
        {ErrorKind::kUsage,
         "--replay and --show-prompts belong to the llm proposer, which is not part of this build",
         {}},
        global);
  search::install_interrupt_handler();
  search::RunOptions run;
  run.spec = workload_spec(options.workload, options.judge);
  run.threads = options.judge.threads;
  run.budget_s = options.search.budget_s;
  run.seed = options.judge.seed;
  run.out = options.out;
  run.resume = options.resume;
  run.command = fmt::format("optimize {} --budget {:.0f}s", options.workload.workload,
                            options.search.budget_s);
  const auto result = search::optimize(run);
  if (!result) {
    if (search::interrupted()) {
      (void)report_error({ErrorKind::kInterrupted,
                          "interrupted before a program was accepted: " + result.error().message,
                          {}},
                         global);
      return base::exit_code(ErrorKind::kInterrupted);
    }
    return report_error(result.error(), global);
  }
  const auto text = base::read_file(std::filesystem::path(result->artifact) / "result.json");
  if (!text) return report_error(text.error(), global);
  const auto json = nlohmann::json::parse(*text, nullptr, false);
  if (global.json) {
    fmt::print("{}\n", json.dump());
  } else {
    fmt::print("{}", report::result_table(json));
  }
  std::fflush(stdout);
  return result->interrupted ? base::exit_code(ErrorKind::kInterrupted) : 0;
}

int cmd_report(const ReportOptions& options, const GlobalOptions& global) {
  const auto path = report::write_report(options.run_dir);
  if (!path) return report_error(path.error(), global);
  if (global.json)
    fmt::print("{}\n", nlohmann::json{{"report", path->string()}}.dump());
  else
    fmt::print("{}\n", path->string());
  return 0;
}

}  // namespace kernelwright::cli
