// SPDX-License-Identifier: Apache-2.0
// The process that measures a CUDA device; see probe.h.
#include <fmt/core.h>

#include <algorithm>
#include <chrono>
#include <cstdlib>
#include <nlohmann/json.hpp>
#include <optional>

#include "base/elapsed.h"
#include "base/file.h"
#include "graph/tensor_type.h"
#include "target/cuda/device_limits.h"
#include "target/cuda/probe.h"
#include "target/cuda/runtime/driver.h"

namespace kernelwright::target {
namespace {

using Clock = std::chrono::steady_clock;

constexpr double kSampleS = 0.004;
constexpr int kSamples = 10;
constexpr double kWarmUpS = 0.3;
constexpr int kLaunches = 1000, kLaunchSamples = 10;
constexpr int64_t kLargestSet = 1ll << 30;
constexpr unsigned kReadThreads = 512;
constexpr unsigned kMathThreads = 256;
constexpr int64_t kWgmmaShared = 48 << 10;

// One arithmetic kernel: FLOP per thread block and iteration.
struct RateRow {
  const char* kernel;
  const char* unit;
  graph::DType dtype;
  double flops_per_block;
  int blocks_per_sm;
  int64_t shared;
};
// A product of m x n x k counts 2 m n k; eight warps, or two warpgroups, per block.
constexpr double kWarps = kMathThreads / 32.0, kGroups = kMathThreads / 128.0;
constexpr double mma(double k) {
  return kWarps * 8 * 2 * 16 * 8 * k;
}
constexpr double wgmma(double k) {
  return kGroups * 32 * 2 * 64 * 256 * k;
}
constexpr RateRow kRates[] = {
    {"probe_fma_f32", "fma", graph::DType::kF32, kMathThreads * 512.0, 8, 0},
    {"probe_fma_f64", "fma", graph::DType::kF64, kMathThreads * 256.0, 8, 0},
    {"probe_mma_tf32", "tf32", graph::DType::kF32, mma(8), 4, 0},
    {"probe_mma_f16", "fp16", graph::DType::kF16, mma(16), 4, 0},
    {"probe_mma_bf16", "bf16", graph::DType::kBF16, mma(16), 4, 0},
    {"probe_mma_e4m3", "fp8", graph::DType::kU8, mma(32), 4, 0},
    {"probe_wgmma_tf32", "tf32", graph::DType::kF32, wgmma(8), 1, kWgmmaShared},
    {"probe_wgmma_f16", "fp16", graph::DType::kF16, wgmma(16), 1, kWgmmaShared},
    {"probe_wgmma_bf16", "bf16", graph::DType::kBF16, wgmma(16), 1, kWgmmaShared},
    {"probe_wgmma_e4m3", "fp8", graph::DType::kU8, wgmma(32), 1, kWgmmaShared},
};

class DeviceProbe {
 public:
  DeviceProbe(const cuda::Driver& driver, CudaDevice device)
      : driver_(driver), device_(std::move(device)) {}

  // Context, module, stream, events, buffers; all go with the process.
  Status set_up(const std::string& cubin) {
    cuda::Device handle = 0;
    KW_CHECK_OK(driver_.device_get(&handle, device_.ordinal));
    cuda::Context context = nullptr;
    KW_CHECK_OK(driver_.primary_ctx_retain(&context, handle));
    KW_CHECK_OK(driver_.ctx_set_current(context));
    KW_CHECK_OK(driver_.module_load_data(&module_, cubin.data()));
    KW_CHECK_OK(driver_.stream_create(&stream_, 1));  // independent of the default stream
    KW_CHECK_OK(driver_.event_create(&begin_, 0));
    KW_CHECK_OK(driver_.event_create(&end_, 0));
    size_t free = 0, total = 0;
    KW_CHECK_OK(driver_.mem_get_info(&free, &total));
    const int64_t wanted =
        std::min<int64_t>({kLargestSet, static_cast<int64_t>(free) / 4,
                           std::max<int64_t>(16 * device_.l2_bytes, 64ll << 20)});
    set_bytes_ = wanted / granule() * granule();
    if (set_bytes_ == 0) return fail(ErrorKind::kEnvironment, "probe: no free device memory");
    KW_CHECK_OK(driver_.mem_alloc(&x_, static_cast<size_t>(set_bytes_)));
    KW_CHECK_OK(driver_.mem_alloc(&y_, static_cast<size_t>(set_bytes_)));
    KW_CHECK_OK(
        driver_.memset_d32_async(x_, 0x3f800001, static_cast<size_t>(set_bytes_ / 4), stream_));
    KW_CHECK_OK(driver_.memset_d32_async(y_, 0, static_cast<size_t>(set_bytes_ / 4), stream_));
    return driver_.stream_synchronize(stream_);
  }

  // A clock at rest needs some work before it is up.
  Status warm_up() {
    const auto begin = Clock::now();
    while (base::seconds_since(begin) < kWarmUpS) {
      KW_TRY(const double unused, math_seconds(kRates[0], 2000));
      (void)unused;
    }
    return {};
  }

  Result<nlohmann::json> level(const char* name, int64_t capacity, int64_t bytes) {
    bytes = std::clamp(bytes / granule() * granule(), granule(), set_bytes_);
    const int64_t half = std::max(bytes / 2 / granule() * granule(), granule());
    KW_TRY(const double read,
           best_rate([&](int64_t passes) { return memory_seconds("probe_read", bytes, passes); }));
    KW_TRY(const double copy, best_rate([&](int64_t passes) {
             return memory_seconds("probe_copy", capacity > 0 ? half : bytes, passes);
           }));
    return nlohmann::json{
        {"name", name},
        {"bytes", capacity},
        {"read_bytes_per_s", read * static_cast<double>(bytes)},
        {"copy_bytes_per_s", copy * 2.0 * static_cast<double>(capacity > 0 ? half : bytes)}};
  }

  // Nothing where the device has no such instructions.
  Result<std::optional<nlohmann::json>> rate(const RateRow& row) {
    cuda::Function function = nullptr;
    if (driver_.module_get_function.raw(&function, module_, row.kernel) != cuda::kSuccess)
      return std::nullopt;
    KW_TRY(const double iterations, best_rate([&](int64_t n) { return math_seconds(row, n); }));
    const double blocks = static_cast<double>(row.blocks_per_sm) * device_.multiprocessors;
    return nlohmann::json{{"unit", row.unit},
                          {"dtype", graph::dtype_name(row.dtype)},
                          {"flops_per_s", iterations * blocks * row.flops_per_block}};
  }

  // Seconds from one launch to the next when many follow each other.
  Result<double> launch_seconds() {
    KW_TRY(cuda::Function function, find("probe_empty"));
    cuda::LaunchConfig config;
    config.block_x = 32;
    config.grid_x = static_cast<unsigned>(device_.multiprocessors);
    config.stream = stream_;
    double best = 1e30;
    for (int sample = 0; sample < kLaunchSamples; ++sample) {
      const auto begin = Clock::now();
      for (int i = 0; i < kLaunches; ++i)
        KW_CHECK_OK(driver_.launch_kernel(&config, function, nullptr, nullptr));
      KW_CHECK_OK(driver_.stream_synchronize(stream_));
      best = std::min(best, base::seconds_since(begin) / kLaunches);
    }
    return best;
  }

  int64_t set_bytes() const { return set_bytes_; }
  int64_t l2_bytes() const { return device_.l2_bytes; }

 private:
  // Bytes that one round of the whole grid moves: 4 vectors of 16 bytes per thread.
  int64_t granule() const { return 4ll * 16 * kReadThreads * read_blocks(); }
  int64_t read_blocks() const { return 2ll * device_.multiprocessors; }

  Result<cuda::Function> find(const char* kernel) {
    cuda::Function function = nullptr;
    if (auto found = driver_.module_get_function(&function, module_, kernel); !found)
      return fail(found.error().with("kernel", kernel));
    return function;
  }

  Result<double> timed(const char* kernel, const cuda::LaunchConfig& config, void** arguments) {
    KW_TRY(cuda::Function function, find(kernel));
    const auto wrong = [&](const Status& status) {
      return fail(Error(status.error()).with("kernel", kernel));
    };
    if (config.shared_bytes > 0)
      if (auto set = driver_.func_set_attribute(function, cuda::kFunctionMaxDynamicSharedBytes,
                                                static_cast<int>(config.shared_bytes));
          !set)
        return wrong(set);
    KW_CHECK_OK(driver_.event_record(begin_, stream_));
    if (auto launched = driver_.launch_kernel(&config, function, arguments, nullptr); !launched)
      return wrong(launched);
    KW_CHECK_OK(driver_.event_record(end_, stream_));
    if (auto done = driver_.event_synchronize(end_); !done) return wrong(done);
    float ms = 0;
    KW_CHECK_OK(driver_.event_elapsed_time(&ms, begin_, end_));
    return std::max(1e-3 * static_cast<double>(ms), 1e-7);
  }

  Result<double> memory_seconds(const char* kernel, int64_t bytes, int64_t passes) {
    int64_t vectors = bytes / 16;
    int rounds = static_cast<int>(passes);
    void* arguments[] = {&x_, &y_, &vectors, &rounds};
    cuda::LaunchConfig config;
    config.grid_x = static_cast<unsigned>(read_blocks());
    config.block_x = kReadThreads;
    config.stream = stream_;
    return timed(kernel, config, arguments);
  }

  Result<double> math_seconds(const RateRow& row, int64_t iterations) {
    int rounds = static_cast<int>(iterations);
    void* arguments[] = {&y_, &rounds};
    cuda::LaunchConfig config;
    config.grid_x = static_cast<unsigned>(row.blocks_per_sm * device_.multiprocessors);
    config.block_x = kMathThreads;
    config.shared_bytes = static_cast<unsigned>(row.shared);
    config.stream = stream_;
    return timed(row.kernel, config, arguments);
  }

  // Rounds per second, where `run(n)` takes the time of n: as many as make a sample long enough,
  // the best of the samples.
  template <class Run>
  Result<double> best_rate(const Run& run) {
    int64_t rounds = 1;
    KW_TRY(double seconds, run(rounds));
    for (int i = 0; i < 8 && seconds < kSampleS / 2; ++i) {
      rounds = std::min<int64_t>(1 << 30,
                                 static_cast<int64_t>(static_cast<double>(rounds) *
                                                      std::clamp(kSampleS / seconds, 2.0, 100.0)));
      KW_TRY(seconds, run(rounds));
    }
    double best = seconds;
    for (int sample = 0; sample < kSamples; ++sample) {
      KW_TRY(const double one, run(rounds));
      best = std::min(best, one);
    }
    return static_cast<double>(rounds) / best;
  }

  const cuda::Driver& driver_;
  CudaDevice device_;
  cuda::Module module_ = nullptr;
  cuda::Stream stream_ = nullptr;
  cuda::Event begin_ = nullptr, end_ = nullptr;
  cuda::Ptr x_ = 0, y_ = 0;
  int64_t set_bytes_ = 0;
};

Result<std::string> measure(int ordinal, const std::string& cubin_path) {
  KW_TRY(const std::string cubin, base::read_file(cubin_path, 64ull << 20));
  KW_TRY(CudaDevice device, read_cuda_device(ordinal));
  KW_TRY(const cuda::Driver* driver, cuda::initialized_driver());
  DeviceProbe probe(*driver, std::move(device));
  KW_CHECK_OK(probe.set_up(cubin));
  KW_CHECK_OK(probe.warm_up());
  nlohmann::json out = {{"levels", nlohmann::json::array()}, {"rates", nlohmann::json::array()}};
  // A quarter of L2: on large devices half of it is far from any multiprocessor.
  KW_TRY(auto l2, probe.level("L2", probe.l2_bytes(), probe.l2_bytes() / 4));
  out["levels"].push_back(std::move(l2));
  KW_TRY(auto memory, probe.level("DRAM", 0, probe.set_bytes()));
  out["levels"].push_back(std::move(memory));
  for (const auto& row : kRates) {
    KW_TRY(auto rate, probe.rate(row));
    if (!rate) continue;
    // Of two ways to the same unit, the faster is the ceiling.
    bool merged = false;
    for (auto& known : out["rates"])
      if (known["unit"] == (*rate)["unit"] && known["dtype"] == (*rate)["dtype"]) {
        known["flops_per_s"] =
            std::max(known["flops_per_s"].get<double>(), (*rate)["flops_per_s"].get<double>());
        merged = true;
      }
    if (!merged) out["rates"].push_back(std::move(*rate));
  }
  KW_TRY(const double launch_s, probe.launch_seconds());
  out["launch_s"] = launch_s;
  return out.dump();
}

}  // namespace

int cuda_probe_main(int argc, char** argv) {
  if (argc != 4) {
    fmt::print(stderr, "usage: cuda-probe DEVICE CUBIN\n");
    return 2;
  }
  const auto figures = measure(std::atoi(argv[2]), argv[3]);
  if (!figures) {
    fmt::print(stderr, "{}\n", figures.error().text());
    return 2;
  }
  fmt::print("{}\n", *figures);
  return 0;
}

}  // namespace kernelwright::target
