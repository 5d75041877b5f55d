// SPDX-License-Identifier: Apache-2.0
// Reading and screening cubins made by hand, and launches against a device's limits.
#include <elf.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <cstring>
#include <functional>

#include "program/parse.h"
#include "support/cubin_writer.h"
#include "target/cuda/cubin.h"
#include "target/cuda/screen.h"

namespace kernelwright::target {
namespace {

using testing::CubinWriter;
using ::testing::HasSubstr;

TEST(Cubin, WhatAKernelTakesIsRead) {
  CubinWriter writer;
  writer.kernel("k", 94, 16, 256, 1024 + 512);
  writer.kernel("l", 32, 0, 0, 0);
  const auto cubin = read_cubin(writer.file());
  ASSERT_TRUE(cubin) << cubin.error().text();
  EXPECT_EQ(cubin->sm, 90);
  ASSERT_EQ(cubin->kernels.size(), 2u);
  const auto* k = cubin->find("k");
  ASSERT_NE(k, nullptr);
  EXPECT_EQ(k->registers, 94);
  EXPECT_EQ(k->stack_bytes, 16);
  EXPECT_EQ(k->max_threads, 256);
  EXPECT_EQ(k->param_bytes, 24);
  // Without the kilobyte that the system keeps on Hopper.
  EXPECT_EQ(k->shared_bytes, 512);
  EXPECT_EQ(cubin->find("l")->shared_bytes, 0);
  EXPECT_EQ(cubin->find("m"), nullptr);
}

// Bounds of any size are a file's word, and no more threads than a device could have.
TEST(Cubin, BoundsBeyondAllMeasureStayNumbers) {
  const uint32_t most = 0xffffffff;
  CubinWriter writer;
  writer.kernel("k", 32, 0, most, 0, {most, most});
  writer.kernel("none", 32, 0, 64, 0, {0, 2});
  const auto cubin = read_cubin(writer.file());
  ASSERT_TRUE(cubin) << cubin.error().text();
  EXPECT_GT(cubin->find("k")->max_threads, 1 << 20);
  EXPECT_EQ(cubin->find("none")->max_threads, 128);
}

TEST(Cubin, OtherFilesAreErrors) {
  EXPECT_THAT(read_cubin("").error().text(), HasSubstr("not an ELF file"));
  EXPECT_THAT(read_cubin(CubinWriter().file(EM_X86_64)).error().text(),
              HasSubstr("not for a CUDA device"));
}

TEST(CudaScreen, AGoodCubinPasses) {
  CubinWriter writer;
  writer.kernel("k", 32, 0, 0, 2048);
  writer.section(".nv.constant3", std::string(16, 'x'));
  writer.symbol(".nv.reservedSmem.offset0", STT_OBJECT, STB_WEAK, 0, 4, 0);
  // A constexpr that nothing asks the address of, and one that is listed for nobody.
  const auto constants = writer.section(".nv.global.init", "abcdefgh", SHF_ALLOC | SHF_WRITE);
  writer.symbol("kTile", STT_OBJECT, STB_LOCAL, constants, 4, 0);
  writer.listed(writer.symbol("kRows", STT_OBJECT, STB_LOCAL, constants, 4, 0));
  EXPECT_EQ(screen_cubin(writer.file(), {"k"}), std::nullopt);
}

std::string reason(const std::function<void(CubinWriter&)>& change) {
  CubinWriter writer;
  writer.kernel("k", 32, 0, 0, 0);
  change(writer);
  return screen_cubin(writer.file(), {"k"}).value_or("");
}

TEST(CudaScreen, WhatItRefuses) {
  EXPECT_THAT(reason([](CubinWriter& w) {
                const auto section = w.empty_section(".nv.global", 4, SHF_ALLOC | SHF_WRITE);
                w.relocation(w.symbol("counter", STT_OBJECT, STB_LOCAL, section, 4, 0));
              }),
              HasSubstr("writable global memory: 'counter' in .nv.global (4 bytes)"));
  EXPECT_THAT(reason([](CubinWriter& w) {
                const auto section = w.section(".nv.global.init", "abcd", SHF_ALLOC | SHF_WRITE);
                w.relocation(w.symbol("", STT_SECTION, STB_LOCAL, section, 0, 0));
              }),
              HasSubstr("writable global memory: section .nv.global.init"));
  EXPECT_THAT(reason([](CubinWriter& w) { w.section(".odd", "abcd", SHF_ALLOC | SHF_WRITE); }),
              HasSubstr("section .odd"));
  EXPECT_THAT(reason([](CubinWriter& w) { w.symbol("vprintf", STT_FUNC, STB_GLOBAL, 0, 0, 0); }),
              HasSubstr("printf in a kernel"));
  EXPECT_THAT(
      reason([](CubinWriter& w) { w.symbol("__assertfail", STT_FUNC, STB_GLOBAL, 0, 0, 0); }),
      HasSubstr("assert in a kernel"));
  EXPECT_THAT(reason([](CubinWriter& w) { w.symbol("malloc", STT_FUNC, STB_GLOBAL, 0, 0, 0); }),
              HasSubstr("device memory allocation"));
  EXPECT_THAT(
      reason([](CubinWriter& w) { w.symbol("cudaLaunchDeviceV2", STT_FUNC, STB_GLOBAL, 0, 0, 0); }),
      HasSubstr("a launch from the device"));
  EXPECT_THAT(reason([](CubinWriter& w) { w.symbol("other", STT_FUNC, STB_GLOBAL, 0, 0, 0); }),
              HasSubstr("undefined symbol 'other'"));
  EXPECT_THAT(reason([](CubinWriter& w) { w.symbol("tex", kCubinTexture, STB_GLOBAL, 1, 0, 0); }),
              HasSubstr("texture reference 'tex'"));
  EXPECT_THAT(reason([](CubinWriter& w) { w.symbol("surf", kCubinSurface, STB_GLOBAL, 1, 0, 0); }),
              HasSubstr("surface reference 'surf'"));
  CubinWriter writer;
  writer.kernel("other", 32, 0, 0, 0);
  EXPECT_EQ(screen_cubin(writer.file(), {"k"}), "kernel 'k' is missing");
}

// --- launches

CudaDevice hopper() {
  CudaDevice device;
  device.major = 9;
  device.multiprocessors = 132;
  device.shared_per_block = 227 << 10;
  device.shared_per_sm = 228 << 10;
  device.shared_reserved = 1024;
  device.cooperative = device.cluster = true;
  return device;
}

// The reason for one launch of "k", written as JSON after the kernel's name.
std::string launch(const std::string& rest, const Cubin::Kernel& kernel,
                   const CudaDevice& device = hopper()) {
  const auto program = program::parse_program(
      R"({"format": 1, "target": "cuda", "source": "k.cu", "params": {"N": 4}, "buffers": {
          "y": {"role": "output", "index": 0}},
          "run": [{"repeat": 2, "body": [{"kernel": "k", "args": [{"out": "y"}], )" +
      rest + "}]}]}");
  EXPECT_TRUE(program) << program.error().text();
  Cubin cubin;
  cubin.kernels = {kernel};
  return screen_launches(cubin, *program, device).value_or("");
}

Cubin::Kernel kernel_with(int registers, int64_t shared = 0, int max_threads = 0) {
  Cubin::Kernel kernel;
  kernel.name = "k";
  kernel.registers = registers;
  kernel.shared_bytes = shared;
  kernel.max_threads = max_threads;
  return kernel;
}

TEST(CudaScreen, ALaunchWithinTheLimitsPasses) {
  EXPECT_EQ(launch(R"("grid": ["N * 100"], "block": [256], "shared_bytes": 200000)",
                   kernel_with(128, 1000)),
            "");
  EXPECT_EQ(launch(R"("grid": [264], "block": [384], "cooperative": true)", kernel_with(80)), "");
}

TEST(CudaScreen, ALaunchOverALimitIsRefusedWithTheNumbers) {
  EXPECT_EQ(launch(R"("grid": [1], "block": [512], "shared_bytes": 0)", kernel_with(32, 0, 256)),
            "refused before launch: kernel 'k': 512 threads per block, over the 256 of its "
            "__launch_bounds__");
  EXPECT_THAT(launch(R"("grid": [1], "block": [1024])", kernel_with(100)),
              HasSubstr("take 106496 registers, over the 65536 of a block"));
  EXPECT_THAT(launch(R"("grid": [1], "block": [32], "shared_bytes": 232448)", kernel_with(32, 16)),
              HasSubstr("232464 bytes of shared memory (16 static, 232448 dynamic), over the "
                        "device's 232448"));
  EXPECT_THAT(launch(R"("grid": [1, 65536], "block": [32])", kernel_with(32)),
              HasSubstr("a grid 65536 wide in y, over the device's 65535"));
  EXPECT_THAT(launch(R"("grid": [1], "block": [1, 1, 128])", kernel_with(32)),
              HasSubstr("a block 128 wide in z"));
  EXPECT_THAT(launch(R"("grid": [5], "block": [32], "cluster": [2])", kernel_with(32)),
              HasSubstr("no multiple of the cluster's 2"));
  EXPECT_THAT(launch(R"("grid": [133], "block": [1024], "cooperative": true)", kernel_with(64)),
              HasSubstr("133 blocks, of which 132 fit at once (1 on each of 132"));
  EXPECT_THAT(launch(R"("grid": {"resident_per_sm": 3}, "block": [768])", kernel_with(32)),
              HasSubstr("3 blocks per multiprocessor asked for, 2 fit"));
  CudaDevice ampere = hopper();
  ampere.major = 8;
  ampere.cluster = false;
  EXPECT_THAT(launch(R"("grid": [4], "block": [32], "cluster": [2])", kernel_with(32), ampere),
              HasSubstr("a cluster, which sm_80 has not"));
}

TEST(CudaScreen, ResidentBlocksFollowTheScarcestResource) {
  EXPECT_EQ(resident_blocks(kernel_with(32), 1024, 0, hopper()), 2);
  EXPECT_EQ(resident_blocks(kernel_with(255), 256, 0, hopper()), 1);
  EXPECT_EQ(resident_blocks(kernel_with(128), 128, 0, hopper()), 4);
  EXPECT_EQ(resident_blocks(kernel_with(16), 32, 0, hopper()), 32);
  EXPECT_EQ(resident_blocks(kernel_with(32), 128, 64 << 10, hopper()), 3);
}

}  // namespace
}  // namespace kernelwright::target
