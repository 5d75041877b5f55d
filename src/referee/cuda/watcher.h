// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <memory>
#include <string>

#include "referee/verdict.h"

namespace kernelwright::referee {

// Watches a GPU through NVML (opened at run time) while something is timed: clocks, what throttles
// it, which processes that are not ours use it. Without NVML it sees nothing.
class DeviceWatcher {
 public:
  virtual ~DeviceWatcher() = default;
  virtual void start() = 0;
  virtual Conditions stop() = 0;  // since start()
};
// `pci_bus_id`: "00000000:3b:00.0". Null without NVML.
std::unique_ptr<DeviceWatcher> watch_device(const std::string& pci_bus_id);

// "power cap, thermal" of NVML's clock event reasons; idling and chosen clocks are no throttling.
std::string throttle_text(unsigned long long reasons);

}  // namespace kernelwright::referee
