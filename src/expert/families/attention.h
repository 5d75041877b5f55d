// SPDX-License-Identifier: Apache-2.0
#pragma once

#include "expert/family.h"

namespace kernelwright::expert {

// softmax(score(Q K^T)) V in one kernel, by online softmax (rewrite/attention.h): the scores of a
// block of rows and keys stay in the worker's scratch. They lie key by key with lanes along the
// rows, so that maximum, exponential and sum need no work across lanes, and are as they stand the
// packed operand of the second product. Sums of exponentials are kept in f64; those of products
// restart with every block of keys. Blocks of keys that a causal mask leaves out are not visited.
// Knobs: rows, keys (of a block), score_mr, score_nv, value_mr, value_nv (register tiles), direct
// (keys and values are read where they lie, not packed).
class AttentionFamily : public Family {
 public:
  std::string name() const override { return "attention"; }
  bool takes_joined() const override { return true; }
  bool accepts(const OpContext& context) const override;
  ScheduleSpace space(const OpContext& context) const override;
  bool legal(const OpContext& context, const Schedule& schedule) const override;
  double predict_seconds(const OpContext& context, const Schedule& schedule) const override;
  Status emit(const OpContext& context, const Schedule& schedule,
              ProgramBuilder& builder) const override;
};

}  // namespace kernelwright::expert
