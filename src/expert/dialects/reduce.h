// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <string>

#include "expert/dialects/expr_printer.h"
#include "graph/stage.h"

namespace kernelwright::expert::code {

// The neutral element of a combiner.
std::string identity(graph::Combiner combiner, graph::ScalarKind kind, Real real,
                     const Spelling& spelling = cpp_spelling());
// An expression that combines two values ("a + b", "kw_max(a, b)"). Not for kArgMax and kArgMin.
std::string combine(graph::Combiner combiner, const std::string& a, const std::string& b);
bool is_arg(graph::Combiner combiner);
// For kArgMax and kArgMin: whether `value` takes the place of `best` (NaN wins, the first of equals
// stays).
std::string takes_over(graph::Combiner combiner, const std::string& value, const std::string& best);

}  // namespace kernelwright::expert::code
