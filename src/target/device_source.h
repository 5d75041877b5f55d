// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <string>

namespace kernelwright::target {

// A text of ours that a toolchain puts beside a candidate's source. Embedded at build time, so that
// one binary suffices.
struct DeviceSource {
  std::string name;  // as it is included
  std::string text;
};

}  // namespace kernelwright::target
