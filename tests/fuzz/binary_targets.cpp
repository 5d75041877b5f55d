// SPDX-License-Identifier: Apache-2.0
// Readers of what compilers make of untrusted source, and of what tools print about it.
#include "base/file.h"
#include "fuzz/targets.h"
#include "referee/cuda/sanitizer.h"
#include "support/cubin_writer.h"
#include "support/kernel_object.h"
#include "target/cpu/elf.h"
#include "target/cpu/screen.h"
#include "target/cuda/cubin.h"
#include "target/cuda/screen.h"

namespace kernelwright::fuzz {
namespace {

void read_object(std::string_view bytes) {
  if (const auto object = target::read_elf(bytes)) {
    for (const Elf64_Phdr& segment : object->segments) {
      const auto inside = object->bytes_of(segment, bytes);
      require(inside.empty() || (inside.data() >= bytes.data() &&
                                 inside.data() + inside.size() <= bytes.data() + bytes.size()),
              "a segment lies in its file");
    }
  }
  static_cast<void>(target::screen_object(bytes, {"k"}));
  static_cast<void>(target::contains_system_call(bytes));
}

std::vector<std::string> objects() {
  const std::string path = testing::build_kernels(
      "extern \"C\" void k(const kw_args* args, int64_t begin, int64_t end) {\n"
      "  for (int64_t i = begin; i < end; ++i) ((float*)args->buffers[0])[i] = 1;\n}\n");
  return {base::read_file(path, 1 << 20).value()};
}

void read_gpu_object(std::string_view bytes) {
  const auto cubin = target::read_cubin(bytes);
  if (!cubin) require(cubin.error().kind == ErrorKind::kInput, "bad input is a kInput error");
  static_cast<void>(target::screen_cubin(bytes, {"k"}));
}

std::vector<std::string> gpu_objects() {
  testing::CubinWriter writer;
  writer.kernel("k", 94, 16, 256, 2048);
  const auto constants = writer.section(".nv.global.init", "abcdefgh", SHF_ALLOC | SHF_WRITE);
  writer.relocation(writer.symbol("kRows", STT_OBJECT, STB_LOCAL, constants, 4, 0));
  return {writer.file()};
}

void read_listing(std::string_view text) {
  static_cast<void>(target::screen_disassembly(text));
  static_cast<void>(referee::sanitizer_finding(std::string(text)));
}

std::vector<std::string> listings() {
  return {
      "0000000000001100 <k>:\n    1100:\tc5 fc 10 04 07       \tvmovups ymm0,YMMWORD PTR "
      "[rdi+rax*1]\n"
      "    1105:\tc3                   \tret\n",
      "========= COMPUTE-SANITIZER\n========= Invalid __global__ read of size 4 bytes\n=========   "
      "  at k+0x90\n"
      "========= ERROR SUMMARY: 1 error\n"};
}

}  // namespace

std::vector<Target> binary_targets() {
  return {{"elf", read_object, objects},
          {"cubin", read_gpu_object, gpu_objects},
          {"listing", read_listing, listings}};
}

}  // namespace kernelwright::fuzz
