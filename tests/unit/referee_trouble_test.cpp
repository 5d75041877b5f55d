// SPDX-License-Identifier: Apache-2.0
// Troubles that are no candidate's fault.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <stdexcept>

#include "referee/bank.h"
#include "referee/referee.h"
#include "support/small_ops.h"
#include "target/target.h"

namespace kernelwright::referee {
namespace {

using ::testing::HasSubstr;

class ThrowingTarget final : public target::Target {
 public:
  std::string name() const override { return "cpu"; }
  std::string absent_reason() const override { return ""; }
  std::string device_name() const override { return "none"; }
  std::string toolchain_identity() const override { return ""; }
  std::string toolchain_version() const override { return ""; }
  bool supports(target::Policy) const override { return true; }
  Result<tl::expected<target::BuiltObject, target::BuildFailure>> build(const program::Candidate&,
                                                                        target::Policy) override {
    throw std::runtime_error("no such thing");
  }
  std::optional<std::string> screen(const target::BuiltObject&,
                                    const program::Program&) const override {
    return std::nullopt;
  }
  Result<target::MachineModel> machine_model(bool) override { return target::MachineModel(); }
};

// Gives no draw of the workload's own inputs.
class NoOwnDraws final : public DrawSource {
 public:
  Result<std::optional<torch::Draw>> draw(torch::DrawKind kind, uint64_t seed) override {
    if (kind == torch::DrawKind::kOwn) return std::optional<torch::Draw>();
    return inner_->draw(kind, seed);
  }
  std::string why_skipped() const override { return "the answer is mostly not finite"; }
  Result<torch::Worker::BaselineReady> prepare_baseline(const std::string& name) override {
    return inner_->prepare_baseline(name);
  }
  Result<torch::Samples> time_baseline(const std::string& name, int calls,
                                       size_t flush_bytes) override {
    return inner_->time_baseline(name, calls, flush_bytes);
  }

 private:
  std::unique_ptr<DrawSource> inner_ = tests::small_op_source(tests::small_op("relu"));
};

Result<std::unique_ptr<Referee>> open(target::Target& target) {
  Subject subject;
  subject.interface = tests::small_op("relu").interface;
  return Referee::open_with(subject, target, std::make_unique<NoOwnDraws>(), {});
}

TEST(RefereeTrouble, AnExceptionOfABuildThreadIsAnError) {
  ThrowingTarget target;
  auto referee = open(target);
  ASSERT_TRUE(referee) << referee.error().text();
  auto candidate =
      program::read_candidate(std::filesystem::path(KW_SOURCE_DIR) / "tests/honest/relu");
  ASSERT_TRUE(candidate) << candidate.error().text();
  const auto prepared = (*referee)->prepare({*candidate, *candidate, *candidate});
  ASSERT_FALSE(prepared);
  EXPECT_EQ(prepared.error().kind, ErrorKind::kInternal);
  EXPECT_THAT(prepared.error().message, HasSubstr("no such thing"));
}

TEST(RefereeTrouble, ARegionWithoutOwnDrawsCannotBeJudged) {
  ThrowingTarget target;
  auto referee = open(target);
  ASSERT_TRUE(referee) << referee.error().text();
  const auto reason = (*referee)->get_ready();
  ASSERT_TRUE(reason) << reason.error().text();
  ASSERT_TRUE(*reason);
  EXPECT_THAT(**reason, HasSubstr("the answer is mostly not finite"));
}

}  // namespace
}  // namespace kernelwright::referee
