// SPDX-License-Identifier: Apache-2.0
#include <gtest/gtest.h>

#include <cmath>
#include <limits>
#include <nlohmann/json.hpp>

#include "base/file.h"
#include "report/table.h"
#include "search/artifact.h"
#include "search/halving.h"
#include "search/lesson.h"
#include "search/param_tuner.h"
#include "search/region_search.h"
#include "search/run.h"
#include "search/search_figures.h"

namespace kernelwright::search {
namespace {

TEST(SuccessiveHalving, KeepsTheBetterHalfAndDoublesItsTime) {
  std::map<size_t, double> spent;
  const auto left = successive_halving(
      8, 0.1, 3,
      [&](size_t i, double time_s) {
        spent[i] += time_s;
        return static_cast<double>(8 - i);
      },
      [] { return false; });
  ASSERT_FALSE(left.empty());
  EXPECT_EQ(left[0], 7u);
  EXPECT_NEAR(spent[7], 0.1 + 0.2 + 0.4, 1e-9);
  EXPECT_NEAR(spent[0], 0.1, 1e-9);
}

TEST(SuccessiveHalving, DropsTheHopelessAndStopsWhenTold) {
  int calls = 0;
  const auto left = successive_halving(
      4, 1, 3,
      [&](size_t i, double) {
        ++calls;
        return i == 2 ? 1.0 : std::numeric_limits<double>::infinity();
      },
      [] { return false; });
  ASSERT_EQ(left.size(), 1u);
  EXPECT_EQ(left[0], 2u);
  calls = 0;
  successive_halving(
      4, 1, 3,
      [&](size_t, double) {
        ++calls;
        return 1.0;
      },
      [&] { return calls >= 2; });
  EXPECT_EQ(calls, 2);
}

program::Proposal proposal(int number) {
  program::Proposal p;
  p.candidate.program.target = "cpu";
  p.candidate.program.source = "kernels.cpp";
  p.candidate.source = std::to_string(number);
  p.proposer = "expert";
  p.predicted_s = 1;
  return p;
}

// Proposes the numbers 1, 2, 3, ... and remembers what it was told.
class Counting : public program::Proposer {
 public:
  explicit Counting(int last) : last_(last) {}
  std::string name() const override { return "expert"; }
  Result<std::vector<program::Proposal>> propose(int count) override {
    std::vector<program::Proposal> out;
    for (int i = 0; i < count && next_ <= last_; ++i) out.push_back(proposal(next_++));
    return out;
  }
  void learn(const program::Outcome& outcome) override { outcomes.push_back(outcome); }
  std::vector<program::Outcome> outcomes;

 private:
  int next_ = 1, last_;
};

// Times program n at cost(n) ms exactly; a negative cost is wrong.
class FakeReferee : public referee::Referee {
 public:
  explicit FakeReferee(std::function<double(int)> cost) : cost_(std::move(cost)) {}
  Result<std::optional<std::string>> get_ready() override { return std::nullopt; }
  std::vector<int> judged;
  Result<std::vector<referee::Prepared>> prepare(std::vector<program::Candidate> batch) override {
    std::vector<referee::Prepared> out;
    for (auto& candidate : batch) {
      referee::Prepared prepared;
      prepared.id = program::candidate_id(candidate);
      if (std::isnan(cost_(std::stoi(candidate.source)))) {
        prepared.early.emplace();
        prepared.early->kind = referee::VerdictKind::kBuildFailed;
      }
      prepared.candidate = std::move(candidate);
      out.push_back(std::move(prepared));
    }
    return out;
  }
  Result<referee::Verdict> judge(const referee::Prepared& candidate,
                                 const referee::Prepared* incumbent, double) override {
    referee::Verdict verdict;
    judged.push_back(std::stoi(candidate.candidate.source));
    const double ms = cost_(judged.back());
    if (ms < 0) {
      verdict.kind = referee::VerdictKind::kWrong;
      return verdict;
    }
    verdict.timing.emplace();
    verdict.timing->ms = ms;
    if (incumbent) {
      const double ratio = cost_(std::stoi(incumbent->candidate.source)) / ms;
      verdict.timing->speedup = ratio;
      verdict.timing->speedup_low = ratio * 0.99;
      verdict.timing->speedup_high = ratio * 1.01;
      verdict.kind =
          ratio * 0.99 > 1 ? referee::VerdictKind::kAccepted : referee::VerdictKind::kSlower;
    } else {
      verdict.kind = referee::VerdictKind::kAccepted;
    }
    return verdict;
  }
  Result<referee::Verdict> promote(const referee::Prepared&) override { return referee::Verdict{}; }
  Result<referee::Baselines> baselines() override { return referee::Baselines{}; }

 private:
  std::function<double(int)> cost_;
};

class RegionSearchTest : public ::testing::Test {
 protected:
  void SetUp() override {
    auto dir = base::TempDir::create("kw-search");
    ASSERT_TRUE(dir);
    dir_.emplace(std::move(*dir));
    auto archive = archive::Archive::open(dir_->path() / "archive.sqlite");
    ASSERT_TRUE(archive) << archive.error().text();
    archive_.emplace(std::move(*archive));
    ASSERT_TRUE(archive_->record_subject({"s", "w", "r0", "cpu", "d", "strict", ""}));
    ASSERT_TRUE(archive_->begin_run({"run", "w", "", "", "running", archive::utc_now(), ""}));
    options_.run = "run";
    options_.subject = "s";
    options_.best_dir = dir_->path() / "best";
    options_.budget_s = 60;
  }
  RegionSearchResult search(program::Proposer& proposer, std::function<double(int)> cost) {
    FakeReferee referee(std::move(cost));
    auto result = search_region(proposer, referee, *archive_, {}, options_, nullptr);
    EXPECT_TRUE(result) << (result ? "" : result.error().text());
    return result ? std::move(*result) : RegionSearchResult{};
  }
  std::optional<base::TempDir> dir_;
  std::optional<archive::Archive> archive_;
  RegionSearchOptions options_;
};

TEST_F(RegionSearchTest, FindsTheFastestAndRecordsEveryVerdict) {
  Counting proposer(30);
  const auto result = search(proposer, [](int n) {
    return n == 17 ? 1.0 : n % 5 == 0 ? -1.0 : 10.0 + n;
  });
  ASSERT_TRUE(result.best);
  EXPECT_EQ(result.best->candidate.source, "17");
  EXPECT_DOUBLE_EQ(result.best_ms, 1.0);
  EXPECT_EQ(result.stop_reason, "ideas exhausted");
  EXPECT_EQ(result.tried, 30);
  EXPECT_EQ(result.verdicts.at("wrong"), 6);
  auto records = archive_->verdicts_of_run("run");
  ASSERT_TRUE(records);
  EXPECT_EQ(records->size(), proposer.outcomes.size());
  auto best = program::read_candidate(options_.best_dir);
  ASSERT_TRUE(best) << best.error().text();
  EXPECT_EQ(best->source, "17");
}

// Proposals that know of what was measured before.
class Learning : public Counting {
 public:
  using Counting::Counting;
  Result<std::vector<program::Proposal>> propose(int count) override {
    KW_TRY(auto proposals, Counting::propose(count));
    for (auto& p : proposals) {
      const int number = std::stoi(p.candidate.source);
      p.predicted_s = number;
      if (number > 4) p.learned_s = 100 - number;
    }
    return proposals;
  }
};

TEST_F(RegionSearchTest, PredictionsCountOnceAndByTheLastMeasurement) {
  options_.patience = 100;
  Learning proposer(20);
  const auto result = search(proposer, [](int n) { return n == 9 ? -1.0 : 50.0 - n; });
  EXPECT_EQ(result.predicted_measured.size(), 19u);
  ASSERT_EQ(result.learned.size(), 15u);
  EXPECT_DOUBLE_EQ(result.learned[0].predicted, 5);
  EXPECT_DOUBLE_EQ(result.learned[0].learned, 95);
  EXPECT_DOUBLE_EQ(result.learned[0].measured, 45e-3);
  const auto figures = prediction_figures(result);
  EXPECT_EQ(figures.model, -1.0);
  EXPECT_EQ(figures.model_of_the_same, -1.0);
  EXPECT_EQ(figures.learned, 1.0);

  RunResult run;
  run.regions.emplace_back();
  run.regions[0].search = result;
  run.regions[0].search.taken_over = {{"a", "b", "slower", 2}, {"c", "d", "wrong", 0}};
  const auto json = run_result_json(run, graph::Graph{});
  const auto& told = json.at("regions")[0].at("search");
  EXPECT_EQ(told.at("rank_correlation"), -1.0);
  EXPECT_EQ(told.at("learned_rank_correlation"), 1.0);
  EXPECT_EQ(told.at("learned_measured_s").size(), 15u);
  EXPECT_EQ(told.at("share_of_final").size(), kCurveSeconds.size());
  EXPECT_EQ(told.at("taken_over")[1].at("ms"), nullptr);
  const std::string text = report::result_table(json);
  EXPECT_NE(text.find("correlation with the measured times -1.00, 1.00 after learning"),
            std::string::npos)
      << text;
  EXPECT_NE(text.find("2 schedules taken over from similar shapes, the best of them 2"),
            std::string::npos)
      << text;
}

TEST_F(RegionSearchTest, AFailedBuildIsAVerdictAndTheSearchGoesOn) {
  Counting proposer(4);
  const auto result = search(proposer, [](int n) { return n == 1 ? std::nan("") : 5.0 - n; });
  ASSERT_TRUE(result.best);
  EXPECT_EQ(result.best->candidate.source, "4");
  EXPECT_EQ(result.verdicts.at("build_failed"), 1);
  EXPECT_EQ(proposer.outcomes[0].verdict, "build_failed");
}

// The first look at program 2 leaves it open whether it is faster; the next one says `later`.
class Wavering : public FakeReferee {
 public:
  explicit Wavering(referee::VerdictKind later)
      : FakeReferee([](int n) { return n == 2 ? 1.0 : 2.0; }), later_(later) {}
  Result<referee::Verdict> judge(const referee::Prepared& candidate,
                                 const referee::Prepared* incumbent, double time_s) override {
    KW_TRY(auto verdict, FakeReferee::judge(candidate, incumbent, time_s));
    if (candidate.candidate.source != "2") return verdict;
    verdict.kind = looks_++ == 0 ? referee::VerdictKind::kSlower : later_;
    return verdict;
  }

 private:
  referee::VerdictKind later_;
  int looks_ = 0;
};

TEST_F(RegionSearchTest, TheBestIsNoRunnerUpToItself) {
  Wavering referee(referee::VerdictKind::kAccepted);
  Counting proposer(6);
  std::vector<double> told;
  auto result = search_region(
      proposer, referee, *archive_, {proposal(1)}, options_,
      [&](const RegionSearchResult& found, const Budget&) { told.push_back(found.best_ms); });
  ASSERT_TRUE(result && result->best);
  EXPECT_EQ(result->best->candidate.source, "2");
  for (const auto& other : result->runners_up) EXPECT_NE(other.id, result->best->id);
  // The progress line knows the first program that is right as soon as it is.
  ASSERT_FALSE(told.empty());
  EXPECT_DOUBLE_EQ(told[0], 2.0);
}

TEST_F(RegionSearchTest, WhatALaterLookFindsWrongIsNoRunnerUp) {
  Wavering referee(referee::VerdictKind::kWrong);
  Counting proposer(6);
  auto result = search_region(proposer, referee, *archive_, {proposal(1)}, options_, nullptr);
  ASSERT_TRUE(result && result->best);
  EXPECT_EQ(result->best->candidate.source, "1");
  for (const auto& other : result->runners_up) EXPECT_NE(other.candidate.source, "2");
}

TEST_F(RegionSearchTest, StopsNearTheSpeedOfLight) {
  options_.speed_of_light_s = 0.95e-3;
  Counting proposer(100);
  const auto result = search(proposer, [](int) { return 1.0; });
  EXPECT_EQ(result.stop_reason, "near the speed of light");
  EXPECT_LE(result.tried, options_.batch);
}

TEST_F(RegionSearchTest, ABudgetTooSmallStillGivesOneVerdict) {
  options_.budget_s = 1e-9;
  Counting proposer(100);
  // Nothing was judged yet, so the search has no best; what was proposed first is judged all the
  // same.
  FakeReferee referee([](int) { return 1.0; });
  auto result = search_region(proposer, referee, *archive_, {proposal(1)}, options_, nullptr);
  ASSERT_TRUE(result) << result.error().text();
  ASSERT_TRUE(result->best);
  EXPECT_EQ(result->stop_reason, "budget");
}

TEST_F(RegionSearchTest, StopsWhenNothingImproves) {
  options_.patience = 2;
  Counting proposer(1000);
  const auto result = search(proposer, [](int n) { return n == 1 ? 1.0 : 2.0; });
  EXPECT_EQ(result.stop_reason, "no gain");
  EXPECT_EQ(result.tried, 2 + 2 * options_.batch);
}

TEST_F(RegionSearchTest, AResumedSearchJudgesNothingAgain) {
  const auto cost = [](int n) { return n == 4 ? 1.0 : n % 3 == 0 ? -1.0 : 10.0 + n; };
  Counting first(10);
  const auto before = search(first, cost);
  ASSERT_EQ(before.best->candidate.source, "4");
  auto earlier = recall(*archive_, "s", 1 + kRunnersUp);
  ASSERT_TRUE(earlier) << earlier.error().text();
  EXPECT_EQ(earlier->outcomes.size(), 10u);
  ASSERT_EQ(earlier->right.size(), 1 + kRunnersUp);
  EXPECT_EQ(earlier->right[0].proposal.candidate.source, "4");
  EXPECT_DOUBLE_EQ(earlier->right[0].ms, 1.0);

  options_.earlier = *earlier;
  options_.patience = 2;
  FakeReferee referee([&](int n) { return n == 13 ? 0.5 : cost(n); });
  Counting second(40);
  auto after = search_region(second, referee, *archive_, {}, options_, nullptr);
  ASSERT_TRUE(after) << after.error().text();
  // What was known did not use up the patience.
  for (int n : referee.judged) EXPECT_GT(n, 10);
  EXPECT_EQ(after->best->candidate.source, "13");
  EXPECT_DOUBLE_EQ(after->best_ms, 0.5);
  EXPECT_EQ(after->curve.front().program, before.best->id);
  EXPECT_EQ(after->stop_reason, "no gain");
  EXPECT_GT(after->tried, 10);
  EXPECT_GE(after->verdicts.at("wrong"), before.verdicts.at("wrong"));
  // The proposer was told all the same.
  EXPECT_EQ(second.outcomes[0].candidate_id, first.outcomes[0].candidate_id);
  EXPECT_TRUE(second.outcomes[0].correct);
  EXPECT_DOUBLE_EQ(second.outcomes[0].seconds, 11e-3);
}

TEST_F(RegionSearchTest, ASpentBudgetKeepsWhatEarlierRunsFound) {
  Counting first(4);
  const auto before = search(first, [](int n) { return 10.0 - n; });
  auto earlier = recall(*archive_, "s", 1 + kRunnersUp);
  ASSERT_TRUE(earlier);
  options_.earlier = *earlier;
  options_.budget_s = 1e-9;
  FakeReferee referee([](int) { return 1.0; });
  Counting second(40);
  auto after = search_region(second, referee, *archive_, {}, options_, nullptr);
  ASSERT_TRUE(after && after->best);
  EXPECT_TRUE(referee.judged.empty());
  EXPECT_EQ(after->best->id, before.best->id);
  EXPECT_EQ(after->runners_up.size(), kRunnersUp);
}

TEST_F(RegionSearchTest, WhatAnyVerdictSpokeAgainstIsNoIncumbent) {
  const auto record = [&](int n, referee::VerdictKind kind, referee::Tier tier, double ms) {
    referee::Verdict verdict;
    verdict.kind = kind;
    verdict.tier = tier;
    verdict.timing.emplace();
    verdict.timing->ms = ms;
    const auto p = proposal(n);
    ASSERT_TRUE(archive_->record("run", "s", p, program::candidate_id(p.candidate), verdict));
  };
  using enum referee::VerdictKind;
  record(1, kAccepted, referee::Tier::kSearch, 1);
  record(1, kWrong, referee::Tier::kPromotion, 1);
  record(2, kAccepted, referee::Tier::kSearch, 2);
  record(2, kAccepted, referee::Tier::kSearch, 3);
  record(3, kSlower, referee::Tier::kSearch, 2.5);
  auto earlier = recall(*archive_, "s", 4);
  ASSERT_TRUE(earlier);
  ASSERT_EQ(earlier->right.size(), 2u);
  EXPECT_EQ(earlier->right[0].proposal.candidate.source, "3");
  EXPECT_DOUBLE_EQ(earlier->right[1].ms, 3);
  EXPECT_EQ(earlier->outcomes.size(), 3u);
  EXPECT_EQ(earlier->verdicts.at("accepted"), 3);
}

TEST(SharedBudget, WhatASearchLeavesGoesToTheRest) {
  SharedBudget budget(100, {2, 1, 1});
  EXPECT_DOUBLE_EQ(budget.next(), 50);
  budget.spent(10);
  EXPECT_DOUBLE_EQ(budget.next(), 45);
  budget.spent(50);  // a first batch may take longer than its share
  EXPECT_DOUBLE_EQ(budget.next(), 40);
}

TEST(ArtifactFolder, ALiveRunKeepsItsFolder) {
  auto dir = base::TempDir::create("kw-artifact");
  ASSERT_TRUE(dir);
  const auto out = dir->path() / "run";
  auto live = ArtifactFolder::create(out);
  ASSERT_TRUE(live);
  ASSERT_TRUE(base::write_file_atomic(live->path() / "x", "1"));
  for (const bool resume : {false, true}) {
    auto other = ArtifactFolder::create(out, resume);
    ASSERT_FALSE(other);
    EXPECT_EQ(other.error().kind, ErrorKind::kUsage);
    EXPECT_NE(other.error().message.find("still goes on"), std::string::npos);
  }
  EXPECT_TRUE(std::filesystem::exists(live->path() / "x"));
}

TEST(ArtifactFolder, WhatAKilledRunLeftIsTakenOver) {
  auto dir = base::TempDir::create("kw-artifact");
  ASSERT_TRUE(dir);
  const auto out = dir->path() / "run", partial = dir->path() / "run.partial";
  const auto leave = [&] {
    std::filesystem::create_directories(partial / "programs" / "r0");
    std::filesystem::create_directories(partial / "best" / "r0");
    ASSERT_TRUE(base::write_file_atomic(partial / "result.json", "{"));
  };
  leave();
  {
    auto folder = ArtifactFolder::create(out, true);
    ASSERT_TRUE(folder) << folder.error().text();
    EXPECT_TRUE(folder->continues());
    EXPECT_TRUE(std::filesystem::exists(partial / "best" / "r0"));
    EXPECT_FALSE(std::filesystem::exists(partial / "programs"));
    EXPECT_FALSE(std::filesystem::exists(partial / "result.json"));
    EXPECT_FALSE(folder->workload());
    ASSERT_TRUE(folder->note_workload("net"));
    ASSERT_TRUE(base::write_file_atomic(partial / "torch.log", ""));
  }
  // What the resumed run did not finish can be resumed again.
  EXPECT_TRUE(std::filesystem::exists(partial / "best" / "r0"));
  EXPECT_FALSE(std::filesystem::exists(partial / "torch.log"));
  {
    auto again = ArtifactFolder::create(out, true);
    ASSERT_TRUE(again) << again.error().text();
    EXPECT_EQ(again->workload(), "net");
  }
  leave();
  auto fresh = ArtifactFolder::create(out);
  ASSERT_TRUE(fresh);
  EXPECT_FALSE(fresh->continues());
  EXPECT_TRUE(std::filesystem::is_empty(partial));
}

TEST(ArtifactFolder, AResumedRunReplacesTheArtifactAtTheEnd) {
  auto dir = base::TempDir::create("kw-artifact");
  ASSERT_TRUE(dir);
  const auto out = dir->path() / "run";
  std::filesystem::create_directories(out);
  ASSERT_TRUE(base::write_file_atomic(out / "x", "a file of somebody else"));
  auto foreign = ArtifactFolder::create(out, true);
  ASSERT_FALSE(foreign);
  EXPECT_NE(foreign.error().message.find("no run to resume"), std::string::npos);
  ASSERT_TRUE(base::write_file_atomic(out / "result.json", "old"));
  EXPECT_FALSE(ArtifactFolder::create(out));
  {
    auto unfinished = ArtifactFolder::create(out, true);
    ASSERT_TRUE(unfinished) << unfinished.error().text();
    ASSERT_TRUE(base::write_file_atomic(unfinished->path() / "result.json", "new"));
  }
  EXPECT_EQ(*base::read_file(out / "result.json"), "old");
  auto folder = ArtifactFolder::create(out, true);
  ASSERT_TRUE(folder && folder->continues());
  ASSERT_TRUE(base::write_file_atomic(folder->path() / "result.json", "new"));
  EXPECT_EQ(*base::read_file(out / "result.json"), "old");
  ASSERT_TRUE(folder->publish());
  EXPECT_EQ(*base::read_file(out / "result.json"), "new");
  EXPECT_FALSE(std::filesystem::exists(out / "x"));
  EXPECT_FALSE(std::filesystem::exists(dir->path() / "run.partial"));
}

TEST(ArtifactFolder, AppearsWholeOrNotAtAll) {
  auto dir = base::TempDir::create("kw-artifact");
  ASSERT_TRUE(dir);
  const auto out = dir->path() / "run";
  {
    auto folder = ArtifactFolder::create(out);
    ASSERT_TRUE(folder) << folder.error().text();
    ASSERT_TRUE(base::write_file_atomic(folder->path() / "x", "1"));
    EXPECT_FALSE(std::filesystem::exists(out));
  }
  EXPECT_TRUE(std::filesystem::is_empty(dir->path()));
  auto folder = ArtifactFolder::create(out);
  ASSERT_TRUE(folder);
  ASSERT_TRUE(base::write_file_atomic(folder->path() / "x", "1"));
  ASSERT_TRUE(folder->publish());
  EXPECT_TRUE(std::filesystem::exists(out / "x"));
  auto again = ArtifactFolder::create(out);
  ASSERT_FALSE(again);
  EXPECT_EQ(again.error().kind, ErrorKind::kUsage);
}

TEST_F(RegionSearchTest, ALessonTellsTheIdeasOnTheWayToAProgram) {
  const auto record = [&](int number, const std::string& id, const std::string& parent,
                          const std::string& idea) {
    program::Proposal p = proposal(number);
    p.parent = parent;
    p.idea = idea;
    referee::Verdict verdict;
    verdict.kind = referee::VerdictKind::kAccepted;
    ASSERT_TRUE(archive_->record("run", "s", p, id, verdict));
  };
  record(1, "a", "", "fuse");
  record(2, "b", "a", "fuse");
  record(3, "c", "b", "retile");
  auto ideas = ideas_of(*archive_, "c");
  ASSERT_TRUE(ideas);
  EXPECT_EQ(*ideas, (std::vector<std::string>{"retile", "fuse"}));

  RegionResult region;
  region.bound = "memory";
  region.program_id = "c";
  region.region.nodes = {0, 1, 2};
  region.kernels = {"k"};
  region.promotion.emplace();
  region.promotion->timing.emplace();
  region.promotion->timing->speedup = 1.5;
  const auto lesson = lesson_of(region, "aten.relu.default", "cpu", *ideas);
  EXPECT_EQ(lesson.change, "3 ops in 1 launches: retile; before that: fuse");
  EXPECT_DOUBLE_EQ(lesson.gain, 1.5);
}

// A program with params, as a model leaves it.
program::Proposal open_proposal() {
  program::Proposal p = proposal(1);
  p.proposer = "llm";
  p.candidate.program.params = {{"TILE", 8}, {"UNROLL", 1}, {"ROWS", 100}, {"COLS", 64}};
  program::Buffer x;
  x.role = program::BufferRole::kInput;
  x.shape = {{"ROWS * 2"}, {"64"}};
  p.candidate.program.buffers.push_back(x);
  return p;
}

program::Interface open_interface() {
  program::Interface interface;
  interface.inputs.push_back({"", {graph::DType::kF32, {200, 64}, {}}});
  return interface;
}

TEST(ParamTuner, LeavesExtentsOfTheRegionAlone) {
  EXPECT_EQ(tunable_params(open_proposal().candidate.program, open_interface()),
            (std::vector<std::string>{"TILE", "UNROLL"}));
}

TEST_F(RegionSearchTest, ATunerGoesOnFromWhatIsFasterAndEnds) {
  ParamTuner tuner(open_proposal(), 8e-3, open_interface());
  std::map<std::string, int> judged;
  std::string best;
  // TILE is best at 32; every change of UNROLL gives a wrong program.
  for (int round = 0; round < 50; ++round) {
    auto batch = tuner.propose(2);
    ASSERT_TRUE(batch);
    if (batch->empty()) break;
    for (const auto& p : *batch) {
      const auto& params = p.candidate.program.params;
      EXPECT_EQ(params.at("ROWS"), 100);
      EXPECT_EQ(p.proposer, "llm");
      EXPECT_FALSE(p.parent.empty());
      program::Outcome outcome;
      outcome.candidate_id = program::candidate_id(p.candidate);
      EXPECT_EQ(judged[outcome.candidate_id]++, 0);
      outcome.correct = params.at("UNROLL") == 1;
      outcome.seconds = 1e-3 * (1 + std::abs(std::log2(params.at("TILE") / 32.0)));
      tuner.learn(outcome);
      if (outcome.correct && params.at("TILE") == 32) best = p.idea;
    }
  }
  EXPECT_EQ(best, "TILE 32 instead of 16");
  EXPECT_LT(judged.size(), 9u);
  EXPECT_TRUE(tuner.propose(4)->empty());
  // Nothing is open: nothing is proposed.
  EXPECT_TRUE(ParamTuner(proposal(1), 1e-3, open_interface()).propose(4)->empty());
}

TEST(Artifact, TheOriginalTravelsAlong) {
  auto dir = base::TempDir::create("kw-artifact");
  ASSERT_TRUE(dir);
  ASSERT_TRUE(base::write_file_atomic(dir->path() / "net.py", "class Net: pass\n"));
  std::filesystem::create_directories(dir->path() / "out");
  std::filesystem::create_directories(dir->path() / "blocks");
  ASSERT_TRUE(base::write_file_atomic(dir->path() / "blocks" / "act.py", "a = 1\n"));
  torch::WorkloadSpec spec;
  spec.path = (dir->path() / "net.py").string() + ":Net";
  auto copy = copy_original(spec, {"blocks/act.py"}, dir->path() / "out");
  ASSERT_TRUE(copy) << copy.error().text();
  EXPECT_EQ(copy->path, "original.py:Net");
  EXPECT_TRUE(std::filesystem::exists(dir->path() / "out" / "original.py"));
  EXPECT_TRUE(std::filesystem::exists(dir->path() / "out" / "blocks" / "act.py"));
  spec.path = "torchvision.models:resnet18";
  EXPECT_EQ(copy_original(spec, {}, dir->path() / "out")->path, spec.path);
}

TEST(ShortName, IsSafeAsAFolder) {
  EXPECT_EQ(short_name("a/b/lenet.py"), "lenet");
  EXPECT_EQ(short_name("a/b/net.py:Net"), "net");
  EXPECT_EQ(short_name("../../etc/pa ss$(x)"), "pa_ss__x_");
  EXPECT_EQ(short_name(".."), "workload..");
}

}  // namespace
}  // namespace kernelwright::search
