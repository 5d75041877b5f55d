// SPDX-License-Identifier: Apache-2.0
#include "expert/families/cuda/row.h"

#include <algorithm>
#include <cmath>

#include "expert/dialects/cuda/machine.h"
#include "expert/dialects/cuda/vector_loads.h"
#include "expert/dialects/reduce.h"
#include "expert/emit_util.h"
#include "expert/families/cuda/row_emitter.h"
#include "expert/families/cuda/row_exchange.h"
#include "expert/families/cuda/row_stay.h"

namespace kernelwright::expert::cuda {

using graph::Expr;
using graph::ExprNode;
using graph::ExprOp;
using rewrite::RowGroup;

namespace {

constexpr int64_t kMostHeld = 96;           // registers of a thread that hold a row
constexpr int64_t kSharedOfTwo = 96 << 10;  // bytes of a block, so that two of them fit
constexpr int64_t kMostUnrolled = 32;       // vectors in straight code
constexpr int64_t kShortSlice = 2048;       // points of a row that are not worth a block
constexpr double kLoneSpeed = 1.6;          // of a block's share of the bandwidth, others idle
constexpr double kMeeting = 2e-6;           // seconds of a barrier over many blocks
constexpr double kGuarded = 1.8;            // what guards of accesses cost where the row is held
constexpr double kLeftToCopy = 0.85;    // of a row's time whose loads began during the one before
constexpr int64_t kClusterRow = 16384;  // points of a row that are worth several blocks

// Neighbours along the row per access: no wider than what lies side by side.
int64_t widest(const OpContext& context) {
  const RowGroup& group = *context.row_group();
  std::vector<int64_t> extents = group.outer;
  extents.insert(extents.end(), group.row.begin(), group.row.end());
  const int inner = static_cast<int>(extents.size()) - 1;
  int64_t width = 1;
  for (int64_t next : {2, 4, 8}) {
    if (group.row.back() % next != 0) break;
    bool runs = false, fits = true;
    for (const auto& member : group.members) {
      graph::visit(member.nest.body, [&](const ExprNode& node) {
        if (node.op != ExprOp::kLoad || node.tensor < 0 || group.find(node.tensor) != nullptr)
          return;
        const graph::DType dtype = context.type(node.tensor).dtype;
        if (next * static_cast<int64_t>(graph::dtype_bytes(dtype)) > 16) fits = false;
        runs = runs || runs_along(node.operands[0], extents, inner, next, dtype);
      });
    }
    if (!runs || !fits) break;
    width = next;
  }
  return width;
}

bool has_arg(const RowGroup& group) {
  return std::any_of(group.members.begin(), group.members.end(),
                     [](const auto& m) { return m.reduces && code::is_arg(m.nest.combiner); });
}

// Rows that several blocks share: one way of sharing, and as many blocks as there are slices.
bool legal_shared(const OpContext& context, const Schedule& schedule, const RowLayout& layout) {
  if (layout.columns || layout.threads < 128 || schedule.at("slices") != 1) return false;
  if (layout.cluster > 1) return layout.group == 0 && layout.slices == layout.cluster;
  // Counters are there in every call only, not where weights are prepared.
  return !context.op.prepared && layout.slices == layout.group && layout.groups >= 1;
}

// What goes beyond one row needs a group that takes several.
bool legal_beyond_rows(const OpContext& context, const Schedule& schedule,
                       const RowLayout& layout) {
  const bool stay = schedule.at("stay") != 0;
  if (!stay && !layout.ahead) return true;
  if (context.row_group()->rows() <= layout.groups) return false;
  if (stay && layout.stay_registers + layout.stay_shared == 0) return false;
  if (!layout.ahead) return true;
  const Passes plan = plan_passes(context, keep_of(layout));
  return layout.hold == 2 &&
         !copied_loads(context, layout, plan, computing_real(context, plan.group)).empty();
}

// Bytes that a pass over all rows loads, what rows share counted once per row.
double loaded_bytes(const OpContext& context, const Passes& plan) {
  double bytes = 0;
  for (const auto& member : plan.group.members) {
    if (member.per_row && !member.reduces) continue;
    graph::visit(member.nest.body, [&](const ExprNode& node) {
      if (node.op != ExprOp::kLoad || node.tensor < 0 || plan.group.find(node.tensor) != nullptr)
        return;
      bytes += static_cast<double>(graph::dtype_bytes(context.type(node.tensor).dtype));
    });
  }
  return bytes * static_cast<double>(plan.group.rows()) *
         static_cast<double>(plan.group.row_length());
}

// What a cooperative launch needs whose groups of blocks take rows in turn.
double predict_groups(const OpContext& context, const RowLayout& layout, double compute) {
  const Machine machine(context.model);
  const Passes plan = plan_passes(context, keep_of(layout));
  const auto rows = static_cast<double>(plan.group.rows());
  double once = 0;
  for (const auto* tensors : {&context.op.inputs, &context.op.outputs}) {
    for (int tensor : *tensors) once += static_cast<double>(context.type(tensor).bytes());
  }
  double written = 0;
  for (int tensor : context.op.outputs)
    written += static_cast<double>(context.type(tensor).bytes());
  const double again = loaded_bytes(context, plan) + written - once;
  // Of a row: what all rows share, and what of it every row loads.
  double common = 0;
  for (const auto& load : common_loads(context, plan, layout.vector))
    common += static_cast<double>(graph::dtype_bytes(context.type(load->tensor).dtype)) *
              static_cast<double>(plan.group.row_length());
  const double loaded =
      common * (1 - static_cast<double>(layout.stay_registers + layout.stay_shared) /
                        static_cast<double>(layout.steps));
  const double moved =
      std::max(0.0, again - (common - loaded) * (rows - static_cast<double>(layout.groups)));
  // Blocks under way keep the memory busy only when enough of them are there.
  const double threads = static_cast<double>(layout.group * layout.groups * layout.block());
  const double sms = machine.multiprocessors();
  // Copies go on by themselves, however few threads there are.
  const double share = (layout.ahead ? 1.0 : std::min(1.0, threads / (sms * 400.0))) *
                       std::min(1.0, 0.1 + static_cast<double>(layout.group * layout.groups) / sms);
  // What is loaded again, a row at work that is not held among it, comes from memory where it does
  // not fit the half of the cache that is next to a multiprocessor.
  const double at_work =
      loaded + (layout.hold != 0 ? 0.0 : once / rows * static_cast<double>(layout.groups));
  const bool cached = at_work < 0.5 * static_cast<double>(machine.cache_bytes());
  double memory = (once / machine.bytes_per_s() +
                   moved / (cached ? machine.cached_bytes_per_s() : machine.bytes_per_s())) /
                  share;
  if (!layout.even(plan.group.row_length())) memory *= kGuarded;
  int meetings = 0;
  for (int pass = 0; pass < plan.count; ++pass) {
    for (size_t j = 0; j < plan.pass.size(); ++j) {
      if (plan.pass[j] != pass || !plan.group.members[j].reduces) continue;
      ++meetings;
      break;
    }
  }
  // A group waits for its own row, meets, and goes on; other groups move data meanwhile.
  if (layout.once && find_moments(plan, layout)) --meetings;
  // The next row comes while it computes and meets, and some of this one's results go then.
  const double waits = static_cast<double>(layout.late) / static_cast<double>(layout.steps);
  const double moving = memory / rows * (layout.ahead ? kLeftToCopy - 0.5 * waits : 1.0);
  const double own = moving + compute / rows + kMeeting * meetings + 1e-6;
  const double turns = std::ceil(rows / static_cast<double>(layout.groups));
  return std::max({memory, compute, turns * own}) + 0.1 * (memory + compute) + machine.launch_s();
}

}  // namespace

bool Row::accepts(const OpContext& context) const {
  return has_rows(context, true);
}

ScheduleSpace Row::space(const OpContext& context) const {
  const RowGroup& group = *context.row_group();
  ScheduleSpace space;
  space.push_back(
      {"lanes", group.outer.empty() ? std::vector<int64_t>{0} : std::vector<int64_t>{0, 1}, 0});
  space.push_back({"threads", {1, 4, 8, 16, 32, 64, 128, 256, 512, 1024}, 32});
  std::vector<int64_t> widths = {1};
  for (int64_t width = 2; width <= widest(context); width *= 2) widths.push_back(width);
  space.push_back({"vector", widths, widths.back(), Bears::kTraffic});
  const bool passes = plan_passes(context, Keep::kLoads).count > 1;
  space.push_back({"hold", passes ? std::vector<int64_t>{0, 1, 2, 3} : std::vector<int64_t>{0}, 0,
                   Bears::kTraffic});
  std::vector<int64_t> slices = {1};
  const bool arg = code::is_arg(context.op.stages.front().combiner);
  if (!arg && plan_passes(context, Keep::kNothing).only_reduces()) {
    for (int64_t count = 2; count <= 2048 && group.row_length() / count >= kShortSlice; count *= 2)
      slices.push_back(count);
    for (int64_t count = 2; slices.size() == 1 && count <= 64; count *= 2) {
      if (group.row_length() / count >= 256) slices.push_back(count);
    }
  }
  space.push_back({"slices", slices, 1});
  // What else reads the row again is shared by the blocks of a cluster, or of a whole launch.
  const bool shared = passes && group.row_length() >= kClusterRow && !has_arg(group);
  const Machine machine(context.model);
  space.push_back(
      {"cluster",
       shared && machine.clusters() ? std::vector<int64_t>{1, 2, 4, 8} : std::vector<int64_t>{1}, 1,
       Bears::kTraffic});
  std::vector<int64_t> groups = {0};
  const int64_t sms = machine.multiprocessors();
  for (int64_t blocks : {int64_t{8}, int64_t{16}, int64_t{32}, int64_t{64}, int64_t{128},
                         int64_t{256}, sms, 2 * sms}) {
    const bool known = std::find(groups.begin(), groups.end(), blocks) != groups.end();
    if (shared && !known && group.row_length() / blocks >= kShortSlice) groups.push_back(blocks);
  }
  space.push_back({"group", groups, 0});
  const Passes plan = plan_passes(context, Keep::kLoads);
  const bool turns = groups.size() > 1 && group.rows() > 1;
  const auto choice = [](bool there) {
    return there ? std::vector<int64_t>{0, 1} : std::vector<int64_t>{0};
  };
  space.push_back(
      {"stay", choice(turns && !common_loads(context, plan, 1).empty()), 0, Bears::kTraffic});
  space.push_back(
      {"ahead",
       choice(turns && machine.clusters() && !ahead_loads(context, plan, widths.back()).empty()), 0,
       Bears::kTraffic});
  return space;
}

bool Row::legal(const OpContext& context, const Schedule& schedule) const {
  const RowGroup& group = *context.row_group();
  const bool columns = schedule.at("lanes") != 0;
  const int64_t threads = schedule.at("threads"), length = group.row_length();
  if (columns && (threads > 32 || schedule.at("vector") > 1 || schedule.at("hold") == 2))
    return false;
  if (!columns && threads > 1 && threads * schedule.at("vector") > 2 * length) return false;
  if (!columns && threads < 4) return false;
  if (schedule.at("group") == 0 && (schedule.at("stay") != 0 || schedule.at("ahead") != 0))
    return false;
  if (columns && threads > 1 && threads > length) return false;
  const RowLayout layout = row_layout(context, schedule);
  if (layout.shared()) {
    if (!legal_shared(context, schedule, layout)) return false;
  } else if (schedule.at("slices") != layout.slices || layout.hold == 3) {
    return false;
  }
  if (!legal_beyond_rows(context, schedule, layout)) return false;
  if (layout.slices > 1 && !layout.shared() && layout.steps < 2) return false;
  if (layout.hold == 0) return true;
  if (layout.hold == 3 && layout.registers == layout.steps) return false;
  const Passes plan = plan_passes(context, Keep::kLoads);
  if (layout.registers > kMostUnrolled) return false;
  // Beside what is held a thread needs some thirty registers of its share.
  const int64_t most = std::min<int64_t>(kMostHeld, 65536 / layout.block() - 32);
  const int64_t room =
      layout.shared() ? Machine(context.model).shared_bytes() - (3 << 10) : kSharedOfTwo;
  return held_registers(context, layout, plan) <= most &&
         held_shared_bytes(context, layout, plan) <= room;
}

double Row::predict_seconds(const OpContext& context, const Schedule& schedule) const {
  const Machine machine(context.model);
  const RowGroup& group = *context.row_group();
  const RowLayout layout = row_layout(context, schedule);
  const Passes plan = plan_passes(context, keep_of(layout));
  const auto rows = static_cast<double>(group.rows());
  const auto length = static_cast<double>(group.row_length());
  const double sms = machine.multiprocessors();
  // Bytes: once, and again for what later passes load; those mostly come from
  // the cache.
  double in = 0, out = 0, again = 0;
  for (int tensor : context.op.inputs) in += static_cast<double>(context.type(tensor).bytes());
  for (int tensor : context.op.outputs) out += static_cast<double>(context.type(tensor).bytes());
  if (layout.hold == 0) again = in * (plan.count - 1);
  const int outer = static_cast<int>(group.outer.size());
  const int axis = layout.columns ? outer - 1 : outer + static_cast<int>(group.row.size()) - 1;
  const double stride = std::max(1.0, lane_stride(context, axis));
  const double scattered = stride <= 1.0 ? 1.0 : std::min(8.0, stride);
  in *= scattered;
  again *= scattered;
  // Threads without work of their own.
  const double lanes =
      layout.columns
          ? static_cast<double>(ceil_div(group.outer.back(), layout.across) * layout.across) /
                static_cast<double>(group.outer.back())
          : 1.0;
  const double blocks =
      rows * lanes / static_cast<double>(layout.across) * static_cast<double>(layout.slices);
  const double held = static_cast<double>(held_registers(context, layout, plan));
  const double shared = static_cast<double>(held_shared_bytes(context, layout, plan));
  double resident = std::min(2048.0, 65536.0 / (32.0 + held)) / layout.block();
  if (shared > 0) resident = std::min(resident, 200e3 / shared);
  if (layout.shared()) resident = static_cast<double>(layout.resident);
  resident = std::clamp(std::floor(resident), 1.0, 32.0);
  // Bytes under way on a multiprocessor decide how much of the bandwidth there
  // is.
  const double busy = std::min(blocks, resident * sms);
  const double under_way = busy * layout.block() * static_cast<double>(layout.vector) * 4 *
                           static_cast<double>(std::min<int64_t>(layout.unroll, 4));
  const double share = std::min(1.0, under_way / (sms * 20e3)) * std::min(1.0, 0.15 + busy / sms);
  // What is read again comes from the cache when all rows at work fit there.
  const double at_work = busy / blocks * in;
  const double again_rate = at_work < 0.5 * static_cast<double>(machine.cache_bytes())
                                ? machine.cached_bytes_per_s()
                                : machine.bytes_per_s();
  const double memory =
      ((in + out) / machine.bytes_per_s() + again / again_rate) / std::max(0.02, share);
  // Instructions.
  double cost = 0;
  for (const auto& member : plan.group.members) {
    if (!member.per_row || member.reduces)
      cost += 4 + 4.0 / static_cast<double>(layout.vector) +
              rewrite::arithmetic_cost(member.nest.body) + (member.reduces ? 4.0 : 0.0);
  }
  const double steps = static_cast<double>(layout.steps * layout.vector);
  const double compute =
      blocks * layout.block() * (steps * cost + 60.0 * plan.count) / machine.instructions_per_s();
  if (layout.group > 0) return predict_groups(context, layout, compute);
  if (layout.cluster > 1 && layout.hold != 0) {
    // While a block meets the others and computes, those beside it move data: alone a block gets
    // more than its share of the bandwidth, but not all of the time.
    const double turns = std::max(1.0, blocks / (static_cast<double>(layout.resident) * sms));
    const double own = memory / turns / static_cast<double>(layout.resident) / kLoneSpeed +
                       compute / turns + 1.5e-6 * plan.count;
    return std::max({memory, compute, turns * own}) + 0.1 * (memory + compute) + machine.launch_s();
  }
  // A block's own latency: its loads in turns, exchanges and barriers.
  const double turns =
      std::ceil(static_cast<double>(layout.steps) / static_cast<double>(layout.unroll));
  const double meetings = layout.cluster > 1 ? 1e-6 * plan.count : 0.0;
  const double own = 0.7e-6 * std::max(1.0, layout.hold != 0 ? turns : turns * plan.count) +
                     meetings +
                     plan.count * (layout.threads > 32 || layout.columns ? 0.5e-6 : 0.2e-6);
  const double waves = std::ceil(blocks / (resident * sms));
  const double seconds = std::max({memory, compute, waves * own}) + 0.15 * compute + 0.1 * own;
  (void)length;
  return seconds + machine.launch_s() * (layout.slices > 1 && layout.cluster == 1 ? 2.0 : 1.0);
}

Status Row::emit(const OpContext& context, const Schedule& schedule,
                 ProgramBuilder& builder) const {
  emit_rows(context, row_layout(context, schedule), builder);
  return {};
}

}  // namespace kernelwright::expert::cuda
