// SPDX-License-Identifier: Apache-2.0
#include "report/table.h"

#include <fmt/core.h>

#include <algorithm>
#include <nlohmann/json.hpp>

namespace kernelwright::report {
namespace {

using nlohmann::json;

bool numeric(const std::string& cell) {
  return !cell.empty() && (std::isdigit(static_cast<unsigned char>(cell[0])) || cell == "–");
}

// Columns that a reader sees, not bytes.
size_t width(const std::string& text) {
  return static_cast<size_t>(
      std::count_if(text.begin(), text.end(), [](char c) { return (c & 0xc0) != 0x80; }));
}

std::string error_cell(const json& error) {
  if (!error.is_object()) return "–";
  return fmt::format("{:.2f} (worst {:.1f})", error.value("rho_rms", 0.0),
                     error.value("rho_max", 0.0));
}

}  // namespace

std::string text_table(const std::vector<std::vector<std::string>>& rows) {
  std::vector<size_t> widths;
  for (const auto& row : rows)
    for (size_t i = 0; i < row.size(); ++i) {
      if (widths.size() <= i) widths.push_back(0);
      widths[i] = std::max(widths[i], width(row[i]));
    }
  std::string out;
  for (size_t r = 0; r < rows.size(); ++r) {
    std::string line = " ";
    for (size_t i = 0; i < rows[r].size(); ++i) {
      const std::string& cell = rows[r][i];
      const std::string pad(widths[i] - width(cell), ' ');
      const bool right = i > 0 && (numeric(cell) || (r == 0 && rows.size() > 1 &&
                                                     i < rows[1].size() && numeric(rows[1][i])));
      line += " " + (right ? pad + cell : cell + pad) + " ";
    }
    while (!line.empty() && line.back() == ' ') line.pop_back();
    out += line + "\n";
    if (r == 0) {
      line = " ";
      for (size_t w : widths) {
        std::string rule;
        for (size_t i = 0; i < w; ++i) rule += "─";
        line += " " + rule + " ";
      }
      out += line.substr(0, line.size() - 1) + "\n";
    }
  }
  return out;
}

std::string three_digits(double value) {
  return fmt::format("{:.{}f}", value, value < 9.995 ? 2 : value < 99.95 ? 1 : 0);
}

std::string ms_text(double ms) {
  if (ms > 0 && ms < 0.01) return fmt::format("{:.2g} µs", ms * 1000);
  if (ms >= 999.5) return three_digits(ms / 1000) + " s";
  return ms >= 1 ? three_digits(ms) + " ms" : fmt::format("{:.3f} ms", ms);
}

std::string ratio_text(double ratio) {
  return fmt::format("{:.2f}x", ratio);
}

namespace {

// What may be told of the searches: predictions against measurements, schedules taken over.
std::string searches_text(const json& result) {
  std::string out;
  for (const auto& region : result.value("regions", json::array())) {
    const json search = region.value("search", json::object());
    const std::string name = region.value("id", "");
    if (search.contains("rank_correlation")) {
      out += fmt::format("  predicted {}: rank correlation with the measured times {:.2f}", name,
                         search.at("rank_correlation").get<double>());
      if (search.contains("learned_rank_correlation"))
        out += fmt::format(", {:.2f} after learning",
                           search.at("learned_rank_correlation").get<double>());
      out += "\n";
    }
    const json taken = search.value("taken_over", json::array());
    if (taken.empty()) continue;
    double best_ms = 0;
    for (const auto& one : taken)
      if (one.at("ms").is_number() && (best_ms == 0 || one.at("ms") < best_ms))
        best_ms = one.at("ms");
    out += fmt::format("  similar   {}: {} schedule{} taken over from similar shapes, {}\n", name,
                       taken.size(), taken.size() == 1 ? "" : "s",
                       best_ms > 0 ? "the best of them " + ms_text(best_ms) : "none of them right");
  }
  return out;
}

}  // namespace

std::string result_table(const json& result) {
  const json& baseline = result.at("baseline");
  const json& best = result.at("best");
  const json& error = result.at("error");
  const double light_ms = result.at("speed_of_light").value("ms", 0.0);
  const double best_baseline = baseline.value("best_ms", 0.0);
  const auto share = [&](double ms) {
    return ms > 0 && light_ms > 0 ? fmt::format("{:.0f} %", 100 * light_ms / ms) : std::string("–");
  };
  const auto against = [&](double ms) {
    return ms > 0 ? ratio_text(best_baseline / ms) : std::string("–");
  };

  std::vector<std::vector<std::string>> rows = {
      {"", "time", "speedup", "95 % interval", "of speed of light", "error / noise"}};
  const double eager_ms = baseline.value("eager_ms", 0.0);
  rows.push_back({"PyTorch eager", ms_text(eager_ms), against(eager_ms), "", share(eager_ms),
                  error_cell(error.at("eager"))});
  if (baseline.contains("compile_ms") && baseline.at("compile_ms").is_number()) {
    const double ms = baseline.at("compile_ms");
    rows.push_back({"torch.compile", ms_text(ms), against(ms), "", share(ms), ""});
  }
  if (best.is_object()) {
    const double ms = best.value("ms", 0.0);
    rows.push_back({"kernelwright", ms_text(ms), ratio_text(best.value("speedup", 1.0)),
                    fmt::format("{:.2f} – {:.2f}", best.value("speedup_low", 1.0),
                                best.value("speedup_high", 1.0)),
                    share(ms), error_cell(error.at("candidate"))});
  }
  std::string out = fmt::format("\n  {} on {} ({}, policy {})\n\n", result.value("workload", ""),
                                result.value("target", ""), result.value("device", ""),
                                result.value("policy", ""));
  out += text_table(rows);
  out += fmt::format("\n  status    {}{}\n", result.value("status", ""),
                     result.value("reason", "").empty() ? "" : ": " + result.value("reason", ""));
  out += fmt::format(
      "  speedup   against the fastest baseline ({}), cold caches, warm memory, drop-in module "
      "against "
      "original in one process\n",
      baseline.value("best_name", ""));
  if (result.contains("final") && result.at("final").is_object() &&
      result.at("final").contains("fresh"))
    out += fmt::format(
        "  fresh     {} with fresh output memory on both sides (original eager {}, of which {:.0f} "
        "% "
        "page faults; drop-in {})\n",
        ratio_text(result.at("final").at("fresh").value("speedup", 1.0)),
        ms_text(result.at("final").at("fresh").value("original_ms", 0.0)),
        100 * result.at("final").at("fresh").value("fault_share", 0.0),
        ms_text(result.at("final").at("fresh").value("dropin_ms", 0.0)));
  if (result.contains("final") && result.at("final").is_object() &&
      result.at("final").contains("memory"))
    out += fmt::format(
        "  memory    {} for the same bytes without any work, in the same calls: {:.0f} % of the "
        "time shown\n",
        ms_text(result.at("final").at("memory").value("ms", 0.0)),
        100 * result.at("final").at("memory").value("share", 0.0));
  if (result.value("disturbed", false))
    out += fmt::format(
        "  disturbed other programs used {:.0f} % of the processors while this was timed: the "
        "figures may be off\n",
        100 * result.value("others_share", 0.0));
  out += fmt::format(
      "  coverage  {:.0f} % of eager time inside generated regions; speed of light {} ({}-bound)\n",
      100 * result.value("coverage", 0.0), ms_text(light_ms),
      result.at("speed_of_light").value("bound", ""));
  for (const auto& note : result.at("eager"))
    out += fmt::format("  in eager  {}: {}\n", note.value("what", ""), note.value("reason", ""));
  std::string counts;
  int verdicts = 0;
  for (const auto& [name, count] : result.at("verdicts").items()) {
    counts += fmt::format("{}{} {}", counts.empty() ? ": " : ", ", count.get<int>(), name);
    verdicts += count.get<int>();
  }
  out += searches_text(result);
  out += fmt::format("  tried     {} programs in {:.0f} s ({} verdicts{})\n",
                     result.value("tried", 0), result.value("search_s", 0.0), verdicts, counts);
  out += fmt::format("  artifact  {}\n", result.value("artifact", ""));
  return out;
}

}  // namespace kernelwright::report
