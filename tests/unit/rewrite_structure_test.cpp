// SPDX-License-Identifier: Apache-2.0
// What regions of other extents have in common.
#include <gtest/gtest.h>

#include <cmath>
#include <set>

#include "rewrite/structure.h"
#include "support/chain.h"

namespace kernelwright::rewrite {
namespace {

using kernelwright::testing::chain;

TEST(Structure, KnowsNoExtents) {
  const char* const shapes[][2] = {
      {"input 4x6\nlinear 8\nrelu\nmean 1\n", "input 512x1024\nlinear 96\nrelu\nmean 1\n"},
      {"input 2x8x12x12\nconv 16 3 1\nrelu\n", "input 1x32x56x56\nconv 64 3 1\nrelu\n"},
      {"input 2x8x12x12\nmax_pool 2 2\n", "input 1x32x56x56\nmax_pool 3 3\n"},
  };
  for (const auto& [one, other] : shapes)
    EXPECT_EQ(structure_of(chain(one)), structure_of(chain(other))) << one;
}

TEST(Structure, TellsWhatIsComputed) {
  std::set<std::string> seen;
  const char* const all[] = {
      "input 4x6\nlinear 8\n",
      "input 4x6\nlinear 8\nrelu\n",
      "input 4x6\nmatmul 8\n",
      "input 4x6\nmean 1\n",
      "input 4x6\nmax 1\n",
      "input 2x8x12x12\nconv 16 3\n",
      "input 2x8x12x12\nconv 16 3 1\n",
  };
  for (const char* text : all) EXPECT_TRUE(seen.insert(structure_of(chain(text))).second) << text;
  EXPECT_TRUE(seen.insert(structure_of(chain(all[0], graph::DType::kF32))).second);
}

TEST(Structure, DistanceIsInOctaves) {
  const auto a = extents_of(chain("input 4x6\nlinear 8\n"));
  const auto b = extents_of(chain("input 8x6\nlinear 8\n"));
  EXPECT_EQ(octaves_between(a, a), 0);
  EXPECT_GT(octaves_between(a, b), 0);
  EXPECT_EQ(octaves_between(a, b), octaves_between(b, a));
  EXPECT_EQ(octaves_between({4}, {16}), 2);
  EXPECT_TRUE(std::isinf(octaves_between({4}, {4, 4})));
}

}  // namespace
}  // namespace kernelwright::rewrite
