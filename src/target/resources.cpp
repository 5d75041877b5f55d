// SPDX-License-Identifier: Apache-2.0
#include "target/resources.h"

#include <fmt/core.h>

#include <nlohmann/json.hpp>

namespace kernelwright::target {

std::string resources_text(const std::vector<KernelResources>& kernels) {
  std::string out;
  for (const auto& kernel : kernels)
    out += fmt::format("{}: {} registers, {} bytes spilled, {} bytes shared, {} bytes of stack\n",
                       kernel.kernel, kernel.registers,
                       kernel.spill_store_bytes + kernel.spill_load_bytes, kernel.shared_bytes,
                       kernel.stack_bytes);
  return out;
}

std::string resources_json(const std::vector<KernelResources>& kernels) {
  nlohmann::ordered_json json = nlohmann::ordered_json::array();
  for (const auto& kernel : kernels)
    json.push_back({{"kernel", kernel.kernel},
                    {"registers", kernel.registers},
                    {"shared_bytes", kernel.shared_bytes},
                    {"stack_bytes", kernel.stack_bytes},
                    {"spill_store_bytes", kernel.spill_store_bytes},
                    {"spill_load_bytes", kernel.spill_load_bytes}});
  return json.dump(-1, ' ', false, nlohmann::json::error_handler_t::replace);
}

std::vector<KernelResources> parse_resources(const std::string& text) {
  std::vector<KernelResources> kernels;
  try {
    for (const auto& entry : nlohmann::json::parse(text)) {
      KernelResources kernel;
      kernel.kernel = entry.at("kernel").get<std::string>();
      kernel.registers = entry.at("registers").get<int>();
      kernel.shared_bytes = entry.at("shared_bytes").get<int64_t>();
      kernel.stack_bytes = entry.at("stack_bytes").get<int64_t>();
      kernel.spill_store_bytes = entry.at("spill_store_bytes").get<int64_t>();
      kernel.spill_load_bytes = entry.at("spill_load_bytes").get<int64_t>();
      kernels.push_back(std::move(kernel));
    }
  } catch (const nlohmann::json::exception&) {
    kernels.clear();
  }
  return kernels;
}

}  // namespace kernelwright::target
