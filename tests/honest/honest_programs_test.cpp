// SPDX-License-Identifier: Apache-2.0
#include <gtest/gtest.h>

#include "support/judged_programs.h"

namespace kernelwright::tests {
namespace {

// Right programs of every feature must be accepted.
class Honest : public ::testing::TestWithParam<std::string> {};

TEST_P(Honest, GetsItsVerdict) {
  const JudgedProgram program = read_judged_program("honest", GetParam());
  EXPECT_EQ(unexpected(program, judge_program(program)), "");
}

INSTANTIATE_TEST_SUITE_P(Programs, Honest, ::testing::ValuesIn(judged_program_names("honest")),
                         [](const auto& each) { return each.param; });

}  // namespace
}  // namespace kernelwright::tests
