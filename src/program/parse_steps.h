// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <vector>

#include "program/json_reader.h"
#include "program/program.h"

namespace kernelwright::program {

// Reads `prepare`, `run` or the body of a repeat. Throws Malformed. `budget` is how many steps may
// still come.
std::vector<Step> parse_steps(const JsonNode& node, size_t& budget, int repeat_depth = 0);

}  // namespace kernelwright::program
