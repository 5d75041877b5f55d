// SPDX-License-Identifier: Apache-2.0
#include "report/html.h"

#include <fmt/core.h>

#include <algorithm>
#include <map>
#include <nlohmann/json.hpp>

#include "base/file.h"
#include "program/parse.h"
#include "report/conversations.h"
#include "report/svg.h"
#include "report/table.h"

namespace kernelwright::report {
namespace {

using nlohmann::json;

constexpr char kStyle[] = R"css(
:root{color-scheme:light dark;--ink:#1a1c20;--soft:#5b616b;--paper:#fff;--panel:#f4f5f7;--line:#d9dce1;--mark:#0b6bcb;--good:#157a3d;--bad:#b3261e}
@media(prefers-color-scheme:dark){:root{--ink:#e7e9ee;--soft:#a0a7b4;--paper:#14161a;--panel:#1e2127;--line:#353a44;--mark:#6cb2ff;--good:#6fd39a;--bad:#ff8a80}}
*{box-sizing:border-box}body{margin:0;background:var(--paper);color:var(--ink);font:16px/1.5 system-ui,sans-serif}
main{max-width:60rem;margin:0 auto;padding:1.5rem 1rem 4rem}h1{font-size:1.5rem;margin:0 0 .25rem;overflow-wrap:anywhere}h2{font-size:1.15rem;margin:2.2rem 0 .6rem}h3{font-size:1rem;margin:1.4rem 0 .4rem}
.sub,.note{color:var(--soft)}.headline{display:flex;flex-wrap:wrap;gap:.75rem;margin:1.2rem 0}.headline div{background:var(--panel);border-radius:.6rem;padding:.8rem 1rem;flex:1 1 9rem}
.headline b{display:block;font-size:1.45rem}.good{color:var(--good)}.bad{color:var(--bad)}.scroll{overflow-x:auto}table{border-collapse:collapse;width:100%;font-variant-numeric:tabular-nums}
th,td{text-align:left;padding:.35rem .6rem;border-bottom:1px solid var(--line);vertical-align:top}th{font-weight:600;color:var(--soft)}td.n,th.n{text-align:right;white-space:nowrap}
svg{width:100%;min-width:32rem;height:auto;background:var(--panel);border-radius:.6rem}svg text{font:11px system-ui,sans-serif;fill:var(--soft)}.grid{stroke:var(--line);stroke-width:.6}
path.line{fill:none;stroke:var(--mark);stroke-width:2}circle.dots{fill:var(--mark);opacity:.7}line.rule{stroke:var(--soft);stroke-dasharray:5 4}
pre{background:var(--panel);border-radius:.6rem;padding:.8rem;overflow:auto;font-size:.82rem;line-height:1.4;max-height:36rem}summary{cursor:pointer;padding:.3rem 0}code{font-size:.9em;overflow-wrap:anywhere}
)css";

constexpr int kRefusalsShown = 60;

std::string e(const json& value) {
  return escape_html(value.is_string() ? value.get<std::string>() : value.dump());
}
std::string at(const json& object, const char* key) {
  return object.contains(key) ? e(object.at(key)) : "";
}
double number(const json& object, const char* key) {
  return object.is_object() && object.contains(key) && object.at(key).is_number()
             ? object.at(key).get<double>()
             : 0;
}

std::string card(const std::string& big, const std::string& small, const char* css = "") {
  return fmt::format("<div><b class=\"{}\">{}</b>{}</div>", css, big, small);
}

std::string row(const std::vector<std::string>& cells, const char* tag = "td") {
  std::string out = "<tr>";
  for (size_t i = 0; i < cells.size(); ++i)
    out += fmt::format("<{0}{1}>{2}</{0}>", tag, i > 0 ? " class=\"n\"" : "", cells[i]);
  return out + "</tr>";
}

// The baselines by the names that users know.
std::string baseline_name(const json& r) {
  const std::string name = at(r.at("baseline"), "best_name");
  return name == "compile" ? "torch.compile" : name == "eager" ? "PyTorch eager" : name;
}

std::string headline(const json& r) {
  std::string out = "<div class=\"headline\">";
  const double light = number(r.at("speed_of_light"), "fraction");
  if (r.at("best").is_object()) {
    out +=
        card(ratio_text(number(r.at("best"), "speedup")),
             fmt::format("the speed of {} ({:.2f} – {:.2f} with 95 % confidence)", baseline_name(r),
                         number(r.at("best"), "speedup_low"), number(r.at("best"), "speedup_high")),
             "good");
    out += card(ms_text(number(r.at("best"), "ms")),
                fmt::format("per call, was {}", ms_text(number(r.at("baseline"), "best_ms"))));
  } else {
    out += card("baseline kept", at(r, "reason"));
    out += card(ms_text(number(r.at("baseline"), "best_ms")),
                fmt::format("per call ({})", baseline_name(r)));
  }
  out += card(fmt::format("{:.0f} %", 100 * light),
              fmt::format("of the speed of light ({}, {}-bound)",
                          ms_text(number(r.at("speed_of_light"), "ms")),
                          at(r.at("speed_of_light"), "bound")));
  out += card(fmt::format("{:.0f} %", 100 * number(r, "coverage")),
              "of eager time in generated regions");
  return out + "</div>";
}

std::string times(const json& r) {
  const double best = number(r.at("baseline"), "best_ms");
  const double light = number(r.at("speed_of_light"), "ms");
  const auto line = [&](const std::string& name, double ms, double speedup, const json& error) {
    return row({name, ms_text(ms), ratio_text(speedup), fmt::format("{:.0f} %", 100 * light / ms),
                error.is_object() ? fmt::format("{:.2f}", number(error, "rho_rms")) : "–",
                error.is_object() ? fmt::format("{:.1f}", number(error, "rho_max")) : "–",
                error.is_object() ? fmt::format("{:.1e}", number(error, "relative")) : "–"});
  };
  std::string out =
      "<h2>Times and errors</h2><div class=\"scroll\"><table><thead>" +
      row({"", "time", "speedup", "of speed of light", "error rms", "error worst", "relative"},
          "th") +
      "</thead><tbody>";
  out += line("PyTorch eager", number(r.at("baseline"), "eager_ms"),
              best / number(r.at("baseline"), "eager_ms"), r.at("error").at("eager"));
  if (r.at("baseline").contains("compile_ms") && r.at("baseline").at("compile_ms").is_number())
    out += line("torch.compile", number(r.at("baseline"), "compile_ms"),
                best / number(r.at("baseline"), "compile_ms"), nullptr);
  if (r.at("best").is_object())
    out += line("kernelwright", number(r.at("best"), "ms"), number(r.at("best"), "speedup"),
                r.at("error").at("candidate"));
  out +=
      "</tbody></table></div><p class=\"note\">Errors are against the module in fp64, in units of "
      "the problem's own rounding noise; "
      "the worst over all judged draws. Times: medians of alternating calls, cold caches, warm "
      "memory, drop-in module against the "
      "original in one process.";
  if (r.contains("final") && r.at("final").is_object())
    out += fmt::format(" With fresh output memory on both sides: original {}, drop-in {}.",
                       ms_text(number(r.at("final").at("fresh"), "original_ms")),
                       ms_text(number(r.at("final").at("fresh"), "dropin_ms")));
  if (r.value("disturbed", false))
    out += fmt::format(
        " <strong>Other programs used {:.0f} % of the processors while this was timed: the "
        "figures may be off.</strong>",
        100 * number(r, "others_share"));
  return out + "</p>";
}

std::string rewrites(const json& region) {
  if (!region.contains("rewrites") || region.at("rewrites").empty()) return "";
  std::map<std::string, std::string> places;
  for (const auto& rewrite : region.at("rewrites")) {
    std::string& list = places[at(rewrite, "rule")];
    list += (list.empty() ? "<code>" : ", <code>") + at(rewrite, "where") + "</code>";
  }
  std::string rows;
  for (const auto& [rule, where] : places)
    rows += fmt::format("<tr><td>{}</td><td>{}</td></tr>", rule, where);
  return "<h3>Rewrites used</h3><div class=\"scroll\"><table><thead><tr><th>rule</th><th>at</th>"
         "</tr></thead><tbody>" +
         rows + "</tbody></table></div>";
}

std::string region_section(const json& r, const json& region, const ReportInput& input) {
  std::string out = fmt::format(
      "<h2>Region <code>{}</code></h2><p>{} ops, {}; eager {}, speed of light {} ({}-bound). {} "
      "programs tried in {:.0f} s; stopped: {}.</p>",
      at(region, "id"), region.at("nodes").size(),
      region.value("accepted", false) ? "<span class=\"good\">accepted</span>" : "kept in eager",
      ms_text(number(region, "eager_ms")), ms_text(number(region, "speed_of_light_ms")),
      at(region, "bound"), region.at("search").value("tried", 0),
      number(region.at("search"), "elapsed_s"), at(region.at("search"), "stop_reason"));
  Chart curve{"Best time over the search", "seconds of search", "ms", false, true, {}, {}};
  Chart::Series best{"line", {}, true};
  for (const auto& point : region.at("search").at("curve"))
    best.points.emplace_back(number(point, "elapsed_s"), number(point, "ms"));
  if (!best.points.empty())
    best.points.emplace_back(number(region.at("search"), "elapsed_s"), best.points.back().second);
  curve.series.push_back(best);
  if (number(region, "eager_ms") > 0) curve.rules.push_back({number(region, "eager_ms"), "eager"});
  if (number(region, "speed_of_light_ms") > 0)
    curve.rules.push_back({number(region, "speed_of_light_ms"), "speed of light"});
  out += "<div class=\"scroll\">" + svg(curve) + "</div>";
  if (!region.at("search").at("curve").empty()) {
    out += "<details><summary>Improvements</summary><div class=\"scroll\"><table><thead>" +
           row({"idea", "after", "time"}, "th") + "</thead><tbody>";
    for (const auto& point : region.at("search").at("curve"))
      out += row({at(point, "idea"), fmt::format("{:.1f} s", number(point, "elapsed_s")),
                  ms_text(number(point, "ms"))});
    out += "</tbody></table></div></details>";
  }
  Chart ranking{
      "Predicted against measured time", "predicted ms", "measured ms", true, true, {}, {}};
  Chart::Series dots{"dots", {}, false};
  for (const auto& pair : region.at("search").at("predicted_measured_s"))
    dots.points.emplace_back(pair.at(0).get<double>() * 1e3, pair.at(1).get<double>() * 1e3);
  ranking.series.push_back(dots);
  if (dots.points.size() > 1)
    out += fmt::format(
        "<details><summary>The machine model's predictions{}</summary><div "
        "class=\"scroll\">{}</div></details>",
        region.at("search").contains("rank_correlation")
            ? fmt::format(": rank correlation {:.2f}",
                          number(region.at("search"), "rank_correlation"))
            : "",
        svg(ranking));
  out += rewrites(region);
  for (const auto& source : input.sources)
    if (source.region == region.value("id", ""))
      out += fmt::format(
          "<details><summary>Generated "
          "source</summary><pre>{}</pre></details><details><summary>Launch "
          "plan</summary><pre>{}</pre></details>",
          escape_html(source.text), escape_html(source.program_json));
  return out;
}

std::string refusals(const ReportInput& input) {
  std::string rows;
  int shown = 0;
  for (const auto& line : input.verdict_lines) {
    const json entry = json::parse(line, nullptr, false);
    if (!entry.is_object() || !entry.contains("verdict") || !entry.at("verdict").is_object())
      continue;
    const std::string kind = entry.at("verdict").value("verdict", "");
    if (kind == "accepted" || kind == "slower" || ++shown > kRefusalsShown) continue;
    rows += fmt::format("<tr><td><span class=\"bad\">{}</span></td><td>{}</td><td>{}</td></tr>",
                        escape_html(kind), at(entry, "idea"), at(entry.at("verdict"), "reason"));
  }
  if (rows.empty()) return "<h2>Refused</h2><p class=\"note\">No program was refused.</p>";
  return "<h2>Refused, and why</h2><div "
         "class=\"scroll\"><table><thead><tr><th>verdict</th><th>idea</th><th>reason</th></tr></"
         "thead><tbody>" +
         rows + "</tbody></table></div>" +
         (shown > kRefusalsShown
              ? fmt::format("<p class=\"note\">And {} more: verdicts.jsonl has them all.</p>",
                            shown - kRefusalsShown)
              : "");
}

std::string machine(const json& r) {
  std::string out = "<h2>Machine and versions</h2><div class=\"scroll\"><table><tbody>";
  const auto line = [&](const std::string& name, const std::string& value) {
    out += fmt::format("<tr><th>{}</th><td>{}</td></tr>", escape_html(name), value);
  };
  line("device", at(r, "device"));
  line("threads", at(r, "threads"));
  line("policy", at(r, "policy"));
  for (const auto& [name, version] : r.at("versions").items()) line(name, e(version));
  line("programs tried", at(r, "tried"));
  for (const auto& [name, count] : r.at("verdicts").items()) line("verdict " + name, e(count));
  for (const auto& note : r.at("eager"))
    line("stays in eager", at(note, "what") + ": " + at(note, "reason"));
  return out + "</tbody></table></div>";
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

std::string escape_html(const std::string& text) {
  std::string out;
  for (char c : text) {
    if (c == '&')
      out += "&amp;";
    else if (c == '<')
      out += "&lt;";
    else if (c == '>')
      out += "&gt;";
    else if (c == '"')
      out += "&quot;";
    else if (c == '\'')
      out += "&#39;";
    else
      out += c;
  }
  return out;
}

std::string report_html(const ReportInput& input) {
  const json& r = *input.result;
  std::string body =
      fmt::format("<h1>{}</h1><div class=\"sub\">kernelwright on {} · {} · policy {}</div>",
                  at(r, "workload"), at(r, "target"), at(r, "device"), at(r, "policy"));
  body += headline(r) + times(r);
  for (const auto& region : r.at("regions")) body += region_section(r, region, input);
  body += conversations_html(input.conversation_lines) + refusals(input) + machine(r);
  return fmt::format(
      "<!doctype html><html lang=\"en\"><head><meta charset=\"utf-8\"><meta name=\"viewport\" "
      "content=\"width=device-width,initial-scale=1\">"
      "<title>{} · "
      "kernelwright</title><style>{}</style></head><body><main>{}</main></body></html>\n",
      at(r, "workload"), kStyle, body);
}

Result<std::filesystem::path> write_report(const std::filesystem::path& run_dir) {
  KW_TRY(std::string text, base::read_file(run_dir / "result.json", 256 << 20));
  json result = json::parse(text, nullptr, false);
  if (!result.is_object() || !result.contains("baseline") || !result.contains("regions"))
    return fail(ErrorKind::kInput, (run_dir / "result.json").string() + " is no result of a run");
  ReportInput input;
  input.result = &result;
  input.verdict_lines = lines_of(run_dir / "verdicts.jsonl");
  input.conversation_lines = lines_of(run_dir / "conversations.jsonl");
  try {
    for (const auto& region : result.at("regions")) {
      if (!region.value("accepted", false)) continue;
      const std::string id = region.value("id", "");
      const auto candidate =
          program::read_candidate(run_dir / "programs" / std::filesystem::path(id).filename());
      if (candidate)
        input.sources.push_back(
            {id, program::print_program(candidate->program), candidate->source});
    }
    const auto path = run_dir / "report.html";
    KW_CHECK_OK(base::write_file_atomic(path, report_html(input)));
    return path;
  } catch (const json::exception&) {
    return fail(ErrorKind::kInput,
                (run_dir / "result.json").string() + " lacks fields of a result");
  }
}

}  // namespace kernelwright::report
