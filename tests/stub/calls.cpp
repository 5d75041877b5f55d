// SPDX-License-Identifier: Apache-2.0
#include "stub/calls.h"

#include "stub/cuda_driver.h"

namespace kernelwright::stub {

using namespace kernelwright::cuda;

Calls& calls() {
  static Calls instance;
  return instance;
}

Code note(const char* name, const std::string& text) {
  Calls& c = calls();
  std::lock_guard guard(c.mutex);
  c.log += fmt::format("{}{}{}\n", name, text.empty() ? "" : " ", text);
  ++c.counts[name];
  auto it = c.failures.find(name);
  if (it == c.failures.end()) return kSuccess;
  if (it->second.second > 0) {
    --it->second.second;
    return kSuccess;
  }
  return it->second.first;
}

}  // namespace kernelwright::stub

using kernelwright::stub::calls;

STUB const char* kw_stub_log() {
  return calls().log.c_str();
}
STUB void kw_stub_reset() {
  calls().log.clear();
  calls().counts.clear();
  calls().failures.clear();
  calls().tensor_map.clear();
}
STUB size_t kw_stub_count(const char* function) {
  return calls().counts[function];
}
STUB void kw_stub_fail(const char* function, int code, int after) {
  if (code)
    calls().failures[function] = {code, after};
  else
    calls().failures.erase(function);
}
STUB const char* kw_stub_tensor_map() {
  return calls().tensor_map.c_str();
}
