// SPDX-License-Identifier: Apache-2.0
// Every reader of what comes from outside, over mutations of what it takes. `make fuzz` goes on
// from there.
#include <gtest/gtest.h>

#include "fuzz/targets.h"
#include "support/mutate.h"

namespace kernelwright::fuzz {
namespace {

class Fuzz : public ::testing::TestWithParam<Target> {};
INSTANTIATE_TEST_SUITE_P(Readers, Fuzz, ::testing::ValuesIn(targets()),
                         [](const auto& test) { return std::string(test.param.name); });

TEST_P(Fuzz, EndsInAValueOrAnError) {
  const auto examples = GetParam().examples();
  for (const std::string& example : examples) GetParam().read(example);
  GetParam().read("");
  std::mt19937 random(20261122);
  for (int round = 0; round < 2000; ++round) GetParam().read(testing::mutated(examples, random));
}

}  // namespace
}  // namespace kernelwright::fuzz
