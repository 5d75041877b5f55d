// SPDX-License-Identifier: Apache-2.0
#include "expert/families/cuda/window.h"

#include "expert/dialects/cuda/machine.h"
#include "expert/dialects/cuda/point_kernel.h"

namespace kernelwright::expert::cuda {

namespace {

constexpr int64_t kMostTerms = 128;  // of one thread, all its elements together

PointGroup group_of(const OpContext& context) {
  rewrite::Nest nest = context.nest();
  nest.body = unrolled_window(nest);
  nest.extents.resize(static_cast<size_t>(nest.outer));
  nest.combiner = graph::Combiner::kNone;
  nest.finish = nullptr;
  return *point_group({std::move(nest)});
}

}  // namespace

ScheduleSpace Window::space(const OpContext& context) const {
  return point_space(context, group_of(context));
}

bool Window::legal(const OpContext& context, const Schedule& schedule) const {
  return schedule.at("vector") * schedule.at("steps") == 1 ||
         schedule.at("vector") * schedule.at("steps") * context.nest().reduce_points() <=
             kMostTerms;
}

double Window::predict_seconds(const OpContext& context, const Schedule& schedule) const {
  // Neighbouring windows share their elements through the caches.
  const Machine machine(context.model);
  const rewrite::Nest& nest = context.nest();
  const auto terms = static_cast<double>(nest.outer_points() * nest.reduce_points());
  const double cost = 6 + rewrite::arithmetic_cost(nest.body);
  const auto width = static_cast<double>(schedule.at("vector"));
  return std::max(terms * cost / machine.instructions_per_s(),
                  context.bytes() / machine.bytes_per_s() * (width > 1 ? 1.0 : 1.05)) +
         machine.launch_s();
}

Status Window::emit(const OpContext& context, const Schedule& schedule,
                    ProgramBuilder& builder) const {
  emit_points(context, group_of(context), schedule, "window_" + context.nest().origin, builder);
  return {};
}

}  // namespace kernelwright::expert::cuda
