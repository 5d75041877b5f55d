// SPDX-License-Identifier: Apache-2.0
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "base/file.h"
#include "target/cold_cache.h"
#include "target/cpu/probe.h"
#include "target/cpu/topology.h"
#include "target/machine_model.h"

namespace kernelwright::target {
namespace {

using ::testing::HasSubstr;

MachineModel example() {
  MachineModel model;
  model.target = "cpu";
  model.device = "Abacus 3000, 2 threads";
  model.identity = "abc";
  model.threads = 2;
  model.vector_bytes = 64;
  model.levels = {{"L1", 65536, 4e11, 3e11}, {"L3", 32 << 20, 1e11, 8e10}, {"DRAM", 0, 4e10, 3e10}};
  model.rates = {{"fma", graph::DType::kF32, 2e11}, {"fma", graph::DType::kF64, 1e11}};
  model.launch_s = 2.5e-6;
  model.measured_at = "2026-01-02";
  return model;
}

TEST(ColdCache, FlushesTwiceTheLastLevelWithinBounds) {
  EXPECT_EQ(flush_bytes("cpu", 20 << 20), 40u << 20);
  EXPECT_EQ(flush_bytes("cpu", 1 << 20), 16u << 20);
  EXPECT_EQ(flush_bytes("cpu", 1 << 30), 256u << 20);
  EXPECT_EQ(flush_bytes("cpu", 0), 64u << 20);
  EXPECT_EQ(flush_bytes("cuda", 50 << 20), 100u << 20);
  EXPECT_EQ(flush_bytes("cuda", 1 << 20), 32u << 20);
}

TEST(MachineModelText, JsonGoesThereAndBack) {
  const MachineModel model = example();
  const auto again = parse_machine_model(machine_model_json(model));
  ASSERT_TRUE(again) << again.error().text();
  EXPECT_EQ(machine_model_json(*again), machine_model_json(model));
  EXPECT_EQ(again->last_level_cache_bytes(), 32 << 20);
  EXPECT_EQ(again->memory_bytes_per_s(), 3e10);
  EXPECT_EQ(again->peak(graph::DType::kF64), 1e11);
  EXPECT_EQ(again->peak(graph::DType::kI8), 0);
  EXPECT_EQ(again->ceilings(graph::DType::kBF16).flops_per_s, 2e11);
  EXPECT_EQ(again->ceilings(graph::DType::kF32).bytes_per_s, 4e10);
}

TEST(MachineModelText, WrongTextIsAnError) {
  for (const char* text : {"", "{}", "[]", R"({"target": 3})"})
    EXPECT_FALSE(parse_machine_model(text)) << text;
  auto negative = example();
  negative.levels[0].bytes = -1;
  EXPECT_FALSE(parse_machine_model(machine_model_json(negative)));
}

TEST(MachineModelText, TheTableNamesEveryFigure) {
  const std::string table = machine_model_table(example());
  for (const char* part : {"Abacus 3000", "512-bit", "L1", "64 KiB", "400.0", "DRAM", "30.0", "f64",
                           "100.0", "2.50 us"})
    EXPECT_THAT(table, HasSubstr(part));
}

TEST(CpuTopology, CachesGrow) {
  EXPECT_GE(cpu_threads(), 1);
  int64_t before = 0;
  for (const auto& cache : cpu_caches()) {
    EXPECT_GT(cache.total_bytes, before);
    EXPECT_LE(cache.bytes_per_thread, cache.total_bytes);
    before = cache.total_bytes;
  }
}

TEST(CpuProbe, NoCompilerIsAnError) {
  const auto folder = base::TempDir::create("kw-test");
  ASSERT_TRUE(folder);
  Compiler compiler;
  compiler.path = "/nonexistent/g++";
  EXPECT_FALSE(cpu_machine_model(compiler, folder->path(), false));
}

TEST(MachineModelRates, TensorCoresCountByPolicy) {
  MachineModel model;
  model.target = "cuda";
  model.threads = 1;
  model.vector_bytes = 16;
  model.multiprocessors = 132;
  model.shared_bytes = 232448;
  model.clock_hz = 1.98e9;
  model.rates = {{"fma", graph::DType::kF32, 50e12},
                 {"tf32", graph::DType::kF32, 375e12},
                 {"fp16", graph::DType::kF16, 750e12},
                 {"bf16", graph::DType::kBF16, 780e12},
                 {"fp8", graph::DType::kU8, 1500e12}};
  const auto again = parse_machine_model(machine_model_json(model));
  ASSERT_TRUE(again) << again.error().text();
  EXPECT_EQ(again->multiprocessors, 132);
  EXPECT_EQ(again->shared_bytes, 232448);
  EXPECT_EQ(again->clock_hz, 1.98e9);
  // Strict: three products of split operands; otherwise the unit as it is.
  EXPECT_EQ(again->peak(graph::DType::kF32), 250e12);
  EXPECT_EQ(again->peak(graph::DType::kF32, Policy::kTf32), 375e12);
  EXPECT_EQ(again->peak(graph::DType::kF32, Policy::kBf16), 780e12);
  EXPECT_EQ(again->peak(graph::DType::kF32, Policy::kFp16), 750e12);
  EXPECT_EQ(again->peak(graph::DType::kF16), 750e12);
  EXPECT_EQ(again->rate("fp8", graph::DType::kU8), 1500e12);
  EXPECT_EQ(again->rate("fp8", graph::DType::kF32), 0);
  EXPECT_THAT(machine_model_table(*again), ::testing::HasSubstr("132 multiprocessors"));
}

TEST(MachineModelRates, TheBetterFigureIsKept) {
  MachineModel one, two;
  one.levels = {{"DRAM", 0, 1e12, 3e12}};
  two.levels = {{"DRAM", 0, 2e12, 1e12}};
  one.rates = {{"fma", graph::DType::kF32, 5e12}};
  two.rates = {{"fma", graph::DType::kF32, 6e12}};
  one.launch_s = 2e-6;
  two.launch_s = 1e-6;
  one.raise_to(two);
  EXPECT_EQ(one.levels[0].read_bytes_per_s, 2e12);
  EXPECT_EQ(one.levels[0].copy_bytes_per_s, 3e12);
  EXPECT_EQ(one.rates[0].flops_per_s, 6e12);
  EXPECT_EQ(one.launch_s, 1e-6);
}

}  // namespace
}  // namespace kernelwright::target
