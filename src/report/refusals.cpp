// SPDX-License-Identifier: Apache-2.0
#include "report/refusals.h"

#include <fmt/core.h>

#include <algorithm>
#include <map>
#include <set>
#include <tuple>

#include "report/markup.h"

namespace kernelwright::report {
namespace {

constexpr size_t kRefusalsShown = 60;
constexpr size_t kIdeasShown = 3;

struct Refusal {
  std::string kind, region, reason;
  bool promotion = false;
  int count = 0;
  std::vector<std::string> ideas;  // each once
  std::set<std::string> seen;
};

std::string ideas_cell(const Refusal& refusal) {
  std::string out;
  for (size_t i = 0; i < refusal.ideas.size() && i < kIdeasShown; ++i)
    out += "<div>" + escape_html(refusal.ideas[i]) + "</div>";
  if (refusal.ideas.size() > kIdeasShown)
    out += fmt::format("<div>and {} more</div>", refusal.ideas.size() - kIdeasShown);
  return out;
}

}  // namespace

std::string refusals_html(const std::vector<LoggedVerdict>& verdicts) {
  std::map<std::tuple<bool, std::string, std::string, std::string>, Refusal> groups;
  std::set<std::string> slower, accepted;
  for (const auto& one : verdicts) {
    if (!one.promotion && one.right())
      (one.kind == "slower" ? slower : accepted).insert(one.program);
    if (one.kind == "accepted" || (one.kind == "slower" && !one.promotion)) continue;
    Refusal& group = groups[{!one.promotion, one.kind, one.region, one.reason}];
    group.kind = one.kind;
    group.region = one.region;
    group.reason = one.reason;
    group.promotion = one.promotion;
    ++group.count;
    if (group.seen.insert(one.idea).second) group.ideas.push_back(one.idea);
  }
  std::vector<Refusal> order;
  for (auto& [key, group] : groups) order.push_back(std::move(group));
  std::stable_sort(order.begin(), order.end(), [](const Refusal& a, const Refusal& b) {
    return std::tuple(!a.promotion, -a.count) < std::tuple(!b.promotion, -b.count);
  });
  std::string out = "<h2 id=\"refused\">Refused, and why</h2>";
  for (const auto& program : accepted) slower.erase(program);
  std::vector<std::vector<std::string>> rows;
  for (size_t i = 0; i < order.size() && i < kRefusalsShown; ++i) {
    const Refusal& one = order[i];
    rows.push_back({fmt::format("<span class=\"bad\">{}</span>{}", html_brief(one.kind),
                                one.promotion ? " at promotion" : ""),
                    fmt::format("{}", one.count), "<code>" + html_brief(one.region) + "</code>",
                    escape_html(one.reason), ideas_cell(one)});
  }
  if (rows.empty())
    out += "<p>No program was refused.</p>";
  else
    out += html_table({{"verdict", Column::kBrief},
                       {"times", Column::kNumber},
                       {"region", Column::kBrief},
                       {"reason"},
                       {"idea"}},
                      rows);
  if (order.size() > kRefusalsShown)
    out += fmt::format("<p class=\"note\">And {} more reasons: verdicts.jsonl has them all.</p>",
                       order.size() - kRefusalsShown);
  if (!slower.empty())
    out += fmt::format("<p class=\"note\">{} {} right, but not faster than the best so far.</p>",
                       slower.size(), slower.size() == 1 ? "program was" : "programs were");
  return out;
}

}  // namespace kernelwright::report
