// SPDX-License-Identifier: Apache-2.0
// The CUDA toolchain and its screen, with NVRTC or nvcc where either is; no GPU is needed.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <filesystem>
#include <thread>

#include "base/file.h"
#include "target/build_settings.h"
#include "target/cuda/cubin.h"
#include "target/cuda/device_sources.h"
#include "target/cuda/nvrtc_process.h"
#include "target/cuda/screen.h"
#include "target/cuda/toolchain.h"

namespace kernelwright::target {
namespace {

namespace fs = std::filesystem;
using ::testing::AllOf;
using ::testing::HasSubstr;
using ::testing::IsEmpty;
using ::testing::Not;

const fs::path kCache = KW_BINARY_DIR "/test-cache";

CudaCompileJob job_of(std::string source, std::vector<std::string> kernels = {"k"}) {
  CudaCompileJob job;
  job.source = std::move(source);
  job.kernels = std::move(kernels);
  job.arch = "sm_90a";
  return job;
}

class CudaCompiling : public ::testing::Test {
 protected:
  struct Built {
    std::string log;    // of a failure, else warnings
    std::string cubin;  // empty: a failure
    std::vector<KernelResources> kernels;
    bool timed_out = false;
  };
  Built build(const CudaCompileJob& job, const CudaCompileLimits& limits = {}) {
    const auto folder = base::TempDir::create("kw-test");
    EXPECT_TRUE(folder);
    const auto output = compile_cuda(compiler_, job, folder->path(), limits);
    EXPECT_TRUE(output) << output.error().text();
    if (!output) return {};
    if (!*output) return {output->error().log, "", {}, output->error().timed_out};
    const auto bytes = base::read_file(folder->path() / "object.cubin");
    EXPECT_TRUE(bytes);
    return {(*output)->log, *bytes, (*output)->kernels, false};
  }
  // The screen's reason; "" when it passes.
  std::string verdict(const std::string& source) {
    const Built built = build(job_of(source));
    EXPECT_THAT(built.cubin, Not(IsEmpty())) << built.log;
    return screen_cubin(built.cubin, {"k"}).value_or("");
  }
  CudaCompiler compiler_;
};

// Set-up installs NVRTC.
class CudaNvrtc : public CudaCompiling {
 protected:
  void SetUp() override {
    const auto found = find_cuda_compiler("nvrtc", kCache);
    ASSERT_TRUE(found) << found.error().text();
    compiler_ = *found;
  }
};

// By name of the compiler: "nvrtc", "nvcc".
class CudaToolchain : public CudaNvrtc, public ::testing::WithParamInterface<const char*> {
 protected:
  void SetUp() override {
    if (GetParam() == std::string("nvrtc")) return CudaNvrtc::SetUp();
    const auto found = find_cuda_compiler(GetParam(), kCache);
    if (!found) GTEST_SKIP() << found.error().text();
    compiler_ = *found;
  }
};

// By device: the oldest, the developed-on and the newest.
class CudaSources : public CudaNvrtc, public ::testing::WithParamInterface<const char*> {};

TEST_P(CudaToolchain, AKernelWithParamsAndHeadersIsBuilt) {
  CudaCompileJob job = job_of(R"(#include "kw_cuda.h"
extern "C" __global__ void __launch_bounds__(128) k(const float* x, float* y) {
  __shared__ float part[WIDTH];
  part[threadIdx.x] = x[threadIdx.x];
  __syncthreads();
  y[threadIdx.x] = kw_sigmoid(part[WIDTH - 1 - threadIdx.x]) + (float)(LOW);
})");
  job.defines = {{"WIDTH", 128}, {"LOW", -3}};
  job.flags = {"--maxrregcount=64"};
  const Built built = build(job);
  ASSERT_THAT(built.cubin, Not(IsEmpty())) << built.log;
  EXPECT_EQ(screen_cubin(built.cubin, {"k"}), std::nullopt);
  ASSERT_EQ(built.kernels.size(), 1u);
  EXPECT_EQ(built.kernels[0].kernel, "k");
  EXPECT_GT(built.kernels[0].registers, 0);
  EXPECT_LE(built.kernels[0].registers, 64);
  EXPECT_EQ(built.kernels[0].shared_bytes, 512);
  EXPECT_EQ(built.kernels[0].spill_store_bytes, 0);
  const auto cubin = read_cubin(built.cubin);
  ASSERT_TRUE(cubin);
  EXPECT_EQ(cubin->sm, 90);
  EXPECT_EQ(cubin->find("k")->max_threads, 128);
  EXPECT_EQ(cubin->find("k")->param_bytes, 16);
}

TEST_P(CudaToolchain, StackAndSpillsAreReported) {
  CudaCompileJob job = job_of(R"(
extern "C" __global__ void k(const float* x, float* y, int n) {
  float kept[64];
#pragma unroll
  for (int i = 0; i < 64; ++i) kept[i] = x[i * n];
  __syncthreads();
#pragma unroll
  for (int i = 0; i < 64; ++i) y[i * n] = kept[i] * kept[63 - i];
})");
  job.flags = {"--maxrregcount=24"};
  const Built built = build(job);
  ASSERT_EQ(built.kernels.size(), 1u) << built.log;
  EXPECT_GT(built.kernels[0].stack_bytes, 0);
  EXPECT_GT(built.kernels[0].spill_store_bytes, 0);
  EXPECT_GT(built.kernels[0].spill_load_bytes, 0);
}

TEST_P(CudaToolchain, ErrorsComeInTheCompilersWords) {
  EXPECT_THAT(build(job_of("extern \"C\" __global__ void k() { nonsense(); }")).log,
              AllOf(HasSubstr("kernels.cu"), HasSubstr("nonsense"), Not(HasSubstr("/tmp/"))));
  EXPECT_THAT(
      build(job_of("__global__ void k() {}")).log,
      HasSubstr("kernel 'k' is not defined; expected: extern \"C\" __global__ void k(...)"));
  CudaCompileJob job = job_of("");
  job.source_name = "../k.cu";
  EXPECT_THAT(build(job).log, HasSubstr("plain name"));
}

TEST_P(CudaToolchain, OnlyOurHeadersMayBeIncluded) {
  const std::string kernel = "\nextern \"C\" __global__ void k() {}\n";
  for (const char* file : {"/etc/passwd", "/usr/include/elf.h"}) {
    const Built built = build(job_of(std::string("#include \"") + file + "\"" + kernel));
    EXPECT_THAT(built.cubin, IsEmpty()) << file;
    EXPECT_THAT(built.log, HasSubstr(file));
  }
  EXPECT_THAT(build(job_of("#include <cuda_fp16.h>" + kernel)).log,
              AllOf(HasSubstr("cuda_fp16.h"), HasSubstr("kw_cuda.h")));
}

TEST_P(CudaToolchain, ABuildThatTakesTooLongIsStopped) {
  CudaCompileLimits limits;
  limits.wall_s = 1.5;
  const Built built = build(job_of(R"(
template <int N> struct Deep { static __device__ float f(float x) { return Deep<N - 1>::f(x * x + N) + Deep<N - 1>::f(x + N); } };
template <> struct Deep<0> { static __device__ float f(float x) { return x; } };
extern "C" __global__ void k(float* x) { *x = Deep<24>::f(*x); })"),
                            limits);
  EXPECT_TRUE(built.timed_out) << built.log;
  EXPECT_THAT(built.log, HasSubstr("stopped after 1.5 s"));
}

TEST_P(CudaToolchain, StateBetweenCallsIsRefusedByName) {
  EXPECT_THAT(verdict("__device__ int counter;\n"
                      "extern \"C\" __global__ void k(int* y) { *y = counter++; }"),
              AllOf(HasSubstr("writable global memory: 'counter'"), HasSubstr("4 bytes")));
  EXPECT_THAT(verdict("__device__ volatile int seen = 7;\n"
                      "extern \"C\" __global__ void k(int* y) { *y = seen++; }"),
              HasSubstr("'seen' in .nv.global.init"));
  EXPECT_EQ(verdict("__constant__ int table[3] = {1, 2, 3};\n"
                    "extern \"C\" __global__ void k(int* y, int i) { *y = table[i]; }"),
            "");
}

TEST_P(CudaToolchain, CallsIntoTheSystemAreRefused) {
  EXPECT_THAT(verdict("extern \"C\" __device__ int printf(const char*, ...);\n"
                      "extern \"C\" __global__ void k(int* y) { printf(\"%d\", *y); }"),
              HasSubstr("printf in a kernel (undefined symbol 'vprintf')"));
  EXPECT_THAT(verdict("extern \"C\" __global__ void k(int** y, int n) { *y = new int[n]; }"),
              HasSubstr("device memory allocation in a kernel (undefined symbol 'malloc')"));
}

// Constants beside the kernels stay, a variable in global memory does not, whatever the compiler
// makes of either.
TEST_P(CudaToolchain, ConstantsStayAndVariablesDoNot) {
  EXPECT_EQ(verdict("constexpr int kRows = 4, kColumns = 2;\n"
                    "extern \"C\" __global__ void k(int* y) { *y = kRows + kColumns; }"),
            "");
  EXPECT_THAT(verdict("__device__ int seen = 1;\n"
                      "extern \"C\" __global__ void k(int* y) { *y = ++seen; }"),
              HasSubstr("'seen' in .nv.global"));
  EXPECT_THAT(verdict("static __device__ int seen;\n"
                      "extern \"C\" __global__ void k(int* y) { *y = ++seen; }"),
              HasSubstr("writable global memory"));
  EXPECT_THAT(verdict("constexpr int kRows = 4;\nstatic __device__ int seen[2] = {1, 2};\n"
                      "extern \"C\" __global__ void k(int* y) { *y = ++seen[*y & 1] + kRows; }"),
              HasSubstr("writable global memory"));
}

TEST_P(CudaToolchain, BuildsRunSideBySide) {
  std::vector<std::thread> threads;
  std::vector<std::string> cubins(4);
  for (size_t i = 0; i < cubins.size(); ++i)
    threads.emplace_back([&, i] {
      cubins[i] =
          build(
              job_of("extern \"C\" __global__ void k(int* y) { *y = " + std::to_string(i) + "; }"))
              .cubin;
    });
  for (auto& thread : threads) thread.join();
  for (const auto& cubin : cubins) EXPECT_EQ(screen_cubin(cubin, {"k"}), std::nullopt);
  EXPECT_NE(cubins[0], cubins[1]);
}

TEST_P(CudaToolchain, TheKeyFollowsWhatIsBuilt) {
  const CudaCompileJob job = job_of("source");
  CudaCompileJob other = job;
  EXPECT_EQ(cuda_compile_key(compiler_, job), cuda_compile_key(compiler_, other));
  other.arch = "sm_80";
  EXPECT_NE(cuda_compile_key(compiler_, job), cuda_compile_key(compiler_, other));
  other = job;
  other.defines["N"] = 1;
  EXPECT_NE(cuda_compile_key(compiler_, job), cuda_compile_key(compiler_, other));
  CudaCompiler newer = compiler_;
  newer.identity += "x";
  EXPECT_NE(cuda_compile_key(compiler_, job), cuda_compile_key(newer, job));
}

// A source with the header that it includes by a path written in: compilers get the device headers
// alone.
std::string self_contained(const fs::path& source) {
  std::string text = base::read_file(source).value_or("");
  const std::string mark = "#include \"../";
  const size_t at = text.find(mark);
  if (at == std::string::npos) return text;
  const size_t end = text.find('"', at + mark.size());
  const fs::path header =
      source.parent_path().parent_path() / text.substr(at + mark.size(), end - at - mark.size());
  return text.replace(at, end + 1 - at, base::read_file(header).value_or("#error no header"));
}

// Every CUDA source of this project.
TEST_P(CudaSources, AreCompiled) {
  std::vector<fs::path> sources = {fs::path(KW_SOURCE_DIR) / "tests/cuda/headers.cu",
                                   fs::path(KW_SOURCE_DIR) / "tests/cuda/device_check.cu"};
  for (const auto& entry : fs::recursive_directory_iterator(fs::path(KW_SOURCE_DIR) / "src"))
    if (entry.path().extension() == ".cu") sources.push_back(entry.path());
  EXPECT_GE(sources.size(), 2u);
  for (const auto& source : sources) {
    CudaCompileJob job = job_of(self_contained(source), {});
    job.arch = GetParam();
    const Built built = build(job);
    EXPECT_THAT(built.cubin, Not(IsEmpty())) << source << "\n" << built.log;
    // The referee's own kernels are no candidates.
    if (!built.cubin.empty() && source.string().find("src/referee") == std::string::npos) {
      EXPECT_EQ(screen_cubin(built.cubin, {}), std::nullopt) << source;
    }
  }
}

TEST_F(CudaNvrtc, EachHeaderStandsAlone) {
  for (const auto& header : cuda_device_sources()) {
    if (!header.name.ends_with(".h")) continue;
    CudaCompileJob job = job_of("#include \"" + header.name + "\"\n", {});
    EXPECT_THAT(build(job).cubin, Not(IsEmpty())) << header.name;
  }
}

// The proof programs, each for the device it was written for.
TEST_F(CudaNvrtc, EveryProofProgramIsCompiled) {
  const fs::path folder = fs::path(KW_SOURCE_DIR) / "tests/honest/cuda";
  std::error_code ec;
  for (fs::directory_iterator it(folder, ec), end; !ec && it != end; it.increment(ec)) {
    if (!fs::exists(it->path() / "program.json")) continue;
    const auto candidate = program::read_candidate(it->path());
    ASSERT_TRUE(candidate) << candidate.error().text();
    CudaCompileJob job = job_of(candidate->source, kernel_names(candidate->program));
    job.defines = candidate->program.params;
    job.flags = candidate->program.flags;
    if (!candidate->program.arch.empty()) job.arch = candidate->program.arch;
    const Built built = build(job);
    EXPECT_THAT(built.cubin, Not(IsEmpty())) << it->path() << "\n" << built.log;
    EXPECT_EQ(screen_cubin(built.cubin, job.kernels), std::nullopt) << it->path();
  }
}

INSTANTIATE_TEST_SUITE_P(Compilers, CudaToolchain, ::testing::Values("nvrtc", "nvcc"),
                         [](const auto& one) { return std::string(one.param); });
INSTANTIATE_TEST_SUITE_P(Devices, CudaSources, ::testing::Values("sm_80", "sm_90a", "sm_100"),
                         [](const auto& one) { return std::string(one.param); });

TEST(CudaArch, CodeIsMadeForTheVeryDevice) {
  CudaCompiler compiler;
  compiler.version = "NVRTC 13.0";
  compiler.archs = {75, 80, 90, 100};
  EXPECT_EQ(*cuda_arch(compiler, 9, 0), "sm_90a");
  EXPECT_EQ(*cuda_arch(compiler, 10, 0), "sm_100a");
  EXPECT_EQ(*cuda_arch(compiler, 8, 0), "sm_80");
  const auto unknown = cuda_arch(compiler, 12, 0);
  ASSERT_FALSE(unknown);
  EXPECT_EQ(unknown.error().text(), "NVRTC 13.0 does not know devices of sm_120");
}

TEST(CudaArch, WhatRunsWhere) {
  EXPECT_EQ(arch_misfit("sm_90a", 9, 0), "");
  EXPECT_EQ(arch_misfit("sm_90", 9, 0), "");
  EXPECT_EQ(arch_misfit("sm_80", 8, 6), "");
  EXPECT_EQ(arch_misfit("sm_100f", 10, 3), "");
  EXPECT_THAT(arch_misfit("sm_86", 8, 0), HasSubstr("does not run on this device, which is sm_80"));
  EXPECT_THAT(arch_misfit("sm_90a", 10, 0), HasSubstr("does not run"));
  EXPECT_THAT(arch_misfit("sm_100a", 10, 3), HasSubstr("does not run"));
  EXPECT_THAT(arch_misfit("compute_90", 9, 0), HasSubstr("no architecture"));
}

TEST(CudaCompilers, AMissingOneIsNamed) {
  const auto missing = find_cuda_compiler("/no/such/libnvrtc.so", kCache);
  ASSERT_FALSE(missing);
  EXPECT_EQ(missing.error().text(),
            "KERNELWRIGHT_CUDA_COMPILER: there is no compiler '/no/such/libnvrtc.so'");
  const auto folder = base::TempDir::create("kw-test");
  ASSERT_TRUE(folder);
  const fs::path broken = folder->path() / "libnvrtc.so.13";
  ASSERT_TRUE(base::write_file_atomic(broken, "no library"));
  const auto unusable = find_cuda_compiler(broken.string(), kCache);
  ASSERT_FALSE(unusable);
  EXPECT_THAT(unusable.error().text(), HasSubstr("cannot open NVRTC"));
}

TEST(CudaResources, JsonAndBack) {
  const std::vector<KernelResources> kernels = {{"k", 94, 1024, 16, 8, 4}};
  const auto again = parse_resources(resources_json(kernels));
  ASSERT_EQ(again.size(), 1u);
  EXPECT_EQ(again[0].kernel, "k");
  EXPECT_EQ(again[0].spill_load_bytes, 4);
  EXPECT_EQ(resources_text(kernels),
            "k: 94 registers, 12 bytes spilled, 1024 bytes shared, 16 bytes of stack\n");
  EXPECT_THAT(parse_resources("[{}]"), IsEmpty());
}

}  // namespace
}  // namespace kernelwright::target
