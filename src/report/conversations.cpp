// SPDX-License-Identifier: Apache-2.0
#include "report/conversations.h"

#include <fmt/core.h>

#include <algorithm>
#include <cmath>
#include <map>
#include <nlohmann/json.hpp>

#include "report/html.h"

namespace kernelwright::report {
namespace {

using nlohmann::json;

constexpr size_t kShown = 200;
constexpr size_t kCallsShown = 60;
constexpr double kTimelineWidth = 1000, kRow = 22, kLabel = 210;

std::string text_at(const json& object, const char* key) {
  return object.contains(key) && object.at(key).is_string()
             ? escape_html(object.at(key).get<std::string>())
             : "";
}

double number_at(const json& object, const char* key) {
  if (!object.is_object() || !object.contains(key) || !object.at(key).is_number()) return 0;
  const double value = object.at(key).get<double>();
  return std::isfinite(value) ? value : 0;
}

double tokens_of(const json& conversation) {
  if (!conversation.contains("usage")) return 0;
  double sum = 0;
  for (const char* key : {"input", "output", "cache_read", "cache_write"})
    sum += number_at(conversation.at("usage"), key);
  return sum;
}

std::string tokens_text(double tokens) {
  return tokens >= 1e3 ? fmt::format("{:.1f}k", tokens / 1e3) : fmt::format("{:.0f}", tokens);
}

// The first word of what was said of a call: a verdict, else nothing.
std::string verdict_of(const json& call) {
  static const std::vector<std::string> kVerdicts = {
      "build_failed", "refused", "crashed", "timed_out", "wrong", "cheated", "slower", "accepted"};
  if (!call.contains("said") || !call.at("said").is_string()) return "";
  const std::string said = call.at("said").get<std::string>();
  const std::string word = said.substr(0, said.find(':'));
  return std::find(kVerdicts.begin(), kVerdicts.end(), word) == kVerdicts.end() ? "" : word;
}

const char* colour(const std::string& verdict) {
  if (verdict == "accepted") return "var(--good)";
  if (verdict == "slower") return "var(--mark)";
  return verdict.empty() ? "var(--soft)" : "var(--bad)";
}

std::vector<json> calls_of(const json& conversation) {
  std::vector<json> out;
  if (!conversation.contains("calls") || !conversation.at("calls").is_array()) return out;
  for (const auto& call : conversation.at("calls"))
    if (call.is_object() && out.size() < kCallsShown) out.push_back(call);
  return out;
}

// A bar per conversation over the time of the region, a mark per tool call.
std::string bars(const std::vector<json>& all) {
  double end = 1e-3;
  for (const auto& one : all) end = std::max(end, number_at(one, "end_s"));
  const auto x = [&](double at) {
    return kLabel + std::clamp(at / end, 0.0, 1.0) * (kTimelineWidth - kLabel - 10);
  };
  const double height = kRow * static_cast<double>(all.size()) + 26;
  std::string out = fmt::format(
      "<svg viewBox=\"0 0 {:.0f} {:.0f}\" role=\"img\" aria-label=\"conversations over time\">",
      kTimelineWidth, height);
  double y = 8;
  for (const auto& one : all) {
    const bool analyst = text_at(one, "role") == "analyst";
    const double from = x(number_at(one, "start_s")), to = x(number_at(one, "end_s"));
    out += fmt::format("<text x=\"6\" y=\"{:.1f}\">{}</text>", y + 13, text_at(one, "id"));
    out += fmt::format(
        "<rect x=\"{:.1f}\" y=\"{:.1f}\" width=\"{:.1f}\" height=\"{}\" rx=\"3\" "
        "fill=\"var(--mark)\" opacity=\"{}\"/>",
        from, y + (analyst ? 6 : 3), std::max(2.0, to - from), analyst ? 8 : 14,
        analyst ? "0.5" : "0.25");
    for (const auto& call : calls_of(one)) {
      const std::string verdict = verdict_of(call);
      out += fmt::format(
          "<circle cx=\"{:.1f}\" cy=\"{:.1f}\" r=\"4\" fill=\"{}\"><title>{}: "
          "{}</title></circle>",
          x(number_at(call, "at_s") + number_at(call, "seconds")), y + 10, colour(verdict),
          text_at(call, "tool"), text_at(call, "said"));
    }
    y += kRow;
  }
  return out + fmt::format(
                   "<text x=\"{:.0f}\" y=\"{:.0f}\">0 s</text><text x=\"{:.0f}\" "
                   "y=\"{:.0f}\" text-anchor=\"end\">{:.0f} s</text></svg>",
                   kLabel, height - 6, kTimelineWidth - 10, height - 6, end);
}

std::string details(const json& one) {
  std::string rows;
  for (const auto& call : calls_of(one))
    rows += fmt::format(
        "<tr><td class=\"n\">{:.1f} s</td><td>{}</td><td><span style=\"color:{}\">{}</span></td>"
        "<td><code>{}</code></td></tr>",
        number_at(call, "at_s"), text_at(call, "tool"), colour(verdict_of(call)),
        text_at(call, "said"), text_at(call, "program").substr(0, 12));
  const double cost = number_at(one, "cost_usd");
  std::string out = fmt::format(
      "<details><summary>{} · {}{} · {} replies{} · {} tokens{} · {}</summary>", text_at(one, "id"),
      text_at(one, "role"), text_at(one, "idea").empty() ? "" : " · " + text_at(one, "idea"),
      number_at(one, "replies"),
      number_at(one, "replayed") > 0
          ? fmt::format(" ({} from a transcript)", number_at(one, "replayed"))
          : "",
      tokens_text(tokens_of(one)), cost > 0 ? fmt::format(" · ${:.4f}", cost) : "",
      text_at(one, "ended"));
  out += fmt::format("<p class=\"note\">{}</p>", text_at(one, "model"));
  if (!text_at(one, "said").empty()) out += "<pre>" + text_at(one, "said") + "</pre>";
  if (!rows.empty())
    out +=
        "<div class=\"scroll\"><table><thead><tr><th class=\"n\">at</th><th>tool</th>"
        "<th>answer</th><th>program</th></tr></thead><tbody>" +
        rows + "</tbody></table></div>";
  return out + "</details>";
}

}  // namespace

std::string conversations_html(const std::vector<std::string>& lines) {
  std::map<std::string, std::vector<json>> by_region;
  size_t count = 0;
  double tokens = 0, cost = 0;
  for (const auto& line : lines) {
    json one = json::parse(line, nullptr, false);
    if (!one.is_object() || !one.contains("role")) continue;
    tokens += tokens_of(one);
    cost += number_at(one, "cost_usd");
    if (++count <= kShown) by_region[text_at(one, "region")].push_back(std::move(one));
  }
  if (count == 0) return "";
  std::string out =
      fmt::format("<h2>Conversations with models</h2><p>{} conversations, {} tokens{}.</p>", count,
                  tokens_text(tokens), cost > 0 ? fmt::format(", ${:.4f}", cost) : "");
  for (const auto& [region, all] : by_region) {
    out += fmt::format(
        "<p class=\"note\">Region <code>{}</code>: a dot is a tool call, coloured "
        "by its verdict.</p><div class=\"scroll\">{}</div>",
        region, bars(all));
    for (const auto& one : all) out += details(one);
  }
  if (count > kShown)
    out += fmt::format("<p class=\"note\">And {} more: conversations.jsonl has them all.</p>",
                       count - kShown);
  return out;
}

}  // namespace kernelwright::report
