// SPDX-License-Identifier: Apache-2.0
// Reading and screening cubins made by hand, and launches against a device's limits.
#include <elf.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <cstring>
#include <functional>
#include <random>

#include "program/parse.h"
#include "target/cuda/cubin.h"
#include "target/cuda/screen.h"

namespace kernelwright::target {
namespace {

using ::testing::HasSubstr;

// Writes an ELF file with the sections and symbols that a test wants.
class CubinWriter {
 public:
  CubinWriter() {
    add_section("", SHT_NULL, 0, "");
    symbol("", 0, 0, 0, 0, 0);
  }
  uint32_t section(const std::string& name, const std::string& content, uint64_t flags = SHF_ALLOC,
                   uint32_t type = SHT_PROGBITS) {
    return add_section(name, type, flags, content);
  }
  // Takes up memory, none of the file.
  uint32_t empty_section(const std::string& name, uint64_t size, uint64_t flags) {
    const uint32_t index = add_section(name, SHT_NOBITS, flags, "");
    sections_[index].sh_size = size;
    return index;
  }
  uint32_t symbol(const std::string& name, int type, int bind, uint32_t section, uint64_t size,
                  unsigned char other) {
    Elf64_Sym symbol{};
    symbol.st_name = text(symbol_names_, name);
    symbol.st_info = static_cast<unsigned char>(ELF64_ST_INFO(bind, type));
    symbol.st_other = other;
    symbol.st_shndx = static_cast<uint16_t>(section);
    symbol.st_size = size;
    symbols_.append(reinterpret_cast<const char*>(&symbol), sizeof symbol);
    return static_cast<uint32_t>(symbols_.size() / sizeof symbol) - 1;
  }
  // A kernel with registers, a stack, launch bounds and static shared memory.
  void kernel(const std::string& name, uint32_t registers, uint32_t stack, uint32_t max_threads,
              uint64_t shared) {
    const uint32_t code =
        section(".text." + name, std::string(128, '\0'), SHF_ALLOC | SHF_EXECINSTR);
    const uint32_t index = symbol(name, STT_FUNC, STB_GLOBAL, code, 128, 0x10);
    info_ += record(0x2f, {index, registers}) + record(0x11, {index, stack});
    std::string own;
    if (max_threads > 0) own += record(0x05, {max_threads, 1, 1});
    own += std::string("\x03\x19\x18\x00", 4);  // 24 bytes of parameters
    section(".nv.info." + name, own, 0);
    if (shared > 0) empty_section(".nv.shared." + name, shared, SHF_ALLOC | SHF_WRITE);
  }
  // The symbol's address is listed for code to load, and some code does.
  void relocation(uint32_t symbol) {
    std::string load(16, '\0');
    load[1] = 0x0a;  // an operand in a constant bank
    load[7] = 0x01;  // bank 4
    section(".text.reader", load, SHF_ALLOC | SHF_EXECINSTR);
    listed(symbol);
  }
  void listed(uint32_t symbol) {
    Elf64_Rela entry{};
    entry.r_info = ELF64_R_INFO(static_cast<uint64_t>(symbol), 2);
    section(".rela.nv.constant4", std::string(reinterpret_cast<const char*>(&entry), sizeof entry),
            0, SHT_RELA);
  }
  std::string file(uint16_t machine = 190, uint32_t flags = 0x6005a04) {
    section(".nv.info", info_, 0);
    std::string names_of_symbols = symbol_names_;
    const uint32_t strings = section(".strtab", names_of_symbols, 0, SHT_STRTAB);
    const uint32_t table = section(".symtab", symbols_, 0, SHT_SYMTAB);
    sections_[table].sh_link = strings;
    const uint32_t names = add_section(".shstrtab", SHT_STRTAB, 0, "");
    contents_[names] = section_names_;
    Elf64_Ehdr header{};
    std::memcpy(header.e_ident, ELFMAG, SELFMAG);
    header.e_ident[EI_CLASS] = ELFCLASS64;
    header.e_ident[EI_DATA] = ELFDATA2LSB;
    header.e_ident[EI_ABIVERSION] = 8;
    header.e_type = ET_EXEC;
    header.e_machine = machine;
    header.e_flags = flags;
    header.e_shentsize = sizeof(Elf64_Shdr);
    header.e_shnum = static_cast<uint16_t>(sections_.size());
    header.e_shstrndx = static_cast<uint16_t>(names);
    std::string out(sizeof header, '\0');
    for (size_t i = 0; i < sections_.size(); ++i) {
      sections_[i].sh_offset = out.size();
      if (sections_[i].sh_type != SHT_NOBITS) sections_[i].sh_size = contents_[i].size();
      out += contents_[i];
    }
    header.e_shoff = out.size();
    for (const auto& section : sections_)
      out.append(reinterpret_cast<const char*>(&section), sizeof section);
    std::memcpy(out.data(), &header, sizeof header);
    return out;
  }

 private:
  static std::string record(uint8_t attribute, std::vector<uint32_t> words) {
    std::string out = {4, static_cast<char>(attribute), static_cast<char>(words.size() * 4), 0};
    out.append(reinterpret_cast<const char*>(words.data()), words.size() * 4);
    return out;
  }
  static uint32_t text(std::string& table, const std::string& name) {
    const auto at = static_cast<uint32_t>(table.size());
    table += name + '\0';
    return at;
  }
  uint32_t add_section(const std::string& name, uint32_t type, uint64_t flags,
                       const std::string& content) {
    Elf64_Shdr section{};
    section.sh_name = text(section_names_, name);
    section.sh_type = type;
    section.sh_flags = flags;
    sections_.push_back(section);
    contents_.push_back(content);
    return static_cast<uint32_t>(sections_.size()) - 1;
  }
  std::vector<Elf64_Shdr> sections_;
  std::vector<std::string> contents_;
  std::string section_names_, symbol_names_, symbols_, info_;
};

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

TEST(Cubin, OtherFilesAreErrors) {
  EXPECT_THAT(read_cubin("").error().text(), HasSubstr("not an ELF file"));
  EXPECT_THAT(read_cubin(CubinWriter().file(EM_X86_64)).error().text(),
              HasSubstr("not for a CUDA device"));
}

TEST(Cubin, DamageIsAnErrorAndNeverAFault) {
  CubinWriter writer;
  writer.kernel("k", 94, 16, 256, 2048);
  const std::string good = writer.file();
  std::mt19937 random(7);
  for (int round = 0; round < 3000; ++round) {
    std::string bad = good;
    for (int hit = 0; hit < 4; ++hit) bad[random() % bad.size()] = static_cast<char>(random());
    if (round % 3 == 0) bad.resize(random() % bad.size());
    (void)screen_cubin(bad, {"k"});
  }
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
