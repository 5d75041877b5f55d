// SPDX-License-Identifier: Apache-2.0
#include "agent/provider.h"

namespace kernelwright::agent {

bool out_of_money(const Error& error) {
  for (const auto& [key, value] : error.context)
    if (key == "bound" && value == "--max-cost") return true;
  return false;
}

}  // namespace kernelwright::agent
