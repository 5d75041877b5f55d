// SPDX-License-Identifier: Apache-2.0
// Which steps of a plan wait for which.
#include <gtest/gtest.h>

#include <vector>

#include "target/cuda/runtime/graph.h"

namespace kernelwright::cuda {
namespace {

TEST(CudaDependencies, WaitForWhatConflictsAndNothingElse) {
  Dependencies d;
  using Steps = std::vector<uint32_t>;
  EXPECT_EQ(d.add({{1, 0, 64, true}}, false), Steps{});                      // 0 writes a
  EXPECT_EQ(d.add({{1, 64, 128, true}}, false), Steps{});                    // 1 beside it
  EXPECT_EQ(d.add({{1, 0, 64, false}, {2, 0, 64, true}}, false), Steps{0});  // 2 reads a
  EXPECT_EQ(d.add({{1, 0, 64, false}, {3, 0, 64, true}}, false), Steps{0});  // 3 reads a
  EXPECT_EQ(d.add({{1, 32, 96, true}}, false), (Steps{1, 2, 3}));            // 4 over both
}

TEST(CudaDependencies, AStepThatRunsAloneIsABarrier) {
  Dependencies d;
  using Steps = std::vector<uint32_t>;
  d.add({{1, 0, 64, true}}, false);
  d.add({{2, 0, 64, true}}, false);
  EXPECT_EQ(d.add({{0, 0, 4, true}}, true), (Steps{0, 1}));
  EXPECT_EQ(d.add({{3, 0, 64, true}}, false), Steps{2});
  EXPECT_EQ(d.add({{1, 0, 64, true}}, false), Steps{2});
  EXPECT_EQ(d.add({}, true), (Steps{3, 4}));
}

}  // namespace
}  // namespace kernelwright::cuda
