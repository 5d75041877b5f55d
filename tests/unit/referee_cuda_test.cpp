// SPDX-License-Identifier: Apache-2.0
// The parts of the referee on a GPU that need none: arithmetic, layouts, plans, texts.
#include <gtest/gtest.h>

#include <cmath>
#include <limits>
#include <random>

#include "referee/compare.h"
#include "referee/cuda/cuda_arena.h"
#include "referee/cuda/cuda_space.h"
#include "referee/cuda/judge_device.h"
#include "referee/cuda/sanitizer.h"
#include "referee/cuda/watcher.h"
#include "referee/tolerance.h"

namespace kernelwright::referee {
namespace {

// An answer on the host and as a GPU stores it.
struct Both {
  std::vector<float> candidate, eager;
  std::vector<double> oracle, scale;
  std::vector<uint8_t> mask;
  std::vector<float> delta, beside;
  Answer answer;

  explicit Both(size_t n, uint64_t seed) {
    std::mt19937_64 random(seed);
    std::normal_distribution<double> normal;
    for (size_t i = 0; i < n; ++i) {
      // Values, noise and errors that fp32 holds exactly: both stores then mean the same numbers.
      const auto e = static_cast<float>(std::round(normal(random) * 4096) / 4096);
      const double o = static_cast<double>(e) + std::round(normal(random) * 4) * 0x1p-30;
      eager.push_back(e);
      oracle.push_back(o);
      scale.push_back(0x1p-26);
      mask.push_back(random() % 50 == 0 ? 1 : 0);
      candidate.push_back(e + static_cast<float>(std::round(normal(random))) * 0x1p-20f);
    }
  }
  void store() {
    for (size_t i = 0; i < eager.size(); ++i) {
      const double e = eager[i];
      delta.push_back(static_cast<float>(std::isfinite(e) ? oracle[i] - e : oracle[i]));
      beside.push_back(mask[i] ? std::numeric_limits<float>::infinity()
                               : static_cast<float>(scale[i]));
    }
    answer.type = {graph::DType::kF32, {static_cast<int64_t>(eager.size())}, {}};
    answer.eager = reinterpret_cast<const std::byte*>(eager.data());
    answer.oracle = oracle.data();
    answer.scale = scale.data();
    answer.mask = mask.data();
  }
  const std::byte* values() const { return reinterpret_cast<const std::byte*>(candidate.data()); }

  // As judge.cu does it: threads stride over the elements, parts are put together.
  Distance walk(size_t threads) const {
    std::vector<Tally> parts(threads);
    for (size_t t = 0; t < threads; ++t) {
      for (size_t i = t; i < eager.size(); i += threads) {
        if (!is_finite(beside[i])) continue;
        parts[t].take(static_cast<long long>(i), candidate[i], eager[i],
                      oracle_beside(eager[i], delta[i]), beside[i],
                      allclose_tolerance(graph::DType::kF32));
      }
    }
    Tally all;
    for (const Tally& part : parts) all.add(part);
    return distance_of(all);
  }
};

void expect_same(const Both& both) {
  const Distance host = measure(both.values(), both.answer);
  for (size_t threads : {1u, 7u, 256u}) {
    const Distance device = both.walk(threads);
    EXPECT_EQ(device.judged, host.judged);
    EXPECT_EQ(device.unmatched, host.unmatched);
    EXPECT_EQ(device.worst, host.worst);
    EXPECT_EQ(device.figures.rho_max, host.figures.rho_max);
    EXPECT_EQ(device.largest_difference, host.largest_difference);
    EXPECT_NEAR(device.figures.rho_rms, host.figures.rho_rms, 1e-9 * host.figures.rho_rms);
    EXPECT_NEAR(device.figures.relative, host.figures.relative, 1e-9 * host.figures.relative);
    EXPECT_EQ(device.figures.allclose, host.figures.allclose);
  }
}

TEST(RefereeCudaMath, AWalkOverAGpusStoreGivesTheHostsFigures) {
  for (size_t n : {1u, 63u, 1024u, 5000u}) {
    Both both(n, n);
    both.store();
    expect_same(both);
  }
}

TEST(RefereeCudaMath, NotFiniteElementsCountAsOnTheHost) {
  const float inf = std::numeric_limits<float>::infinity(), nan = std::nanf("");
  Both both(2000, 3);
  both.mask.assign(2000, 0);
  both.eager[10] = inf, both.oracle[10] = 1e300, both.candidate[10] = inf;  // eager overflowed
  both.eager[20] = nan, both.oracle[20] = nan, both.candidate[20] = nan;
  both.eager[30] = -inf, both.oracle[30] = -inf, both.candidate[30] = -inf;
  both.oracle[10] = 1e30;
  both.store();
  expect_same(both);
  EXPECT_EQ(both.walk(7).unmatched, -1);
  both.candidate[700] = nan;
  both.candidate[900] = inf;
  EXPECT_EQ(both.walk(7).unmatched, 700);
  expect_same(both);
}

TEST(RefereeCudaMath, RulesFindTheSameElements) {
  Both both(3000, 5);
  both.mask.assign(3000, 0);
  both.store();
  both.candidate[17] += 1;
  both.candidate[2000] = std::nanf("");
  const auto elements = host_elements(both.answer);
  for (auto [rule, limit] : {std::pair{Rule::kIndex, 0.0},
                             {Rule::kExactBits, 0.0},
                             {Rule::kClass, 0.0},
                             {Rule::kInteger, 0.25},
                             {Rule::kNoise, 1e6}}) {
    const Wrong host = elements->find(both.values(), rule, limit).value();
    Wrong device;
    for (size_t i = 0; i < both.eager.size(); ++i) {
      if (!breaks(rule, limit, both.candidate[i], both.eager[i],
                  oracle_beside(both.eager[i], both.delta[i]), both.beside[i]))
        continue;
      if (device.count++ == 0) device.index = static_cast<int64_t>(i);
    }
    EXPECT_EQ(device.index, host.index) << static_cast<int>(rule);
    EXPECT_EQ(device.count, host.count) << static_cast<int>(rule);
    EXPECT_GT(host.count, 0) << static_cast<int>(rule);
  }
}

TEST(RefereeCudaLayout, EachTensorHasAnAllocationOfItsOwn) {
  const uint64_t page = 2 << 20;
  for (Flush flush : {Flush::kEnd, Flush::kStart}) {
    const ArenaLayout layout = lay_out_cuda_arena({1, 256, page, page - 256, 0}, flush, page);
    ASSERT_EQ(layout.segments.size(), 5u);
    for (size_t i = 0; i < layout.regions.size(); ++i) {
      const ArenaRegion& region = layout.regions[i];
      EXPECT_EQ(region.segment, static_cast<int>(i));
      EXPECT_EQ(layout.segments[i] % page, 0u);
      EXPECT_EQ(region.file_bytes, layout.segments[i]);
      EXPECT_EQ(region.tensor_offset % 256, 0u);
      // A band of at least 256 bytes, and no more than alignment between tensor and edge.
      EXPECT_GE(region.file_bytes - region.tensor_bytes, 256u);
      if (flush == Flush::kEnd)
        EXPECT_LT(region.file_bytes - region.tensor_offset - region.tensor_bytes, 257u);
      else
        EXPECT_EQ(region.tensor_offset, 0u);
    }
  }
}

TEST(RefereeCudaLayout, ManyTensorsShareOne) {
  const std::vector<uint64_t> sizes(300, 1000);
  const ArenaLayout layout = lay_out_cuda_arena(sizes, Flush::kEnd, 2 << 20);
  ASSERT_EQ(layout.segments.size(), 1u);
  uint64_t before = 0;
  for (const ArenaRegion& region : layout.regions) {
    EXPECT_GE(region.file_offset + region.tensor_offset, before + 256);
    before = region.file_offset + region.tensor_offset + region.tensor_bytes;
    EXPECT_LE(before, layout.segments[0]);
  }
}

program::Interface elementwise(int64_t elements) {
  program::Interface interface;
  const graph::TensorType type{graph::DType::kF32, {elements}, {}};
  interface.inputs = {{"", type}};
  interface.outputs = {{"", type}};
  return interface;
}

TEST(RefereeCudaPlan, LargeRegionsAreJudgedDrawByDraw) {
  const uint64_t card = 80ull << 30;
  EXPECT_EQ(plan_memory(elementwise(1 << 20)).most_draws(card, 5), 5);
  EXPECT_EQ(plan_memory(elementwise(256 << 20)).most_draws(card, 5), 5);
  const MemoryPlan huge = plan_memory(elementwise(1600000000));
  EXPECT_EQ(huge.most_draws(card, 5), 1);
  // Input, eager, delta and scale of one draw with both outputs leave room for the oracle.
  EXPECT_EQ(huge.draw_bytes, 4 * 6400000000ull);
  EXPECT_LT(huge.draw_bytes + huge.output_bytes + huge.oracle_bytes, card);
  EXPECT_EQ(huge.most_draws(1 << 20, 5), 1);
}

// Pooling of 2.1 GB: the search's bank fits, and so do promotion's draws, but not both at a time.
TEST(RefereeCudaPlan, SearchAndPromotionTakeTurnsWhereBothDoNotFit) {
  const uint64_t card = 85520809984ull;  // of an H100 with 80 GB
  const MemoryPlan plan = plan_memory(elementwise(int64_t{64} * 128 * 65536));
  EXPECT_EQ(plan.most_draws(card, 5), 5);
  EXPECT_EQ(plan.most_draws(card, 4), 4);
  EXPECT_LT(plan.most_draws(card, 9), 9);
}

TEST(RefereeCudaTarget, NamesADevice) {
  EXPECT_EQ(cuda_ordinal("cuda").value(), 0);
  EXPECT_EQ(cuda_ordinal("cuda:3").value(), 3);
  for (const char* wrong : {"cuda:", "cuda:x", "cuda:-1", "cuda:99999"})
    EXPECT_FALSE(cuda_ordinal(wrong)) << wrong;
}

TEST(RefereeCudaSanitizer, TellsTheFirstFinding) {
  EXPECT_EQ(sanitizer_finding("========= COMPUTE-SANITIZER\n========= ERROR SUMMARY: 0 errors\n"),
            "");
  EXPECT_EQ(sanitizer_finding("========= COMPUTE-SANITIZER\n"
                              "========= Invalid __global__ read of size 4 bytes\n"
                              "=========     at f+0x90\n"
                              "========= ERROR SUMMARY: 3 errors\n"),
            "Invalid __global__ read of size 4 bytes");
  EXPECT_EQ(sanitizer_finding("========= COMPUTE-SANITIZER\n========= RACECHECK SUMMARY: 0 hazards "
                              "displayed (0 errors, 0 warnings)\n"),
            "");
  EXPECT_EQ(sanitizer_finding("========= Warning: Race reported\n========= RACECHECK SUMMARY: 2 "
                              "hazards displayed (0 errors, 2 warnings)\n"),
            "");
  EXPECT_EQ(sanitizer_finding("========= Error: Race reported\n========= RACECHECK SUMMARY: 10 "
                              "hazards displayed (10 errors, 0 warnings)\n"),
            "Error: Race reported");
  EXPECT_FALSE(sanitizer_finding("compute-sanitizer: cannot attach"));
}

TEST(RefereeCudaConditions, NameWhatThrottles) {
  EXPECT_EQ(throttle_text(0x3), "");
  EXPECT_EQ(throttle_text(0x24), "power cap, thermal");
}

}  // namespace
}  // namespace kernelwright::referee
