// SPDX-License-Identifier: Apache-2.0
#include "report/region_section.h"

#include <fmt/core.h>

#include <algorithm>
#include <map>
#include <nlohmann/json.hpp>

#include "program/step_profile.h"
#include "report/highlight.h"
#include "report/intervals.h"
#include "report/lineage.h"
#include "report/markup.h"
#include "report/svg.h"
#include "report/table.h"

namespace kernelwright::report {
namespace {

using nlohmann::json;

std::string summary_line(const json& region) {
  const json& search = object_at(region, "search");
  const size_t ops = list_at(region, "nodes").size();
  return fmt::format(
      "<p>{} op{}; eager {}, speed of light {} ({}-bound). {} programs tried in {:.0f} s; stopped: "
      "{}.</p>",
      ops, ops == 1 ? "" : "s", ms_text(number_at(region, "eager_ms")),
      ms_text(number_at(region, "speed_of_light_ms")), html_at(region, "bound"),
      number_at(search, "tried"), number_at(search, "elapsed_s"), html_at(search, "stop_reason"));
}

// The program alone, in the referee's hands.
std::string promotion_intervals(const json& region) {
  const json& promotion = object_at(region, "promotion");
  std::vector<Interval> intervals;
  for (const auto& one : list_at(promotion, "baselines"))
    intervals.push_back(interval_of(one, "against " + baseline_title(text_at(one, "reference")),
                                    number_at(one, "reference_ms")));
  if (intervals.empty() && promotion.contains("timing")) {
    const json& timing = object_at(promotion, "timing");
    intervals.push_back(interval_of(timing,
                                    "against " + baseline_title(text_at(timing, "reference")),
                                    number_at(timing, "reference_ms")));
  }
  std::string out = intervals_html(intervals);
  if (!out.empty())
    out = fmt::format(
        "<h3>The program against the baselines</h3>{}<p class=\"note\">At promotion: {} draws, {} "
        "rounds in alternation, cold caches; the program took {} per call.</p>",
        out, number_at(promotion, "draws"), number_at(object_at(promotion, "timing"), "rounds"),
        ms_text(number_at(object_at(promotion, "timing"), "ms")));
  const json& conditions = object_at(promotion, "conditions");
  std::string clocks;
  if (number_at(conditions, "core_mhz") > 0)
    clocks = fmt::format("Clocks {:.0f} MHz, memory {:.0f} MHz", number_at(conditions, "core_mhz"),
                         number_at(conditions, "memory_mhz"));
  for (const char* key : {"throttled", "busy"})
    if (!text_at(conditions, key).empty())
      clocks += (clocks.empty() ? "" : "; ") + fmt::format("{}: {}", key, html_at(conditions, key));
  return out + (clocks.empty() ? "" : "<p class=\"note\">" + clocks + ".</p>");
}

std::string best_over_time(const json& region) {
  const json& search = object_at(region, "search");
  Chart curve;
  curve.title = "Best time over the search";
  curve.x_label = "seconds of search";
  curve.y_label = "ms per call";
  curve.log_y = true;
  Chart::Series best;
  best.css_class = "line";
  best.steps = true;
  std::vector<std::vector<std::string>> rows;
  double previous = 0;
  for (const auto& point : list_at(search, "curve")) {
    const double ms = number_at(point, "ms"), at = number_at(point, "elapsed_s");
    best.points.emplace_back(at, ms);
    best.titles.push_back(fmt::format("{:.1f} s: {}, {}", at, ms_text(ms), html_at(point, "idea")));
    rows.push_back({fmt::format("{:.1f} s", at), ms_text(ms),
                    previous > 0 && ms > 0 ? ratio_text(previous / ms) : "–",
                    html_program(text_at(point, "program")), html_at(point, "idea")});
    previous = ms;
  }
  if (best.points.empty()) return "";
  best.points.emplace_back(number_at(search, "elapsed_s"), best.points.back().second);
  curve.series.push_back(std::move(best));
  if (const double eager = number_at(region, "eager_ms"); eager > 0)
    curve.rules.push_back({eager, "eager " + ms_text(eager)});
  if (const double light = number_at(region, "speed_of_light_ms"); light > 0)
    curve.rules.push_back({light, "speed of light " + ms_text(light)});
  const std::string table = html_table({{"after", Column::kBrief},
                                        {"time", Column::kNumber},
                                        {"gain", Column::kNumber},
                                        {"program", Column::kBrief},
                                        {"idea"}},
                                       rows);
  return "<h3>Best over time</h3>" + svg_for_both_widths(curve) +
         html_details(fmt::format("Each new best ({})", rows.size()), table);
}

std::string steps(const json& region) {
  const json& list = list_at(object_at(region, "promotion"), "steps");
  double sum = 0;
  for (const auto& step : list) sum += number_at(step, "ms");
  if (list.empty() || sum <= 0) return "";
  std::string rows, counted;
  for (const auto& step : list) {
    const double share = number_at(step, "ms") / sum;
    rows += fmt::format(
        "<li><span class=\"ci-name\"><code>{}</code></span><span class=\"ci-track\"><i class=\"bar "
        "step\" style=\"left:0;width:{:.2f}%\"></i></span><span class=\"ci-value\">{} "
        "({})</span></li>",
        html_at(step, "step"), 100 * share, ms_text(number_at(step, "ms")), percent(share));
    const std::string text = program::counted_text(program::parse_step_profile(step));
    if (!text.empty())
      counted += fmt::format("<li><code>{}</code>: {}</li>", html_at(step, "step"), text);
  }
  return "<h3>Where a call's time goes</h3><ul class=\"ci\">" + rows +
         "</ul><p class=\"note\">Each step timed by itself, cold: their sum need not be the time "
         "of the whole call.</p>" +
         (counted.empty() ? ""
                          : html_details("What the processor counted", "<ul>" + counted + "</ul>"));
}

std::string predictions(const json& region) {
  const json& search = object_at(region, "search");
  Chart ranking;
  ranking.title = "Predicted against measured time";
  ranking.x_label = "predicted ms";
  ranking.y_label = "measured ms";
  ranking.log_x = ranking.log_y = true;
  Chart::Series dots;
  dots.css_class = "dots";
  for (const auto& pair : list_at(search, "predicted_measured_s"))
    if (pair.is_array() && pair.size() == 2 && pair[0].is_number() && pair[1].is_number())
      dots.points.emplace_back(pair[0].get<double>() * 1e3, pair[1].get<double>() * 1e3);
  if (dots.points.size() < 2) return "";
  ranking.series.push_back(std::move(dots));
  return html_details(search.contains("rank_correlation")
                          ? fmt::format("The machine model's predictions: rank correlation {:.2f}",
                                        number_at(search, "rank_correlation"))
                          : "The machine model's predictions",
                      svg_for_both_widths(ranking));
}

std::string rewrites(const json& region) {
  std::map<std::string, std::string> places;
  for (const auto& rewrite : list_at(region, "rewrites")) {
    std::string& list = places[html_at(rewrite, "rule")];
    list += (list.empty() ? "<code>" : ", <code>") + html_at(rewrite, "where") + "</code>";
  }
  if (places.empty()) return "";
  std::string rows;
  for (const auto& [rule, where] : places)
    rows += fmt::format("<tr><td>{}</td><td>{}</td></tr>", rule, where);
  return "<h3>Rewrites used</h3><table><thead><tr><th scope=\"col\">rule</th><th "
         "scope=\"col\">at</th></tr></thead><tbody>" +
         rows + "</tbody></table>";
}

std::string lineage(const json& region, const std::vector<LoggedVerdict>& verdicts) {
  const json& curve = list_at(object_at(region, "search"), "curve");
  std::string program = text_at(region, "program_id");
  if (program.empty() && !curve.empty()) program = text_at(curve.back(), "program");
  const std::string tree = lineage_html(verdicts, text_at(region, "id"), program);
  if (tree.empty()) return "";
  return std::string("<h3>Lineage of the ") +
         (html_at(region, "accepted") == "true" ? "accepted" : "best") + " program</h3>" + tree;
}

std::string source_of(const json& region, const std::vector<ProgramSource>& sources) {
  const std::string id = text_at(region, "id");
  for (const auto& source : sources) {
    if (source.region != id) continue;
    std::string kernels;
    for (const auto& kernel : list_at(region, "kernels"))
      if (kernel.is_string())
        kernels += (kernels.empty() ? "<code>" : ", <code>") +
                   escape_html(kernel.get<std::string>()) + "</code>";
    const auto lines = std::count(source.text.begin(), source.text.end(), '\n');
    return "<h3>Source of the accepted program</h3>" +
           (kernels.empty() ? "" : "<p class=\"note\">Launches " + kernels + ".</p>") +
           html_details(fmt::format("Kernels, {} lines", lines),
                        "<pre tabindex=\"0\">" + highlighted(source.text) + "</pre>") +
           html_details("Launch plan (program.json)",
                        "<pre tabindex=\"0\">" + highlighted(source.program_json) + "</pre>");
  }
  return "";
}

}  // namespace

std::string region_html(const json& region, const std::vector<LoggedVerdict>& verdicts,
                        const std::vector<ProgramSource>& sources) {
  const bool accepted = html_at(region, "accepted") == "true";
  std::string out =
      fmt::format("<h2 id=\"region-{0}\">Region <code>{0}</code> {1}</h2>", html_at(region, "id"),
                  accepted ? "<span class=\"badge good\">accepted</span>"
                           : "<span class=\"badge\">kept in eager</span>");
  out += summary_line(region);
  const json& promotion = object_at(region, "promotion");
  if (!accepted && !text_at(promotion, "reason").empty())
    out += fmt::format("<p>Promotion: {}.</p>", html_at(promotion, "reason"));
  out += promotion_intervals(region) + best_over_time(region) + predictions(region);
  return out + steps(region) + rewrites(region) + lineage(region, verdicts) +
         source_of(region, sources);
}

}  // namespace kernelwright::report
