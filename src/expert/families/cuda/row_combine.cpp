// SPDX-License-Identifier: Apache-2.0
#include "expert/families/cuda/row_combine.h"

#include <fmt/format.h>

#include <algorithm>

#include "expert/dialects/reduce.h"

namespace kernelwright::expert::cuda {

namespace {

// Of an arg-reduction: the best value and its position taken over from another pair, where that is
// better or as good and stands earlier. Negative positions lose.
std::string take_pair(const Total& one, const std::string& value, const std::string& position) {
  const std::string total = fmt::format("total{}", one.number);
  return fmt::format(
      "if ({1} >= 0 && ({3} < 0 || ({4}) || (({0} == {2} || ({0} != {0} && {2} != {2})) && {1} < "
      "{3}))) {{ {2} = {0}; {3} = {1}; }}",
      value, position, total, fmt::format("at{}", one.number),
      code::takes_over(one.combiner, value, total));
}

std::string by_shuffles(const Total& one, const Lanes& lanes) {
  const int64_t first = std::min<int64_t>(lanes.threads, 32) / 2;
  if (code::is_arg(one.combiner)) {
    return fmt::format(
        "#pragma unroll\n    for (int h = {0}; h > 0; h /= 2) {{\n"
        "      const {1} other = __shfl_xor_sync(0xffffffffu, total{2}, h);\n"
        "      const {3} place = __shfl_xor_sync(0xffffffffu, at{2}, h);\n      {4}\n    }}\n",
        first, one.type, one.number, lanes.index, take_pair(one, "other", "place"));
  }
  return fmt::format(
      "#pragma unroll\n    for (int h = {0}; h > 0; h /= 2)\n      total{1} = {2};\n", first,
      one.number,
      combined(one, fmt::format("total{}", one.number),
               fmt::format("({})__shfl_xor_sync(0xffffffffu, total{}, h)", one.type, one.number)));
}

// Each warp's total (each thread's where columns lie side by side) to shared memory.
std::string to_shared(const Total& one, const Lanes& lanes) {
  const int64_t block = lanes.threads * lanes.across, parts = lanes.columns ? block : block / 32;
  const std::string slot = lanes.columns ? "threadIdx.x" : "threadIdx.x / 32";
  const std::string who = lanes.columns ? "" : "if (threadIdx.x % 32 == 0) ";
  std::string text = fmt::format("    __shared__ {} part{}[{}];\n", one.type, one.number, parts);
  if (code::is_arg(one.combiner)) {
    text += fmt::format("    __shared__ {0} place{1}[{2}];\n    {3}place{1}[{4}] = at{1};\n",
                        lanes.index, one.number, parts, who, slot);
  }
  return text + fmt::format("    {1}part{0}[{2}] = total{0};\n", one.number, who, slot);
}

std::string from_shared(const Total& one, const Lanes& lanes) {
  const std::string first =
      lanes.columns ? "column"
                    : fmt::format("(int)threadIdx.x / {} * {}", lanes.threads, lanes.threads / 32);
  const int64_t count = lanes.columns ? lanes.threads : lanes.threads / 32;
  const int64_t stride = lanes.columns ? lanes.across : 1;
  if (code::is_arg(one.combiner)) {
    return fmt::format(
        "    total{0} = part{0}[{1}]; at{0} = place{0}[{1}];\n"
        "    for (int w = 1; w < {2}; ++w) {{\n      const {3} other = part{0}[{1} + w * {4}];\n"
        "      const {5} place = place{0}[{1} + w * {4}];\n      {6}\n    }}\n",
        one.number, first, count, one.type, stride, lanes.index, take_pair(one, "other", "place"));
  }
  return fmt::format(
      "    total{0} = part{0}[{1}];\n#pragma unroll\n    for (int w = 1; w < {2}; ++w) total{0} = "
      "{3};\n",
      one.number, first, count,
      combined(one, fmt::format("total{}", one.number),
               fmt::format("part{}[{} + w * {}]", one.number, first, stride)));
}

}  // namespace

std::string combined(const Total& total, const std::string& a, const std::string& b) {
  return code::combine(total.combiner, a, b);
}

std::string combine_lanes(const std::vector<Total>& totals, const Lanes& lanes) {
  if (lanes.threads == 1 || totals.empty()) return "";
  std::string text;
  if (!lanes.columns) {
    for (const Total& one : totals) text += by_shuffles(one, lanes);
    if (lanes.threads <= 32) return text;
  }
  for (const Total& one : totals) text += to_shared(one, lanes);
  text += "    __syncthreads();\n";
  for (const Total& one : totals) text += from_shared(one, lanes);
  return text;
}

std::string combine_cluster(const std::vector<Total>& totals, int64_t cluster,
                            int64_t& shared_bytes) {
  if (totals.empty()) return "";
  std::string text;
  for (const Total& one : totals) {
    // Eight bytes each, whatever the type.
    text += fmt::format(
        "    {0}* const mine{1} = ({0}*)(kw_dynamic_shared() + {2});\n"
        "    if (threadIdx.x == 0) *mine{1} = total{1};\n",
        one.type, one.number, shared_bytes);
    shared_bytes += 8;
  }
  text += "    kw_cluster_sync();\n";
  for (const Total& one : totals) {
    text += fmt::format(
        "    total{0} = *kw_cluster_map(mine{0}, 0);\n#pragma unroll\n    for (int r = 1; r < {1}; "
        "++r) total{0} = {2};\n",
        one.number, cluster,
        combined(one, fmt::format("total{}", one.number),
                 fmt::format("*kw_cluster_map(mine{}, r)", one.number)));
  }
  return text;
}

std::string combine_parts(const Total& total, const std::string& values, const std::string& at,
                          int64_t count, int64_t threads) {
  return fmt::format(
      "    total{0} = {1};\n    for (int s = lane; s < {2}; s += {3}) total{0} = {4};\n",
      total.number, total.identity, count, threads,
      combined(total, fmt::format("total{}", total.number),
               fmt::format("({})({}[{}])", total.type, values, at)));
}

}  // namespace kernelwright::expert::cuda
