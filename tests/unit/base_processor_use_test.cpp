// SPDX-License-Identifier: Apache-2.0
#include <gtest/gtest.h>

#include "base/processor_use.h"

namespace kernelwright::base {
namespace {

TEST(ProcessorUse, ReadsTheMachinesLine) {
  const auto use = internal::parse_machine("cpu  10 1 5 80 4 1 2 7 3 0\ncpu0 1 1 1 1\n");
  EXPECT_EQ(use.all, 110);  // guest time is in user's already
  EXPECT_EQ(use.used, 26);
  EXPECT_EQ(internal::parse_machine("").all, 0);
  EXPECT_EQ(internal::parse_machine("intr 1 2 3").all, 0);
}

TEST(ProcessorUse, ReadsAProcessWhateverItsName) {
  int parent = 0;
  double ticks = 0;
  ASSERT_TRUE(internal::parse_process(
      "42 (a) 7 (b) S 41 42 42 0 -1 4194304 100 200 3 4 10 20 30 40 20 0 1 0", &parent, &ticks));
  EXPECT_EQ(parent, 41);
  EXPECT_EQ(ticks, 100);
  EXPECT_FALSE(internal::parse_process("42 (a) S 41 42", &parent, &ticks));
  EXPECT_FALSE(internal::parse_process("", &parent, &ticks));
}

TEST(ProcessorUse, SharesOfOthers) {
  const ProcessorUse before{1000, 500, 100};
  EXPECT_DOUBLE_EQ(used_share(before, {1200, 600, 180}), 0.5);
  EXPECT_DOUBLE_EQ(others_share(before, {1200, 600, 180}), 0.1);
  EXPECT_EQ(others_share(before, {1200, 600, 220}), 0);  // clocks of processes and machine differ
  EXPECT_EQ(others_share(before, before), 0);
}

TEST(ProcessorUse, ThisMachineSaysSomething) {
  const auto use = processor_use();
  EXPECT_GT(use.all, 0);
  EXPECT_GE(use.all, use.used);
}

}  // namespace
}  // namespace kernelwright::base
