// SPDX-License-Identifier: Apache-2.0
// What a launch costs: empty kernels through the C ABI. Compiles its kernel with g++ at start.
#include <benchmark/benchmark.h>
#include <unistd.h>

#include <cstdio>
#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <string>

#include "kernelwright/runtime.h"

namespace {

const std::string& empty_kernels() {
  static const std::string path = [] {
    std::string stem = (std::filesystem::temp_directory_path() /
                        ("kernelwright-launch-" + std::to_string(getpid())))
                           .string();
    std::ofstream(stem + ".cpp") << "extern \"C\" void empty(const void*, long, long) {}\n";
    std::string command = "g++ -O1 -shared -fPIC -o " + stem + ".so " + stem + ".cpp";
    if (std::system(command.c_str()) != 0) std::exit(1);
    return stem + ".so";
  }();
  return path;
}

// Arguments: threads, launches per plan, grid points per launch.
void plan_of_launches(benchmark::State& state) {
  kw_set_threads(static_cast<int>(state.range(0)));
  std::string json =
      R"({"format": 1, "target": "cpu", "source": "k.cpp", "buffers": {"y": {"role": "output", "index": 0}}, "run": [)";
  for (int64_t i = 0; i < state.range(1); ++i)
    json += std::string(i > 0 ? ", " : "") + R"({"kernel": "empty", "grid": [)" +
            std::to_string(state.range(2)) + R"(], "args": [{"out": "y"}]})";
  json += "]}";
  kw_program* program = nullptr;
  if (kw_open(json.c_str(), empty_kernels().c_str(), &program) != 0) {
    state.SkipWithError(kw_last_error());
    return;
  }
  alignas(64) static float y[16];
  void* outputs[] = {y};
  for (auto _ : state) kw_run(program, nullptr, outputs, nullptr, nullptr);
  state.SetItemsProcessed(state.iterations() * state.range(1));
  kw_close(program);
}
BENCHMARK(plan_of_launches)
    ->ArgNames({"threads", "launches", "grid"})
    ->Args({1, 1, 1})
    ->Args({1, 10, 64})
    ->Args({2, 1, 1})
    ->Args({2, 1, 2})
    ->Args({2, 1, 64})
    ->Args({2, 10, 64})
    ->UseRealTime();

}  // namespace
