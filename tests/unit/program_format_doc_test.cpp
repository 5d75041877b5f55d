// SPDX-License-Identifier: Apache-2.0
// The worked example of docs/program-format.md reads, builds and computes what the page says.
#include <gtest/gtest.h>

#include <cstdlib>
#include <map>

#include "base/file.h"
#include "kernelwright/runtime.h"
#include "program/parse.h"
#include "program/validate.h"
#include "support/kernel_object.h"

namespace kernelwright::program {
namespace {

std::string fenced(const std::string& page, const std::string& language) {
  std::string fence = "```" + language + "\n";
  size_t from = page.find(fence);
  if (from == std::string::npos) return "";
  from += fence.size();
  return page.substr(from, page.find("```", from) - from);
}

template <size_t N>
struct alignas(64) Floats {
  float at[N];
};

TEST(ProgramFormatPage, ExampleComputesWhatItSays) {
  auto page = base::read_file(std::string(KW_SOURCE_DIR) + "/docs/program-format.md");
  ASSERT_TRUE(page);
  std::string json = fenced(*page, "json");
  auto program = parse_program(json);
  ASSERT_TRUE(program) << program.error().text();
  auto status = validate(*program);
  ASSERT_TRUE(status) << status.error().text();

  std::string source;
  for (const auto& [name, value] : program->params)
    source += "#define " + name + " " + std::to_string(value) + "\n";
  std::string object = ::kernelwright::testing::build_kernels(source + fenced(*page, "cpp"));
  kw_program* opened = nullptr;
  ASSERT_EQ(kw_open(json.c_str(), object.c_str(), &opened), 0) << kw_last_error();
  Floats<32 * 64> x;
  Floats<16 * 64> w;
  Floats<16> b;
  Floats<32 * 16> y;
  for (size_t i = 0; i < 32 * 64; ++i) x.at[i] = static_cast<float>(i % 5) - 2;
  for (size_t i = 0; i < 16 * 64; ++i) w.at[i] = static_cast<float>(i % 7) - 3;
  for (size_t i = 0; i < 16; ++i) b.at[i] = static_cast<float>(i);
  std::map<std::string, const void*> by_name = {{"fc.weight", w.at}, {"fc.bias", b.at}};
  const void* weights[2];
  for (int i = 0; i < 2; ++i) weights[i] = by_name.at(kw_buffer_name(opened, "weight", i));
  const void* inputs[] = {x.at};
  void* outputs[] = {y.at};
  EXPECT_EQ(kw_prepare(opened, weights), 0) << kw_last_error();
  EXPECT_EQ(kw_run(opened, inputs, outputs, nullptr, nullptr), 0) << kw_last_error();
  kw_close(opened);
  for (size_t row = 0; row < 32; ++row)
    for (size_t o = 0; o < 16; ++o) {
      float sum = b.at[o];
      for (size_t i = 0; i < 64; ++i) sum += x.at[row * 64 + i] * w.at[o * 64 + i];
      ASSERT_EQ(y.at[row * 16 + o], std::max(0.f, sum)) << row << " " << o;
    }
}

}  // namespace
}  // namespace kernelwright::program
