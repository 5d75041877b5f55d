// SPDX-License-Identifier: Apache-2.0
// The device math header, compiled as candidates are, against the long double library.
#include <dlfcn.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <bit>
#include <cmath>
#include <limits>
#include <random>

#include "base/file.h"
#include "kernelwright/kernel_abi.h"
#include "target/cpu/toolchain.h"

namespace kernelwright::target {
namespace {

struct Unary {
  const char* name;
  long double (*exact)(long double);
  double float_ulp;   // the bounds that kw_math.h states
  double double_ulp;  // 0: by <math.h>
};
long double sigmoid(long double x) {
  return 1 / (1 + expl(-x));
}
long double softplus(long double x) {
  return fmaxl(x, 0) + log1pl(expl(-fabsl(x)));
}
constexpr Unary kUnary[] = {
    {"exp", expl, 1.1, 1.1},        {"expm1", expm1l, 1.5, 2}, {"tanh", tanhl, 3, 3},
    {"sigmoid", sigmoid, 2.5, 2.5}, {"log", logl, 1, 1},       {"log1p", log1pl, 2, 2},
    {"log2", log2l, 1.5, 0},        {"erf", erfl, 1.5, 0},     {"sin", sinl, 1.5, 0},
    {"cos", cosl, 1.5, 0},          {"tan", tanl, 3.5, 0},     {"softplus", softplus, 3, 3}};

std::string source() {
  std::string text = R"(
#include "kernelwright/kernel_abi.h"
#include "kw_math.h"
#define UNARY(NAME, TYPE, SUFFIX)                                                       \
  extern "C" void NAME##_##SUFFIX(const kw_args* a, int64_t begin, int64_t end) {       \
    const TYPE* __restrict x = (const TYPE*)a->buffers[0];                              \
    TYPE* __restrict y = (TYPE*)a->buffers[1];                                          \
    for (int64_t i = begin; i < end; ++i) y[i] = kw_##NAME(x[i]);                       \
  }
#define BINARY(NAME, TYPE)                                                              \
  extern "C" void NAME(const kw_args* a, int64_t begin, int64_t end) {                  \
    const TYPE* __restrict x = (const TYPE*)a->buffers[0];                              \
    const TYPE* __restrict z = (const TYPE*)a->buffers[1];                              \
    TYPE* __restrict y = (TYPE*)a->buffers[2];                                          \
    for (int64_t i = begin; i < end; ++i) y[i] = kw_##NAME(x[i], z[i]);                 \
  }
#define CONVERT(NAME, FROM, TO)                                                         \
  extern "C" void NAME(const kw_args* a, int64_t begin, int64_t end) {                  \
    const FROM* __restrict x = (const FROM*)a->buffers[0];                              \
    TO* __restrict y = (TO*)a->buffers[1];                                              \
    for (int64_t i = begin; i < end; ++i) y[i] = kw_##NAME(x[i]);                       \
  }
BINARY(pow, float) BINARY(max, float) BINARY(min, float) BINARY(mod, float) BINARY(floordiv, float)
CONVERT(f16_to_f32, kw_f16, float) CONVERT(f32_to_f16, float, kw_f16)
CONVERT(bf16_to_f32, kw_bf16, float) CONVERT(f32_to_bf16, float, kw_bf16) CONVERT(round, float, float)
extern "C" void int_mod(const kw_args* a, int64_t begin, int64_t end) {
  const int64_t* x = (const int64_t*)a->buffers[0];
  int64_t* y = (int64_t*)a->buffers[2];
  for (int64_t i = begin; i < end; ++i)
    y[i] = kw_mod(x[i], ((const int64_t*)a->buffers[1])[i]) + 1000 * kw_floordiv(x[i], ((const int64_t*)a->buffers[1])[i]);
}
)";
  for (const auto& unary : kUnary) {
    text += std::string("UNARY(") + unary.name + ", float, f)\n";
    if (unary.double_ulp > 0) text += std::string("UNARY(") + unary.name + ", double, d)\n";
  }
  return text;
}

class DeviceMath : public ::testing::Test {
 protected:
  static void SetUpTestSuite() {
    auto folder = base::TempDir::create("kw-test");
    ASSERT_TRUE(folder);
    const auto compiler = find_compiler("", KW_BINARY_DIR "/test-cache");
    if (!compiler) GTEST_SKIP() << compiler.error().text();
    CompileJob job;
    job.source = source();
    job.exports = {"pow",   "max",        "min",        "mod",         "floordiv",   "int_mod",
                   "round", "f16_to_f32", "f32_to_f16", "bf16_to_f32", "f32_to_bf16"};
    for (const auto& unary : kUnary) {
      job.exports.push_back(std::string(unary.name) + "_f");
      if (unary.double_ulp > 0) job.exports.push_back(std::string(unary.name) + "_d");
    }
    const auto output = compile(*compiler, job, folder->path(), {});
    ASSERT_TRUE(output) << output.error().text();
    ASSERT_TRUE(*output) << output->error().log;
    object_ = ::dlopen((folder->path() / "object.so").c_str(), RTLD_NOW | RTLD_LOCAL);
    ASSERT_NE(object_, nullptr) << ::dlerror();
  }
  static void TearDownTestSuite() {
    if (object_ != nullptr) ::dlclose(object_);
  }
  void SetUp() override {
    if (object_ == nullptr) GTEST_SKIP() << "no compiler";
  }
  static void call(const std::string& name, std::vector<const void*> buffers, size_t count) {
    auto kernel = reinterpret_cast<kw_kernel>(::dlsym(object_, name.c_str()));
    ASSERT_NE(kernel, nullptr) << name;
    std::vector<void*> pointers;
    for (const void* buffer : buffers) pointers.push_back(const_cast<void*>(buffer));
    kw_args args{};
    args.buffers = pointers.data();
    kernel(&args, 0, static_cast<int64_t>(count));
  }
  static float binary(const std::string& name, float a, float b) {
    float y = 0;
    call(name, {&a, &b, &y}, 1);
    return y;
  }
  static void* object_;
};
void* DeviceMath::object_ = nullptr;

// Random bit patterns, everyday values, and the special ones.
template <class T, class Bits>
std::vector<T> points() {
  using Limits = std::numeric_limits<T>;
  std::mt19937_64 random(7);
  std::vector<T> x = {0,
                      -T(0),
                      1,
                      -1,
                      T(0.5),
                      2,
                      Limits::infinity(),
                      -Limits::infinity(),
                      Limits::quiet_NaN(),
                      Limits::max(),
                      Limits::lowest(),
                      Limits::min(),
                      -Limits::min(),
                      Limits::denorm_min(),
                      -Limits::denorm_min(),
                      T(88.7),
                      T(88.8),
                      T(-87.3),
                      T(-103.9),
                      T(-104.1),
                      T(709.7),
                      T(709.9),
                      T(-745.1),
                      T(-745.2),
                      1 - Limits::epsilon() / 2,
                      1 + Limits::epsilon(),
                      T(0.95),
                      T(3.99),
                      T(4.01),
                      T(1.5707963267948966),
                      T(3.141592653589793),
                      T(0.7853981)};
  for (int i = 0; i < 6000; ++i) x.push_back(std::bit_cast<T>(static_cast<Bits>(random())));
  for (const double range : {0.01, 1.0, 12.0, 120.0, 1000.0})
    for (int i = 0; i < 3000; ++i)
      x.push_back(static_cast<T>(std::uniform_real_distribution<double>(-range, range)(random)));
  return x;
}

template <class T>
double ulps(T got, long double exact) {
  using Limits = std::numeric_limits<T>;
  if (std::isnan(exact)) return std::isnan(got) ? 0 : 1e30;
  if (std::isnan(got)) return 1e30;
  const T rounded = static_cast<T>(exact);
  if (got == rounded) return 0;
  int exponent = 0;
  (void)std::frexp(exact, &exponent);
  exponent = std::clamp(exponent, Limits::min_exponent, Limits::max_exponent);
  const long double ulp = std::ldexp(1.0L, exponent - Limits::digits);
  // One ulp above the largest number stands infinity.
  const long double value =
      std::isinf(got) ? std::copysign(std::ldexp(1.0L, Limits::max_exponent), got) : got;
  return static_cast<double>(std::fabs(value - exact) / ulp);
}

template <class T, class Bits>
void expect_within(const std::string& kernel, const Unary& unary, double bound,
                   const std::vector<T>& y, const std::vector<T>& x) {
  double worst = 0;
  T where = 0;
  for (size_t i = 0; i < x.size(); ++i) {
    const long double exact = unary.exact(x[i]);
    const double error = ulps(y[i], exact);
    if (error > worst) worst = error, where = x[i];
    if (exact == 0 && !std::isnan(y[i])) {
      EXPECT_EQ(std::signbit(y[i]), std::signbit(exact)) << kernel << "(" << x[i] << ")";
    }
  }
  EXPECT_LE(worst, bound) << kernel << "(" << where << ")";
  ::testing::Test::RecordProperty(kernel, std::to_string(worst));
}

TEST_F(DeviceMath, UnaryFunctionsKeepTheirStatedErrors) {
  const auto f = points<float, uint32_t>();
  const auto d = points<double, uint64_t>();
  for (const auto& unary : kUnary) {
    const std::string name = unary.name;
    std::vector<float> yf(f.size());
    call(name + "_f", {f.data(), yf.data()}, f.size());
    expect_within<float, uint32_t>(name + "_f", unary, unary.float_ulp, yf, f);
    if (unary.double_ulp == 0) continue;
    std::vector<double> yd(d.size());
    call(name + "_d", {d.data(), yd.data()}, d.size());
    expect_within<double, uint64_t>(name + "_d", unary, unary.double_ulp, yd, d);
  }
}

TEST_F(DeviceMath, PowAgreesWithTheLibrary) {
  std::vector<float> x, z;
  const float inf = std::numeric_limits<float>::infinity(), nan = std::nanf("");
  const float special[] = {0.f,     -0.f,  1.f,        -1.f,       inf,        -inf,       nan,
                           0.5f,    -0.5f, 2.f,        -2.f,       3.f,        -3.f,       1e-40f,
                           -1e-40f, 1e30f, 16777216.f, 16777217.f, 33554432.f, 0.99999994f};
  for (const float a : special)
    for (const float b : special) x.push_back(a), z.push_back(b);
  std::mt19937_64 random(3);
  for (int i = 0; i < 20000; ++i) {
    x.push_back(std::ldexp(std::uniform_real_distribution<float>(0.5f, 1)(random),
                           static_cast<int>(random() % 60) - 30));
    z.push_back(std::uniform_real_distribution<float>(-6, 6)(random));
  }
  std::vector<float> y(x.size());
  call("pow", {x.data(), z.data(), y.data()}, x.size());
  for (size_t i = 0; i < x.size(); ++i) {
    const long double exact = powl(x[i], z[i]);
    ASSERT_LE(ulps(y[i], exact), 0.6) << x[i] << "^" << z[i] << " gives " << y[i];
    if (exact == 0) {
      ASSERT_EQ(std::signbit(y[i]), std::signbit(exact)) << x[i] << "^" << z[i];
    }
  }
}

TEST_F(DeviceMath, MinAndMaxPassNanOn) {
  const float nan = std::nanf("");
  for (const char* name : {"min", "max"}) {
    EXPECT_TRUE(std::isnan(binary(name, nan, 1))) << name;
    EXPECT_TRUE(std::isnan(binary(name, 1, nan))) << name;
  }
  EXPECT_EQ(binary("max", 2, 3), 3);
  EXPECT_EQ(binary("min", 2, 3), 2);
}

TEST_F(DeviceMath, RemaindersFollowTheDivisor) {
  EXPECT_EQ(binary("mod", -1, 3), 2);
  EXPECT_EQ(binary("mod", 1, -3), -2);
  EXPECT_EQ(binary("mod", 6, 3), 0);
  EXPECT_EQ(binary("floordiv", -1, 3), -1);
  EXPECT_EQ(binary("floordiv", 7, 2), 3);
  EXPECT_EQ(binary("floordiv", 1, 0), std::numeric_limits<float>::infinity());
  const int64_t a[] = {7, -7, 7, -7, 6}, b[] = {3, 3, -3, -3, -3};
  int64_t y[5];
  call("int_mod", {a, b, y}, 5);
  EXPECT_THAT(y, ::testing::ElementsAre(1 + 2000, 2 - 3000, -2 - 3000, -1 + 2000, -2000));
}

TEST_F(DeviceMath, RoundsHalfToEven) {
  const float x[] = {0.5f, 1.5f, 2.5f, -0.5f, -1.5f, 3.2f};
  float y[6];
  call("round", {x, y}, 6);
  EXPECT_THAT(y, ::testing::ElementsAre(0, 2, 2, 0, -2, 3));
}

TEST_F(DeviceMath, HalvesGoThereAndBack) {
  std::vector<uint16_t> all(65536), back(65536);
  std::vector<float> wide(65536);
  for (size_t i = 0; i < all.size(); ++i) all[i] = static_cast<uint16_t>(i);
  call("f16_to_f32", {all.data(), wide.data()}, all.size());
  call("f32_to_f16", {wide.data(), back.data()}, all.size());
  for (size_t i = 0; i < all.size(); ++i) {
    const int exponent = (all[i] >> 10) & 31, fraction = all[i] & 1023;
    if (exponent == 31 && fraction != 0) {
      ASSERT_TRUE(std::isnan(wide[i])) << i;
      ASSERT_EQ(back[i] & 0x7e00, 0x7e00) << i;
      continue;
    }
    const float size = exponent == 31 ? std::numeric_limits<float>::infinity()
                       : exponent == 0
                           ? std::ldexp(static_cast<float>(fraction), -24)
                           : std::ldexp(static_cast<float>(1024 + fraction), exponent - 25);
    ASSERT_EQ(std::fabs(wide[i]), size) << i;
    ASSERT_EQ(back[i], all[i]) << i;
  }
  call("bf16_to_f32", {all.data(), wide.data()}, all.size());
  call("f32_to_bf16", {wide.data(), back.data()}, all.size());
  for (size_t i = 0; i < all.size(); ++i) {
    // A NaN comes back quiet.
    ASSERT_EQ(back[i], std::isnan(wide[i]) ? all[i] | 0x40 : all[i]) << i;
  }
}

TEST_F(DeviceMath, HalvesRoundToEven) {
  const float x[] = {1 + 0x1p-11f, 1 + 0x3p-11f, 65519.f,  65520.f,
                     0x1p-25f,     0x1.8p-25f,   0x3p-25f, -0x1.004p-14f * 0.5f};
  uint16_t h[8];
  call("f32_to_f16", {x, h}, 8);
  EXPECT_THAT(h, ::testing::ElementsAre(0x3c00, 0x3c02, 0x7bff, 0x7c00, 0, 1, 2, 0x8200));
  const float b[] = {1 + 0x1p-8f, 1 + 0x3p-8f, std::numeric_limits<float>::max()};
  uint16_t y[3];
  call("f32_to_bf16", {b, y}, 3);
  EXPECT_THAT(y, ::testing::ElementsAre(0x3f80, 0x3f82, 0x7f80));
}

}  // namespace
}  // namespace kernelwright::target
