// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <optional>
#include <string>
#include <string_view>

namespace kernelwright::agent {

// RFC 4648, with padding, on one line.
std::string to_base64(std::string_view bytes);
// nullopt on anything that to_base64 does not write.
std::optional<std::string> from_base64(std::string_view text);

}  // namespace kernelwright::agent
