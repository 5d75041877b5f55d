// SPDX-License-Identifier: Apache-2.0
#include "expert/families/cuda/row_exchange.h"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>

#include "expert/emit_util.h"
#include "expert/families/row_moments.h"

namespace kernelwright::expert::cuda {

using graph::Combiner;
using graph::Expr;
using graph::ExprNode;
using graph::ExprOp;
using rewrite::RowGroup;

namespace {

// Points of part `part`, as a double.
std::string points_of(const std::string& part, const RowLayout& layout, int64_t length) {
  const int64_t last = length - (layout.slices - 1) * layout.slice;
  if (last == layout.slice) return fmt::format("{}.0", layout.slice);
  return fmt::format("({} == {} ? {}.0 : {}.0)", part, layout.slices - 1, last, layout.slice);
}

// Offers the block's totals and waits for those of the other blocks: got[t][j] are the bits of
// total j of block lane + t * threads, for each t. What
// is in shared memory is not needed until all have theirs.
std::string offer_and_await(const Exchange& exchange, const RowLayout& layout) {
  const size_t count = exchange.totals.size();
  std::string text =
      fmt::format("    uint64_t* const place = (uint64_t*){} + ((int)turn * {} + group) * {};\n",
                  exchange.words, layout.groups, layout.group * 2 * static_cast<int64_t>(count));
  for (size_t j = 0; j < count; ++j)
    text += fmt::format(
        "    if (threadIdx.x == 0) kw_offer(place + {} + part, {}, (uint32_t)flag, total{});\n",
        2 * static_cast<int64_t>(j) * layout.group, layout.group, exchange.totals[j].number);
  text += exchange.meanwhile;
  return text + fmt::format(
                    "    uint64_t got[{0}][{1}];\n#pragma unroll\n"
                    "    for (int t = 0; t < {0}; ++t) {{\n"
                    "      const int s = lane + t * {2};\n"
                    "      if (s < {3}) kw_await<{1}>(place + s, {3}, (uint32_t)flag, got[t]);\n"
                    "    }}\n    __syncthreads();\n",
                    ceil_div(layout.group, layout.threads), count, layout.threads, layout.group);
}

// Statements for every block that the thread has taken totals of; `s` is its number.
std::string for_taken(const RowLayout& layout, const std::string& statements) {
  return fmt::format(
      "#pragma unroll\n    for (int t = 0; t < {}; ++t) {{\n      const int s = lane + t * {};\n"
      "      if (s < {}) {{\n{}      }}\n    }}\n",
      ceil_div(layout.group, layout.threads), layout.threads, layout.group, statements);
}

std::string taken(const Total& total, size_t at) {
  return fmt::format("kw_offered<{}>(got[t][{}])", total.type, at);
}

std::string join(const Total& total, size_t at) {
  return fmt::format("        total{} = {};\n", total.number,
                     combined(total, fmt::format("total{}", total.number), taken(total, at)));
}

std::string over_lanes(const Exchange& exchange, const RowLayout& layout,
                       const std::string& index) {
  return combine_lanes(exchange.totals, {false, layout.threads, 1, index});
}

}  // namespace

std::optional<Moments> find_moments(const Passes& plan, const RowLayout& layout) {
  const auto pair = find_moment_pair(plan);
  if (!pair) return std::nullopt;
  const bool even = layout.even(plan.group.row_length());
  return Moments{pair->mean, pair->squares, even ? layout.steps * layout.vector : 0};
}

int64_t exchange_words(const RowLayout& layout, size_t totals) {
  return 2 * layout.groups * layout.group * 2 * static_cast<int64_t>(totals);
}

std::string exchange_totals(const Exchange& exchange, const RowLayout& layout,
                            const std::string& index) {
  if (exchange.totals.empty()) return "";
  std::string text = "    {\n" + offer_and_await(exchange, layout), statements;
  for (size_t j = 0; j < exchange.totals.size(); ++j) {
    const Total& total = exchange.totals[j];
    text += fmt::format("    total{} = {};\n", total.number, total.identity);
    statements += join(total, j);
  }
  return text + for_taken(layout, statements) + over_lanes(exchange, layout, index) + "    }\n";
}

std::string clear_exchange(const Exchange& exchange, const RowLayout& layout) {
  const size_t words = 2 * exchange.totals.size();
  return fmt::format(
      "  for (int w = lane; w < {0}; w += {1})\n"
      "    {2}[((w / {3} * {4} + group) * {3} + w % {3}) * {5} + part] = 0;\n",
      2 * words, layout.threads, exchange.words, words, layout.groups, layout.group);
}

std::string begin_moments(const Moments& moments, const std::string& type) {
  return fmt::format("    double total{} = 0;\n    {} centre = 0;\n", moments.squares, type) +
         (moments.points > 0 ? fmt::format("    constexpr int points = {};\n", moments.points)
                             : "    int points = 0;\n");
}

std::string add_to_moments(const Moments& moments, const std::string& value) {
  return fmt::format(
             "            if (k + u + e == 0) centre = {0} - {0} == 0 ? {0} : 0;\n"
             "            const double off = (double)({0} - centre);\n"
             "            total{1} += off;\n            total{2} = __fma_rn(off, off, total{2});\n",
             value, moments.mean, moments.squares) +
         (moments.points > 0 ? "" : "            ++points;\n");
}

std::string thread_moments(const Moments& moments) {
  return fmt::format(
      "    const double own_mean = points > 0 ? total{0} / points : 0;\n"
      "    total{1} -= own_mean * total{0};\n    if (total{1} < 0) total{1} = 0;\n"
      "    total{0} += points * (double)centre;\n",
      moments.mean, moments.squares);
}

std::string block_squares(const Moments& moments) {
  return fmt::format(
      "    if (points > 0) {{\n"
      "      const double off = (double)centre + own_mean - (double)val{0};\n"
      "      total{1} += points * off * off;\n    }}\n",
      moments.mean, moments.squares);
}

std::string own_centre(const Moments& moments, const RowLayout& layout, int64_t length,
                       const std::string& type) {
  return fmt::format("({})(total{} / {})", type, moments.mean, points_of("part", layout, length));
}

std::string exchange_moments(const Moments& moments, const Exchange& exchange,
                             const RowLayout& layout, int64_t length, const std::string& type,
                             const std::string& index) {
  std::string text = "    {\n" + offer_and_await(exchange, layout), statements, sum, squares;
  for (size_t j = 0; j < exchange.totals.size(); ++j) {
    const Total& total = exchange.totals[j];
    if (total.number == moments.mean) sum = taken(total, j);
    if (total.number != moments.squares)
      statements += join(total, j);
    else
      squares = taken(total, j);
    text += fmt::format("    total{} = {};\n", total.number, total.identity);
  }
  text += fmt::format(
      "    __shared__ double first_sum;\n"
      "    if (lane == 0) {{ const int t = 0; first_sum = {}; }}\n    __syncthreads();\n"
      "    const double first = (double)({})(first_sum / {});\n",
      sum, type, points_of("0", layout, length));
  statements += fmt::format(
      "        const double n = {1}, sum = {2}, centre = (double)({0})(sum / n) - first;\n"
      "        total{3} += {4} + centre * (2 * (sum - n * first) - n * centre);\n",
      type, points_of("s", layout, length), sum, moments.squares, squares);
  text += for_taken(layout, statements) + over_lanes(exchange, layout, index);
  // Rounding may leave a little less than nothing.
  return text + fmt::format(
                    "    const double off = total{0} / {2}.0 - first;\n"
                    "    total{1} -= {2}.0 * off * off;\n"
                    "    if (total{1} < 0) total{1} = 0;\n    }}\n",
                    moments.mean, moments.squares, length);
}

}  // namespace kernelwright::expert::cuda
