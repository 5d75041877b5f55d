// SPDX-License-Identifier: Apache-2.0
#include "search/bench_suite.h"

#include <fmt/core.h>

#include <algorithm>
#include <cmath>
#include <filesystem>
#include <nlohmann/json.hpp>
#include <set>

#include "referee/statistics.h"
#include "report/table.h"
#include "search/search_figures.h"

namespace kernelwright::search {
namespace {

namespace fs = std::filesystem;
using nlohmann::json;

constexpr double kThresholds[] = {1.0, 1.2, 1.5, 2.0};

double best_speedup(const json& row) {
  return row.contains("best") && row.at("best").is_object() ? row.at("best").value("speedup", 1.0)
                                                            : 1.0;
}

double eager_speedup(const json& row) {
  if (!row.contains("baseline") || !row.at("baseline").is_object()) return 1.0;
  const auto& baseline = row.at("baseline");
  const double eager = baseline.value("eager_ms", 0.0);
  const double ms =
      row.at("best").is_object() ? row.at("best").value("ms", 0.0) : baseline.value("best_ms", 0.0);
  // A kept baseline is eager itself, unless the user compiles on their own.
  if (!row.at("best").is_object()) return 1.0;
  return ms > 0 && eager > 0 ? eager / ms : 1.0;
}

}  // namespace

const std::vector<std::string> kSuiteHeader = {"workload",     "eager",    "compile",
                                               "kernelwright", "speedup",  "interval",
                                               "of light",     "coverage", "status"};

Result<std::vector<std::string>> find_workloads(const std::vector<std::string>& paths) {
  std::set<std::string> found;
  for (const auto& path : paths) {
    std::error_code code;
    if (fs::is_directory(path, code)) {
      const size_t before = found.size();
      for (fs::recursive_directory_iterator it(path, code), end; !code && it != end;
           it.increment(code)) {
        const auto name = it->path().filename().string();
        if (it->is_regular_file() && it->path().extension() == ".py" && name[0] != '_')
          found.insert(it->path().lexically_normal().string());
      }
      if (code)
        return fail(ErrorKind::kInput, fmt::format("cannot read {}: {}", path, code.message()));
      if (found.size() == before)
        return fail(ErrorKind::kInput, fmt::format("no workloads (*.py) below {}", path));
    } else if (fs::exists(path.substr(0, path.rfind(':')), code) || fs::exists(path, code)) {
      found.insert(path);
    } else {
      return fail(ErrorKind::kInput, fmt::format("no such file or folder: {}", path));
    }
  }
  return std::vector<std::string>(found.begin(), found.end());
}

std::vector<std::string> shard(const std::vector<std::string>& all, int index, int count) {
  std::vector<std::string> mine;
  for (size_t i = 0; i < all.size(); ++i)
    if (static_cast<int>(i % static_cast<size_t>(count)) == index - 1) mine.push_back(all[i]);
  return mine;
}

namespace {

void sum_up_searches(const std::vector<json>& rows, SuiteSummary& summary) {
  std::vector<double> correlations;
  std::vector<double> shares(kCurveSeconds.size(), 0);
  int curves = 0;
  for (const auto& row : rows) {
    for (const auto& region : row.value("regions", json::array())) {
      if (const auto found = rank_correlation_of(region)) correlations.push_back(*found);
      const auto curve = curve_of(region);
      if (curve.empty()) continue;
      ++curves;
      for (size_t i = 0; i < shares.size(); ++i)
        shares[i] += share_of_final(curve, kCurveSeconds[i]);
    }
  }
  summary.ranked_regions = static_cast<int>(correlations.size());
  if (!correlations.empty()) summary.rank_correlation = referee::median(correlations);
  for (double& share : shares) share /= std::max(1, curves);
  if (curves > 0) summary.share_of_final = shares;
}

}  // namespace

SuiteSummary summarize(const std::vector<json>& rows) {
  SuiteSummary summary;
  double log_best = 0, log_eager = 0;
  std::vector<double> best, eager;
  for (const auto& row : rows) {
    ++summary.workloads;
    const std::string status = row.value("status", "error");
    if (status == "error") {
      ++summary.errors;
      best.push_back(0);
      eager.push_back(0);
      continue;
    }
    ++summary.right;
    status == "improved" ? ++summary.improved : ++summary.kept;
    if (row.value("coverage", 0.0) > 0.9) ++summary.covered;
    if (row.value("disturbed", false)) ++summary.disturbed;
    best.push_back(best_speedup(row));
    eager.push_back(eager_speedup(row));
    log_best += std::log(best.back());
    log_eager += std::log(eager.back());
  }
  if (summary.right > 0) {
    summary.geomean = std::exp(log_best / summary.right);
    summary.geomean_eager = std::exp(log_eager / summary.right);
  }
  const auto fast = [&](const std::vector<double>& speedups, double p) {
    if (speedups.empty()) return 0.0;
    const auto count =
        std::count_if(speedups.begin(), speedups.end(), [&](double s) { return s > p; });
    return static_cast<double>(count) / static_cast<double>(speedups.size());
  };
  for (double p : kThresholds) {
    summary.fast_p_eager.emplace_back(p, fast(eager, p));
    summary.fast_p_best.emplace_back(p, fast(best, p));
  }
  sum_up_searches(rows, summary);
  return summary;
}

json summary_json(const SuiteSummary& s) {
  json out = {{"workloads", s.workloads},
              {"right", s.right},
              {"improved", s.improved},
              {"kept", s.kept},
              {"errors", s.errors},
              {"geomean", s.geomean},
              {"geomean_eager", s.geomean_eager},
              {"covered", s.covered},
              {"disturbed", s.disturbed}};
  out["fast_p_eager"] = s.fast_p_eager;
  out["fast_p_best"] = s.fast_p_best;
  if (s.rank_correlation) out["rank_correlation"] = *s.rank_correlation;
  out["ranked_regions"] = s.ranked_regions;
  out["share_of_final"] = json::array();
  for (size_t i = 0; i < s.share_of_final.size(); ++i)
    out["share_of_final"].push_back({kCurveSeconds[i], s.share_of_final[i]});
  return out;
}

std::string summary_text(const SuiteSummary& s) {
  std::string out = fmt::format(
      "\n  {} workloads: {} right, {} improved, {} kept the baseline, {} failed; coverage over 0.9 "
      "on {}\n",
      s.workloads, s.right, s.improved, s.kept, s.errors, s.covered);
  out += fmt::format(
      "  geomean {:.2f}x over the fastest baseline (kept baselines count 1.0), {:.2f}x over "
      "eager\n",
      s.geomean, s.geomean_eager);
  if (!s.share_of_final.empty())
    out += fmt::format(
        "  search: {:.0f} / {:.0f} / {:.0f} % of the final speed after {} / {} / {} s{}\n",
        100 * s.share_of_final[0], 100 * s.share_of_final[1], 100 * s.share_of_final[2],
        kCurveSeconds[0], kCurveSeconds[1], kCurveSeconds[2],
        s.rank_correlation
            ? fmt::format("; predictions against measurement: rank correlation {:.2f} "
                          "(median of {} regions)",
                          *s.rank_correlation, s.ranked_regions)
            : "");
  if (s.disturbed > 0)
    out += fmt::format(
        "  {} timed while other programs used the processors: their figures may be off (marked "
        "*)\n",
        s.disturbed);
  std::vector<std::vector<std::string>> rows = {{"faster than", "1x", "1.2x", "1.5x", "2x"}};
  const auto add = [&](const char* name, const std::vector<std::pair<double, double>>& shares) {
    std::vector<std::string> row = {name};
    for (const auto& [p, value] : shares) row.push_back(fmt::format("{:.0f} %", 100 * value));
    rows.push_back(row);
  };
  add("against eager", s.fast_p_eager);
  add("against the fastest", s.fast_p_best);
  return out + report::text_table(rows);
}

std::vector<std::string> suite_row(const json& row) {
  const std::string status = row.value("status", "error");
  if (status == "error")
    return {row.value("workload", ""),
            "–",
            "–",
            "–",
            "–",
            "",
            "–",
            "–",
            "error: " + (row.contains("error") && row.at("error").is_object()
                             ? row.at("error").value("message", "")
                             : "")};
  const auto& baseline = row.at("baseline");
  const bool improved = row.at("best").is_object();
  std::string name = row.value("workload", "");
  if (row.contains("drawn") && row.at("drawn").is_object())
    for (const auto& [constant, value] : row.at("drawn").items())
      name += fmt::format(" {}={}", constant, value.dump());
  return {name,
          report::ms_text(baseline.value("eager_ms", 0.0)),
          baseline.contains("compile_ms") && baseline.at("compile_ms").is_number()
              ? report::ms_text(baseline.at("compile_ms").get<double>())
              : "–",
          improved ? report::ms_text(row.at("best").value("ms", 0.0)) : "–",
          report::ratio_text(best_speedup(row)),
          improved ? fmt::format("{:.2f}–{:.2f}", row.at("best").value("speedup_low", 0.0),
                                 row.at("best").value("speedup_high", 0.0))
                   : "",
          fmt::format("{:.0f} %", 100 * row.at("speed_of_light").value("fraction", 0.0)),
          fmt::format("{:.2f}", row.value("coverage", 0.0)),
          row.value("disturbed", false) ? status + " *" : status};
}

}  // namespace kernelwright::search
