// SPDX-License-Identifier: Apache-2.0
// The CUDA runtime through its C ABI, against the stub driver of tests/stub.
#include <dlfcn.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <unistd.h>

#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <fstream>
#include <string>
#include <vector>

#include "kernelwright/runtime.h"
#include "target/cuda/runtime/driver_types.h"

namespace {

using ::testing::ContainsRegex;
using ::testing::HasSubstr;
using ::testing::Not;

const std::string kStub = std::string(KW_BINARY_DIR) + "/lib/libkw_stub_cuda.so";

// A function of the stub.
template <class F>
F* stub(const char* name) {
  static void* library = dlopen(kStub.c_str(), RTLD_NOW);
  return reinterpret_cast<F*>(library ? dlsym(library, name) : nullptr);
}

// Floats at a 256-byte aligned address.
class AlignedFloats {
 public:
  explicit AlignedFloats(size_t count, float value = 0)
      : count_(count),
        data_(static_cast<float*>(std::aligned_alloc(256, (count * 4 + 255) / 256 * 256))) {
    std::fill(data_, data_ + count, value);
  }
  AlignedFloats(const AlignedFloats&) = delete;
  ~AlignedFloats() { std::free(data_); }
  float* data() { return data_; }
  float& operator[](size_t i) { return data_[i]; }
  std::vector<float> copy() const { return {data_, data_ + count_}; }

 private:
  size_t count_;
  float* data_;
};

class RuntimeCuda : public ::testing::Test {
 protected:
  void SetUp() override {
    setenv("KERNELWRIGHT_CUDA_DRIVER", kStub.c_str(), 1);
    unsetenv("KERNELWRIGHT_CUDA_GRAPHS");
    ASSERT_TRUE(stub<void()>("kw_stub_reset")) << dlerror();
    stub<void()>("kw_stub_reset")();
    // Of this process alone: tests run side by side.
    object_ = ::testing::TempDir() + "/kw_stub." + std::to_string(getpid()) + ".cubin";
    std::ofstream(object_) << "cubin";
  }
  void TearDown() override {
    kw_close(program_);
    std::remove(object_.c_str());
  }

  static std::string text(const std::string& buffers, const std::string& run,
                          const std::string& more) {
    return R"({"format": 1, "target": "cuda", "source": "k.cu", "buffers": {)" + buffers + "}, " +
           more + R"("run": [)" + run + "]}";
  }
  void open(const std::string& buffers, const std::string& run, const std::string& more = "") {
    std::string json = text(buffers, run, more);
    ASSERT_EQ(kw_open(json.c_str(), object_.c_str(), &program_), 0) << kw_last_error();
  }
  std::string open_error(const std::string& buffers, const std::string& run,
                         const std::string& more = "") {
    kw_program* opened = nullptr;
    if (kw_open(text(buffers, run, more).c_str(), object_.c_str(), &opened) == 0) {
      kw_close(opened);
      return "opened";
    }
    return kw_last_error();
  }
  int run_status(std::vector<float*> inputs, std::vector<float*> outputs, void* stream = nullptr,
                 const double* scalars = nullptr) {
    std::vector<const void*> in(inputs.begin(), inputs.end());
    std::vector<void*> out(outputs.begin(), outputs.end());
    return kw_run_on(program_, in.data(), out.data(), nullptr, scalars, stream);
  }
  void run(std::vector<float*> inputs, std::vector<float*> outputs, void* stream = nullptr,
           const double* scalars = nullptr) {
    ASSERT_EQ(run_status(inputs, outputs, stream, scalars), 0) << kw_last_error();
  }
  static std::string log() { return stub<const char*()>("kw_stub_log")(); }
  static void reset() { stub<void()>("kw_stub_reset")(); }
  static size_t count(const char* function) {
    return stub<size_t(const char*)>("kw_stub_count")(function);
  }
  static void fail_at(const char* function, int code, int after = 0) {
    stub<void(const char*, int, int)>("kw_stub_fail")(function, code, after);
  }

  kw_program* program_ = nullptr;
  std::string object_;
};

const char* const kTwoVectors = R"("x": {"role": "input", "index": 0, "dtype": "f32", "shape": [8]},
   "y": {"role": "output", "index": 0, "dtype": "f32", "shape": [8]})";
const char* const kScratch = R"(, "h": {"role": "scratch", "dtype": "f32", "shape": [8]},
   "g": {"role": "scratch", "dtype": "f32", "shape": [8]})";

// A launch of one block of add_value: `to` = `from` + `value`.
std::string add(const std::string& from, const std::string& to, const std::string& value) {
  return R"({"kernel": "add_value", "grid": [1], "block": [32], "args": [)" + from + ", " + to +
         ", " + value + R"(, {"i32": 8}]})";
}
std::string add(const std::string& from, const std::string& to, int value) {
  return add("\"" + from + "\"", R"({"out": ")" + to + "\"}",
             R"({"f32": )" + std::to_string(value) + "}");
}

TEST_F(RuntimeCuda, ALaunchGetsItsArgumentsInOrder) {
  open(kTwoVectors,
       R"({"kernel": "wide", "grid": [2, 3, 4], "block": [32, 2], "shared_bytes": 100,
           "args": ["x", {"out": "y"}, {"i64": -5}, {"f64": 0.5}, {"i32": 8}]})");
  EXPECT_STREQ(kw_target(program_), "cuda");
  AlignedFloats x(8, 10), y(8);
  run({x.data()}, {y.data()});
  EXPECT_EQ(y.copy(), std::vector<float>(8, 5.5f));
  EXPECT_THAT(log(), HasSubstr("cuLaunchKernelEx wide grid 2 3 4 block 32 2 1 shared 100\n"));
  EXPECT_EQ(count("cuStreamSynchronize"), 0u) << "kw_run_on does not wait";
}

TEST_F(RuntimeCuda, ScalarInputsReachTheKernelAsTheirType) {
  open(kTwoVectors, add("\"x\"", R"({"out": "y"})", R"({"scalar_input": 1, "dtype": "f32"})"));
  AlignedFloats x(8, 1), y(8);
  double scalars[] = {100, 0.25};
  run({x.data()}, {y.data()}, nullptr, scalars);
  EXPECT_EQ(y[7], 1.25f);
  EXPECT_NE(run_status({x.data()}, {y.data()}), 0);
  EXPECT_THAT(kw_last_error(), HasSubstr("reads 2 scalar inputs"));
}

TEST_F(RuntimeCuda, LaunchAttributesFollowTheKeys) {
  open(std::string(kTwoVectors) + kScratch,
       R"({"kernel": "add_value", "grid": [16], "block": [64], "cluster": [8], "cooperative": true,
           "shared_bytes": 100000, "args": ["x", {"out": "h"}, {"f32": 1}, {"i32": 8}]},
          {"kernel": "add_value", "grid": {"resident_per_sm": 2}, "block": [64], "pdl": true,
           "args": ["h", {"out": "y"}, {"f32": 1}, {"i32": 8}]})");
  EXPECT_THAT(log(), HasSubstr("cuFuncSetAttribute add_value 8 100000"));
  AlignedFloats x(8, 1), y(8);
  run({x.data()}, {y.data()});
  EXPECT_EQ(y[0], 3);
  EXPECT_THAT(log(),
              HasSubstr("grid 16 1 1 block 64 1 1 shared 100000 cluster 8 1 1 cooperative\n"));
  EXPECT_THAT(log(), HasSubstr("grid 264 1 1 block 64 1 1 shared 0 pdl\n"));
}

TEST_F(RuntimeCuda, AResidentGridOfClustersHasWhatFitsTheDevice) {
  open(kTwoVectors,
       R"({"kernel": "add_value", "grid": {"resident_per_sm": 1}, "block": [64], "cluster": [2],
                "args": ["x", {"out": "y"}, {"f32": 1}, {"i32": 8}]})");
  AlignedFloats x(8, 1), y(8);
  run({x.data()}, {y.data()});
  EXPECT_THAT(log(), HasSubstr("grid 128 1 1")) << "132 multiprocessors, 64 clusters of two";
}

TEST_F(RuntimeCuda, TheFirstLaunchOfACallIsNeverProgrammaticallyDependent) {
  open(kTwoVectors, R"({"kernel": "add_value", "grid": [1], "block": [64], "pdl": true,
                "args": ["x", {"out": "y"}, {"f32": 1}, {"i32": 8}]})");
  AlignedFloats x(8, 1), y(8);
  run({x.data()}, {y.data()});
  EXPECT_THAT(log(), Not(HasSubstr("pdl")));
}

TEST_F(RuntimeCuda, WhatTheDeviceCannotLaunchIsRefusedByName) {
  auto launch = [](const std::string& keys) {
    return R"({"kernel": "add_value", "args": ["x", {"out": "y"}, {"f32": 1}, {"i32": 8}], )" +
           keys + "}";
  };
  EXPECT_THAT(
      open_error(kTwoVectors, launch(R"("grid": [1], "block": [64], "shared_bytes": 240000)")),
      HasSubstr("run[0]: kernel 'add_value' wants 240000 bytes of shared memory"));
  EXPECT_THAT(open_error(kTwoVectors, launch(R"("grid": [5], "block": [64], "cluster": [2])")),
              HasSubstr("clusters of 2 x 1 x 1 do not divide"));
  EXPECT_THAT(
      open_error(kTwoVectors, launch(R"("grid": [5000], "block": [1024], "cooperative": true)")),
      HasSubstr("cooperative launch of 5000 blocks, 264 are resident"));
  EXPECT_THAT(open_error(kTwoVectors, launch(R"("grid": {"resident_per_sm": 3}, "block": [1024])")),
              HasSubstr("fits 2 times on a multiprocessor"));
  EXPECT_THAT(
      open_error(kTwoVectors,
                 R"({"kernel": "absent", "grid": [1], "block": [1], "args": [{"out": "y"}]})"),
      HasSubstr("no kernel 'absent'"));
  EXPECT_THAT(
      open_error(kTwoVectors,
                 R"({"kernel": "add_value", "grid": [1], "block": [1], "args": [{"out": "y"}]})"),
      HasSubstr("takes 4 parameters, \"args\" has 1"));
  EXPECT_THAT(open_error(kTwoVectors, add("\"x\"", R"({"out": "y"})", R"({"f64": 1})")),
              HasSubstr("takes 4 bytes as parameter 2, args[2] has 8"));
  EXPECT_THAT(open_error(kTwoVectors, add("x", "y", 1), R"("requires": ["tcgen05"], )"),
              HasSubstr("has no 'tcgen05'"));
  EXPECT_EQ(open_error(kTwoVectors, add("x", "y", 1),
                       R"("requires": ["wgmma", "tma", "sm_80", "sm_90a"], )"),
            "opened");
}

TEST_F(RuntimeCuda, AFailingCallIsOneLineThatNamesIt) {
  fail_at("cuMemAlloc", 2);
  EXPECT_EQ(
      open_error(std::string(kTwoVectors) + kScratch, add("x", "h", 1) + ", " + add("h", "y", 1)),
      "cuMemAlloc: CUDA_ERROR_OUT_OF_MEMORY (out of memory)");
  reset();
  fail_at("cuModuleLoadData", 209);
  EXPECT_THAT(open_error(kTwoVectors, add("x", "y", 1)),
              ContainsRegex("cuModuleLoadData: CUDA error 209 \\(loading: .*kw_stub.*cubin\\)"));
  reset();
  open(kTwoVectors, add("x", "y", 1));
  AlignedFloats x(8), y(8);
  fail_at("cuLaunchKernelEx", 719);
  EXPECT_NE(run_status({x.data()}, {y.data()}), 0);
  EXPECT_STREQ(kw_last_error(),
               "cuLaunchKernelEx: CUDA_ERROR_LAUNCH_FAILED (kernel: add_value, step: run[0])");
  AlignedFloats moved(9);
  EXPECT_NE(run_status({moved.data() + 1}, {y.data()}), 0);
  EXPECT_STREQ(kw_last_error(), "input x is not 64-byte aligned");
  EXPECT_NE(run_status({nullptr}, {y.data()}), 0);
  EXPECT_STREQ(kw_last_error(), "input x is null");
}

// y = (x + 1) mixed with (x + 2): two branches that meet.
const std::string kDiamond = add("x", "h", 1) + ", " + add("x", "g", 2) + R"(,
   {"kernel": "mix", "grid": [1], "block": [32], "args": ["h", "g", {"out": "y"}, {"i32": 8}]})";

TEST_F(RuntimeCuda, StepsAreTimedOneByOneWithoutAGraph) {
  open(std::string(kTwoVectors) + kScratch, kDiamond);
  AlignedFloats x(8, 5), y(8);
  const void* in[] = {x.data()};
  void* out[] = {y.data()};
  double ms[3] = {-1, -1, -1};
  EXPECT_NE(kw_step_times(program_, ms), 0);
  EXPECT_STREQ(kw_last_error(), "kw_profile_on comes before kw_step_times");
  ASSERT_EQ(kw_step_count(program_), 3);
  for (int round = 0; round < 2; ++round) {
    ASSERT_EQ(kw_profile_on(program_, in, out, nullptr, nullptr, nullptr), 0) << kw_last_error();
    ASSERT_EQ(kw_step_times(program_, ms), 0) << kw_last_error();
    for (double one : ms) EXPECT_GE(one, 0);
  }
  AlignedFloats expected(8);
  run({x.data()}, {expected.data()});
  EXPECT_EQ(y.copy(), expected.copy());
}

TEST_F(RuntimeCuda, APlanOfSeveralStepsBecomesAGraph) {
  open(std::string(kTwoVectors) + kScratch, kDiamond);
  AlignedFloats x(8, 5), y(8), x2(8, 7), y2(8);
  run({x.data()}, {y.data()});
  EXPECT_EQ(y[0], 6 + 10 * 7);
  EXPECT_EQ(count("cuGraphInstantiate"), 1u);
  EXPECT_THAT(kw_describe(program_), HasSubstr(R"("graph":"used","nodes":3,"edges":2)"));
  reset();
  x[0] = 1;
  run({x.data()}, {y.data()});
  EXPECT_EQ(y[0], 2 + 10 * 3);
  EXPECT_EQ(log(), "cuGraphLaunch\ncuEventRecord\n") << "the same addresses: nothing to change";
  reset();
  run({x.data()}, {y2.data()});
  EXPECT_EQ(y2[1], 6 + 10 * 7);
  EXPECT_EQ(log(), "cuGraphExecKernelNodeSetParams mix\ncuGraphLaunch\ncuEventRecord\n");
  reset();
  run({x2.data()}, {y2.data()});
  EXPECT_EQ(y2[1], 8 + 10 * 9);
  EXPECT_EQ(count("cuGraphExecKernelNodeSetParams"), 2u);
  EXPECT_EQ(count("cuGraphInstantiate"), 0u);
}

TEST_F(RuntimeCuda, APlanWithDependentLaunchesIsAChain) {
  std::string dependent = kDiamond;
  dependent.insert(dependent.rfind("\"grid\""), "\"pdl\": true, ");
  open(std::string(kTwoVectors) + kScratch, dependent);
  AlignedFloats x(8, 5), y(8);
  run({x.data()}, {y.data()});
  EXPECT_EQ(y[0], 76);
  EXPECT_THAT(log(), HasSubstr("cuLaunchKernelEx mix grid 1 1 1 block 32 1 1 shared 0 pdl"));
  EXPECT_EQ(count("cuStreamUpdateCaptureDependencies"), 0u);
  EXPECT_THAT(kw_describe(program_), HasSubstr(R"("graph":"used","nodes":3,"edges":2)"));
}

TEST_F(RuntimeCuda, NothingRunsBesideALaunchThatExpectsItsBlocksResident) {
  open(
      std::string(kTwoVectors) + kScratch +
          R"(, "lock": {"role": "sync", "dtype": "u32", "shape": [1]},
               "z": {"role": "output", "index": 1, "dtype": "f32", "shape": [8]})",
      add("x", "h", 1) + ", " + add("x", "g", 1) +
          R"(, {"kernel": "leave_dirty", "grid": [1], "block": [1], "args": [{"inout": "lock"}, {"out": "z"}]}, )" +
          add("h", "y", 1));
  AlignedFloats x(8, 5), y(8), z(8);
  run({x.data()}, {y.data(), z.data()});
  EXPECT_EQ(y[0], 7);
  // Two before it, one behind it, though none touches what it touches.
  EXPECT_THAT(kw_describe(program_), HasSubstr(R"("nodes":4,"edges":3)"));
}

TEST_F(RuntimeCuda, ANewWeightReachesTheGraph) {
  open(
      std::string(kTwoVectors) + kScratch +
          R"(, "w": {"role": "weight", "name": "w", "dtype": "f32", "shape": [8]})",
      add("x", "h", 1) + ", " + add("w", "g", 2) +
          R"(, {"kernel": "mix", "grid": [1], "block": [32], "args": ["h", "g", {"out": "y"}, {"i32": 8}]})");
  AlignedFloats x(8, 5), y(8), w(8, 1), other(8, 2);
  for (AlignedFloats* weight : {&w, &other}) {
    const void* address = weight->data();
    ASSERT_EQ(kw_prepare_on(program_, &address, nullptr), 0) << kw_last_error();
    run({x.data()}, {y.data()});
    EXPECT_EQ(y[0], 6 + 10 * ((*weight)[0] + 2));
  }
  EXPECT_EQ(count("cuGraphInstantiate"), 1u);
}

TEST_F(RuntimeCuda, LongPlansAreLaunchedStepByStep) {
  open(std::string(kTwoVectors) + kScratch, add("x", "h", 0) + R"(, {"repeat": 9000, "body": [)" +
                                                add("h", "g", 1) + R"(], "swap": [["h", "g"]]}, )" +
                                                add("h", "y", 0));
  AlignedFloats x(8, 5), y(8);
  run({x.data()}, {y.data()});
  EXPECT_EQ(y[0], 9005);
  EXPECT_EQ(count("cuLaunchKernelEx"), 9002u);
  EXPECT_THAT(kw_describe(program_), HasSubstr("more than 8192 steps"));
}

TEST_F(RuntimeCuda, GraphsCanBeTurnedOff) {
  setenv("KERNELWRIGHT_CUDA_GRAPHS", "never", 1);
  open(std::string(kTwoVectors) + kScratch, kDiamond);
  AlignedFloats x(8, 5), y(8);
  run({x.data()}, {y.data()});
  EXPECT_EQ(y[0], 76);
  EXPECT_EQ(count("cuLaunchKernelEx"), 3u);
  EXPECT_EQ(count("cuGraphLaunch"), 0u);
  EXPECT_THAT(kw_describe(program_), HasSubstr("KERNELWRIGHT_CUDA_GRAPHS=never"));
}

TEST_F(RuntimeCuda, APlanThatGivesNoGraphStillRuns) {
  open(std::string(kTwoVectors) + kScratch, kDiamond);
  fail_at("cuGraphInstantiate", 1);
  AlignedFloats x(8, 5), y(8);
  run({x.data()}, {y.data()});
  EXPECT_EQ(y[0], 76);
  EXPECT_THAT(kw_describe(program_), HasSubstr("cuGraphInstantiate: CUDA_ERROR_INVALID_VALUE"));
  run({x.data()}, {y.data()});
  EXPECT_EQ(count("cuStreamBeginCapture"), 1u) << "it is not tried again";
}

TEST_F(RuntimeCuda, AGraphThatCannotBeChangedIsBuiltAgain) {
  open(std::string(kTwoVectors) + kScratch, kDiamond);
  AlignedFloats x(8, 5), y(8), y2(8);
  run({x.data()}, {y.data()});
  fail_at("cuGraphExecKernelNodeSetParams", 1);
  run({x.data()}, {y2.data()});
  EXPECT_EQ(y2[0], 76);
  EXPECT_THAT(kw_describe(program_), HasSubstr(R"("rebuilds":1)"));
}

TEST_F(RuntimeCuda, AChangedScalarIsWrittenIntoTheGraph) {
  open(std::string(kTwoVectors) + kScratch,
       add("\"x\"", R"({"out": "h"})", R"({"scalar_input": 0, "dtype": "f32"})") + ", " +
           add("h", "g", 1) + ", " + add("g", "y", 1));
  AlignedFloats x(8, 1), y(8);
  for (double scalar : {1.0, 4.0, 4.0}) {
    reset();
    run({x.data()}, {y.data()}, nullptr, &scalar);
    EXPECT_EQ(y[0], static_cast<float>(3 + scalar));
  }
  EXPECT_EQ(count("cuGraphExecKernelNodeSetParams"), 0u);
}

TEST_F(RuntimeCuda, RepeatsSwapsAndStepCounters) {
  const std::string run_steps =
      add("x", "h", 0) + R"(, {"repeat": 5, "body": [{"kernel": "step", "grid": [1], "block": [32],
       "args": ["h", {"out": "g"}, {"step": "i32"}, {"i32": 8}]}], "swap": [["h", "g"]]}, )" +
      add("h", "y", 0);
  float expected = 3;
  for (int step = 0; step < 5; ++step) expected = 2 * expected + static_cast<float>(step);
  for (const char* graphs : {"", "never"}) {
    setenv("KERNELWRIGHT_CUDA_GRAPHS", graphs, 1);
    kw_close(program_);
    open(std::string(kTwoVectors) + kScratch, run_steps);
    AlignedFloats x(8, 3), y(8), y2(8);
    run({x.data()}, {y.data()});
    EXPECT_EQ(y.copy(), std::vector<float>(8, expected));
    run({x.data()}, {y2.data()});
    EXPECT_EQ(y2.copy(), std::vector<float>(8, expected)) << "swaps are undone after a call";
  }
}

TEST_F(RuntimeCuda, FillsAndCopiesOfEveryKind) {
  const char* buffers = R"("x": {"role": "input", "index": 0, "dtype": "f32", "shape": [4, 6]},
    "y": {"role": "output", "index": 0, "dtype": "f32", "shape": [4, 6]},
    "t": {"role": "output", "index": 1, "dtype": "f32", "shape": [6, 4]},
    "z": {"role": "output", "index": 2, "dtype": "f64", "shape": [3]})";
  const char* steps = R"({"fill": {"buffer": "y", "value": 2.5}},
    {"fill": {"view": {"buffer": "y", "offset": 1, "shape": [4, 2], "strides": [6, 3]}, "value": -1}},
    {"copy": {"from": {"view": {"buffer": "x", "shape": [6, 4], "strides": [1, 6]}}, "to": "t"}},
    {"copy": {"from": {"view": {"buffer": "x", "shape": [6]}},
              "to": {"view": {"buffer": "y", "offset": 18, "shape": [6]}}}},
    {"fill": {"buffer": "z", "value": 0.1}})";
  for (const char* graphs : {"", "never"}) {
    setenv("KERNELWRIGHT_CUDA_GRAPHS", graphs, 1);
    kw_close(program_);
    open(buffers, steps);
    // The second round has new addresses: nodes of all three kinds are changed in place.
    for (int round = 0; round < 2; ++round) {
      AlignedFloats x(24), y(24), t(24), z(6);
      for (size_t i = 0; i < 24; ++i) x[i] = static_cast<float>(i);
      run({x.data()}, {y.data(), t.data(), z.data()});
      for (size_t r = 0; r < 4; ++r)
        for (size_t c = 0; c < 6; ++c) {
          float wanted = r == 3 ? static_cast<float>(c) : c == 1 || c == 4 ? -1.f : 2.5f;
          EXPECT_EQ(y[r * 6 + c], wanted) << graphs << round << " " << r << " " << c;
          EXPECT_EQ(t[c * 4 + r], static_cast<float>(r * 6 + c));
        }
      double third = 0;
      std::memcpy(&third, z.data() + 4, 8);
      EXPECT_EQ(third, 0.1);
    }
    EXPECT_THAT(kw_describe(program_), HasSubstr(R"("rebuilds":0)"));
  }
  EXPECT_THAT(log(), HasSubstr("cuMemsetD32Async"));
  EXPECT_THAT(log(), HasSubstr("cuMemcpyDtoDAsync 24"));
  EXPECT_THAT(log(), HasSubstr("cuLaunchKernelEx kw_move"));
}

TEST_F(RuntimeCuda, TensorMapsAreEncodedOncePerAddress) {
  open(R"("x": {"role": "input", "index": 0, "dtype": "f16", "shape": [32, 64]},
          "y": {"role": "output", "index": 0, "dtype": "f32", "shape": [8]})",
       R"({"kernel": "through_map", "grid": [1], "block": [32], "args": [
            {"tensor_map": {"buffer": "x", "shape": [64, 32], "strides_bytes": [128], "box": [64, 16],
             "swizzle": "128B", "l2_promotion": "256B"}}, {"out": "y"}, {"i32": 8}]})");
  AlignedFloats x(1024, 4), x2(1024, 6), y(8);
  run({x.data()}, {y.data()});
  EXPECT_EQ(y[7], 5);
  EXPECT_STREQ(stub<const char*()>("kw_stub_tensor_map")(),
               "tiled type 6 rank 2 shape [64, 32] strides [128] box [64, 16] elements [1, 1] "
               "interleave 0 swizzle 3 promotion 3 fill 0");
  run({x2.data()}, {y.data()});
  EXPECT_EQ(y[7], 7);
  reset();
  run({x.data()}, {y.data()});
  EXPECT_EQ(y[7], 5);
  run({x2.data()}, {y.data()});
  EXPECT_EQ(y[7], 7);
  EXPECT_EQ(count("cuTensorMapEncodeTiled"), 0u) << "both addresses are known";
  fail_at("cuTensorMapEncodeTiled", 1);
  AlignedFloats x3(1024);
  EXPECT_NE(run_status({x3.data()}, {y.data()}), 0);
  EXPECT_THAT(kw_last_error(),
              HasSubstr("cuTensorMapEncodeTiled: CUDA_ERROR_INVALID_VALUE (map: f16 "
                        "shape [64, 32] strides_bytes [128] box [64, 16]"));
}

TEST_F(RuntimeCuda, Im2colMapsAreEncodedAsSuch) {
  open(R"("x": {"role": "input", "index": 0, "dtype": "f16", "shape": [2, 8, 8, 64]},
          "y": {"role": "output", "index": 0, "dtype": "f32", "shape": [8]})",
       R"({"kernel": "through_map", "grid": [1], "block": [32], "args": [
            {"tensor_map": {"buffer": "x", "shape": [64, 8, 8, 2], "im2col_lower": [-1, -1],
             "im2col_upper": [-1, -1], "channels_per_pixel": 64, "pixels_per_column": 128,
             "swizzle": "128B"}}, {"out": "y"}, {"i32": 8}]})");
  AlignedFloats x(4096, 4), y(8);
  run({x.data()}, {y.data()});
  EXPECT_STREQ(stub<const char*()>("kw_stub_tensor_map")(),
               "im2col type 6 rank 4 shape [64, 8, 8, 2] strides [128, 1024, 8192] lower [-1, -1] "
               "upper [-1, -1] channels 64 pixels 128 elements [1, 1, 1, 1] swizzle 3");
}

TEST_F(RuntimeCuda, PrepareReadsWeightsAndCopiesUnalignedOnes) {
  open(
      std::string(kTwoVectors) +
          R"(, "w": {"role": "weight", "name": "w", "dtype": "f32", "shape": [8]},
               "t": {"role": "table", "dtype": "f32", "values": [1, 2, 3, 4, 5, 6, 7, 8]},
               "wp": {"role": "packed", "dtype": "f32", "shape": [8]},
               "wt": {"role": "packed", "dtype": "f32", "shape": [8]})",
      R"({"kernel": "mix", "grid": [1], "block": [32], "args": ["x", "wt", {"out": "y"}, {"i32": 8}]})",
      R"("prepare": [)" + add("w", "wp", 1) +
          R"(, {"kernel": "mix", "grid": [1], "block": [32], "args": ["wp", "t", {"out": "wt"}, {"i32": 8}]}], )");
  AlignedFloats x(8, 1), y(8), w(9, 3);
  EXPECT_NE(run_status({x.data()}, {y.data()}), 0);
  EXPECT_THAT(kw_last_error(), HasSubstr("kw_prepare comes before"));
  for (const void* address : {w.data(), w.data() + 1}) {
    ASSERT_EQ(kw_prepare_on(program_, &address, nullptr), 0) << kw_last_error();
    run({x.data()}, {y.data()});
    EXPECT_EQ(y[2], 1 + 10 * (3 + 1 + 10 * 3));
  }
}

TEST_F(RuntimeCuda, NothingIsAllocatedOrAwaitedPerCall) {
  open(std::string(kTwoVectors) + kScratch, kDiamond);
  AlignedFloats x(8), y(8), x2(8), y2(8);
  run({x.data()}, {y.data()});
  reset();
  for (int i = 0; i < 10; ++i) run({i % 2 ? x.data() : x2.data()}, {i % 3 ? y.data() : y2.data()});
  for (const char* call : {"cuMemAlloc", "cuMemFree", "cuStreamSynchronize", "cuEventSynchronize",
                           "cuGraphInstantiate", "cuStreamCreate", "cuEventCreate"})
    EXPECT_EQ(count(call), 0u) << call;
}

TEST_F(RuntimeCuda, OneArenaHoldsTheWorkspaceAndCloseGivesEverythingBack) {
  open(std::string(kTwoVectors) + kScratch, kDiamond);
  EXPECT_EQ(count("cuMemAlloc"), 1u);
  EXPECT_EQ(kw_workspace_bytes(program_), 512);
  AlignedFloats x(8), y(8);
  run({x.data()}, {y.data()});
  kw_close(program_);
  program_ = nullptr;
  EXPECT_EQ(count("cuMemFree"), 1u);
  EXPECT_EQ(count("cuGraphExecDestroy"), 1u);
  EXPECT_EQ(count("cuModuleUnload"), 1u);
  EXPECT_EQ(count("cuEventDestroy"), 1u);
  EXPECT_EQ(count("cuStreamDestroy"), 1u);
  EXPECT_EQ(count("cuDevicePrimaryCtxRelease"), 1u) << "no context was current: one was retained";
}

using kernelwright::cuda::Code;
using kernelwright::cuda::Graph;
using kernelwright::cuda::GraphExec;
using kernelwright::cuda::Stream;

TEST_F(RuntimeCuda, ACallersCaptureGetsPlainLaunches) {
  open(std::string(kTwoVectors) + kScratch, kDiamond);
  AlignedFloats x(8, 5), y(8);
  run({x.data()}, {y.data()});  // its own graph exists already
  y[0] = -1;
  Stream stream = nullptr;
  Graph graph = nullptr;
  GraphExec exec = nullptr;
  stub<Code(Stream*, unsigned)>("cuStreamCreate")(&stream, 0);
  stub<Code(Stream, int)>("cuStreamBeginCapture_v2")(stream, 0);
  reset();
  run({x.data()}, {y.data()}, stream);
  EXPECT_EQ(count("cuLaunchKernelEx"), 3u);
  EXPECT_EQ(count("cuGraphLaunch"), 0u);
  EXPECT_EQ(count("cuEventRecord"), 0u);
  EXPECT_EQ(count("cuStreamWaitEvent"), 0u);
  stub<Code(Stream, Graph*)>("cuStreamEndCapture")(stream, &graph);
  EXPECT_EQ(y[0], -1) << "nothing ran yet";
  stub<Code(GraphExec*, Graph, unsigned long long)>("cuGraphInstantiateWithFlags")(&exec, graph, 0);
  stub<Code(GraphExec, Stream)>("cuGraphLaunch")(exec, stream);
  EXPECT_EQ(y[0], 76);
  stub<Code(GraphExec)>("cuGraphExecDestroy")(exec);
  stub<Code(Graph)>("cuGraphDestroy")(graph);
  stub<Code(Stream)>("cuStreamDestroy_v2")(stream);
}

TEST_F(RuntimeCuda, CallsOnDifferentStreamsAreOrdered) {
  open(std::string(kTwoVectors) + kScratch, kDiamond);
  AlignedFloats x(8), y(8);
  Stream stream = nullptr;
  stub<Code(Stream*, unsigned)>("cuStreamCreate")(&stream, 0);
  run({x.data()}, {y.data()});
  reset();
  run({x.data()}, {y.data()});
  EXPECT_EQ(count("cuStreamWaitEvent"), 0u);
  run({x.data()}, {y.data()}, stream);
  EXPECT_EQ(count("cuStreamWaitEvent"), 1u);
  stub<Code(Stream)>("cuStreamDestroy_v2")(stream);
}

TEST_F(RuntimeCuda, SyncStartsAtZeroAndPoisonReachesScratchOnly) {
  open(
      R"("lock": {"role": "sync", "dtype": "u32", "shape": [3]},
          "h": {"role": "scratch", "dtype": "f32", "shape": [8]},
          "y": {"role": "output", "index": 0, "dtype": "f32", "shape": [8]})",
      R"({"kernel": "leave_dirty", "grid": [1], "block": [1], "args": [{"inout": "lock"}, {"out": "h"}]},
          {"copy": {"from": "h", "to": "y"}})");
  EXPECT_EQ(kw_sync_is_zero(program_), 1);
  EXPECT_EQ(kw_poison_scratch_on(program_, 0x7f, nullptr), 0);
  EXPECT_EQ(kw_sync_is_zero_on(program_, nullptr), 1);
  AlignedFloats y(8);
  run({}, {y.data()});
  EXPECT_EQ(y[0], 1);
  float poison = 0;
  std::memset(&poison, 0x7f, 4);
  EXPECT_EQ(y[1], poison);
  EXPECT_EQ(kw_sync_is_zero_on(program_, nullptr), 0);
}

}  // namespace
