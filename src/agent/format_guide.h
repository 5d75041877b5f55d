// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <string>

namespace kernelwright::agent {

// The rules alone, about 1,300 tokens.
std::string format_rules(const std::string& target);

// The program format for models: docs/program-format.md condensed to what this target has, with the
// worked example (texts.h). Markdown, about 2,000 tokens. `target` without a device number.
std::string format_guide(const std::string& target);

}  // namespace kernelwright::agent
