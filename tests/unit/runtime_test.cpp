// SPDX-License-Identifier: Apache-2.0
#include "kernelwright/runtime.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <atomic>
#include <cmath>
#include <cstring>
#include <limits>
#include <numeric>
#include <string>
#include <thread>
#include <vector>

#include "support/kernel_object.h"

namespace {

using ::testing::HasSubstr;

const char* const kKernels = R"cpp(
#include <math.h>
#include <xmmintrin.h>
  extern "C" {
  static const float* in(const kw_args* a, int i) {
    return (const float*)a->buffers[i];
  }
  static float* out(const kw_args* a, int i) {
    return (float*)a->buffers[i];
  }

  void relu(const kw_args* a, int64_t begin, int64_t end) {
    for (int64_t i = begin; i < end; ++i) out(a, 1)[i] = in(a, 0)[i] > 0 ? in(a, 0)[i] : 0;
  }
  void add(const kw_args* a, int64_t begin, int64_t end) {  // out = x + y
    for (int64_t i = begin; i < end; ++i) out(a, 2)[i] = in(a, 0)[i] + in(a, 1)[i];
  }
  void scale(const kw_args* a, int64_t begin, int64_t end) {  // out = x * v0 + v1 + v2
    for (int64_t i = begin; i < end; ++i)
      out(a, 1)[i] =
          in(a, 0)[i] * a->values[0].f32 + (float)a->values[1].f64 + (float)a->values[2].i32;
  }
  void add_counter(const kw_args* a, int64_t begin, int64_t end) {  // out = x + step
    for (int64_t i = begin; i < end; ++i) out(a, 1)[i] = in(a, 0)[i] + (float)a->values[0].i64;
  }
  void accumulate(const kw_args* a, int64_t begin, int64_t end) {
    for (int64_t i = begin; i < end; ++i) out(a, 1)[i] += in(a, 0)[i];
  }
  // Sums grid numbers across the team: each worker its share, then worker 0 adds up after the
  // barrier.
  void team_sum(const kw_args* a, int64_t begin, int64_t end) {
    float mine = 0;
    for (int64_t i = begin + a->worker; i < end; i += a->worker_count) mine += in(a, 0)[i];
    out(a, 1)[a->worker] = mine;
    a->barrier(a->team);
    float sum = 0;
    for (int w = 0; w < a->worker_count; ++w) sum += in(a, 1)[w];
    a->barrier(a->team);
    if (a->worker == 0) out(a, 2)[0] = sum;
  }
  void use_scratch(const kw_args* a, int64_t begin, int64_t end) {
    float* mine = (float*)a->scratch;
    int64_t room = a->scratch_bytes / 4;
    for (int64_t i = begin; i < end; ++i) {
      for (int64_t k = 0; k < room; ++k) mine[k] = in(a, 0)[i];
      float sum = 0;
      for (int64_t k = 0; k < room; ++k) sum += mine[k];
      out(a, 1)[i] = sum;
    }
  }
  void leave_dirty(const kw_args* a, int64_t begin, int64_t end) {
    ((unsigned*)a->buffers[0])[0] = 7;
    out(a, 1)[0] = 1;
  }
  void leave_alone(const kw_args*, int64_t, int64_t) {}
  void flush_denormals(const kw_args* a, int64_t begin, int64_t end) {
    _mm_setcsr(_mm_getcsr() | 0x8040);
    for (int64_t i = begin; i < end; ++i) out(a, 1)[i] = in(a, 0)[i];
  }
  }
)cpp";

// Floats at a 64-byte aligned address.
class Floats {
 public:
  explicit Floats(size_t count, float value = 0) : count_(count), storage_(count + 32) {
    auto address = reinterpret_cast<uintptr_t>(storage_.data());
    first_ = storage_.data() + (64 - address % 64) % 64 / 4;
    std::fill(first_, first_ + count, value);
  }
  float* data() { return first_; }
  float& operator[](size_t i) { return first_[i]; }
  std::vector<float> copy() const { return {first_, first_ + count_}; }

 private:
  size_t count_;
  std::vector<float> storage_;
  float* first_;
};

class Runtime : public ::testing::Test {
 protected:
  void SetUp() override { ASSERT_EQ(kw_set_threads(2), 0); }
  void TearDown() override { kw_close(program_); }

  void open(const std::string& buffers, const std::string& run, const std::string& more = "") {
    std::string object = kernelwright::testing::build_kernels(kKernels);
    std::string json = R"({"format": 1, "target": "cpu", "source": "k.cpp", "buffers": {)" +
                       buffers + "}, " + more + R"("run": [)" + run + "]}";
    ASSERT_EQ(kw_open(json.c_str(), object.c_str(), &program_), 0) << kw_last_error();
  }
  void run(std::vector<float*> inputs, std::vector<float*> outputs, std::vector<float*> states = {},
           const double* scalars = nullptr) {
    std::vector<const void*> in(inputs.begin(), inputs.end());
    std::vector<void*> out(outputs.begin(), outputs.end()), state(states.begin(), states.end());
    ASSERT_EQ(kw_run(program_, in.data(), out.data(), state.data(), scalars), 0) << kw_last_error();
  }
  kw_program* program_ = nullptr;
};

const char* const kXY = R"("x": {"role": "input", "index": 0, "dtype": "f32", "shape": [100003]},
                           "y": {"role": "output", "index": 0, "dtype": "f32", "shape": [100003]})";

TEST_F(Runtime, OneLaunchCoversTheGridOnce) {
  open(kXY, R"({"kernel": "relu", "grid": [100003], "args": ["x", {"out": "y"}]})");
  Floats x(100003), y(100003, 99);
  for (size_t i = 0; i < 100003; ++i) x[i] = static_cast<float>(i % 7) - 3;
  for (int round = 0; round < 3; ++round) run({x.data()}, {y.data()});
  for (size_t i = 0; i < 100003; ++i) ASSERT_EQ(y[i], std::max(0.f, x[i])) << i;
}

TEST_F(Runtime, StepsAreTimedOneByOne) {
  open(
      std::string(kXY) + R"(, "h": {"role": "scratch", "dtype": "f32", "shape": [100003]})",
      R"({"repeat": 3, "body": [{"kernel": "relu", "grid": [100003], "args": ["x", {"out": "h"}]}]},
          {"fill": {"buffer": "y", "value": 4}}, {"kernel": "relu", "grid": [100003], "args": ["h", {"out": "y"}]})");
  Floats x(100003, 2), y(100003, 99);
  const void* in[] = {x.data()};
  void* out[] = {y.data()};
  ASSERT_EQ(kw_step_count(program_), 3);
  ASSERT_EQ(kw_profile_on(program_, in, out, nullptr, nullptr, nullptr), 0) << kw_last_error();
  double ms[3] = {-1, -1, -1};
  ASSERT_EQ(kw_step_times(program_, ms), 0) << kw_last_error();
  for (double one : ms) EXPECT_GT(one, 0);
  // Counted or not, as machine and system permit; never left as it was.
  kw_counts counts[3] = {};
  for (kw_counts& one : counts) one.page_faults = -7;
  ASSERT_EQ(kw_step_counts(program_, counts), 0) << kw_last_error();
  for (const kw_counts& one : counts) EXPECT_GE(one.page_faults, -1);
  EXPECT_EQ(y.copy(), x.copy());
}

TEST_F(Runtime, OneThreadGivesTheSame) {
  ASSERT_EQ(kw_set_threads(1), 0);
  EXPECT_EQ(kw_get_threads(), 1);
  open(kXY, R"({"kernel": "relu", "grid": [100003], "grain": 7, "args": ["x", {"out": "y"}]})");
  Floats x(100003, 2), y(100003, 99);
  run({x.data()}, {y.data()});
  EXPECT_EQ(y.copy(), x.copy());
}

TEST_F(Runtime, InputsAndOutputsStandInOrderOfTheirIndex) {
  open(
      R"("b": {"role": "input", "index": 2, "dtype": "f32", "shape": [4]}, "a": {"role": "input", "index": 0},
          "y": {"role": "output", "index": 0, "dtype": "f32", "shape": [4]})",
      R"({"kernel": "add", "grid": [4], "args": ["b", "a", {"out": "y"}]})");
  ASSERT_EQ(kw_buffer_count(program_, "input"), 2);
  EXPECT_STREQ(kw_buffer_name(program_, "input", 0), "a");
  EXPECT_EQ(kw_buffer_index(program_, "input", 1), 2);
  EXPECT_EQ(kw_buffer_bytes(program_, "input", 0), -1);
  EXPECT_EQ(kw_buffer_bytes(program_, "input", 1), 16);
  EXPECT_EQ(kw_buffer_name(program_, "input", 2), nullptr);
  EXPECT_EQ(kw_buffer_count(program_, "cache"), -1);
  Floats a(4, 1), b(4, 2), y(4);
  run({a.data(), b.data()}, {y.data()});
  EXPECT_EQ(y.copy(), std::vector<float>(4, 3));
}

TEST_F(Runtime, ImmediatesAndScalarInputs) {
  open(
      R"("x": {"role": "input", "index": 0}, "y": {"role": "output", "index": 0})",
      R"({"kernel": "scale", "grid": ["N"], "args": ["x", {"scalar_input": 1, "dtype": "f32"}, {"out": "y"},
           {"f64": 0.25}, {"i32": "N * 25"}]})",
      R"("params": {"N": 4},)");
  Floats x(4, 3), y(4);
  double scalars[] = {99, 2};
  run({x.data()}, {y.data()}, {}, scalars);
  EXPECT_EQ(y.copy(), std::vector<float>(4, 106.25f));
  const void* in[] = {x.data()};
  void* out[] = {y.data()};
  EXPECT_NE(kw_run(program_, in, out, nullptr, nullptr), 0);
  EXPECT_THAT(kw_last_error(), HasSubstr("2 scalar inputs"));
}

// Odd and even counts end in different storage; each call starts from the same one.
TEST_F(Runtime, RepeatSwapsAndCounts) {
  for (int count : {1, 2, 5}) {
    open(
        R"("x": {"role": "input", "index": 0}, "y": {"role": "output", "index": 0, "dtype": "f32", "shape": [4]},
            "a": {"role": "scratch", "dtype": "f32", "shape": [4]}, "b": {"role": "scratch", "dtype": "f32", "shape": [4]})",
        R"({"kernel": "relu", "grid": [4], "args": ["x", {"out": "a"}]},
            {"repeat": )" +
            std::to_string(count) + R"(, "body": [
               {"kernel": "add_counter", "grid": [4], "args": ["a", {"out": "b"}, {"step": "i64"}]}], "swap": [["a", "b"]]},
            {"copy": {"from": "a", "to": "y"}})");
    Floats x(4, 10), y(4);
    for (int call = 0; call < 2; ++call) {
      run({x.data()}, {y.data()});
      EXPECT_EQ(y.copy(), std::vector<float>(4, 10.f + static_cast<float>(count * (count - 1) / 2)))
          << count;
    }
    kw_close(program_);
    program_ = nullptr;
  }
}

TEST_F(Runtime, NestedRepeatsCountTheInnermost) {
  open(
      R"("x": {"role": "input", "index": 0}, "y": {"role": "output", "index": 0, "dtype": "f32", "shape": [2]},
          "a": {"role": "scratch", "dtype": "f32", "shape": [2]})",
      R"({"fill": {"buffer": "y", "value": 0}},
          {"repeat": 3, "body": [{"repeat": 4, "body": [
             {"kernel": "add_counter", "grid": [2], "args": ["x", {"out": "a"}, {"step": "i64"}]},
             {"kernel": "accumulate", "grid": [2], "args": ["a", {"inout": "y"}]}]}]})");
  Floats x(2, 1), y(2);
  run({x.data()}, {y.data()});
  EXPECT_EQ(y.copy(), std::vector<float>(2, 3 * (4 + 6)));
}

TEST_F(Runtime, FillsAndCopiesOfViews) {
  open(R"("x": {"role": "input", "index": 0, "dtype": "f32", "shape": [3, 4]},
          "y": {"role": "output", "index": 0, "dtype": "f32", "shape": [4, 3]})",
       R"({"fill": {"buffer": "y", "value": "-inf"}},
          {"copy": {"from": {"view": {"buffer": "x", "shape": [4, 2], "strides": [1, 4]}},
                    "to": {"view": {"buffer": "y", "offset": 1, "shape": [4, 2], "strides": [3, 1]}}}},
          {"fill": {"view": {"buffer": "y", "offset": 9, "shape": [3]}, "value": 0.1}})");
  Floats x(12), y(12);
  for (size_t i = 0; i < 12; ++i) x[i] = static_cast<float>(i);
  run({x.data()}, {y.data()});
  float inf = -std::numeric_limits<float>::infinity();
  EXPECT_EQ(y.copy(), (std::vector<float>{inf, 0, 4, inf, 1, 5, inf, 2, 6, 0.1f, 0.1f, 0.1f}));
}

TEST_F(Runtime, LargeFillsAndCopiesAreCutIntoRanges) {
  open(R"("x": {"role": "input", "index": 0, "dtype": "f32", "shape": [500001]},
          "y": {"role": "output", "index": 0, "dtype": "f32", "shape": [500001]},
          "z": {"role": "output", "index": 1, "dtype": "f32", "shape": [500001]})",
       R"({"fill": {"buffer": "y", "value": 1.7}}, {"copy": {"from": "x", "to": "z"}})");
  Floats x(500001), y(500001), z(500001);
  for (size_t i = 0; i < 500001; ++i) x[i] = static_cast<float>(i);
  run({x.data()}, {y.data(), z.data()});
  EXPECT_EQ(y.copy(), std::vector<float>(500001, 1.7f));
  EXPECT_EQ(z.copy(), x.copy());
}

TEST_F(Runtime, TeamsMeetAtTheBarrier) {
  open(R"("x": {"role": "input", "index": 0}, "y": {"role": "output", "index": 0},
          "part": {"role": "scratch", "dtype": "f32", "shape": [64]})",
       R"({"fill": {"buffer": "part", "value": 0}},
          {"kernel": "team_sum", "grid": [1000], "team": true, "args": ["x", {"inout": "part"}, {"out": "y"}]})");
  Floats x(1000, 1), y(1);
  for (int threads : {1, 2, 3}) {
    ASSERT_EQ(kw_set_threads(threads), 0);
    for (int call = 0; call < 50; ++call) {
      y[0] = -1;
      run({x.data()}, {y.data()});
      ASSERT_EQ(y[0], 1000.f) << threads;
    }
  }
}

TEST_F(Runtime, WorkersHaveScratchOfTheirOwn) {
  open(
      kXY,
      R"({"kernel": "use_scratch", "grid": [400], "scratch_bytes": 4000, "grain": 1, "args": ["x", {"out": "y"}]})");
  Floats x(100003), y(100003);
  for (size_t i = 0; i < 400; ++i) x[i] = static_cast<float>(i);
  run({x.data()}, {y.data()});
  ASSERT_EQ(kw_set_threads(3), 0);
  run({x.data()}, {y.data()});
  for (size_t i = 0; i < 400; ++i) ASSERT_EQ(y[i], 1000.f * static_cast<float>(i));
}

TEST_F(Runtime, PrepareStatesAndTables) {
  open(
      R"("x": {"role": "input", "index": 0}, "w": {"role": "weight", "name": "w.weight", "dtype": "f32", "shape": [4]},
          "wp": {"role": "packed", "dtype": "f32", "shape": [4]}, "y": {"role": "output", "index": 0},
          "t": {"role": "table", "dtype": "f32", "values": [1, 2, 3, 4]}, "s": {"role": "state", "name": "bn.mean"})",
      R"({"kernel": "add", "grid": [4], "args": ["x", "wp", {"out": "y"}]},
          {"kernel": "accumulate", "grid": [4], "args": ["x", {"inout": "s"}]})",
      R"("prepare": [{"kernel": "add", "grid": [4], "args": ["w", "t", {"out": "wp"}]}],)");
  EXPECT_STREQ(kw_buffer_name(program_, "weight", 0), "w.weight");
  EXPECT_STREQ(kw_buffer_name(program_, "state", 0), "bn.mean");
  EXPECT_EQ(kw_workspace_bytes(program_), 64);
  Floats x(4, 100), w(5, 10), y(4), s(4, 7);
  const void* in[] = {x.data()};
  void* out[] = {y.data()};
  void* state[] = {s.data()};
  EXPECT_NE(kw_run(program_, in, out, state, nullptr), 0);
  EXPECT_THAT(kw_last_error(), HasSubstr("kw_prepare comes before"));
  // Also from an address that is not aligned.
  for (const void* address : {w.data(), w.data() + 1}) {
    ASSERT_EQ(kw_prepare(program_, &address), 0) << kw_last_error();
    ASSERT_EQ(kw_run(program_, in, out, state, nullptr), 0) << kw_last_error();
    EXPECT_EQ(y.copy(), (std::vector<float>{111, 112, 113, 114}));
  }
  EXPECT_EQ(s.copy(), std::vector<float>(4, 207));
  const void* null_weight = nullptr;
  EXPECT_NE(kw_prepare(program_, &null_weight), 0);
  EXPECT_NE(kw_run(program_, in, out, state, nullptr), 0)
      << "a failed prepare leaves nothing to run";
}

TEST_F(Runtime, SyncIsZeroAtFirstAndALeftoverShows) {
  open(
      R"("lock": {"role": "sync", "dtype": "u32", "shape": [3]}, "y": {"role": "output", "index": 0})",
      R"({"kernel": "leave_dirty", "grid": [1], "args": [{"inout": "lock"}, {"out": "y"}]})");
  EXPECT_EQ(kw_sync_is_zero(program_), 1);
  Floats y(1);
  run({}, {y.data()});
  EXPECT_EQ(kw_sync_is_zero(program_), 0);
}

// The kernel `leave_alone` claims to write h: what h held before shows in y.
TEST_F(Runtime, PoisonReachesScratchAndNothingElse) {
  open(
      R"("w": {"role": "weight", "name": "w", "dtype": "f32", "shape": [4]}, "wp": {"role": "packed", "dtype": "f32", "shape": [4]},
          "h": {"role": "scratch", "dtype": "f32", "shape": [4]}, "lock": {"role": "sync", "dtype": "u32", "shape": [1]},
          "y": {"role": "output", "index": 0, "dtype": "f32", "shape": [4]}, "z": {"role": "output", "index": 1, "dtype": "f32", "shape": [4]})",
      R"({"kernel": "leave_alone", "grid": [1], "args": [{"out": "h"}, {"inout": "lock"}]},
          {"copy": {"from": "h", "to": "y"}}, {"copy": {"from": "wp", "to": "z"}})",
      R"("prepare": [{"kernel": "relu", "grid": [4], "args": ["w", {"out": "wp"}]}],)");
  Floats w(4, 3), y(4), z(4);
  const void* weights[] = {w.data()};
  ASSERT_EQ(kw_prepare(program_, weights), 0);
  kw_poison_scratch(program_, 0x7f);
  run({}, {y.data(), z.data()});
  float poison = 0;
  std::memset(&poison, 0x7f, 4);
  EXPECT_EQ(y.copy(), std::vector<float>(4, poison));
  EXPECT_EQ(z.copy(), std::vector<float>(4, 3));
  EXPECT_EQ(kw_sync_is_zero(program_), 1);
}

TEST_F(Runtime, FloatControlOfTheCallerIsKept) {
  open(kXY, R"({"kernel": "flush_denormals", "grid": [100003], "args": ["x", {"out": "y"}]})");
  Floats x(100003, 1), y(100003);
  run({x.data()}, {y.data()});
  volatile float tiny = std::numeric_limits<float>::min();
  EXPECT_NE(tiny / 2, 0.f) << "denormals are flushed after the call";
}

TEST_F(Runtime, ProgramsShareThePoolFromManyThreads) {
  open(kXY, R"({"kernel": "relu", "grid": [100003], "args": ["x", {"out": "y"}]})");
  std::vector<std::thread> callers;
  std::atomic<int> wrong{0};
  for (int c = 0; c < 3; ++c)
    callers.emplace_back([&, c] {
      Floats x(100003, static_cast<float>(c)), y(100003);
      const void* in[] = {x.data()};
      void* out[] = {y.data()};
      for (int i = 0; i < 20; ++i)
        if (kw_run(program_, in, out, nullptr, nullptr) != 0 || y[100002] != static_cast<float>(c))
          ++wrong;
    });
  for (auto& caller : callers) caller.join();
  EXPECT_EQ(wrong, 0);
}

TEST_F(Runtime, RefusesWhatItCannotRun) {
  std::string object = kernelwright::testing::build_kernels(kKernels);
  auto open_error = [&](const std::string& json, const std::string& path) -> std::string {
    kw_program* opened = nullptr;
    if (kw_open(json.c_str(), path.c_str(), &opened) == 0) {
      kw_close(opened);
      return "opened";
    }
    return kw_last_error();
  };
  std::string head =
      R"({"format": 1, "target": "cpu", "source": "k.cpp", "buffers": {"y": {"role": "output", "index": 0}}, )";
  auto run_of = [](const std::string& kernel) {
    return R"("run": [{"kernel": ")" + kernel + R"(", "grid": [1], "args": [{"out": "y"}]}]})";
  };
  EXPECT_THAT(open_error("{", object), HasSubstr("not valid JSON"));
  EXPECT_THAT(open_error(head + run_of("absent"), object), HasSubstr("no kernel 'absent'"));
  EXPECT_THAT(open_error(head + run_of("malloc"), object), HasSubstr("no kernel 'malloc'"));
  EXPECT_THAT(open_error(head + run_of("relu"), "no-such-object.so"),
              HasSubstr("cannot load the kernel object"));
  EXPECT_THAT(open_error(head + R"("requires": ["quantum"], )" + run_of("relu"), object),
              HasSubstr("no 'quantum'"));
  EXPECT_NE(kw_open(nullptr, nullptr, nullptr), 0);
  EXPECT_NE(kw_set_threads(0), 0);
  EXPECT_THAT(kw_last_error(), HasSubstr("thread count 0"));
  EXPECT_EQ(kw_runtime_abi(), KW_RUNTIME_ABI);
  EXPECT_STRNE(kw_cpu_features(), "");
}

TEST_F(Runtime, UnalignedAndNullTensorsAreRefused) {
  open(kXY, R"({"kernel": "relu", "grid": [1], "args": ["x", {"out": "y"}]})");
  Floats x(100003), y(100003);
  const void* in[] = {x.data() + 1};
  void* out[] = {y.data()};
  EXPECT_NE(kw_run(program_, in, out, nullptr, nullptr), 0);
  EXPECT_STREQ(kw_last_error(), "input x is not 64-byte aligned");
  in[0] = nullptr;
  EXPECT_NE(kw_run(program_, in, out, nullptr, nullptr), 0);
  EXPECT_STREQ(kw_last_error(), "input x is null");
}

}  // namespace
