// SPDX-License-Identifier: Apache-2.0
// The device headers on a device: skipped, with the reason, where there is none.
#include <fmt/core.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <cstdlib>
#include <functional>
#include <numeric>
#include <random>

#include "base/file.h"
#include "target/cuda/device_limits.h"
#include "target/cuda/runtime/driver.h"
#include "target/cuda/toolchain.h"

namespace kernelwright::target {
namespace {

class CudaDeviceHeaders : public ::testing::Test {
 protected:
  void SetUp() override {
    if (std::getenv("KERNELWRIGHT_CUDA_DRIVER") != nullptr)
      GTEST_SKIP() << "needs a GPU; the driver is a stub";
    const auto device = read_cuda_device(0);
    if (!device) GTEST_SKIP() << "needs a GPU: " << device.error().text();
    device_ = *device;
    const auto folder = base::TempDir::create("kw-test");
    ASSERT_TRUE(folder);
    const auto compiler = find_cuda_compiler("", folder->path() / "cache");
    if (!compiler) GTEST_SKIP() << compiler.error().text();
    // On another machine than the one that built the tests.
    const char* given = std::getenv("KERNELWRIGHT_SOURCE_DIR");
    const std::string root = given != nullptr && *given != '\0' ? given : KW_SOURCE_DIR;
    const auto source = base::read_file(root + "/tests/cuda/device_check.cu");
    const auto arch = cuda_arch(*compiler, device_.major, device_.minor);
    ASSERT_TRUE(source && arch);
    CudaCompileJob job;
    job.source = *source;
    job.arch = *arch;
    const auto built = compile_cuda(*compiler, job, folder->path(), {});
    ASSERT_TRUE(built) << built.error().text();
    ASSERT_TRUE(*built) << built->error().log;
    const auto cubin = base::read_file(folder->path() / "object.cubin");
    ASSERT_TRUE(cubin);
    const auto driver = cuda::initialized_driver();
    ASSERT_TRUE(driver);
    driver_ = *driver;
    cuda::Device handle = 0;
    cuda::Context context = nullptr;
    check(driver_->device_get(&handle, 0));
    check(driver_->primary_ctx_retain(&context, handle));
    check(driver_->ctx_set_current(context));
    check(driver_->module_load_data(&module_, cubin->data()));
  }
  static void check(const Status& status) { ASSERT_TRUE(status) << status.error().text(); }

  template <class T>
  cuda::Ptr upload(const std::vector<T>& data) {
    cuda::Ptr p = 0;
    check(driver_->mem_alloc(&p, data.size() * sizeof(T)));
    check(driver_->memcpy_htod(p, data.data(), data.size() * sizeof(T)));
    return p;
  }
  template <class T>
  std::vector<T> download(cuda::Ptr p, size_t count) {
    std::vector<T> data(count);
    check(driver_->memcpy_dtoh(data.data(), p, count * sizeof(T)));
    return data;
  }
  void launch(const char* kernel, unsigned grid, unsigned block, std::vector<void*> arguments,
              unsigned shared = 0, bool cooperative = false) {
    cuda::Function function = nullptr;
    check(driver_->module_get_function(&function, module_, kernel));
    if (shared > 0)
      check(driver_->func_set_attribute(function, cuda::kFunctionMaxDynamicSharedBytes,
                                        static_cast<int>(shared)));
    cuda::LaunchAttribute attribute;
    attribute.id = cuda::kLaunchCooperative;
    attribute.value.cooperative = 1;
    cuda::LaunchConfig config;
    config.grid_x = grid;
    config.block_x = block;
    config.shared_bytes = shared;
    config.attributes = &attribute;
    config.attribute_count = cooperative ? 1 : 0;
    check(driver_->launch_kernel(&config, function, arguments.data(), nullptr));
    check(driver_->ctx_synchronize());
  }
  CudaDevice device_;
  const cuda::Driver* driver_ = nullptr;
  cuda::Module module_ = nullptr;
};

double ulps(float got, double exact) {
  const auto rounded = static_cast<float>(exact);
  if (std::isnan(exact)) return std::isnan(got) ? 0 : 1e9;
  if (std::isinf(rounded)) return got == rounded ? 0 : 1e9;
  const float unit = std::nextafter(std::fabs(rounded), INFINITY) - std::fabs(rounded);
  return std::fabs(static_cast<double>(got) - exact) / static_cast<double>(unit);
}

double gelu_tanh(double x) {
  // Its constants are those of the float version.
  return 0.5 * x * (1 + std::tanh(0.7978845608028654 * (x + 0.044715 * x * x * x)));
}

TEST_F(CudaDeviceHeaders, ScalarFunctions) {
  struct Row {
    const char* name;
    std::function<double(double)> exact;
    double bound;
  };
  const auto softplus = [](double x) {
    return std::max(x, 0.0) + std::log1p(std::exp(-std::fabs(x)));
  };
  const Row rows[] = {
      {"exp", [](double x) { return std::exp(x); }, 2},
      {"expm1", [](double x) { return std::expm1(x); }, 2},
      {"tanh", [](double x) { return std::tanh(x); }, 2},
      {"sigmoid", [](double x) { return 1 / (1 + std::exp(-x)); }, 6},
      {"erf", [](double x) { return std::erf(x); }, 2},
      {"sin", [](double x) { return std::sin(x); }, 2},
      {"cos", [](double x) { return std::cos(x); }, 2},
      {"silu", [](double x) { return x / (1 + std::exp(-x)); }, 6},
      // Rounding z = x/sqrt(2), by at most 1.2 * 2^-24, moves erfc(z) by 2z^2 of that: 2z^2 is 135
      // where gelu is 1e-30.
      {"gelu", [](double x) { return 0.5 * x * std::erfc(-x * 0.70710678118654752); }, 170},
      {"gelu_tanh", gelu_tanh, 1e9},  // cancels in its negative tail, as the definition does
      {"mish", [&](double x) { return x * std::tanh(softplus(x)); }, 6},
      {"atan", [](double x) { return std::atan(x); }, 2},
      {"softplus", softplus, 6},
      {"log", [](double x) { return std::log(std::fabs(x)); }, 2},
      {"log1p", [](double x) { return std::log1p(std::fabs(x)); }, 2},
      {"rsqrt", [](double x) { return 1 / std::sqrt(std::fabs(x)); }, 2},
      {"erfc", [](double x) { return std::erfc(x); }, 4},
  };
  constexpr int kCount = 1 << 18;
  std::mt19937 random(3);
  std::vector<float> x(kCount);
  for (int i = 0; i < kCount; ++i) {
    const float sign = (random() & 1u) != 0 ? 1.0f : -1.0f;
    // Exponents from 2^-20 to 2^5: where the functions bend.
    x[static_cast<size_t>(i)] =
        sign * std::ldexp(1.0f + static_cast<float>(random() % 8388608) / 8388608.0f,
                          static_cast<int>(random() % 26) - 20);
  }
  const size_t functions = std::size(rows);
  cuda::Ptr in = upload(x), out = upload(std::vector<float>(functions * kCount));
  int count = kCount;
  launch("unary", kCount / 256, 256, {&in, &out, &count});
  const auto y = download<float>(out, functions * kCount);
  for (size_t f = 0; f < functions; ++f) {
    double worst = 0;
    float at = 0;
    for (size_t i = 0; i < kCount; ++i) {
      // Where a result underflows, ulps say little.
      const double exact = rows[f].exact(static_cast<double>(x[i]));
      if (std::fabs(exact) < 1e-30) continue;
      const double error = ulps(y[f * kCount + i], exact);
      if (error > worst) {
        worst = error;
        at = x[i];
      }
    }
    fmt::print("  {:<10} {:>10.2f} ulp at {}\n", rows[f].name, worst, at);
    EXPECT_LE(worst, rows[f].bound) << rows[f].name << " at " << at;
  }
}

TEST_F(CudaDeviceHeaders, HalvesRoundTrip) {
  cuda::Ptr wrong = upload(std::vector<uint32_t>{0});
  launch("halves", 256, 256, {&wrong});
  EXPECT_EQ(download<uint32_t>(wrong, 1)[0], 0u);
}

TEST_F(CudaDeviceHeaders, Reductions) {
  std::vector<float> x(256);
  for (size_t i = 0; i < x.size(); ++i) x[i] = static_cast<float>((i * 37) % 101) - 50;
  cuda::Ptr in = upload(x), out = upload(std::vector<float>(40));
  launch("reductions", 1, 256, {&in, &out});
  const auto y = download<float>(out, 40);
  EXPECT_EQ(y[0], std::accumulate(x.begin(), x.end(), 0.0f));
  EXPECT_EQ(y[1], *std::max_element(x.begin(), x.end()));
  EXPECT_EQ(y[2], *std::min_element(x.begin(), x.end()));
  double mean = 0, m2 = 0;
  for (size_t i = 0; i < 32; ++i) mean += static_cast<double>(x[i]) / 32;
  for (size_t i = 0; i < 32; ++i)
    m2 += (static_cast<double>(x[i]) - mean) * (static_cast<double>(x[i]) - mean);
  EXPECT_NEAR(y[3], mean, 1e-4);
  EXPECT_NEAR(y[4], m2, 1e-3 * m2);
  float sum = 0;
  for (size_t i = 0; i < 32; ++i) EXPECT_EQ(y[8 + i], sum += x[i]) << i;
}

TEST_F(CudaDeviceHeaders, GridBarrier) {
  const auto blocks = static_cast<unsigned>(device_.multiprocessors);
  int rounds = 100;
  cuda::Ptr sync = upload(std::vector<uint32_t>(2)), cells = upload(std::vector<uint32_t>(blocks));
  launch("grid", blocks, 64, {&sync, &cells, &rounds}, 0, true);
  EXPECT_THAT(download<uint32_t>(sync, 2), ::testing::ElementsAre(0u, 0u));
  EXPECT_THAT(download<uint32_t>(cells, blocks), ::testing::Each(100u));
}

TEST_F(CudaDeviceHeaders, OffersOfEveryBlock) {
  const auto blocks = static_cast<unsigned>(device_.multiprocessors);
  int rounds = 100;
  cuda::Ptr words = upload(std::vector<uint64_t>(4 * blocks)),
            sums = upload(std::vector<double>(64 * blocks));
  launch("offers", blocks, 64, {&words, &sums, &rounds}, 0, true);
  const std::vector<double> found = download<double>(sums, 64 * blocks);
  const double numbers = blocks * (blocks - 1) / 2.0;
  for (unsigned b = 0; b < blocks; ++b) {
    double sum = 0;
    for (size_t t = 0; t < 64; ++t) sum += found[b * 64 + t];
    EXPECT_EQ(sum, rounds * 1.5 * numbers + blocks * 5050.0) << b;
  }
}

// Small integers: exact in bf16 products and f32 sums.
std::vector<float> integers(size_t count, unsigned seed) {
  std::mt19937 random(seed);
  std::vector<float> x(count);
  for (float& value : x) value = static_cast<float>(static_cast<int>(random() % 15) - 7);
  return x;
}

std::vector<float> product(const std::vector<float>& a, const std::vector<float>& b, size_t m,
                           size_t n, size_t k) {
  std::vector<float> c(m * n);
  for (size_t i = 0; i < m; ++i)
    for (size_t j = 0; j < n; ++j)
      for (size_t l = 0; l < k; ++l) c[i * n + j] += a[i * k + l] * b[j * k + l];
  return c;
}

TEST_F(CudaDeviceHeaders, WarpProduct) {
  if (device_.number() < 80) GTEST_SKIP() << "needs sm_80";
  const auto a = integers(16 * 16, 1), b = integers(8 * 16, 2);
  cuda::Ptr pa = upload(a), pb = upload(b), pc = upload(std::vector<float>(16 * 8));
  launch("mma", 1, 32, {&pa, &pb, &pc});
  EXPECT_EQ(download<float>(pc, 16 * 8), product(a, b, 16, 8, 16));
}

TEST_F(CudaDeviceHeaders, WarpgroupProduct) {
  if (device_.number() != 90) GTEST_SKIP() << "needs sm_90a";
  const auto a = integers(64 * 64, 3), b = integers(128 * 64, 4);
  cuda::Ptr pa = upload(a), pb = upload(b), pc = upload(std::vector<float>(64 * 128));
  launch("wgmma", 1, 128, {&pa, &pb, &pc}, 24576 + (64 + 128) * 64 * 4);
  EXPECT_EQ(download<float>(pc, 64 * 128), product(a, b, 64, 128, 64));
}

}  // namespace
}  // namespace kernelwright::target
