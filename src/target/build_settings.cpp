// SPDX-License-Identifier: Apache-2.0
#include "target/build_settings.h"

#include <fmt/core.h>

#include <charconv>
#include <cstdlib>
#include <set>

namespace kernelwright::target {
namespace {

void collect_kernels(const std::vector<program::Step>& steps, std::set<std::string>& names) {
  for (const auto& step : steps) {
    if (const auto* launch = std::get_if<program::Launch>(&step.action))
      names.insert(launch->kernel);
    if (const auto* repeat = std::get_if<program::Repeat>(&step.action))
      collect_kernels(repeat->body, names);
  }
}

}  // namespace

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
  collect_kernels(program.prepare, names);
  collect_kernels(program.run, names);
  return {names.begin(), names.end()};
}

}  // namespace kernelwright::target
