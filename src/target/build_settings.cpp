// SPDX-License-Identifier: Apache-2.0
#include "target/build_settings.h"

#include <fmt/core.h>

#include <charconv>
#include <cstdlib>
#include <set>

namespace kernelwright::target {
Result<double> build_timeout_s(double otherwise) {
  const char* value = std::getenv("KERNELWRIGHT_BUILD_TIMEOUT_S");
  const std::string text = value != nullptr ? value : "";
  if (text.empty()) return otherwise;
  double seconds = 0;
  const auto [end, ec] = std::from_chars(text.data(), text.data() + text.size(), seconds);
  if (ec != std::errc() || end != text.data() + text.size() || !(seconds > 0 && seconds <= 3600))
    return fail(
        ErrorKind::kUsage,
        fmt::format("KERNELWRIGHT_BUILD_TIMEOUT_S: expected seconds from 0 to 3600, got '{}'",
                    text.substr(0, 40)));
  return seconds;
}

std::vector<std::string> kernel_names(const program::Program& program) {
  std::set<std::string> names;
  for (const auto* steps : {&program.prepare, &program.run})
    for (std::string& name : program::launched_kernels(*steps)) names.insert(std::move(name));
  return {names.begin(), names.end()};
}

}  // namespace kernelwright::target
