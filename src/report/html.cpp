// SPDX-License-Identifier: Apache-2.0
#include "report/html.h"

#include <fmt/core.h>

#include <algorithm>
#include <nlohmann/json.hpp>

#include "base/file.h"
#include "program/parse.h"
#include "report/conversations.h"
#include "report/intervals.h"
#include "report/machine_section.h"
#include "report/markup.h"
#include "report/page_style.h"
#include "report/refusals.h"
#include "report/roofline.h"
#include "report/table.h"
#include "report/verdict_log.h"

namespace kernelwright::report {
namespace {

using nlohmann::json;

std::string baseline_name(const json& r) {
  return baseline_title(text_at(object_at(r, "baseline"), "best_name"));
}

std::string card(const std::string& big, const std::string& small, const char* css = "") {
  return fmt::format("<div><b class=\"{}\">{}</b>{}</div>", css, big, small);
}

std::string header(const json& r) {
  const bool improved = text_at(r, "status") == "improved";
  const bool says_threads = text_at(r, "device").find("threads") != std::string::npos;
  const std::string threads = says_threads ? "" : " · " + html_at(r, "threads") + " threads";
  std::string when = escape_html(text_at(r, "started").substr(0, 10));
  if (!when.empty()) when = " · " + when;
  return fmt::format(
      "<h1>{} <span class=\"badge{}\">{}</span></h1><div class=\"sub\">{} · {}{} · "
      "policy {}{}</div>",
      html_at(r, "workload"), improved ? " good" : "", improved ? "improved" : "baseline kept",
      html_at(r, "target"), html_at(r, "device"), threads, html_at(r, "policy"), when);
}

std::string contents(const json& r, bool roofline, bool conversations) {
  std::string out = "<nav aria-label=\"Sections\"><a href=\"#times\">Times and errors</a>";
  if (roofline) out += "<a href=\"#roofline\">Roofline</a>";
  for (const auto& region : list_at(r, "regions"))
    out += fmt::format("<a href=\"#region-{0}\">Region {0}</a>", html_at(region, "id"));
  if (conversations) out += "<a href=\"#conversations\">Conversations</a>";
  return out + "<a href=\"#refused\">Refused</a><a href=\"#machine\">Machine</a></nav>";
}

std::string headline(const json& r) {
  std::string out = "<div class=\"headline\">";
  const json& best = object_at(r, "best");
  const json& light = object_at(r, "speed_of_light");
  const bool disturbed = html_at(r, "disturbed") == "true";
  const double baseline_ms = number_at(object_at(r, "baseline"), "best_ms");
  if (!best.empty()) {
    out +=
        card(ratio_text(number_at(best, "speedup")),
             fmt::format("the speed of {}; {:.2f} – {:.2f} with 95 % confidence", baseline_name(r),
                         number_at(best, "speedup_low"), number_at(best, "speedup_high")),
             disturbed ? "" : "good");
    out += card(ms_text(number_at(best, "ms")),
                fmt::format("per call; {} took {}", baseline_name(r), ms_text(baseline_ms)));
  } else {
    out += card("1.00x", "nothing was faster with confidence");
    out += card(ms_text(baseline_ms), fmt::format("per call of {}", baseline_name(r)));
  }
  out += card(percent(number_at(light, "fraction")),
              fmt::format("of the speed of light, {} ({}-bound)", ms_text(number_at(light, "ms")),
                          html_at(light, "bound")));
  out += card(percent(number_at(r, "coverage")), "of eager time is in generated kernels");
  out += "</div>";
  if (best.empty() && !text_at(r, "reason").empty())
    out += "<p class=\"alert\">The baseline is kept: " + html_at(r, "reason") + ".</p>";
  if (html_at(r, "interrupted") == "true")
    out += "<p class=\"alert\">The run was interrupted: this is the best until then.</p>";
  if (disturbed)
    out += fmt::format(
        "<p class=\"alert\">Other programs used {} of the processors while this was timed: the "
        "figures may be off.</p>",
        percent(number_at(r, "others_share")));
  return out;
}

std::string speedups(const json& r) {
  std::vector<Interval> intervals;
  for (const auto& one : list_at(r, "speedups"))
    intervals.push_back(interval_of(one, "against " + baseline_title(text_at(one, "baseline")),
                                    number_at(one, "ms")));
  if (const json& best = object_at(r, "best"); intervals.empty() && !best.empty())
    intervals.push_back(interval_of(best, "against " + baseline_name(r),
                                    number_at(object_at(r, "baseline"), "best_ms")));
  const std::string rows = intervals_html(intervals);
  if (rows.empty() || !object_at(r, "best").empty()) return rows;
  return "<p class=\"note\">The drop-in that was not taken:</p>" + rows;
}

std::string times(const json& r) {
  const json& baseline = object_at(r, "baseline");
  const json& best = object_at(r, "best");
  const json& error = object_at(r, "error");
  const double best_ms = number_at(baseline, "best_ms");
  const double light = number_at(object_at(r, "speed_of_light"), "ms");
  std::vector<std::vector<std::string>> rows;
  const auto line = [&](const std::string& name, double ms, double speedup, const json& figures) {
    if (ms <= 0) return;
    const bool known = !figures.empty();
    rows.push_back({name, ms_text(ms), ratio_text(speedup), percent(light / ms),
                    known ? fmt::format("{:.2f}", number_at(figures, "rho_rms")) : "–",
                    known ? fmt::format("{:.1f}", number_at(figures, "rho_max")) : "–",
                    known ? fmt::format("{:.1e}", number_at(figures, "relative")) : "–"});
  };
  const auto over = [&](double ms) { return ms > 0 ? best_ms / ms : 0; };
  const double eager_ms = number_at(baseline, "eager_ms");
  const double compile_ms = number_at(baseline, "compile_ms");
  line("PyTorch eager", eager_ms, over(eager_ms), object_at(error, "eager"));
  line("torch.compile", compile_ms, over(compile_ms), json::object());
  line("kernelwright", number_at(best, "ms"), number_at(best, "speedup"),
       object_at(error, "candidate"));
  std::string out = "<h2 id=\"times\">Times and errors</h2>" + speedups(r);
  out += html_table({{"", Column::kBrief},
                     {"time", Column::kNumber},
                     {"speedup", Column::kNumber},
                     {"of speed of light", Column::kNumber},
                     {"error rms", Column::kNumber},
                     {"error worst", Column::kNumber},
                     {"relative", Column::kNumber}},
                    rows);
  out +=
      "<p class=\"note\">Times: medians of alternating calls, drop-in module against the original "
      "in one process, cold caches, warm memory. Speedups: median of paired ratios and its 95 % "
      "interval. Errors: against the module in fp64, in units of the problem&#39;s own rounding "
      "noise, the worst over all judged draws.";
  if (const json& fresh = object_at(object_at(r, "final"), "fresh"); !fresh.empty())
    out += fmt::format(
        " With fresh output memory on both sides: original {}, of which page faults {}; drop-in "
        "{}.",
        ms_text(number_at(fresh, "original_ms")), percent(number_at(fresh, "fault_share")),
        ms_text(number_at(fresh, "dropin_ms")));
  if (const json& memory = object_at(object_at(r, "final"), "memory"); !memory.empty())
    out += fmt::format(
        " The same bytes moved without any work took {} in the same calls: {} of the time shown.",
        ms_text(number_at(memory, "ms")), percent(number_at(memory, "share")));
  if (const double prepare = number_at(best, "prepare_ms"); prepare > 0)
    out += fmt::format(" Weights are prepared once, in {}.", ms_text(prepare));
  if (const double library = number_at(r, "library_share"); library > 0)
    out +=
        fmt::format(" {} of eager time is in library routines, which count as no kernel of ours.",
                    percent(library));
  out += "</p>";
  for (const auto& note : list_at(baseline, "notes"))
    if (note.is_string())
      out += "<p class=\"note\">" + escape_html(note.get<std::string>()) + "</p>";
  return out;
}

std::string left_in_eager(const json& r) {
  std::vector<std::vector<std::string>> rows;
  for (const auto& note : list_at(r, "eager"))
    rows.push_back({html_at(note, "what"), html_at(note, "reason")});
  if (rows.empty()) return "";
  return "<h2 id=\"eager\">Left in eager, and why</h2>" + html_table({{"what"}, {"why"}}, rows);
}

std::vector<std::string> lines_of(const std::filesystem::path& file) {
  std::vector<std::string> out;
  const auto text = base::read_file(file, 256 << 20);
  if (!text) return out;
  for (size_t start = 0; start < text->size();) {
    const size_t end = std::min(text->find('\n', start), text->size());
    out.push_back(text->substr(start, end - start));
    start = end + 1;
  }
  return out;
}

}  // namespace

std::string report_html(const ReportInput& input) {
  const json& r = *input.result;
  const auto verdicts = read_verdicts(input.verdict_lines);
  const std::string roofline = roofline_html(r);
  const std::string conversations = conversations_html(input.conversation_lines);
  std::string body = header(r) + contents(r, !roofline.empty(), !conversations.empty()) +
                     headline(r) + times(r) + roofline;
  for (const auto& region : list_at(r, "regions"))
    body += region_html(region, verdicts, input.sources);
  body += conversations + refusals_html(verdicts) + left_in_eager(r) + machine_html(r);
  return fmt::format(
      "<!doctype html><html lang=\"en\"><head><meta charset=\"utf-8\"><meta name=\"viewport\" "
      "content=\"width=device-width,initial-scale=1\"><meta name=\"color-scheme\" content=\"light "
      "dark\"><link rel=\"icon\" href=\"data:,\">"
      "<title>{} – kernelwright</title><style>{}</style></head><body><main>{}<footer>Made by "
      "kernelwright. How it was judged: docs/referee.md and docs/numerics.md of its "
      "source.</footer></main></body></html>\n",
      html_at(r, "workload"), kPageStyle, body);
}

Result<std::filesystem::path> write_report(const std::filesystem::path& run_dir) {
  KW_TRY(std::string text, base::read_file(run_dir / "result.json", 256 << 20));
  json result = json::parse(text, nullptr, false);
  if (object_at(result, "baseline").empty() || !result.contains("regions") ||
      text_at(result, "workload").empty())
    return fail(ErrorKind::kInput, (run_dir / "result.json").string() + " is no result of a run");
  ReportInput input;
  input.result = &result;
  input.verdict_lines = lines_of(run_dir / "verdicts.jsonl");
  input.conversation_lines = lines_of(run_dir / "conversations.jsonl");
  for (const auto& region : list_at(result, "regions")) {
    if (html_at(region, "accepted") != "true") continue;
    const std::string id = text_at(region, "id");
    const auto candidate =
        program::read_candidate(run_dir / "programs" / std::filesystem::path(id).filename());
    if (candidate)
      input.sources.push_back({id, program::print_program(candidate->program), candidate->source});
  }
  const auto path = run_dir / "report.html";
  KW_CHECK_OK(base::write_file_atomic(path, report_html(input)));
  return path;
}

}  // namespace kernelwright::report
