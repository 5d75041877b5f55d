// SPDX-License-Identifier: Apache-2.0
// Schedules that go from one shape to the next through the archive. Times are made up.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "base/file.h"
#include "expert/expert.h"
#include "rewrite/structure.h"
#include "search/region_search.h"
#include "search/transfer.h"
#include "support/chain.h"
#include "support/compiled.h"

namespace kernelwright::search {
namespace {

using kernelwright::testing::chain;

// Every program is right and takes a time that its text alone decides, but for those in `wrong`.
class MadeUpTimes : public referee::Referee {
 public:
  std::vector<std::string> judged;
  std::set<std::string> wrong;
  Result<std::optional<std::string>> get_ready() override { return std::nullopt; }
  Result<referee::Baselines> baselines() override { return referee::Baselines{}; }
  Result<referee::Verdict> promote(const referee::Prepared&) override { return referee::Verdict{}; }
  Result<std::vector<referee::Prepared>> prepare(std::vector<program::Candidate> batch) override {
    std::vector<referee::Prepared> out(batch.size());
    for (size_t i = 0; i < batch.size(); ++i) {
      out[i].id = program::candidate_id(batch[i]);
      out[i].candidate = std::move(batch[i]);
    }
    return out;
  }
  Result<referee::Verdict> judge(const referee::Prepared& candidate,
                                 const referee::Prepared* incumbent, double) override {
    if (std::find(judged.begin(), judged.end(), candidate.id) == judged.end())
      judged.push_back(candidate.id);
    referee::Verdict verdict;
    verdict.kind = referee::VerdictKind::kWrong;
    if (wrong.count(candidate.id)) return verdict;
    verdict.timing.emplace();
    verdict.timing->ms = ms(candidate.id);
    verdict.timing->speedup = incumbent ? ms(incumbent->id) / verdict.timing->ms : 1;
    verdict.timing->speedup_low = verdict.timing->speedup_high = verdict.timing->speedup;
    verdict.kind = !incumbent || verdict.timing->speedup > 1 ? referee::VerdictKind::kAccepted
                                                             : referee::VerdictKind::kSlower;
    return verdict;
  }
  static double ms(const std::string& id) { return 1 + std::stoi(id.substr(0, 3), nullptr, 16); }
};

class Transfer : public ::testing::Test {
 protected:
  void SetUp() override {
    auto dir = base::TempDir::create("kw-transfer");
    ASSERT_TRUE(dir);
    dir_.emplace(std::move(*dir));
    auto archive = archive::Archive::open(dir_->path() / "archive.sqlite");
    ASSERT_TRUE(archive) << archive.error().text();
    archive_.emplace(std::move(*archive));
    ASSERT_TRUE(archive_->begin_run({"run", "w", "", "", "running", archive::utc_now(), ""}));
  }
  struct Region {
    archive::SubjectRecord subject;
    std::unique_ptr<program::Proposer> expert;
  };
  Region region(const std::string& text, const std::string& policy = "strict") {
    const auto graph = chain(text, graph::DType::kF32);
    Region region;
    region.subject = {text + policy,
                      "w",
                      "r0",
                      "cpu",
                      "d",
                      policy,
                      "",
                      rewrite::structure_of(graph),
                      rewrite::extents_of(graph)};
    EXPECT_TRUE(archive_->record_subject(region.subject));
    auto expert = expert::make_expert(graph, kernelwright::testing::plain_machine(), {});
    EXPECT_TRUE(expert.has_value());
    region.expert = std::move(*expert);
    return region;
  }
  std::vector<program::Proposal> similar(Region& region, size_t limit = kTakenOver) {
    auto proposals = taken_over(*archive_, region.subject, *region.expert, limit);
    EXPECT_TRUE(proposals) << (proposals ? "" : proposals.error().text());
    return proposals ? std::move(*proposals) : std::vector<program::Proposal>{};
  }
  RegionSearchResult search(Region& region, MadeUpTimes& referee,
                            const std::vector<program::Proposal>& first = {}) {
    RegionSearchOptions options;
    options.run = "run";
    options.subject = region.subject.id;
    options.patience = 2;
    auto result = search_region(*region.expert, referee, *archive_, first, options, nullptr);
    EXPECT_TRUE(result) << (result ? "" : result.error().text());
    return result ? std::move(*result) : RegionSearchResult{};
  }
  std::string schedule_of(const std::string& program) {
    auto records = archive_->verdicts_of_program(program);
    EXPECT_TRUE(records);
    return records ? records->front().schedule_json : "";
  }
  std::optional<base::TempDir> dir_;
  std::optional<archive::Archive> archive_;
};

TEST_F(Transfer, AnotherShapeBeginsWithTheScheduleThatWasBest) {
  MadeUpTimes first, second;
  Region one = region("input 512x256\nlinear 512\nrelu\n");
  const auto before = search(one, first);
  ASSERT_TRUE(before.best);
  EXPECT_TRUE(before.taken_over.empty());

  Region other = region("input 512x256\nlinear 1024\nrelu\n");
  const auto proposals = similar(other);
  ASSERT_EQ(proposals.size(), 1u);
  EXPECT_EQ(proposals[0].taken_from, before.best->id);
  EXPECT_THAT(proposals[0].idea, ::testing::HasSubstr("schedule of w r0"));
  const auto after = search(other, second, proposals);
  const std::string id = program::candidate_id(proposals[0].candidate);
  ASSERT_FALSE(second.judged.empty());
  EXPECT_EQ(second.judged[0], id);
  EXPECT_EQ(std::count(second.judged.begin(), second.judged.end(), id), 1);
  // Twice the outputs leave every choice open that there was.
  EXPECT_EQ(schedule_of(id), schedule_of(before.best->id));
  ASSERT_EQ(after.taken_over.size(), 1u);
  EXPECT_EQ(after.taken_over[0].program, id);
  EXPECT_EQ(after.taken_over[0].from, before.best->id);
  EXPECT_DOUBLE_EQ(after.taken_over[0].ms, MadeUpTimes::ms(id));
  // The machine model's own favourite has its turn.
  EXPECT_GT(after.tried, 1);
}

// What a small region cannot do becomes what it can.
TEST_F(Transfer, SchedulesAreClamped) {
  MadeUpTimes first, second;
  Region one = region("input 512x1024\nlinear 512\n");
  ASSERT_TRUE(search(one, first).best);
  Region other = region("input 3x20\nlinear 5\n");
  const auto proposals = similar(other);
  ASSERT_EQ(proposals.size(), 1u);
  ASSERT_TRUE(search(other, second, proposals).best);
  const std::string id = program::candidate_id(proposals[0].candidate);
  EXPECT_EQ(second.judged[0], id);
  EXPECT_NE(schedule_of(id), schedule_of(proposals[0].taken_from));
}

TEST_F(Transfer, FewAndTheNearestFirst) {
  std::vector<std::string> best;
  for (const char* text :
       {"input 512x256\nlinear 512\n", "input 8x256\nlinear 512\n", "input 256x256\nlinear 512\n",
        "input 64x256\nlinear 512\n", "input 16x256\nlinear 512\n"}) {
    MadeUpTimes referee;
    Region one = region(text);
    best.push_back(search(one, referee).best->id);
  }
  Region other = region("input 300x256\nlinear 512\n");
  const auto proposals = similar(other);
  ASSERT_FALSE(proposals.empty());
  EXPECT_LE(proposals.size(), kTakenOver);
  EXPECT_EQ(proposals[0].taken_from, best[2]);
  Region again = region("input 300x256\nlinear 512\n");
  EXPECT_EQ(similar(again, 1).size(), 1u);
}

TEST_F(Transfer, OnlyWhatIsAlikeAndBeyondDoubt) {
  MadeUpTimes referee;
  Region one = region("input 512x256\nlinear 512\n");
  const auto before = search(one, referee);
  for (const auto& [text, policy] : std::vector<std::pair<std::string, std::string>>{
           {"input 512x256\nlinear 512\nrelu\n", "strict"},
           {"input 256x256\nlinear 512\n", "bf16"},
           {"input 256x256\nlinear 512\n", "other"}}) {
    Region other = region(text, policy);
    EXPECT_TRUE(similar(other).empty()) << text << policy;
  }
  // Slower than the best at the first look, but promotion took it.
  const auto records = archive_->verdicts_of_subject(one.subject.id);
  ASSERT_TRUE(records);
  const auto slower = std::find_if(records->begin(), records->end(), [](const auto& record) {
    return record.verdict.kind == referee::VerdictKind::kSlower;
  });
  ASSERT_NE(slower, records->end());
  program::Proposal promoted;
  promoted.proposer = "expert";
  promoted.candidate = *archive_->load(slower->program);
  referee::Verdict accepted;
  accepted.tier = referee::Tier::kPromotion;
  accepted.kind = referee::VerdictKind::kAccepted;
  accepted.timing.emplace();
  ASSERT_TRUE(archive_->record("run", one.subject.id, promoted, slower->program, accepted));
  Region next = region("input 128x256\nlinear 512\n");
  auto found = similar(next);
  ASSERT_EQ(found.size(), 1u);
  EXPECT_EQ(found[0].taken_from, slower->program);

  // Promotion found the best wrong: the next best it is.
  program::Proposal proposal;
  proposal.candidate = before.best->candidate;
  proposal.proposer = "expert";
  referee::Verdict verdict;
  verdict.kind = referee::VerdictKind::kWrong;
  verdict.tier = referee::Tier::kPromotion;
  ASSERT_TRUE(archive_->record("run", one.subject.id, proposal, before.best->id, verdict));
  Region other = region("input 256x256\nlinear 512\n");
  for (const auto& one_more : similar(other)) EXPECT_NE(one_more.taken_from, before.best->id);
}

}  // namespace
}  // namespace kernelwright::search
