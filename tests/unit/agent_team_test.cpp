// SPDX-License-Identifier: Apache-2.0
// The supervisor and its conversations, with a scripted model and a referee that reads the verdict
// from the source text.
#include <fmt/core.h>
#include <gtest/gtest.h>

#include <mutex>
#include <nlohmann/json.hpp>

#include "agent/synthesizer.h"
#include "agent/team.h"
#include "base/file.h"

namespace kernelwright::agent {
namespace {

using nlohmann::json;

constexpr char kPlan[] = R"({"format": 1, "target": "cpu", "source": "kernels.cpp", "buffers": {
  "x": {"role": "input", "index": 0}, "y": {"role": "output", "index": 0}},
  "run": [{"kernel": "k", "grid": [4], "args": ["x", {"out": "y"}]}]})";

// Judges by the words in the source: "broken", "off", or its time in ms.
class FakeBench : public Workbench {
 public:
  FakeBench() {
    auto dir = base::TempDir::create("kw-team");
    EXPECT_TRUE(dir);
    dir_.emplace(std::move(*dir));
    auto opened = archive::Archive::open(dir_->path() / "archive.sqlite");
    EXPECT_TRUE(opened);
    archive_.emplace(std::move(*opened));
    facts_.name = "w";
    facts_.target = "cpu";
    facts_.policy = "strict";
    facts_.graph.nodes.resize(2);
    facts_.graph.nodes[0].op = facts_.graph.nodes[1].op = "aten.relu.default";
    RegionFacts region;
    region.region.id = "r0";
    region.region.nodes = {0, 1};
    region.subject = "s";
    region.ops = "aten.relu.default";
    region.light.seconds = 0.5e-3;
    region.best_baseline = "eager";
    region.best_baseline_ms = 8;
    facts_.regions.push_back(region);
    EXPECT_TRUE(archive_->record_subject({"s", "w", "r0", "cpu", "d", "strict", region.ops}));
    EXPECT_TRUE(archive_->begin_run({"run", "w", "", "", "running", "", ""}));
  }
  const WorkloadFacts& facts() const override { return facts_; }
  archive::Archive& archive() override { return *archive_; }
  std::optional<BestProgram> best(const std::string&) const override { return best_; }

  Result<Judged> judge(const std::string&, const program::Proposal& proposal, Depth depth,
                       const Call&) override {
    Judged judged;
    judged.program = program::candidate_id(proposal.candidate);
    const std::string& source = proposal.candidate.source;
    auto& verdict = judged.verdict;
    verdict.reason = "because";
    if (source.find("broken") != std::string::npos) {
      verdict.kind = referee::VerdictKind::kBuildFailed;
    } else if (source.find("off") != std::string::npos) {
      verdict.kind = referee::VerdictKind::kWrong;
    } else {
      judged.ms = std::stod(source);
      verdict.timing.emplace();
      verdict.timing->ms = judged.ms;
      judged.best = !best_ || judged.ms < best_->ms;
      verdict.kind = judged.best ? referee::VerdictKind::kAccepted : referee::VerdictKind::kSlower;
    }
    if (depth == Depth::kCheck) return judged;
    if (judged.best)
      best_ = BestProgram{judged.program, proposal.idea, proposal.proposer, judged.ms};
    auto recorded = archive_->record("run", "s", proposal, judged.program, verdict);
    if (!recorded) return fail(recorded.error());
    return judged;
  }
  Result<Profile> profile(const std::string&, const program::Proposal&, const Call&) override {
    Profile profile;
    profile.compiler_log = "k: loop not vectorized";
    return profile;
  }

  WorkloadFacts facts_;
  std::optional<BestProgram> best_;
  std::optional<base::TempDir> dir_;
  std::optional<archive::Archive> archive_;
};

// Answers turn by turn, by conversation. Beyond its script a conversation gets "done.".
class ScriptedModel : public Provider {
 public:
  ScriptedModel() { spec_.text = "test:model"; }
  const ModelSpec& spec() const override { return spec_; }
  Result<Reply> complete(const Request& request, const EventSink&,
                         const CancelToken& cancel) override {
    const std::lock_guard lock(mutex_);
    requests.push_back(request);
    if (cancel.cancelled()) return fail(ErrorKind::kInterrupted, "cancelled");
    if (failure) return fail(*failure);
    const size_t turn = (request.messages.size() - 1) / 2;
    Reply reply;
    reply.message.role = Role::kAssistant;
    reply.usage = {100, 10, 0, 0};
    reply.model = "m";
    const auto it = script.find(request.conversation);
    if (it == script.end() || turn >= it->second.size()) {
      reply.message.blocks.emplace_back(TextBlock{
          request.conversation.find("analyst") != std::string::npos ? "use wider </data> vectors"
                                                                    : "done."});
      return reply;
    }
    for (const std::string& source : it->second[turn]) {
      ToolCall call{fmt::format("c{}", ++calls_), "submit_program", "", ""};
      if (source.rfind("tool:", 0) == 0) {
        call.name = source.substr(5);
        call.arguments = "{}";
      } else if (source == "malformed") {
        call.malformed = "line 1: no JSON";
      } else {
        call.arguments = json{{"program", json::parse(kPlan)},
                              {"sources", {{"kernels.cpp", source}}},
                              {"idea", "try " + source}}
                             .dump();
      }
      reply.message.blocks.emplace_back(std::move(call));
    }
    reply.stop = StopReason::kToolCalls;
    return reply;
  }

  std::map<std::string, std::vector<std::vector<std::string>>> script;
  std::vector<Request> requests;
  std::optional<Error> failure;

 private:
  ModelSpec spec_;
  std::mutex mutex_;
  int calls_ = 0;
};

class TeamTest : public ::testing::Test {
 protected:
  TeamTest() {
    options_.models = {model_};
    options_.parallel = 2;
    options_.budget_s = 60;
  }
  TeamResult work() {
    auto result = work_on(bench_, bench_.facts_.regions[0], meter_, options_);
    EXPECT_TRUE(result) << result.error().text();
    return result ? std::move(*result) : TeamResult{};
  }
  static const ConversationLog* find(const TeamResult& result, const std::string& id) {
    for (const auto& log : result.conversations)
      if (log.id == id) return &log;
    return nullptr;
  }
  FakeBench bench_;
  std::shared_ptr<ScriptedModel> model_ = std::make_shared<ScriptedModel>();
  Meter meter_{[](const std::string&, const Reply&) { return 0.01; }};
  TeamOptions options_;
};

TEST_F(TeamTest, ThroughCompileErrorWrongAndSlowerToTheBestWithItsLineage) {
  options_.parallel = 1;
  model_->script["r0/1-fuse"] = {{"broken"}, {"off"}, {"5"}, {"6"}, {"3"}};
  const auto result = work();
  ASSERT_TRUE(bench_.best_);
  EXPECT_DOUBLE_EQ(bench_.best_->ms, 3);
  EXPECT_EQ(bench_.best_->idea, "fuse: try 3");
  EXPECT_EQ(bench_.best_->proposer, "llm");
  EXPECT_EQ(result.submitted, 5);
  EXPECT_EQ(result.finds.size(), 2u);

  auto records = bench_.archive().verdicts_of_run("run");
  ASSERT_TRUE(records);
  ASSERT_EQ(records->size(), 5u);
  EXPECT_EQ(records->at(0).parent, "");
  for (size_t i = 1; i < 5; ++i) EXPECT_EQ(records->at(i).parent, records->at(i - 1).program);

  const auto* log = find(result, "r0/1-fuse");
  ASSERT_NE(log, nullptr);
  EXPECT_EQ(log->ended, "the model is done");
  ASSERT_EQ(log->calls.size(), 5u);
  EXPECT_EQ(log->calls[0].said, "build_failed: because");
  EXPECT_EQ(log->calls[4].said, "accepted: because");
  EXPECT_EQ(log->replies, 6);
  EXPECT_EQ(log->usage.input, 600);
  EXPECT_NEAR(log->cost_usd, 0.06, 1e-9);
  // The analyst looked at the first right program and at the slower one.
  ASSERT_NE(find(result, "r0/1-fuse/analyst-1"), nullptr);
  ASSERT_NE(find(result, "r0/1-fuse/analyst-2"), nullptr);
  bool advised = false;
  for (const auto& request : model_->requests)
    for (const auto& message : request.messages)
      advised |= message.text().find("use wider <\\/data> vectors") != std::string::npos ||
                 message.text().find("use wider </\\data> vectors") != std::string::npos ||
                 message.text().find("use wider <\\") != std::string::npos;
  EXPECT_TRUE(advised);
}

TEST_F(TeamTest, TwoSlowerResultsEndAnIdeaAndOthersGoOn) {
  model_->script["r0/1-fuse"] = {{"5"}, {"7"}, {"8"}, {"1"}};
  model_->script["r0/1-specialize"] = {{"tool:describe_target"}, {"off"}};
  const auto result = work();
  const auto* fuse = find(result, "r0/1-fuse");
  ASSERT_NE(fuse, nullptr);
  EXPECT_EQ(fuse->ended, "two right but slower results");
  EXPECT_EQ(fuse->calls.size(), 3u);
  EXPECT_EQ(find(result, "r0/2-fuse"), nullptr);
  EXPECT_NE(find(result, "r0/2-specialize"), nullptr);
  EXPECT_DOUBLE_EQ(bench_.best_->ms, 5);
}

TEST_F(TeamTest, TheHintIsInEveryRolesContext) {
  options_.hints = {"prefer AVX-512"};
  model_->script["r0/1-fuse"] = {{"5"}};
  (void)work();
  bool analyst = false;
  for (const auto& request : model_->requests) {
    EXPECT_NE(request.messages.at(0).text().find("prefer AVX-512"), std::string::npos)
        << request.conversation;
    analyst |= request.conversation.find("analyst") != std::string::npos;
  }
  EXPECT_TRUE(analyst);
}

TEST_F(TeamTest, StopsAtTheSpeedOfLight) {
  model_->script["r0/1-fuse"] = {{"0.5"}, {"0.4"}};
  const auto result = work();
  EXPECT_EQ(result.stop_reason, "near the speed of light");
  EXPECT_EQ(result.submitted, 1);
}

TEST_F(TeamTest, StopsAtTokensAtMoneyAndWhenNothingImproves) {
  options_.max_tokens = 200;
  EXPECT_EQ(work().stop_reason, "tokens");
  options_.max_tokens = 0;
  options_.max_cost_usd = meter_.read().cost_usd + 0.02;
  EXPECT_EQ(work().stop_reason, "money");
  options_.max_cost_usd = 0;
  const auto result = work();
  EXPECT_TRUE(result.stop_reason == "no gain" || result.stop_reason == "ideas exhausted")
      << result.stop_reason;
  options_.budget_s = 0;
  EXPECT_EQ(work().stop_reason, "budget");
}

TEST_F(TeamTest, AModelThatCannotGoOnIsAnErrorInTheResult) {
  model_->failure = Error{ErrorKind::kUsage, "the key was refused", {}};
  const auto result = work();
  EXPECT_EQ(result.stop_reason, "model");
  ASSERT_TRUE(result.error);
  EXPECT_EQ(result.error->message, "the key was refused");
  // A reply that failed ends its conversation alone.
  model_->failure = Error{ErrorKind::kInput, "half a stream", {}};
  const auto other = work();
  EXPECT_FALSE(other.error);
  EXPECT_EQ(other.submitted, 0);
}

TEST_F(TeamTest, WhatAModelDoesWrongIsToldToItAndBounded) {
  options_.parallel = 1;
  std::vector<std::string> many(kMaxCallsPerReply + 5, "tool:describe_target");
  model_->script["r0/1-fuse"] = {
      {"malformed"}, {"tool:rm -rf /"}, {"tool:open_workload"}, many, {"5", "5"}};
  const auto result = work();
  const auto* log = find(result, "r0/1-fuse");
  ASSERT_NE(log, nullptr);
  ASSERT_EQ(log->calls.size(), 3u + kMaxCallsPerReply + 2u);
  for (int i = 0; i < 3; ++i) EXPECT_TRUE(log->calls[static_cast<size_t>(i)].error) << i;
  // The same program twice is judged, but says nothing the second time.
  EXPECT_EQ(result.finds.size(), 1u);
  // Every call has its answer, also those that were not run.
  for (const auto& request : model_->requests) {
    std::set<std::string> asked, answered;
    for (const auto& message : request.messages)
      for (const auto& block : message.blocks) {
        if (const auto* call = std::get_if<ToolCall>(&block)) asked.insert(call->id);
        if (const auto* back = std::get_if<ToolResult>(&block)) answered.insert(back->call_id);
      }
    EXPECT_EQ(asked, answered);
  }
}

TEST_F(TeamTest, AnEndlessTalkerIsStopped) {
  options_.parallel = 1;
  model_->script["r0/1-fuse"].assign(200, {"tool:describe_target"});
  const auto result = work();
  const auto* log = find(result, "r0/1-fuse");
  ASSERT_NE(log, nullptr);
  EXPECT_EQ(log->ended, "too many replies");
  EXPECT_EQ(log->replies, kMaxReplies);
}

TEST_F(TeamTest, ConversationsBeginWithTheBestAndItsProfile) {
  program::Proposal expert;
  auto plan = program::parse_program(kPlan);
  ASSERT_TRUE(plan);
  expert.candidate.program = *plan;
  expert.candidate.source = "4";
  expert.proposer = "expert";
  expert.idea = "vectors";
  ASSERT_TRUE(bench_.judge("r0", expert, Depth::kSubmit, {}));
  (void)work();
  const std::string first = model_->requests.at(0).messages.at(0).text();
  EXPECT_NE(first.find("The best program so far"), std::string::npos);
  EXPECT_NE(first.find("by expert: accepted"), std::string::npos);
  EXPECT_NE(first.find("k: loop not vectorized"), std::string::npos);
}

}  // namespace
}  // namespace kernelwright::agent
