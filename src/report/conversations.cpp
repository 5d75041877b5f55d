// SPDX-License-Identifier: Apache-2.0
#include "report/conversations.h"

#include <fmt/core.h>

#include <algorithm>
#include <map>
#include <nlohmann/json.hpp>

#include "report/markup.h"

namespace kernelwright::report {
namespace {

using nlohmann::json;

constexpr size_t kShown = 200;
constexpr size_t kCallsShown = 60;

double tokens_of(const json& conversation) {
  double sum = 0;
  for (const char* key : {"input", "output", "cache_read", "cache_write"})
    sum += number_at(object_at(conversation, "usage"), key);
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
  for (const auto& call : list_at(conversation, "calls"))
    if (call.is_object() && out.size() < kCallsShown) out.push_back(call);
  return out;
}

// A bar per conversation over the time of the region, a mark per tool call.
std::string timeline(const std::vector<json>& all) {
  double end = 1e-3;
  for (const auto& one : all) end = std::max(end, number_at(one, "end_s"));
  const auto place = [&](double at) { return 100 * std::clamp(at / end, 0.0, 1.0); };
  std::string rows;
  for (const auto& one : all) {
    const double from = place(number_at(one, "start_s")), to = place(number_at(one, "end_s"));
    std::string track =
        fmt::format("<i class=\"bar span\" style=\"left:{:.2f}%;width:{:.2f}%\"></i>", from,
                    std::max(0.4, to - from));
    for (const auto& call : calls_of(one))
      track += fmt::format(
          "<i class=\"call\" style=\"left:{:.2f}%;background:{}\" title=\"{}: {}\"></i>",
          place(number_at(call, "at_s") + number_at(call, "seconds")), colour(verdict_of(call)),
          html_at(call, "tool"), html_at(call, "said"));
    rows += fmt::format(
        "<li><span class=\"ci-name\">{}</span><span class=\"ci-track\">{}</span><span "
        "class=\"ci-value\">{:.0f} – {:.0f} s</span></li>",
        html_at(one, "id"), track, number_at(one, "start_s"), number_at(one, "end_s"));
  }
  return "<ul class=\"ci\">" + rows + "</ul>";
}

std::string conversation(const json& one) {
  std::vector<std::vector<std::string>> rows;
  for (const auto& call : calls_of(one))
    rows.push_back({fmt::format("{:.1f} s", number_at(call, "at_s")),
                    html_brief(text_at(call, "tool")),
                    fmt::format("<span style=\"color:{}\">{}</span>", colour(verdict_of(call)),
                                html_at(call, "said")),
                    html_program(text_at(call, "program"))});
  const double cost = number_at(one, "cost_usd");
  const std::string idea = html_at(one, "idea");
  const std::string summary =
      fmt::format("{} · {}{} · {} {}{} · {} tokens{} · {}", html_at(one, "id"),
                  html_at(one, "role"), idea.empty() ? "" : " · " + idea, number_at(one, "replies"),
                  number_at(one, "replies") == 1 ? "reply" : "replies",
                  number_at(one, "replayed") > 0
                      ? fmt::format(" ({} from a transcript)", number_at(one, "replayed"))
                      : "",
                  tokens_text(tokens_of(one)), cost > 0 ? fmt::format(" · ${:.4f}", cost) : "",
                  html_at(one, "ended"));
  std::string body = fmt::format("<p class=\"note\">{}</p>", html_at(one, "model"));
  if (!html_at(one, "said").empty())
    body += "<pre class=\"said\" tabindex=\"0\">" + html_at(one, "said") + "</pre>";
  if (!rows.empty())
    body += html_table({{"at", Column::kNumber},
                        {"tool", Column::kBrief},
                        {"answer"},
                        {"program", Column::kBrief}},
                       rows);
  return html_details(summary, body);
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
    if (++count <= kShown) by_region[html_at(one, "region")].push_back(std::move(one));
  }
  if (count == 0) return "";
  std::string out = fmt::format(
      "<h2 id=\"conversations\">Conversations with models</h2><p>{} conversations, {} "
      "tokens{}.</p>",
      count, tokens_text(tokens), cost > 0 ? fmt::format(", ${:.4f}", cost) : "");
  for (const auto& [region, all] : by_region) {
    out += fmt::format(
        "<p class=\"note\">Region <code>{}</code>: a dot is a tool call, coloured "
        "by its verdict.</p>{}",
        region, timeline(all));
    for (const auto& one : all) out += conversation(one);
  }
  if (count > kShown)
    out += fmt::format("<p class=\"note\">And {} more: conversations.jsonl has them all.</p>",
                       count - kShown);
  return out;
}

}  // namespace kernelwright::report
