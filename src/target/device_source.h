// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <string>
#include <string_view>
#include <vector>

#include "base/check.h"

namespace kernelwright::target {

// A text of ours, embedded at build time, so that one binary suffices (kw_embed in cmake/).
struct DeviceSource {
  std::string name;  // as it is included, where it is a header
  std::string text;
};

// The text of that name, which must be there.
inline const std::string& source_named(const std::vector<DeviceSource>& sources,
                                       std::string_view name) {
  for (const DeviceSource& source : sources)
    if (source.name == name) return source.text;
  base::invariant_failed(__FILE__, __LINE__, "no embedded text is named " + std::string(name));
}

}  // namespace kernelwright::target
