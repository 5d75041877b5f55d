// SPDX-License-Identifier: Apache-2.0
#include "support/kernel_object.h"

#include <fmt/core.h>
#include <gtest/gtest.h>
#include <unistd.h>

#include <cstdlib>
#include <filesystem>
#include <fstream>

#include "base/hash.h"

namespace kernelwright::testing {

std::string build_kernels(std::string_view source) {
  namespace fs = std::filesystem;
  std::string text = "#include <kernelwright/kernel_abi.h>\n" + std::string(source);
  fs::path folder = fs::path(KW_BINARY_DIR) / "test-kernels";
  fs::create_directories(folder);
  std::string name = base::IdentityBuilder().add("g++ -O1").add(text).hex().substr(0, 24);
  fs::path object = folder / (name + ".so");
  if (fs::exists(object)) return object.string();
  // Tests run in several processes: each writes files of its own and renames.
  fs::path own = folder / fmt::format("{}.{}", name, getpid());
  std::ofstream(own.string() + ".cpp") << text;
  std::string command =
      fmt::format("g++ -std=c++20 -O1 -shared -fPIC -I'{}/include' -o '{}.so' '{}.cpp' 2>&1",
                  KW_SOURCE_DIR, own.string(), own.string());
  FILE* pipe = popen(command.c_str(), "r");
  std::string output;
  char chunk[512];
  while (pipe && fgets(chunk, sizeof(chunk), pipe)) output += chunk;
  if (!pipe || pclose(pipe) != 0) ADD_FAILURE() << "kernels do not compile: " << output;
  std::error_code code;
  fs::rename(own.string() + ".so", object, code);
  fs::remove(own.string() + ".cpp", code);
  return object.string();
}

}  // namespace kernelwright::testing
