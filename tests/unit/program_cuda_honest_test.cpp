// SPDX-License-Identifier: Apache-2.0
// The proof programs of tests/honest/cuda stand under the format's rules. That they compute what
// their workloads say is checked where there is a GPU (tests/honest/cuda/check.py).
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <filesystem>
#include <functional>
#include <set>

#include "program/layout.h"
#include "program/parse.h"
#include "program/target_rules.h"
#include "program/validate.h"

namespace kernelwright::program {
namespace {

namespace fs = std::filesystem;

const fs::path kFolder = fs::path(KW_SOURCE_DIR) / "tests" / "honest" / "cuda";

std::vector<std::string> program_names() {
  std::vector<std::string> found;
  for (const auto& entry : fs::directory_iterator(kFolder))
    if (fs::exists(entry.path() / "program.json"))
      found.push_back(entry.path().filename().string());
  std::sort(found.begin(), found.end());
  return found;
}

void each_launch(const std::vector<Step>& steps, const std::function<void(const Launch&)>& visit) {
  for (const Step& step : steps) {
    if (const auto* launch = std::get_if<Launch>(&step.action)) visit(*launch);
    if (const auto* repeat = std::get_if<Repeat>(&step.action)) each_launch(repeat->body, visit);
  }
}

class CudaHonest : public ::testing::TestWithParam<std::string> {};

TEST_P(CudaHonest, IsWellFormed) {
  auto candidate = read_candidate(kFolder / GetParam());
  ASSERT_TRUE(candidate) << candidate.error().text();
  const Program& program = candidate->program;
  EXPECT_EQ(program.target, "cuda");
  auto status = validate(program);
  EXPECT_TRUE(status) << status.error().text();
  auto layout = lay_out(program, target_rules("cuda")->alignment);
  EXPECT_TRUE(layout) << layout.error().text();
  EXPECT_TRUE(fs::exists(kFolder / GetParam() / "workload.py"));
}

TEST_P(CudaHonest, PrintsAndReadsBack) {
  auto candidate = read_candidate(kFolder / GetParam());
  ASSERT_TRUE(candidate) << candidate.error().text();
  std::string text = print_program(candidate->program);
  auto again = parse_program(text);
  ASSERT_TRUE(again) << again.error().text();
  EXPECT_EQ(*again, candidate->program);
  EXPECT_EQ(print_program(*again), text);
}

TEST_P(CudaHonest, LaunchesWhatItsSourceDefines) {
  auto candidate = read_candidate(kFolder / GetParam());
  ASSERT_TRUE(candidate) << candidate.error().text();
  EXPECT_THAT(candidate->source, ::testing::Not(::testing::HasSubstr("#include")));
  auto visit = [&](const Launch& launch) {
    EXPECT_THAT(candidate->source, ::testing::HasSubstr(launch.kernel + "(")) << launch.kernel;
    if (launch.shared_bytes.text.empty()) return;
    auto bytes = evaluate(launch.shared_bytes, candidate->program.params);
    ASSERT_TRUE(bytes) << bytes.error().text();
    EXPECT_LE(*bytes, 227 << 10) << "more shared memory than a block of sm_90 can have";
  };
  each_launch(candidate->program.prepare, visit);
  each_launch(candidate->program.run, visit);
}

INSTANTIATE_TEST_SUITE_P(Programs, CudaHonest, ::testing::ValuesIn(program_names()),
                         [](const auto& each) { return each.param; });

// What the set as a whole must use, so that the format is proved by it.
TEST(CudaHonestSet, CoversTheFormat) {
  std::set<std::string> seen;
  size_t most_launches = 0;
  for (const std::string& name : program_names()) {
    auto candidate = read_candidate(kFolder / name);
    ASSERT_TRUE(candidate) << candidate.error().text();
    for (const Buffer& buffer : candidate->program.buffers) seen.insert(role_name(buffer.role));
    size_t launches = 0;
    each_launch(candidate->program.run, [&](const Launch& launch) {
      ++launches;
      if (launch.cooperative) seen.insert("cooperative");
      if (launch.pdl) seen.insert("pdl");
      if (launch.resident_per_sm) seen.insert("resident blocks");
      if (!launch.cluster.empty()) seen.insert("cluster");
      for (const Arg& arg : launch.args) {
        if (std::holds_alternative<StepCounterArg>(arg)) seen.insert("step");
        const auto* buffer = std::get_if<BufferArg>(&arg);
        if (buffer && buffer->tensor_map)
          seen.insert(buffer->tensor_map->im2col_lower.empty() ? "tiled map" : "im2col map");
      }
    });
    most_launches = std::max(most_launches, launches);
    for (const Step& step : candidate->program.run)
      if (const auto* repeat = std::get_if<Repeat>(&step.action); repeat && !repeat->swap.empty())
        seen.insert("swap");
  }
  for (const char* part : {"cooperative", "pdl", "cluster", "step", "tiled map", "im2col map",
                           "swap", "sync", "packed", "scratch", "resident blocks"})
    EXPECT_TRUE(seen.contains(part)) << part;
  EXPECT_GE(most_launches, 200u);
}

}  // namespace
}  // namespace kernelwright::program
