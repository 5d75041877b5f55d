// SPDX-License-Identifier: Apache-2.0
#include "fuzz/targets.h"

#include <cstdio>
#include <cstdlib>

namespace kernelwright::fuzz {

std::vector<Target> targets() {
  std::vector<Target> all = format_targets();
  for (const auto& more : {protocol_targets(), binary_targets(), report_targets()})
    all.insert(all.end(), more.begin(), more.end());
  return all;
}

void require(bool holds, const char* promise) {
  if (holds) return;
  std::fprintf(stderr, "broken promise: %s\n", promise);
  std::abort();
}

}  // namespace kernelwright::fuzz
