// SPDX-License-Identifier: Apache-2.0
#include <dlfcn.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <fstream>

#include "base/file.h"
#include "base/subprocess.h"
#include "kernelwright/kernel_abi.h"
#include "target/cpu/toolchain.h"
#include "target/target.h"

namespace kernelwright::target {
namespace {

namespace fs = std::filesystem;
using ::testing::HasSubstr;
using ::testing::Not;

constexpr const char* kRelu = R"(
#include "kernelwright/kernel_abi.h"
#include "kw_math.h"
extern "C" void relu(const kw_args* args, int64_t begin, int64_t end) {
  const float* x = (const float*)args->buffers[0];
  float* y = (float*)args->buffers[1];
  for (int64_t i = begin; i < end; ++i) y[i] = kw_max(x[i], FLOOR * 1.0f);
}
)";

// What the compiler says about itself is remembered from test to test, in the build folder.
class Toolchain : public ::testing::Test {
 protected:
  static void SetUpTestSuite() {
    compiler_ = new Result<Compiler>(find_compiler("", KW_BINARY_DIR "/test-cache"));
  }
  static void TearDownTestSuite() { delete compiler_; }
  void SetUp() override {
    if (!*compiler_) GTEST_SKIP() << compiler_->error().text();
  }
  static const Compiler& compiler() { return **compiler_; }

  static CompileJob job(const std::string& source, std::vector<std::string> exports = {"k"}) {
    CompileJob job;
    job.source = source;
    job.exports = std::move(exports);
    return job;
  }
  // The failure's text; fails the test when it compiles.
  static std::string failure(const CompileJob& job, CompileLimits limits = {}) {
    auto folder = base::TempDir::create("kw-test");
    EXPECT_TRUE(folder);
    auto result = compile(compiler(), job, folder->path(), limits);
    EXPECT_TRUE(result) << result.error().text();
    if (!result) return "";
    EXPECT_FALSE(result->has_value()) << "it compiled";
    if (result->has_value()) return "";
    EXPECT_THAT(result->error().log, Not(HasSubstr(folder->path().string())));
    return (result->error().timed_out ? "timed out: " : "") + result->error().log;
  }

  static Result<Compiler>* compiler_;
};
Result<Compiler>* Toolchain::compiler_ = nullptr;

TEST_F(Toolchain, BuildsAKernelThatRuns) {
  auto relu = job(kRelu, {"relu"});
  relu.defines["FLOOR"] = -2;
  auto folder = base::TempDir::create("kw-test");
  ASSERT_TRUE(folder);
  auto output = compile(compiler(), relu, folder->path(), {});
  ASSERT_TRUE(output) << output.error().text();
  ASSERT_TRUE(*output) << output->error().log;
  void* object = ::dlopen((folder->path() / "object.so").c_str(), RTLD_NOW | RTLD_LOCAL);
  ASSERT_NE(object, nullptr) << ::dlerror();
  auto kernel = reinterpret_cast<kw_kernel>(::dlsym(object, "relu"));
  ASSERT_NE(kernel, nullptr);
  const float x[3] = {-3, -1, 4};
  float y[3] = {9, 9, 9};
  void* buffers[2] = {const_cast<float*>(x), y};
  kw_args args{};
  args.buffers = buffers;
  kernel(&args, 0, 3);
  EXPECT_THAT(y, ::testing::ElementsAre(-2, -1, 4));
  ::dlclose(object);
}

TEST_F(Toolchain, SeveralKernelsAreExported) {
  auto folder = base::TempDir::create("kw-test");
  ASSERT_TRUE(folder);
  auto output =
      compile(compiler(), job("extern \"C\" void a() {} extern \"C\" void b() {}", {"a", "b"}),
              folder->path(), {});
  ASSERT_TRUE(output);
  ASSERT_TRUE(*output) << output->error().log;
  void* object = ::dlopen((folder->path() / "object.so").c_str(), RTLD_NOW | RTLD_LOCAL);
  ASSERT_NE(object, nullptr) << ::dlerror();
  EXPECT_NE(::dlsym(object, "a"), nullptr);
  EXPECT_NE(::dlsym(object, "b"), nullptr);
  ::dlclose(object);
}

TEST_F(Toolchain, AnErrorNamesLineAndCauseOnly) {
  const std::string log = failure(job("extern \"C\" void k() {\n  int x = nowhere;\n}\n"));
  EXPECT_THAT(log, HasSubstr("kernels.cpp:2:11: error: "));
  EXPECT_THAT(log, HasSubstr("nowhere"));
  EXPECT_THAT(log, Not(HasSubstr("/tmp")));
}

TEST_F(Toolchain, ManyErrorsAreCut) {
  std::string source = "extern \"C\" void k() {\n";
  for (int i = 0; i < 200; ++i) source += "unknown_" + std::to_string(i) + "();\n";
  const std::string log = failure(job(source + "}\n"));
  EXPECT_THAT(log, HasSubstr("unknown_0"));
  EXPECT_THAT(log, Not(HasSubstr("unknown_9")));
  EXPECT_LT(log.size(), 4100u);
}

TEST_F(Toolchain, AnIncludeOutsideTheListIsRefusedByName) {
  EXPECT_THAT(failure(job("#include <iostream>\nextern \"C\" void k() {}\n")),
              ::testing::AllOf(HasSubstr("iostream is not allowed"), HasSubstr("immintrin.h")));
  EXPECT_THAT(failure(job("#include <sys/syscall.h>\nextern \"C\" void k() {}\n")),
              HasSubstr("syscall.h is not allowed"));
}

TEST_F(Toolchain, AllowedIncludesPass) {
  auto folder = base::TempDir::create("kw-test");
  ASSERT_TRUE(folder);
  const auto output =
      compile(compiler(), job("#include <bit>\n#include <cstring>\nextern \"C\" void k() {}\n"),
              folder->path(), {});
  ASSERT_TRUE(output);
  EXPECT_TRUE(*output) << output->error().log;
}

TEST_F(Toolchain, TheCompilerReadsNoFilesOfTheUser) {
  if (!base::confinement_available()) GTEST_SKIP() << "no Landlock";
  auto folder = base::TempDir::create("kw-secret");
  ASSERT_TRUE(folder);
  const std::string secret = (folder->path() / "key").string();
  std::ofstream(secret) << "tell_nobody\n";
  for (const std::string& file : {secret, std::string("/etc/passwd")}) {
    const std::string include =
        failure(job("#include \"" + file + "\"\nextern \"C\" void k() {}\n"));
    EXPECT_THAT(include, HasSubstr("error"));
    EXPECT_THAT(include, ::testing::AllOf(Not(HasSubstr("tell_nobody")), Not(HasSubstr("root:"))));
    EXPECT_THAT(failure(job("asm(\".incbin \\\"" + file + "\\\"\");\nextern \"C\" void k() {}\n")),
                HasSubstr("rror"));
  }
}

TEST_F(Toolchain, TimeIsBounded) {
  // Instantiates for ever.
  const std::string source =
      "template <int N> struct F { static constexpr int v = F<N - 1>::v + F<N - 2>::v * (N % 3); "
      "};\n"
      "constexpr long spin(long n) { long s = 0; for (long i = 0; i < n; ++i) s += i ^ n; return "
      "s; }\n"
      "template <long N> struct S { static constexpr long v = spin(200000 + N) + S<N - 1>::v; };\n"
      "template <> struct S<0> { static constexpr long v = 0; };\n"
      "extern \"C\" long k() { return S<800>::v; }\n";
  CompileLimits limits;
  limits.wall_s = 0.3;
  EXPECT_THAT(failure(job(source), limits),
              ::testing::StartsWith("timed out: the compiler was stopped after 0.3 s"));
}

TEST_F(Toolchain, AnObjectOverTheLimitIsRefused) {
  CompileLimits limits;
  limits.object_bytes = 100;
  EXPECT_THAT(failure(job("extern \"C\" void k() {}\n"), limits),
              HasSubstr("over the limit of 100"));
}

TEST_F(Toolchain, NamesThatWouldReachTheLinkerScriptAreRefused) {
  EXPECT_THAT(failure(job("", {"k; }; evil {"})), HasSubstr("no identifier"));
  auto bad = job("");
  bad.defines["X Y"] = 1;
  EXPECT_THAT(failure(bad), HasSubstr("no identifier"));
  auto path = job("");
  path.source_name = "../k.cpp";
  EXPECT_THAT(failure(path), HasSubstr("plain name"));
}

TEST_F(Toolchain, TheKeyFollowsWhatMakesTheObject) {
  const auto base_job = job(kRelu, {"relu"});
  const std::string key = compile_key(compiler(), base_job);
  EXPECT_EQ(key, compile_key(compiler(), base_job));
  auto source = base_job, flags = base_job, defines = base_job, exports = base_job;
  source.source += " ";
  flags.flags = {"-O2"};
  defines.defines["FLOOR"] = 1;
  exports.exports.emplace_back("other");
  for (const auto& changed : {source, flags, defines, exports})
    EXPECT_NE(key, compile_key(compiler(), changed));
  Compiler other = compiler();
  other.identity += "x";
  EXPECT_NE(key, compile_key(other, base_job));
}

TEST_F(Toolchain, WhatACompilerSaidIsRemembered) {
  auto folder = base::TempDir::create("kw-test");
  ASSERT_TRUE(folder);
  for (int i = 0; i < 2; ++i) {
    const auto again = find_compiler("", folder->path());
    ASSERT_TRUE(again);
    EXPECT_EQ(again->identity, compiler().identity);
    EXPECT_EQ(again->headers, compiler().headers);
    EXPECT_TRUE(fs::exists(folder->path() / "compilers"));
  }
}

TEST(CompilerSearch, AMissingCompilerIsOneLine) {
  const auto compiler = find_compiler("no-such-compiler", "/nonexistent");
  ASSERT_FALSE(compiler);
  EXPECT_EQ(compiler.error().kind, ErrorKind::kEnvironment);
  EXPECT_EQ(compiler.error().message, "KERNELWRIGHT_CXX: there is no compiler 'no-such-compiler'");
}

TEST(Dependencies, NamesAreUnescaped) {
  EXPECT_THAT(parse_dependencies("a.o: b.h c\\ d.h \\\n  e$$.h\\#x \\\n f\n"),
              ::testing::ElementsAre("b.h", "c d.h", "e$.h#x", "f"));
  EXPECT_THAT(parse_dependencies("nothing"), ::testing::IsEmpty());
}

TEST(Targets, KnownAndAbsentAndUnknown) {
  EXPECT_THAT(target_names(), ::testing::ElementsAre("cpu", "cuda"));
  // The driver of the runtime's tests: one device.
  ::setenv("KERNELWRIGHT_CUDA_DRIVER", KW_BINARY_DIR "/lib/libkw_stub_cuda.so", 1);
  auto cuda = open_target("cuda:97");
  ASSERT_TRUE(cuda);
  EXPECT_THAT((*cuda)->absent_reason(),
              ::testing::AnyOf(HasSubstr("there is no device cuda:97"), HasSubstr("libcuda"),
                               HasSubstr("driver")));
  EXPECT_EQ((*cuda)->name(), "cuda:97");
  EXPECT_EQ((*cuda)->kind(), "cuda");
  EXPECT_FALSE((*cuda)->machine_model());
  EXPECT_FALSE((*cuda)->build({}, Policy::kStrict));
  EXPECT_TRUE((*cuda)->supports(Policy::kTf32));
  for (const char* wrong : {"cuda:", "cuda:x", "cuda:-1", "cuda:1x"}) {
    const auto none = open_target(wrong);
    ASSERT_FALSE(none) << wrong;
    EXPECT_EQ(none.error().kind, ErrorKind::kUsage);
    EXPECT_THAT(none.error().text(), HasSubstr("names no device"));
  }
  EXPECT_FALSE(open_target("cpu:0"));
  auto unknown = open_target("abacus");
  ASSERT_FALSE(unknown);
  EXPECT_EQ(unknown.error().kind, ErrorKind::kUsage);
  EXPECT_EQ(unknown.error().text(), "unknown target 'abacus' (known: cpu, cuda)");
}

}  // namespace
}  // namespace kernelwright::target
