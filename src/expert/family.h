// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "base/result.h"
#include "expert/program_builder.h"
#include "expert/schedule.h"
#include "rewrite/attention.h"
#include "rewrite/contraction.h"
#include "rewrite/fuse.h"
#include "rewrite/row_group.h"
#include "target/machine_model.h"

namespace kernelwright::expert {

struct ContractionFacts;  // families/contraction_plan.h

// One fused op and where it will run.
class OpContext {
 public:
  OpContext(const rewrite::FusedGraph& fused, const rewrite::FusedOp& fused_op,
            const target::MachineModel& machine, int worker_count,
            target::Policy numerics = target::Policy::kStrict)
      : graph(fused), op(fused_op), model(machine), threads(worker_count), policy(numerics) {}

  const rewrite::FusedGraph& graph;
  const rewrite::FusedOp& op;
  const target::MachineModel& model;
  const int threads;
  const target::Policy policy;

  const graph::TensorType& type(int tensor) const {
    return graph.tensors.at(static_cast<size_t>(tensor)).type;
  }
  // Bytes that the op must move: its inputs and outputs once.
  double bytes() const;
  int vector_bytes() const { return model.vector_bytes > 0 ? model.vector_bytes : 32; }
  // What the op is, worked out once: its only stage as a nest, as a contraction, its stages as a
  // row group, as an attention.
  const rewrite::Nest& nest() const;
  const std::optional<rewrite::Contraction>& contraction() const;
  const std::optional<rewrite::RowGroup>& row_group() const;
  const std::optional<rewrite::Attention>& attention() const;
  mutable std::shared_ptr<const ContractionFacts> facts;  // filled by the contraction family

 private:
  mutable std::optional<rewrite::Nest> nest_;
  mutable std::optional<std::optional<rewrite::Contraction>> contraction_;
  mutable std::optional<std::optional<rewrite::RowGroup>> row_group_;
  mutable std::optional<std::optional<rewrite::Attention>> attention_;
};

// A way to make kernels for a kind of fused op: a typed schedule space, a prediction, an emitter.
// Stateless. docs/adding-a-family.md.
class Family {
 public:
  virtual ~Family() = default;
  virtual std::string name() const = 0;
  virtual bool accepts(const OpContext& context) const = 0;
  // Whether accepts() may be asked about recurrences (rewrite::Anchor::kLoop), which are carried
  // out step by step.
  virtual bool takes_loops() const { return false; }
  // Whether accepts() may be asked about ops in place of several others (rewrite::JoinedOp).
  virtual bool takes_joined() const { return false; }
  virtual ScheduleSpace space(const OpContext& context) const = 0;
  virtual bool legal(const OpContext& context, const Schedule& schedule) const { return true; }
  virtual double predict_seconds(const OpContext& context, const Schedule& schedule) const = 0;
  // Adds the kernels and launches that compute the op's outputs.
  virtual Status emit(const OpContext& context, const Schedule& schedule,
                      ProgramBuilder& builder) const = 0;
};

// The families of a target; `general`, which accepts everything, comes last. None for a target
// without a dialect.
const std::vector<const Family*>& families(const std::string& target);

}  // namespace kernelwright::expert
