// SPDX-License-Identifier: Apache-2.0
#include "expert/families/row.h"

#include <algorithm>
#include <cmath>
#include <limits>

#include "expert/emit_util.h"
#include "expert/families/reciprocal.h"
#include "expert/families/row_emitter.h"
#include "expert/families/row_plan.h"

namespace kernelwright::expert {

using rewrite::RowGroup;

namespace {

// Whether some elements are divided by a value of their row, in f32.
bool row_divides(const OpContext& context) {
  const RowGroup& group = *context.row_group();
  const SharedBy shared = shared_by_row(group);
  bool divides = false;
  for (const auto& member : group.members) {
    if (member.nest.output >= 0 && real_of(context, member.nest) == code::Real::kF64) return false;
    if (!member.per_row || member.reduces) divides |= divides_by_shared(member.nest.body, shared);
  }
  return divides;
}

constexpr int64_t kScratchLimit = 8 << 20;
constexpr int64_t kMostAsked = 128 << 10;  // of a row, so that two of them stay near

}  // namespace

bool RowFamily::accepts(const OpContext& context) const {
  return has_rows(context, true) &&
         context.row_group()->row_length() <= std::numeric_limits<int32_t>::max();
}

ScheduleSpace RowFamily::space(const OpContext& context) const {
  const RowGroup& group = *context.row_group();
  ScheduleSpace space;
  space.push_back(
      {"lanes", group.outer.empty() ? std::vector<int64_t>{0} : std::vector<int64_t>{0, 1}, 0});
  // The widest are for columns alone: whole rows are then read one after another.
  space.push_back({"width", {16, 32, 64, 128, 256, 512, 1024}, 64, Bears::kArithmetic});
  space.push_back({"keep",
                   keeps_values(context) ? std::vector<int64_t>{0, 1} : std::vector<int64_t>{1}, 1,
                   Bears::kTraffic});
  const bool writes = std::any_of(group.members.begin(), group.members.end(),
                                  [](const RowGroup::Member& m) { return !m.per_row; });
  space.push_back({"stream", writes ? std::vector<int64_t>{0, 1} : std::vector<int64_t>{0}, 0,
                   Bears::kTraffic});
  const bool follow = group.row.size() == 1 && !following_rows(context).empty();
  space.push_back({"ahead", follow ? std::vector<int64_t>{1, 0} : std::vector<int64_t>{0}, follow,
                   Bears::kTraffic});
  space.push_back({"reciprocal",
                   row_divides(context) ? std::vector<int64_t>{1, 0} : std::vector<int64_t>{0},
                   row_divides(context), Bears::kArithmetic});
  const bool moments = plan_passes(context, Keep::kNothing, true).moments.has_value();
  space.push_back({"moments", moments ? std::vector<int64_t>{1, 0} : std::vector<int64_t>{0},
                   moments, Bears::kTraffic});
  return space;
}

bool RowFamily::legal(const OpContext& context, const Schedule& schedule) const {
  const RowGroup& group = *context.row_group();
  const bool columns = schedule.at("lanes") != 0;
  for (const char* along_rows : {"stream", "ahead", "reciprocal", "moments"})
    if (columns && schedule.at(along_rows) != 0) return false;
  if (schedule.at("ahead") != 0 && group.row_length() * 4 > kMostAsked &&
      plan_passes(context, Keep::kNothing).count > 1)
    return false;
  const int64_t width = schedule.at("width");
  if (width > 256 && (!columns || group.outer.back() <= width / 2)) return false;
  const int64_t kept =
      schedule.at("keep") != 0 ? group.row_length() * (columns ? width : 1) * 8 : 0;
  return kept <= kScratchLimit;
}

double RowFamily::predict_seconds(const OpContext& context, const Schedule& schedule) const {
  const RowGroup& group = *context.row_group();
  const Passes plan =
      plan_passes(context, schedule.at("keep") != 0 ? Keep::kValues : Keep::kNothing,
                  schedule.at("moments") != 0);
  const bool columns = schedule.at("lanes") != 0;
  const auto width = static_cast<double>(schedule.at("width"));
  const double elements =
      static_cast<double>(group.rows()) * static_cast<double>(group.row_length());
  const int outer = static_cast<int>(group.outer.size());
  const int axis = columns ? outer - 1 : outer + static_cast<int>(group.row.size()) - 1;
  const double stride = lane_stride(context, axis);
  const double extent = static_cast<double>(columns ? group.outer.back() : group.row.back());
  // Lanes that have work, and loads that need a gather.
  const double vector = static_cast<double>(context.vector_bytes()) / 4;
  const double full =
      extent / (std::ceil(extent / (columns ? width : 1.0)) * (columns ? width : 1.0));
  double useful = columns ? full : extent >= width ? 1.0 : 0.12;
  if (columns && extent < width) useful *= 0.3;
  const double gather = stride <= 1 ? 1.0 : stride <= 4 ? 3.0 : 8.0;
  double cost = 0;
  for (const auto& member : plan.group.members) {
    if (!member.per_row || member.reduces)
      cost += 1.5 + rewrite::arithmetic_cost(member.nest.body) +
              (member.reduces ? 1.0 + 48.0 / width : 0.0);
  }
  if (schedule.at("reciprocal") != 0) cost -= 2;
  const double threads =
      std::min<double>(context.threads, static_cast<double>(columns ? group.rows() : group.rows()));
  double compute = elements * cost * gather / (vector * useful * 2e9 * std::max(1.0, threads));
  if (!columns)
    compute += static_cast<double>(group.rows()) * (20e-9 + width * 0.3e-9) * plan.count /
               std::max(1.0, threads);
  else
    compute +=
        static_cast<double>(group.rows()) / width * 20e-9 * plan.count / std::max(1.0, threads);
  double bytes = context.bytes();
  double out_bytes = 0;
  for (int tensor : context.op.outputs)
    out_bytes += static_cast<double>(context.type(tensor).bytes());
  if (schedule.at("stream") == 0)
    bytes += out_bytes;
  else if (out_bytes < static_cast<double>(context.model.last_level_cache_bytes()) / 4)
    bytes += 1.5 * out_bytes;
  // Rows that do not stay near are read again from afar in each pass.
  const double row_bytes =
      static_cast<double>(group.row_length()) * 4 * (columns ? std::max(width, 16.0) : 1);
  if (row_bytes > 512e3) bytes += 0.3 * context.bytes() * (plan.count - 1);
  // Short pieces of long rows: what is fetched ahead is another piece's.
  if (columns && stride <= 1 && extent > width) bytes *= width < 32 ? 1.3 : 1.15;
  const double memory = bytes / std::max(1e9, context.model.memory_bytes_per_s());
  // Passes that compute leave memory idle unless they ask for the next row.
  const double idle =
      plan.count > 1 && !columns && schedule.at("ahead") == 0 ? 0.5 * std::min(compute, memory) : 0;
  return std::max(compute, memory) + idle + 0.1 * compute + context.model.launch_s;
}

Status RowFamily::emit(const OpContext& context, const Schedule& schedule,
                       ProgramBuilder& builder) const {
  emit_rows(context, schedule, builder);
  return {};
}

}  // namespace kernelwright::expert
