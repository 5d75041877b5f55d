// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <nlohmann/json.hpp>
#include <vector>

#include "base/channel.h"

namespace kernelwright::base {

// One message of a Channel with the descriptors that came along. Include in .cpp files only.
struct Channel::Message {
  nlohmann::json body;
  std::vector<UniqueFd> fds;
};

}  // namespace kernelwright::base
