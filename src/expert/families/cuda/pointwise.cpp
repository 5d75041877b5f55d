// SPDX-License-Identifier: Apache-2.0
#include "expert/families/cuda/pointwise.h"

#include <algorithm>

#include "expert/dialects/cuda/point_kernel.h"

namespace kernelwright::expert::cuda {

namespace {

std::optional<PointGroup> group_of(const OpContext& context) {
  std::vector<rewrite::Nest> nests;
  for (const auto& stage : context.op.stages) {
    if (stage.combiner != graph::Combiner::kNone) return std::nullopt;
    nests.push_back(rewrite::make_nest(stage, context.graph.tensors, false));
  }
  return point_group(std::move(nests));
}

}  // namespace

bool Pointwise::accepts(const OpContext& context) const {
  const auto group = group_of(context);
  return group && group->points() > 0;
}

ScheduleSpace Pointwise::space(const OpContext& context) const {
  return point_space(context, *group_of(context));
}

double Pointwise::predict_seconds(const OpContext& context, const Schedule& schedule) const {
  return predict_points(context, *group_of(context), schedule);
}

Status Pointwise::emit(const OpContext& context, const Schedule& schedule,
                       ProgramBuilder& builder) const {
  emit_points(context, *group_of(context), schedule,
              "pointwise_" + context.op.stages.front().origin, builder);
  return {};
}

}  // namespace kernelwright::expert::cuda
