// SPDX-License-Identifier: Apache-2.0
// kw_fuzz: libFuzzer over one reader. KW_FUZZ_TARGET names it; KW_FUZZ_EXAMPLES is a folder for its
// examples.
#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <fstream>

#include "fuzz/targets.h"

namespace {
const kernelwright::fuzz::Target* chosen = nullptr;
}  // namespace

extern "C" int LLVMFuzzerInitialize(int*, char***) {
  static const std::vector<kernelwright::fuzz::Target> all = kernelwright::fuzz::targets();
  const char* name = std::getenv("KW_FUZZ_TARGET");
  for (const auto& target : all)
    if (name && std::string_view(name) == target.name) chosen = &target;
  if (!chosen) {
    for (const auto& target : all) std::printf("%s\n", target.name);
    std::exit(name ? 2 : 0);
  }
  if (const char* folder = std::getenv("KW_FUZZ_EXAMPLES")) {
    int number = 0;
    for (const std::string& example : chosen->examples())
      std::ofstream(std::string(folder) + "/example" + std::to_string(number++)) << example;
  }
  return 0;
}

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* bytes, size_t size) {
  chosen->read({reinterpret_cast<const char*>(bytes), size});
  return 0;
}
