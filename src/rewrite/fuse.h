// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <vector>

#include "graph/stage.h"

namespace kernelwright::rewrite {

// What a kernel is built round. A contraction is a kSum stage whose body is a product of two loads
// with affine indices (matmul, linear, convolution); a row group is one or more reductions over the
// same trailing axes of one domain with what lies between them (softmax, norms); a loop is all
// stages of a recurrence (graph/loop.h); an attention is two contractions with a softmax between
// them (rewrite/attention.h).
enum class Anchor : uint8_t {
  kPointwise,
  kReduction,
  kRow,
  kContraction,
  kLoop,
  kAttention,
  kGeneral
};

// Stages that become one kernel. All but the outputs live in registers or per-worker scratch.
struct FusedOp {
  Anchor anchor = Anchor::kPointwise;
  std::vector<graph::Stage> stages;  // in order; pointwise neighbours already inlined into bodies
  std::vector<int> inputs;           // tensors read
  std::vector<int> outputs;          // tensors written
  bool prepared = false;             // made of weights alone: once, not at every call
  int64_t steps = 0;                 // kLoop: of the recurrence
};

// One op that can take the place of several: made where the last of them stands.
struct JoinedOp {
  FusedOp op;
  std::vector<size_t> parts;  // positions among the ops, ascending
};

struct FusedGraph {
  std::vector<graph::StageTensor> tensors;  // tensors that are no longer stored stay listed, unused
  std::vector<FusedOp> ops;                 // topological order
  std::vector<JoinedOp> joined;             // of disjoint parts; whether it pays, a search decides
  std::vector<bool> fixed;                  // per tensor: a weight, or made by a prepared op
};

struct FuseOptions {
  bool enabled = true;  // false: one kernel per stage, the naive form
  // Fewer rows than this are too few for one worker each, when they are long: their reductions stay
  // apart, and with `slice_rows` each is made in two steps.
  int64_t few_rows = 4;
  bool slice_rows = true;
  // Pointwise stages over the same points that share operands become one op with several outputs.
  bool siblings = false;
  // Contractions pack operands made of weights before the first call, whatever they cost; else such
  // operands become ops of their own.
  bool packs_operands = true;
};

// Inlines pointwise and layout stages into their readers and writers: a producer into the loads of
// its reader when it is cheap or has one reader; a consumer into `finish` of an anchor when it has
// the anchor's domain. Reductions over the same rows join into one row group. A loop is one op; its
// stages take in what is made before it, and each other at the same step. Ops that are an attention
// together are listed as such beside.
FusedGraph fuse(const graph::StageGraph& graph, const FuseOptions& options = {});

// The stages of a graph with pointwise ones inlined, as `fuse` does it first.
std::vector<graph::Stage> inline_stages(const graph::StageGraph& graph, const FuseOptions& options);

}  // namespace kernelwright::rewrite
