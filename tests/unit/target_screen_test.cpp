// SPDX-License-Identifier: Apache-2.0
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <cstring>
#include <random>

#include "base/file.h"
#include "base/subprocess.h"
#include "target/cpu/elf.h"
#include "target/cpu/screen.h"
#include "target/cpu/toolchain.h"

namespace kernelwright::target {
namespace {

using ::testing::HasSubstr;

constexpr const char* kGood = R"(
#include "kernelwright/kernel_abi.h"
#include "kw_math.h"
#include <cstring>
static const float table[4] = {1, 2, 3, 4};
static float (*const pointers[2])(float) = {kw_exp, kw_tanh};
extern "C" void k(const kw_args* a, int64_t begin, int64_t end) {
  float* y = (float*)a->buffers[0];
  for (int64_t i = begin; i < end; ++i) y[i] = __builtin_atan2f(y[i], table[i & 3]) + pointers[i & 1](y[i]);
  memset(y, 0, (size_t)a->scratch_bytes);
}
)";

class Screen : public ::testing::Test {
 protected:
  static void SetUpTestSuite() {
    auto folder = base::TempDir::create("kw-test");
    ASSERT_TRUE(folder);
    auto compiler = find_compiler("", KW_BINARY_DIR "/test-cache");
    if (compiler) compiler_ = new Compiler(*compiler);
  }
  static void TearDownTestSuite() { delete compiler_; }
  void SetUp() override {
    if (compiler_ == nullptr) GTEST_SKIP() << "no compiler";
  }
  // Builds `source` as a candidate that names the kernel k.
  static std::string build(const std::string& source, const base::TempDir& folder) {
    CompileJob job;
    job.source = source;
    job.exports = {"k"};
    const auto output = compile(*compiler_, job, folder.path(), {});
    EXPECT_TRUE(output && *output) << (output && !*output ? output->error().log : "");
    const auto bytes = base::read_file(folder.path() / "object.so");
    return bytes ? *bytes : "";
  }
  // The reason of the whole screen; "" when it passes.
  static std::string verdict(const std::string& source) {
    auto folder = base::TempDir::create("kw-test");
    EXPECT_TRUE(folder);
    const std::string bytes = build(source, *folder);
    if (auto reason = screen_object(bytes, {"k"})) return *reason;
    const auto listing = disassemble(folder->path() / "object.so");
    EXPECT_TRUE(listing) << listing.error().text();
    if (!listing || !*listing) return "";
    return screen_disassembly(**listing).value_or("");
  }
  // The same for a kernel with one statement.
  static std::string body(const std::string& statement, const std::string& globals = "") {
    return verdict(globals + "\nextern \"C\" int k() { " + statement + "; return 0; }\n");
  }
  static Compiler* compiler_;
};
Compiler* Screen::compiler_ = nullptr;

TEST_F(Screen, AGoodObjectPasses) {
  EXPECT_EQ(verdict(kGood), "");
}

TEST_F(Screen, StateBetweenCallsIsRefusedByName) {
  EXPECT_THAT(body("return ++counter", "static int counter;"),
              ::testing::AllOf(HasSubstr("writable data: 'counter"), HasSubstr(".bss (4 bytes)")));
  EXPECT_THAT(body("return counter++", "static volatile long counter = 7;"),
              ::testing::AllOf(HasSubstr("'counter' in .data (8 bytes)")));
  EXPECT_THAT(body("static int calls; return ++calls"), HasSubstr("writable data: '"));
  EXPECT_THAT(body("return ++counter", "static thread_local int counter;"),
              ::testing::AllOf(HasSubstr("thread-local variable"), HasSubstr("counter")));
  EXPECT_THAT(body("asm(\".pushsection .mine,\\\"aw\\\",@progbits; .quad 1; .popsection\")"),
              HasSubstr("section .mine"));
}

TEST_F(Screen, CodeOutsideKernelsIsRefused) {
  EXPECT_THAT(body("", "__attribute__((constructor)) static void early() { asm volatile(\"\"); }"),
              HasSubstr("constructor"));
  EXPECT_THAT(body("", "__attribute__((destructor)) static void late() { asm volatile(\"\"); }"),
              HasSubstr("destructor"));
  EXPECT_THAT(
      body("return f()",
           "extern \"C\" { static int one() { return 1; } static int (*pick())() { return one; }\n"
           "static int f() __attribute__((ifunc(\"pick\"))); }"),
      HasSubstr("ifunc"));
}

TEST_F(Screen, CallsOutsideTheListAreRefusedByName) {
  EXPECT_EQ(body("return getpid()", "extern \"C\" int getpid();"),
            "undefined symbol 'getpid': a kernel may call only memory and math functions");
  EXPECT_THAT(body("return *(int*)malloc(4)", "extern \"C\" void* malloc(unsigned long);"),
              HasSubstr("'malloc'"));
  EXPECT_THAT(body("return errno_", "extern \"C\" int errno_;"), HasSubstr("'errno_'"));
}

TEST_F(Screen, ExportsAreTheKernels) {
  auto folder = base::TempDir::create("kw-test");
  ASSERT_TRUE(folder);
  const std::string bytes = build(kGood, *folder);
  EXPECT_EQ(screen_object(bytes, {"k", "other"}), "kernel 'other' is missing");
  EXPECT_EQ(screen_object(bytes, {}), "exports 'k', which is no kernel of the program");
  EXPECT_THAT(verdict("extern \"C\" const int k = 3;"), HasSubstr("'k' is not a function"));
}

TEST_F(Screen, SystemCallBytesAreRefusedAnywhereInCode) {
  EXPECT_THAT(body("asm volatile(\"syscall\")"), HasSubstr("the bytes of syscall at 0x"));
  EXPECT_THAT(body("asm volatile(\"syscall\")"), HasSubstr("in 'k'"));
  EXPECT_THAT(body("asm volatile(\"sysenter\")"), HasSubstr("the bytes of sysenter"));
  EXPECT_THAT(body("asm volatile(\"int $0x80\")"), HasSubstr("the bytes of int 0x80"));
  // Inside an immediate.
  EXPECT_THAT(body("asm volatile(\"movl $0x050f, %%eax\" ::: \"eax\")"),
              HasSubstr("the bytes of syscall"));
}

TEST_F(Screen, ADisplacementThatLooksLikeASystemCallIsLinkedAway) {
  // In the first layout the displacement of the table is 0x50f.
  EXPECT_EQ(verdict("asm(\".text\\n.globl k\\n.type k,@function\\nk:\\n.skip 0xaea,0x90\\nlea "
                    "table(%rip),%rax\\nret\\n\"\n"
                    "\".size k,.-k\\n.section .rodata\\ntable: .quad 0\\n.text\");\n"),
            "");
}

TEST_F(Screen, InstructionsAreRefusedByName) {
  const auto listing = disassemble("/bin/true");
  if (!listing || !*listing) GTEST_SKIP() << "no disassembler";
  EXPECT_THAT(body("unsigned a, d; asm volatile(\"rdtsc\" : \"=a\"(a), \"=d\"(d)); return a"),
              ::testing::AllOf(HasSubstr("'rdtsc' in 'k'"), HasSubstr("clock")));
  EXPECT_THAT(body("asm volatile(\"mov %fs:0, %rax\")"), HasSubstr("segment"));
  EXPECT_EQ(body("long n = 0; asm volatile(\"rep stosq\" : \"+c\"(n) : : \"memory\")"), "");
  EXPECT_THAT(body("asm volatile(\"lock; rep; ldmxcsr (%rsp)\")"), HasSubstr("control word"));
}

TEST_F(Screen, AnExecutableStackIsRefused) {
  auto folder = base::TempDir::create("kw-test");
  ASSERT_TRUE(folder);
  std::string bytes = build(kGood, *folder);
  Elf64_Ehdr header;
  std::memcpy(&header, bytes.data(), sizeof header);
  for (int i = 0; i < header.e_phnum; ++i) {
    char* at = bytes.data() + header.e_phoff + static_cast<size_t>(i) * sizeof(Elf64_Phdr);
    Elf64_Phdr segment;
    std::memcpy(&segment, at, sizeof segment);
    const Elf64_Phdr before = segment;
    const auto with = [&] {
      std::memcpy(at, &segment, sizeof segment);
      const auto reason = screen_object(bytes, {"k"});
      std::memcpy(at, &before, sizeof before);
      segment = before;
      return reason.value_or("");
    };
    if (segment.p_type == PT_GNU_STACK) {
      segment.p_flags |= PF_X;
      EXPECT_EQ(with(), "an executable stack");
      segment.p_type = PT_NULL;
      EXPECT_THAT(with(), HasSubstr("executable stack"));
    } else if (segment.p_type == PT_LOAD && (segment.p_flags & PF_X) != 0) {
      segment.p_flags |= PF_W;
      EXPECT_THAT(with(), HasSubstr("both writable and executable"));
    } else if (segment.p_type == PT_GNU_RELRO) {
      segment.p_memsz = 8;
      EXPECT_THAT(with(), HasSubstr("writable data"));
    }
  }
}

// Nothing that a file holds may fault the reader. Runs under the sanitizers too.
TEST_F(Screen, MutatedFilesNeverFault) {
  auto folder = base::TempDir::create("kw-test");
  ASSERT_TRUE(folder);
  const std::string bytes = build(kGood, *folder);
  ASSERT_GT(bytes.size(), 1000u);
  for (size_t length = 0; length < bytes.size(); length += 97)
    (void)screen_object(bytes.substr(0, length), {"k"});
  std::mt19937_64 random(11);
  const uint64_t wide[] = {0,     1,          0xff,         0x7fffffff,      0xffffffff,
                           ~0ull, 1ull << 63, bytes.size(), bytes.size() - 1};
  int refused = 0;
  for (int round = 0; round < 4000; ++round) {
    std::string mutant = bytes;
    for (int edit = 0; edit <= static_cast<int>(random() % 3); ++edit) {
      // Headers and tables stand at both ends.
      const size_t zone = random() % 3;
      const size_t at = (zone == 0   ? random() % 1000
                         : zone == 1 ? bytes.size() - 1 - random() % 2000
                                     : random() % bytes.size());
      if (random() % 2 == 0) {
        mutant[at] = static_cast<char>(random());
      } else if (at + 8 <= mutant.size()) {
        const uint64_t value = wide[random() % std::size(wide)];
        std::memcpy(&mutant[at & ~size_t{7}], &value, 8);
      }
    }
    refused += screen_object(mutant, {"k"}) ? 1 : 0;
  }
  EXPECT_GT(refused, 500);
}

TEST(ScreenText, ListingsAreReadAsData) {
  const std::string good =
      "\n0000000000001000 <k>:\n    1000:\tvmovups (%rdi),%zmm0\n    1006:\tret\n";
  EXPECT_EQ(screen_disassembly(good), std::nullopt);
  EXPECT_EQ(
      screen_disassembly(good + "    1007:\txor    %esi,%esi\n    1009:\tmov    %dl,(%rsp)\n"),
      std::nullopt);
  EXPECT_THAT(screen_disassembly(good + "    1007:\tmov    %cr0,%rax\n").value_or(""),
              HasSubstr("'mov    %cr0,%rax'"));
  EXPECT_THAT(screen_disassembly("").value_or(""), HasSubstr("no instructions"));
  EXPECT_THAT(screen_disassembly(good + "    1007:\t(bad)\n").value_or(""),
              HasSubstr("cannot be decoded"));
  EXPECT_THAT(screen_disassembly(good + "    1007:\tmov    %fs:0x28,%rax\n").value_or(""),
              HasSubstr("segment"));
  // What a fill or a copy of an array becomes names segments without touching them.
  EXPECT_EQ(screen_disassembly(good + "    1007:\trep stos %rax,%es:(%rdi)\n"
                                      "    100a:\trep movsq %ds:(%rsi),%es:(%rdi)\n"),
            std::nullopt);
  for (const char* other : {"movsb  %fs:(%rsi),%es:(%rdi)", "mov    %es:(%rdi),%rax",
                            "stos   %rax,%gs:(%rdi)", "mov    %eax,%es"})
    EXPECT_THAT(screen_disassembly(good + "    1007:\t" + other + "\n").value_or(""),
                HasSubstr("segment"))
        << other;
  // A symbol's name in an operand is no operand.
  EXPECT_EQ(screen_disassembly(good + "    1007:\tcall   1000 <x%fs>\n"), std::nullopt);
}

TEST(ScreenText, InstructionsAreRefusedByName) {
  for (const char* text :
       {"rdtscp", "cpuid", "rdrand %rax", "vstmxcsr (%rsp)", "mov    %gs:0x8,%rax", "rdfsbase %rax",
        "clflush (%rsp)", "xbegin 1010 <k+0x10>", "std", "lret", "in     (%dx),%al", "int    $0x2e",
        "lock rep rdpmc", "popf", "rex.W fldcw (%rsp)", "data16 wrgsbase %rax",
        "fs mov (%rax),%rax", "mov    %eax,%ds", "mov    %rax,%db7"})
    EXPECT_THAT(screen_disassembly(std::string("0000000000001000 <k>:\n    1000:\t") + text + "\n")
                    .value_or(""),
                HasSubstr("instruction '"))
        << text;
}

TEST(ScreenText, NotAnObject) {
  EXPECT_THAT(screen_object("hello", {}).value_or(""), HasSubstr("not an ELF file"));
}

}  // namespace
}  // namespace kernelwright::target
