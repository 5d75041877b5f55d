// SPDX-License-Identifier: Apache-2.0
#include "expert/families/cuda/scan.h"

#include <fmt/format.h>

#include "expert/dialects/cuda/kernel_text.h"
#include "expert/dialects/cuda/machine.h"
#include "expert/emit_util.h"

namespace kernelwright::expert::cuda {

using code::ExprPrinter;
using graph::ScalarKind;
using rewrite::Nest;

namespace {

constexpr int kScanBlock = 64;  // of threads that make a row each

// The prefix of all threads before this one, and the total of the block, by exchanges within a warp
// and a sum over the warps before.
std::string block_prefix(const ScanText& text, int64_t threads) {
  std::string out = fmt::format(
      "    {0} before = {1}, all = total;\n"
      "    #pragma unroll\n"
      "    for (int h = 1; h < 32; h *= 2) {{\n"
      "      const {0} other = __shfl_xor_sync(0xffffffffu, all, h);\n"
      "      if (thread & h) {{\n        before = {2};\n        all = {3};\n"
      "      }} else {{\n        all = {4};\n      }}\n    }}\n",
      text.type, text.identity, text.combine("other", "before"), text.combine("other", "all"),
      text.combine("all", "other"));
  if (threads > 32) {
    out += fmt::format(
        "    if (thread % 32 == 0) part[thread / 32] = all;\n    __syncthreads();\n"
        "    {0} warps = {1};\n    all = {1};\n"
        "    for (int w = 0; w < {2}; ++w) {{\n"
        "      if (w < thread / 32) warps = {3};\n      all = {4};\n    }}\n"
        "    before = {5};\n    __syncthreads();\n",
        text.type, text.identity, threads / 32, text.combine("warps", "part[w]"),
        text.combine("all", "part[w]"), text.combine("warps", "before"));
  }
  return out;
}

// One block per row.
void emit_blocks(const OpContext& context, const ScanText& text, int64_t threads, int64_t vector,
                 ProgramBuilder& builder) {
  const Nest& nest = text.nest;
  const code::Spelling& spelling = text.spelling;
  KernelText kernel(builder, "scan_" + nest.origin);
  kernel.block = static_cast<int>(threads);
  auto bind = [&](ExprPrinter& printer, int moving) {
    for (int a : text.rows()) printer.bind_axis(a, fmt::format("i{}", a), 1);
    printer.bind_axis(moving, fmt::format("i{}", moving), 2);
  };
  ExprPrinter value(text.real, nest.extents, "v", spelling);
  bind_loads(context, {text.scan.value}, kernel, value);
  bind(value, text.scan.over);
  const std::string term = value.print(text.scan.value);
  const bool real = nest.body->kind == ScalarKind::kReal;
  ExprPrinter last(real ? text.wide : text.real, nest.extents, "f", spelling);
  bind_loads(context, {nest.finish}, kernel, last);
  bind(last, text.scan.along);
  last.bind_reduced("sum", 2);
  const std::string result = nest.finish ? last.print(nest.finish) : "sum";
  const std::string out = kernel.write(nest.output), at = last.print(nest.store);

  const int64_t turn = threads * vector;
  std::string& body = kernel.body;
  body += fmt::format("  const {0} point = blockIdx.x;\n  const int thread = threadIdx.x;\n",
                      spelling.index);
  if (threads > 32) body += fmt::format("  __shared__ {} part[32];\n", text.type);
  body += decode_some("point", nest.extents, text.rows(), 2, spelling.index);
  body += value.take(0, 2) + value.take(1, 2) + last.take(0, 2) + last.take(1, 2);
  body += fmt::format("  {0} carry = {1};\n  for ({2} base = 0; base < {3}; base += {4}) {{\n",
                      text.type, text.identity, spelling.index, text.length(), turn);
  body += fmt::format(
      "    {0} own[{1}], total = {2};\n    #pragma unroll\n    for (int e = 0; e < {1}; ++e) {{\n"
      "      const {3} step = base + thread * {1} + e;\n      if (step < {4}) {{\n        {5}\n",
      text.type, vector, text.identity, spelling.index, text.length(), text.term("step"));
  body += value.take(2, 8) + fmt::format("        total = {};\n", text.combine("total", term));
  body += "      }\n      own[e] = total;\n    }\n" + block_prefix(text, threads);
  body += fmt::format("    before = {};\n    carry = {};\n", text.combine("carry", "before"),
                      text.combine("carry", "all"));
  body += fmt::format(
      "    #pragma unroll\n    for (int e = 0; e < {0}; ++e) {{\n"
      "      const {1} step = base + thread * {0} + e;\n      if (step < {2}) {{\n        {3}\n"
      "        const {4} sum = {5};\n",
      vector, spelling.index, text.length(), text.position("step"), text.type,
      text.combine("before", "own[e]"));
  body += last.take(2, 8);
  body += fmt::format("        {}[{}] = {};\n      }}\n    }}\n  }}\n", out, at,
                      code::to_stored(result, context.type(nest.output).dtype,
                                      nest.finish ? nest.finish->kind : nest.body->kind));
  kernel.launch({text.row_count()});
}

}  // namespace

ScheduleSpace Scan::space(const OpContext& context) const {
  const Nest& nest = context.nest();
  const graph::Scan scan = *scan_of(nest);
  std::vector<int64_t> threads = {0};
  if (scan.in_step(nest.extents))
    for (int64_t count = 32; count <= 1024; count *= 2) threads.push_back(count);
  return {{"threads", threads, threads.size() > 4 ? 256 : 0},
          {"vector", {1, 2, 4, 8}, 4, Bears::kTraffic}};
}

bool Scan::legal(const OpContext& context, const Schedule& schedule) const {
  const Nest& nest = context.nest();
  const int64_t length = nest.extents[static_cast<size_t>(scan_of(nest)->along)];
  const int64_t threads = schedule.at("threads"), vector = schedule.at("vector");
  if (threads == 0) return vector == 1;
  return threads == 32 || threads * vector < 2 * length;
}

double Scan::predict_seconds(const OpContext& context, const Schedule& schedule) const {
  const Machine machine(context.model);
  const Nest& nest = context.nest();
  const graph::Scan scan = *scan_of(nest);
  const ScanText text(context, nest, scan, code::cuda_spelling(false));
  const auto rows = static_cast<double>(text.row_count());
  const auto length = static_cast<double>(text.length());
  const auto threads = static_cast<double>(schedule.at("threads"));
  const auto vector = static_cast<double>(schedule.at("vector"));
  const double cost = 6 + rewrite::arithmetic_cost(scan.value);
  const double bytes = context.bytes() / machine.bytes_per_s();
  const double sms = machine.multiprocessors();
  if (threads == 0) {
    // Rows side by side share their sectors; a row of its own does not.
    const bool apart = scan.along == nest.outer - 1;
    return std::max({bytes * (apart ? 4 : 1), length * 30e-9,
                     rows * length * cost / machine.instructions_per_s()}) +
           machine.launch_s();
  }
  const double turns = std::ceil(length / (threads * vector));
  const double resident = std::max(1.0, 2048 / threads);
  const double waves = std::ceil(rows / (resident * sms));
  const double turn = 0.9e-6 + threads * 0.3e-9 + vector * 10e-9;
  return std::max({bytes * (vector > 4 ? 1.1 : 1.0), waves * turns * turn,
                   rows * length * cost / machine.instructions_per_s()}) +
         machine.launch_s();
}

Status Scan::emit(const OpContext& context, const Schedule& schedule,
                  ProgramBuilder& builder) const {
  const Nest& nest = context.nest();
  const graph::Scan scan = *scan_of(nest);
  const code::Spelling& spelling = code::cuda_spelling(fits_int32(nest));
  const ScanText text(context, nest, scan, spelling);
  if (schedule.at("threads") > 0) {
    emit_blocks(context, text, schedule.at("threads"), schedule.at("vector"), builder);
    return {};
  }
  KernelText kernel(builder, "scan_" + nest.origin);
  kernel.block = kScanBlock;
  const std::string row = scan_row(context, nest, scan, kernel, spelling);
  kernel.body = thread_number("point", spelling.index, kScanBlock, 2) +
                fmt::format("  if (point < {}) {{\n", text.row_count()) + row + "  }\n";
  kernel.launch({ceil_div(text.row_count(), kScanBlock)});
  return {};
}

}  // namespace kernelwright::expert::cuda
