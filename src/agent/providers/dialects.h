// SPDX-License-Identifier: Apache-2.0
#pragma once

#include "agent/providers/dialect.h"

namespace kernelwright::agent {

// One per protocol; each lives in the file of its name.
const Dialect& anthropic_dialect();
const Dialect& chat_dialect();
const Dialect& responses_dialect();

}  // namespace kernelwright::agent
