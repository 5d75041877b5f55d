// SPDX-License-Identifier: Apache-2.0
#include <gtest/gtest.h>

#include "support/judged_programs.h"

namespace kernelwright::tests {
namespace {

// Programs that cheat or err must get a verdict that says so.
class Adversarial : public ::testing::TestWithParam<std::string> {};

TEST_P(Adversarial, GetsItsVerdict) {
  const JudgedProgram program = read_judged_program("adversarial", GetParam());
  EXPECT_EQ(unexpected(program, judge_program(program)), "");
}

INSTANTIATE_TEST_SUITE_P(Programs, Adversarial,
                         ::testing::ValuesIn(judged_program_names("adversarial")),
                         [](const auto& each) { return each.param; });

}  // namespace
}  // namespace kernelwright::tests
