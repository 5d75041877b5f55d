// SPDX-License-Identifier: Apache-2.0
#include <gtest/gtest.h>

#include "referee/referee.h"
#include "support/small_ops.h"
#include "target/target.h"

namespace kernelwright::tests {
namespace {

namespace fs = std::filesystem;
using referee::VerdictKind;

class Tiers : public ::testing::Test {
 protected:
  void SetUp() override {
    auto target = target::open_target("cpu");
    ASSERT_TRUE(target) << target.error().text();
    target_ = std::move(*target);
    referee::Subject subject;
    subject.interface = small_op("relu").interface;
    referee::RefereeOptions options;
    options.threads = 2;
    options.search_time_s = 0.02;
    options.promotion_time_s = 0.05;
    options.flush_bytes = 1 << 20;
    options.bench_worker = std::string(KW_BINARY_DIR) + "/bin/kernelwright";
    auto opened =
        referee::Referee::open_with(subject, *target_, small_op_source(small_op("relu")), options);
    ASSERT_TRUE(opened) << opened.error().text();
    referee_ = std::move(*opened);
  }

  static program::Candidate relu(const std::string& extra) {
    auto candidate = program::read_candidate(fs::path(KW_SOURCE_DIR) / "tests/honest/relu");
    EXPECT_TRUE(candidate);
    const std::string brace = "int64_t end) {\n";
    candidate->source.insert(candidate->source.find(brace) + brace.size(), extra);
    return *candidate;
  }
  // Some milliseconds a call.
  static program::Candidate slow_relu() {
    return relu(
        "  for (volatile int spin = 0; spin < 200000 * (end > begin); spin = spin + 1) {\n  }\n");
  }

  std::unique_ptr<target::Target> target_;
  std::unique_ptr<referee::Referee> referee_;
};

TEST_F(Tiers, ABatchGetsEarlyVerdictsInOrder) {
  auto prepared = referee_->prepare(
      {relu(""), relu("  nonsense;\n"), relu("  static int calls;\n  if (++calls > 9) return;\n")});
  ASSERT_TRUE(prepared);
  ASSERT_EQ(prepared->size(), 3u);
  EXPECT_FALSE((*prepared)[0].early);
  EXPECT_EQ((*prepared)[1].early->kind, VerdictKind::kBuildFailed);
  EXPECT_EQ((*prepared)[2].early->kind, VerdictKind::kRefused);
  EXPECT_NE((*prepared)[0].id, (*prepared)[1].id);
}

TEST_F(Tiers, AProgramAgainstItselfIsRight) {
  auto prepared = referee_->prepare({relu("")});
  ASSERT_TRUE(prepared);
  const auto& program = prepared->at(0);
  for (int run = 0; run < 3; ++run) {
    auto verdict = referee_->judge(program, &program);
    ASSERT_TRUE(verdict);
    EXPECT_TRUE(verdict->correct()) << verdict->reason;
    ASSERT_TRUE(verdict->timing);
    EXPECT_EQ(verdict->timing->reference, program.id);
    EXPECT_GE(verdict->draws, 4);
    EXPECT_TRUE(verdict->candidate_error->allclose);
  }
}

TEST_F(Tiers, AMuchSlowerProgramIsSlowerEitherWay) {
  auto prepared = referee_->prepare({relu(""), slow_relu()});
  ASSERT_TRUE(prepared);
  const auto &fast = prepared->at(0), &slow = prepared->at(1);
  auto verdict = referee_->judge(slow, &fast);
  ASSERT_TRUE(verdict);
  EXPECT_EQ(verdict->kind, VerdictKind::kSlower) << verdict->reason;
  verdict = referee_->judge(fast, &slow);
  ASSERT_TRUE(verdict);
  EXPECT_EQ(verdict->kind, VerdictKind::kAccepted) << verdict->reason;
  // Now the incumbent's time is known, and a first call shows that the other one is hopeless.
  verdict = referee_->judge(slow, &fast);
  ASSERT_TRUE(verdict);
  EXPECT_EQ(verdict->kind, VerdictKind::kSlower) << verdict->reason;
}

// A process that dies takes nothing with it.
TEST_F(Tiers, ACrashLeavesTheNextVerdictAlone) {
  auto prepared =
      referee_->prepare({relu("  *reinterpret_cast<volatile int*>(begin * 0) = 1;\n"), relu("")});
  ASSERT_TRUE(prepared);
  for (int run = 0; run < 2; ++run) {
    auto crashed = referee_->judge(prepared->at(0), &prepared->at(1));
    ASSERT_TRUE(crashed);
    EXPECT_EQ(crashed->kind, VerdictKind::kCrashed) << crashed->reason;
    auto right = referee_->judge(prepared->at(1), nullptr);
    ASSERT_TRUE(right);
    EXPECT_EQ(right->kind, VerdictKind::kAccepted) << right->reason;
  }
}

TEST_F(Tiers, PromotionReportsItsBaselines) {
  auto prepared = referee_->prepare({relu("")});
  ASSERT_TRUE(prepared);
  auto verdict = referee_->promote(prepared->at(0));
  ASSERT_TRUE(verdict) << verdict.error().text();
  EXPECT_EQ(verdict->kind, VerdictKind::kAccepted) << verdict->reason;
  EXPECT_EQ(verdict->tier, referee::Tier::kPromotion);
  ASSERT_EQ(verdict->baselines.size(), 1u);
  EXPECT_EQ(verdict->baselines[0].reference, "eager");
  EXPECT_GE(verdict->draws, 7);
  auto baselines = referee_->baselines();
  ASSERT_TRUE(baselines);
  EXPECT_EQ(baselines->best_name, "eager");
  ASSERT_EQ(baselines->notes.size(), 1u);
  EXPECT_EQ(baselines->notes[0], "compile: no compiler in this test");
}

TEST_F(Tiers, AnObjectThatIsGoneIsAFaultOfOurs) {
  auto prepared = referee_->prepare({relu("")});
  ASSERT_TRUE(prepared);
  referee::Prepared gone = prepared->at(0);
  gone.object->path = "/nonexistent/object.so";
  auto verdict = referee_->judge(gone, nullptr);
  ASSERT_FALSE(verdict);
  EXPECT_EQ(verdict.error().kind, ErrorKind::kEnvironment);
}

}  // namespace
}  // namespace kernelwright::tests
