// SPDX-License-Identifier: Apache-2.0
#include "agent/synthesizer.h"

#include <fmt/core.h>

#include "agent/context.h"
#include "agent/fence.h"
#include "agent/roles.h"

namespace kernelwright::agent {
namespace {

class Conversation {
 public:
  Conversation(const Floor& floor, const Brief& brief) : floor_(floor), brief_(brief) {
    auto& log = held_.log;
    log.id = brief.id;
    log.role = "synthesizer";
    log.region = floor.region.region.id;
    log.idea = brief.assignment.idea->name;
    log.model = brief.provider->spec().text;
    log.start_s = floor.desk.elapsed();
    held_.outcome.idea = brief.assignment.idea;
    author_ = {floor.region.region.id, brief.assignment.idea->name,
               brief.assignment.parent ? brief.assignment.parent->program : ""};
    request_.conversation = brief.id;
    request_.system = {{synthesizer_rules(), true}};
    request_.tools = run_tools();
    request_.max_output_tokens = floor.options.max_output_tokens;
    request_.messages = {Message::user(
        brief.context + idea_task(*brief.assignment.idea, brief.assignment.parent.has_value()))};
    request_.messages.back().cache_mark = true;
  }

  Held hold() {
    floor_.meter.begin_conversation();
    while (held_.log.ended.empty()) {
      const auto reply = ask();
      if (!reply) break;
      answer(*reply);
    }
    held_.log.end_s = floor_.desk.elapsed();
    return std::move(held_);
  }

 private:
  void end(const std::string& why, bool cut_short = false) {
    if (!held_.log.ended.empty()) return;
    held_.log.ended = why;
    held_.outcome.cut_short = cut_short;
  }

  std::optional<Reply> ask() {
    if (floor_.options.on_prompt) floor_.options.on_prompt(request_, held_.log.model, told_);
    told_ = request_.messages.size();
    auto reply = brief_.provider->complete(request_, {}, floor_.cancel);
    if (!reply) {
      take_error(reply.error());
      return std::nullopt;
    }
    floor_.meter.count(held_.log.model, *reply, held_.log);
    request_.messages.push_back(reply->message);
    told_ = request_.messages.size();
    return std::move(*reply);
  }

  void take_error(const Error& error) {
    if (out_of_money(error)) return end("money", true);
    if (error.kind == ErrorKind::kInterrupted) return end("cancelled", true);
    if (error.kind != ErrorKind::kInput) held_.error = error;
    end("model: " + error.text(), true);
  }

  // One message of ours for one of the model's.
  void answer(const Reply& reply) {
    Message message;
    message.role = Role::kUser;
    std::string said;
    const auto calls = reply.message.tool_calls();
    if (reply.stop == StopReason::kRefused) return end("the model refused");
    if (calls.empty()) {
      if (reply.stop == StopReason::kMaxTokens)
        said = say::kCutOff;
      else if (right_)
        return end("the model is done");
      else
        said = say::kSubmit;
      if (++nudges_ > kNudges) return end("no program was submitted");
    } else {
      said = serve(calls, message);
      if (reply.stop == StopReason::kMaxTokens) said = say::kCutOff;
    }
    judge_bounds(reply);
    if (!held_.log.ended.empty()) return;
    if (!said.empty()) message.blocks.emplace_back(TextBlock{said});
    mark_for_cache();
    request_.messages.push_back(std::move(message));
  }

  // Runs the calls and says what follows from what was submitted.
  std::string serve(const std::vector<ToolCall>& calls, Message& message) {
    std::string said;
    int served = 0;
    for (const ToolCall& call : calls) {
      if (++served > kMaxCallsPerReply || !held_.log.ended.empty()) {
        message.blocks.emplace_back(ToolResult{call.id, say::kTooManyCalls, true, {}});
        continue;
      }
      auto done = floor_.desk.serve(call, author_);
      ++calls_;
      held_.log.calls.push_back(std::move(done.use));
      message.blocks.emplace_back(std::move(done.result));
      for (auto& submission : done.submitted) {
        const std::string more = take(submission);
        if (!more.empty()) said = more;
        held_.submitted.push_back(std::move(submission));
        nudges_ = 0;
      }
    }
    return said;
  }

  // A program came back from the referee.
  std::string take(const Submission& submission) {
    author_.parent = submission.program;
    if (submission.repeated) return say::kRepeated;
    auto& outcome = held_.outcome;
    if (!submission.right()) {
      ++failures_;
      const int bound = right_ ? kFailuresEndOptimizing : kFailuresEndFunctional;
      if (failures_ >= bound) end(fmt::format("{} programs in a row were not right", failures_));
      return "";
    }
    failures_ = 0;
    const bool first = !right_;
    right_ = true;
    if (submission.ms > 0 && (!outcome.best || submission.ms < outcome.best->ms))
      outcome.best = Member{submission.program, submission.ms};
    if (submission.gained()) {
      outcome.gained = true;
      outcome.slower = 0;
    } else if (++outcome.slower >= kSlowerEndsIdea) {
      end("two right but slower results");
      return "";
    }
    std::string said = submission.gained() ? (first ? say::kNowFaster : "") : say::kOneSlower;
    if (near_light())
      end("near the speed of light", true);
    else if (first || !submission.gained())
      said += advice(submission);
    return said;
  }

  bool near_light() {
    const auto best = floor_.desk.best(floor_.region.region.id);
    return best && is_near_light(best->ms, floor_.region, floor_.options);
  }

  // The analyst's word on a right program.
  std::string advice(const Submission& submission) {
    if (floor_.cancel.cancelled()) return "";
    auto profile = floor_.desk.profile(floor_.region.region.id, submission.proposal);
    if (!profile) return "";
    ConversationLog log;
    const std::string text =
        analyse(floor_, *brief_.provider,
                fmt::format("{}/analyst-{}", brief_.id, held_.analyses.size() + 1),
                brief_.assignment.idea->name, submission.proposal, *profile, log, held_.error);
    held_.analyses.push_back(std::move(log));
    if (held_.error) end("model: " + held_.error->text(), true);
    if (text.empty()) return "";
    return "\n\nA colleague who looked at its profile recommends (advice, to be judged by you):\n" +
           fenced("analyst", text);
  }

  void judge_bounds(const Reply& reply) {
    const auto& usage = reply.usage;
    if (floor_.cancel.cancelled()) return end("cancelled", true);
    if (floor_.desk.trouble()) return end("trouble", true);
    if (held_.log.replies >= kMaxReplies) return end("too many replies");
    if (calls_ >= kMaxCalls) return end("too many tool calls");
    if (usage.input + usage.cache_read + usage.cache_write >= kMaxInputTokens)
      return end("the conversation grew too long");
    if (const auto spent = spent_budget(floor_.meter, floor_.options); !spent.empty())
      return end(spent, true);
  }

  // The first message stays marked, and the newest but one of the model's takes the second mark.
  void mark_for_cache() {
    for (size_t i = 1; i < request_.messages.size(); ++i)
      request_.messages[i].cache_mark = i + 1 == request_.messages.size();
  }

  const Floor& floor_;
  const Brief& brief_;
  Held held_;
  Author author_;
  Request request_;
  size_t told_ = 0;  // messages that on_prompt was told
  int calls_ = 0, failures_ = 0, nudges_ = 0;
  bool right_ = false;
};

}  // namespace

bool is_near_light(double ms, const RegionFacts& region, const TeamOptions& options) {
  return ms > 0 && region.light.seconds * 1e3 >= options.near_speed_of_light * ms;
}

std::string spent_budget(const Meter& meter, const TeamOptions& options) {
  const auto reading = meter.read();
  if (options.max_tokens > 0 && reading.tokens() >= options.max_tokens) return "tokens";
  if (options.max_cost_usd > 0 && reading.cost_usd >= options.max_cost_usd) return "money";
  return "";
}

Held hold_conversation(const Floor& floor, const Brief& brief) {
  return Conversation(floor, brief).hold();
}

std::string analyse(const Floor& floor, Provider& provider, const std::string& id,
                    const std::string& idea, const program::Proposal& proposal,
                    const Profile& profile, ConversationLog& log, std::optional<Error>& error) {
  log.id = id;
  log.role = "analyst";
  log.region = floor.region.region.id;
  log.idea = idea;
  log.model = provider.spec().text;
  log.start_s = floor.desk.elapsed();
  floor.meter.begin_conversation();
  ContextInput input;
  input.workload = &floor.desk.facts();
  input.region = &floor.region;
  input.hints = floor.options.hints;
  input.best = ShownProgram{program::candidate_id(proposal.candidate), proposal.idea,
                            floor.desk.facts().target, profile.judged.ms, proposal.candidate};
  input.profile = profile;
  auto sections = context_sections(input);
  // It writes no program.
  std::erase_if(sections, [](const Section& s) { return s.title == "Program format"; });
  for (auto& section : sections)
    if (section.title == "The best program so far") section.title = "The program";
  Request request;
  request.conversation = id;
  request.system = {{analyst_rules(), true}};
  request.max_output_tokens = floor.options.max_output_tokens;
  request.messages = {Message::user(assemble(sections, floor.options.context_tokens))};
  if (floor.options.on_prompt) floor.options.on_prompt(request, log.model, 0);
  auto reply = provider.complete(request, {}, floor.cancel);
  std::string text;
  if (reply) {
    floor.meter.count(log.model, *reply, log);
    text = abridged(reply->message.text(), 2000);
    log.said = text;
    log.ended = text.empty() ? "no recommendation" : "recommended";
  } else {
    log.ended = out_of_money(reply.error()) ? "money" : reply.error().text();
    const auto kind = reply.error().kind;
    if (!out_of_money(reply.error()) && kind != ErrorKind::kInput &&
        kind != ErrorKind::kInterrupted)
      error = reply.error();
  }
  log.end_s = floor.desk.elapsed();
  return text;
}

}  // namespace kernelwright::agent
