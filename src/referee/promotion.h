// SPDX-License-Identifier: Apache-2.0
#pragma once

#include "referee/judging.h"

namespace kernelwright::referee {

// The promotion tier of a program that was built anew: new seeds, every draw kind, the checking
// tools, real baselines in alternation.
Result<Verdict> judge_for_promotion(Judging& judging, const Prepared& rebuilt);

}  // namespace kernelwright::referee
