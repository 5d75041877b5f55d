// SPDX-License-Identifier: Apache-2.0
#include "report/lineage.h"

#include <fmt/core.h>

#include <algorithm>
#include <set>

#include "report/markup.h"
#include "report/table.h"

namespace kernelwright::report {
namespace {

constexpr size_t kGenerations = 200;
constexpr int kBranchesShown = 300;
constexpr size_t kDeepestBranch = 6;
constexpr size_t kChangesShown = 8;
constexpr std::string_view kRule = "rule/";

// A program of one region, with what its verdicts said.
struct Member {
  const LoggedVerdict* first = nullptr;      // proposer, idea, parent, schedule
  const LoggedVerdict* last = nullptr;       // of the search
  const LoggedVerdict* promotion = nullptr;  // the last one
  std::vector<std::string> children;         // in the order of their first verdicts
};

class Family {
 public:
  Family(const std::vector<LoggedVerdict>& verdicts, const std::string& region) {
    for (const auto& verdict : verdicts) {
      if (verdict.region != region || verdict.program.empty()) continue;
      Member& member = members_[verdict.program];
      const bool fresh = member.first == nullptr;
      if (fresh) member.first = &verdict;
      if (member.first->schedule.empty() && !verdict.schedule.empty()) member.first = &verdict;
      (verdict.promotion ? member.promotion : member.last) = &verdict;
      if (fresh) order_.push_back(verdict.program);
    }
    for (const auto& program : order_) {
      const std::string& parent = members_.at(program).first->parent;
      if (members_.count(parent) && parent != program) {
        members_.at(parent).children.push_back(program);
      } else {
        roots_.push_back(program);
      }
    }
  }

  std::string html(const std::string& program) {
    if (!members_.count(program)) return "";
    const auto chain = chain_to(program);
    std::string out;
    for (size_t i = 0; i < chain.size(); ++i) {
      const std::string next = i + 1 < chain.size() ? chain[i + 1] : "";
      out += "<li>" + generation(chain[i]);
      if (i == 0) out += branches("begun beside it", roots_, chain[0]);
      out += branches("made from it as well", members_.at(chain[i]).children, next) + "</li>";
    }
    return fmt::format(
        "<p class=\"note\">{} of {} programs led to this one; each was made from the one above "
        "it. Times are of the moment of each verdict, ratios of calls in alternation; slower says "
        "not faster with confidence than what was the best then.</p><ol class=\"lineage\">{}</ol>",
        chain.size(), order_.size(), out);
  }

 private:
  std::vector<std::string> chain_to(const std::string& program) {
    std::vector<std::string> chain;
    for (std::string at = program; members_.count(at) && chain.size() < kGenerations;) {
      if (!on_chain_.insert(at).second) break;
      chain.push_back(at);
      at = members_.at(at).first->parent;
    }
    std::reverse(chain.begin(), chain.end());
    return chain;
  }

  static std::string verdict_word(const LoggedVerdict& verdict) {
    const char* css = verdict.kind == "accepted" ? "good" : verdict.kind == "slower" ? "" : "bad";
    return fmt::format("<span class=\"verdict {}\">{}</span>", css, escape_html(verdict.kind));
  }

  // The rest of a verdict in one line: how much faster than what, or why not.
  static std::string outcome(const LoggedVerdict& verdict, const std::string& parent) {
    if (!verdict.right() || verdict.speedup <= 0) return escape_html(verdict.reason);
    if (verdict.reference.empty()) return "the first to be timed";
    const bool of_parent = !parent.empty() && verdict.reference == parent;
    return fmt::format("{} ({:.2f} – {:.2f}) against {}", ratio_text(verdict.speedup),
                       verdict.speedup_low, verdict.speedup_high,
                       of_parent                        ? "its parent"
                       : verdict.reference == "eager"   ? "PyTorch eager"
                       : verdict.reference == "compile" ? "torch.compile"
                                                        : html_program(verdict.reference));
  }

  std::string head(const std::string& program) const {
    const Member& member = members_.at(program);
    const LoggedVerdict& verdict = member.last ? *member.last : *member.first;
    return fmt::format("<span class=\"when\">{}</span> {} {} <span class=\"who\">{}</span>",
                       verdict.ms > 0 ? ms_text(verdict.ms) : "–", verdict_word(verdict),
                       html_program(program), escape_html(member.first->proposer));
  }

  std::string generation(const std::string& program) const {
    const Member& member = members_.at(program);
    const LoggedVerdict& verdict = member.last ? *member.last : *member.first;
    const std::string& parent = member.first->parent;
    std::string out = "<div class=\"head\">" + head(program) + "</div><div class=\"idea\">" +
                      escape_html(member.first->idea) + "</div>";
    std::string more = outcome(verdict, parent);
    if (members_.count(parent)) {
      const auto change =
          schedule_change(members_.at(parent).first->schedule, member.first->schedule);
      if (!change.empty()) more += (more.empty() ? "" : "; ") + change;
    } else if (!parent.empty()) {
      more += (more.empty() ? "" : "; ") + std::string("made from ") + html_program(parent) +
              " of another run";
    }
    if (member.first->predicted_ms > 0)
      more += (more.empty() ? "" : "; ") +
              fmt::format("predicted {}", ms_text(member.first->predicted_ms));
    if (!more.empty()) out += "<div class=\"note\">" + more + "</div>";
    if (member.promotion)
      out += fmt::format("<div class=\"promotion\">promotion: {} {}</div>",
                         verdict_word(*member.promotion), outcome(*member.promotion, ""));
    return out;
  }

  // The programs of `from` but `except` and the chain's own, with what came of them.
  std::string branches(const char* title, const std::vector<std::string>& from,
                       const std::string& except) {
    std::map<std::string, int> kinds;
    std::string items;
    for (const auto& program : from)
      if (program != except && !on_chain_.count(program)) {
        count_kinds(program, kinds);
        items += branch(program, 0);
      }
    if (kinds.empty()) return "";
    int count = 0;
    for (const auto& [kind, number] : kinds) count += number;
    std::string counts;
    for (const auto& [kind, number] : kinds)
      counts += fmt::format("{}{} {}", counts.empty() ? "" : ", ", number, escape_html(kind));
    return html_details(fmt::format("{} {}: {}", count, title, counts),
                        "<ul class=\"branches\">" + items + "</ul>");
  }

  // The verdicts of a program and of all that was made from it.
  void count_kinds(const std::string& program, std::map<std::string, int>& kinds) const {
    std::vector<std::string> todo = {program};
    while (!todo.empty()) {
      const Member& member = members_.at(todo.back());
      todo.pop_back();
      ++kinds[member.last ? member.last->kind : member.first->kind];
      for (const auto& child : member.children)
        if (!on_chain_.count(child)) todo.push_back(child);
    }
  }

  std::string branch(const std::string& program, size_t depth) {
    if (++shown_ > kBranchesShown || depth > kDeepestBranch) return "";
    const Member& member = members_.at(program);
    const LoggedVerdict& verdict = member.last ? *member.last : *member.first;
    std::string out = "<li><div class=\"head\">" + head(program) + "</div><div class=\"idea\">" +
                      escape_html(member.first->idea) + "</div>";
    const std::string said = outcome(verdict, member.first->parent);
    if (!said.empty()) out += "<div class=\"note\">" + said + "</div>";
    std::string below;
    for (const auto& child : member.children)
      if (!on_chain_.count(child)) below += branch(child, depth + 1);
    return out + (below.empty() ? "" : "<ul class=\"branches\">" + below + "</ul>") + "</li>";
  }

  std::map<std::string, Member> members_;
  std::vector<std::string> order_, roots_;
  std::set<std::string> on_chain_;
  int shown_ = 0;
};

// "rewrite NAME at WHERE" of the key "rule/NAME/WHERE"; a knob is its own name.
std::string knob_title(const std::string& knob) {
  if (knob.compare(0, kRule.size(), kRule) != 0) return escape_html(knob);
  const std::string rest = knob.substr(kRule.size());
  const size_t slash = rest.find('/');
  if (slash == std::string::npos) return "rewrite " + escape_html(rest);
  return fmt::format("rewrite {} at <code>{}</code>", escape_html(rest.substr(0, slash)),
                     escape_html(rest.substr(slash + 1)));
}

}  // namespace

std::string lineage_html(const std::vector<LoggedVerdict>& verdicts, const std::string& region,
                         const std::string& program) {
  return Family(verdicts, region).html(program);
}

std::string schedule_change(const std::map<std::string, double>& before,
                            const std::map<std::string, double>& after) {
  if (before.empty() || after.empty()) return "";
  std::vector<std::string> changes;
  for (const auto& [knob, value] : after) {
    const auto old = before.find(knob);
    const bool rule = knob.compare(0, kRule.size(), kRule) == 0;
    if (old != before.end() && old->second == value) continue;
    if (rule && old == before.end())
      changes.push_back(knob_title(knob));
    else if (old == before.end())
      changes.push_back(fmt::format("{} {:g}", knob_title(knob), value));
    else
      changes.push_back(fmt::format("{} {:g} → {:g}", knob_title(knob), old->second, value));
  }
  for (const auto& [knob, value] : before)
    if (!after.count(knob)) changes.push_back("without " + knob_title(knob));
  std::string out;
  for (size_t i = 0; i < changes.size() && i < kChangesShown; ++i)
    out += (out.empty() ? "" : ", ") + changes[i];
  if (changes.size() > kChangesShown)
    out += fmt::format(" and {} more", changes.size() - kChangesShown);
  return out;
}

}  // namespace kernelwright::report
