// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <vector>

#include "target/device_source.h"

namespace kernelwright::target {

// Texts for models, embedded at build time (CMakeLists.txt): "playbook/cpu", "program-format",
// "example/cpu/program.json", "example/cpu/kernels.cpp", ...
const std::vector<DeviceSource>& agent_texts();

}  // namespace kernelwright::target

namespace kernelwright::agent {

// One of them, or a header that kernels of a target may include ("cuda/kw_mma.h"); null: there is
// none.
const std::string* find_text(const std::string& name);
// What read_playbook offers, in the order of its list.
std::vector<std::string> playbook_names();

}  // namespace kernelwright::agent
