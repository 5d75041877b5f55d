// SPDX-License-Identifier: Apache-2.0
#include "search/run.h"

#include <fmt/chrono.h>
#include <fmt/core.h>

#include <algorithm>
#include <chrono>
#include <ctime>

#include "agent/population.h"
#include "base/log.h"
#include "report/table.h"
#include "search/budget.h"
#include "search/opened_run.h"
#include "search/transfer.h"

namespace kernelwright::search {
namespace {

namespace fs = std::filesystem;

constexpr double kExpertPart = 0.4;  // of a region's time, where agents come after the expert

// Budget goes by what a region can still give: its time minus its speed of light.
std::vector<double> headrooms(const std::vector<OpenedRegion>& regions) {
  std::vector<double> all;
  for (const auto& region : regions)
    all.push_back(std::max(region.baselines.best_ms - region.result.speed_of_light_s * 1e3,
                           0.05 * region.baselines.best_ms) +
                  1e-6);
  return all;
}

std::string progress_text(const OpenedRegion& region, const RegionSearchResult& found,
                          const Budget& budget) {
  const std::string best =
      found.best_ms > 0
          ? fmt::format("{} ({} of the fastest baseline's {})", report::ms_text(found.best_ms),
                        report::ratio_text(region.baselines.best_ms / found.best_ms),
                        report::ms_text(region.baselines.best_ms))
          : "none yet";
  return fmt::format("{}: {} tried, best {}, {} left", region.result.region.id, found.tried, best,
                     duration_text(budget.left()));
}

struct Nobody : program::Proposer {
  std::string name() const override { return "expert"; }
  Result<std::vector<program::Proposal>> propose(int) override {
    return std::vector<program::Proposal>();
  }
  void learn(const program::Outcome&) override {}
};

// The expert first, with a part of the time where agents come after it.
Status search_regions(OpenedRun& run, Agents* agents) {
  auto& regions = run.regions();
  std::vector<agent::Headroom> headroom;
  for (const auto& region : regions)
    headroom.push_back({region.baselines.best_ms, region.result.speed_of_light_s * 1e3});
  SharedBudget shared(run.options().budget_s, headrooms(regions));
  for (size_t i = 0; i < regions.size() && !interrupted(); ++i) {
    const Budget budget(shared.next());
    if (run.options().with_expert)
      KW_CHECK_OK(
          search_with_expert(run, regions[i], budget.seconds() * (agents ? kExpertPart : 1)));
    if (agents && !interrupted())
      KW_CHECK_OK(agents->work(
          regions[i], budget.left(),
          agent::first_share({headroom.begin() + static_cast<std::ptrdiff_t>(i), headroom.end()})));
    shared.spent(budget.elapsed());
  }
  return {};
}

Result<RunResult> search_and_finish(OpenedRun& run) {
  const auto begun = std::chrono::steady_clock::now();
  std::unique_ptr<Agents> agents;
  if (run.options().agents) {
    KW_TRY(agents, Agents::open(*run.options().agents, run));
  }
  Status searched = search_regions(run, agents.get());
  if (agents) {
    const Status told = agents->close();
    if (searched) searched = told;
  }
  KW_CHECK_OK(searched);
  return run.finish(
      std::chrono::duration<double>(std::chrono::steady_clock::now() - begun).count());
}

}  // namespace

Status search_with_expert(OpenedRun& run, OpenedRegion& region, double budget_s) {
  KW_TRY(auto expert, run.expert(region));
  SearchPace pace;
  pace.budget_s = budget_s;
  pace.speed_of_light_s = region.result.speed_of_light_s;
  pace.stop = run.options().stop;
  std::vector<program::Proposal> first;
  if (auto left = run.left_behind(region)) first.push_back(std::move(*left));
  KW_TRY(auto similar, taken_over(run.archive(), region.record, *expert, kTakenOver));
  std::move(similar.begin(), similar.end(), std::back_inserter(first));
  const auto on_verdict = [&](const RegionSearchResult& found, const Budget& budget) {
    base::progress("search", progress_text(region, found, budget));
  };
  KW_TRY(region.result.search, search_region(*expert, *region.contest, first, pace, on_verdict));
  if (region.contest->best() || region.result.search.stop_reason == "interrupted") return {};
  // Every supported graph has a correct program: the naive loop nest, judged when nothing else was
  // right.
  Nobody nobody;
  KW_TRY(auto naive, run.naive(region));
  KW_TRY(region.result.search, search_region(nobody, *region.contest, {naive}, pace, nullptr));
  return {};
}

std::filesystem::path default_out(const std::string& workload) {
  const std::time_t now = std::time(nullptr);
  const std::string stem =
      fmt::format("{}-{:%Y%m%d-%H%M%S}", short_name(workload), fmt::localtime(now));
  fs::path out = fs::path("runs") / stem;
  std::error_code code;
  for (int i = 2; fs::exists(out, code) || fs::exists(out.string() + ".partial", code); ++i)
    out = fs::path("runs") / fmt::format("{}-{}", stem, i);
  return out;
}

std::string short_name(const std::string& workload) {
  std::string name = workload;
  if (const size_t slash = name.rfind('/'); slash != std::string::npos)
    name = name.substr(slash + 1);
  if (const size_t dot = name.rfind(".py"); dot != std::string::npos && dot > 0)
    name = name.substr(0, dot);
  std::string safe;
  for (char c : name)
    safe +=
        std::isalnum(static_cast<unsigned char>(c)) || c == '_' || c == '-' || c == '.' ? c : '_';
  if (safe.empty() || safe[0] == '.') safe = "workload" + safe;
  return safe.substr(0, 80);
}

Result<RunResult> optimize(const RunOptions& options) {
  if (options.agents) KW_CHECK_OK(Agents::check(*options.agents));
  KW_TRY(auto run, OpenedRun::open(options));
  auto result = search_and_finish(*run);
  if (!result) run->failed(result.error());
  return result;
}

}  // namespace kernelwright::search
