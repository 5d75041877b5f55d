// SPDX-License-Identifier: Apache-2.0
#include "kernelwright/runtime.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

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
static const float* in(const kw_args* a, int i) { return (const float*)a->buffers[i]; }
static float* out(const kw_args* a, int i) { return (float*)a->buffers[i]; }

void relu(const kw_args* a, int64_t begin, int64_t end) {
  for (int64_t i = begin; i < end; ++i) out(a, 1)[i] = in(a, 0)[i] > 0 ? in(a, 0)[i] : 0;
}
void add(const kw_args* a, int64_t begin, int64_t end) {  // out = x + y
  for (int64_t i = begin; i < end; ++i) out(a, 2)[i] = in(a, 0)[i] + in(a, 1)[i];
}
void scale(const kw_args* a, int64_t begin, int64_t end) {  // out = x * v0 + v1 + v2
  for (int64_t i = begin; i < end; ++i)
    out(a, 1)[i] = in(a, 0)[i] * a->values[0].f32 + (float)a->values[1].f64 + (float)a->values[2].i32;
}
void add_counter(const kw_args* a, int64_t begin, int64_t end) {  // out = x + step
  for (int64_t i = begin; i < end; ++i) out(a, 1)[i] = in(a, 0)[i] + (float)a->values[0].i64;
}
void accumulate(const kw_args* a, int64_t begin, int64_t end) {
  for (int64_t i = begin; i < end; ++i) out(a, 1)[i] += in(a, 0)[i];
}
// Sums grid numbers across the team: each worker its share, then worker 0 adds up after the barrier.
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
    std::string json = R"({"format": 1, "target": "cpu", "source": "k.cpp", "buffers": {)" + buffers + "}, " + more +
                       R"("run": [)" + run + "]}";
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

}  // namespace
