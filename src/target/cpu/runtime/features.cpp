// SPDX-License-Identifier: Apache-2.0
#include "target/cpu/runtime/features.h"

#include <sys/utsname.h>

#include <string>

#if defined(__aarch64__)
#include <asm/hwcap.h>
#include <sys/auxv.h>
#endif

namespace kernelwright::runtime {
namespace {

std::string detect() {
#if defined(__x86_64__)
  std::string out = "x86_64";
  // The builtin takes literals only.
#define KW_FEATURE(name) \
  if (__builtin_cpu_supports(name)) out += std::string(" ") + (name);
  __builtin_cpu_init();
  KW_FEATURE("sse4.2")
  KW_FEATURE("avx")
  KW_FEATURE("avx2")
  KW_FEATURE("fma")
  KW_FEATURE("bmi2")
  KW_FEATURE("avx512f")
  KW_FEATURE("avx512bw")
  KW_FEATURE("avx512dq")
  KW_FEATURE("avx512vl")
  KW_FEATURE("avx512vnni")
  KW_FEATURE("avx512bf16")
#undef KW_FEATURE
  return out;
#elif defined(__aarch64__)
  std::string out = "aarch64 neon";
  unsigned long caps = getauxval(AT_HWCAP);
  if (caps & HWCAP_ASIMDHP) out += " fp16";
  if (caps & HWCAP_ASIMDDP) out += " dotprod";
#ifdef HWCAP_SVE
  if (caps & HWCAP_SVE) out += " sve";
#endif
  return out;
#else
  utsname name{};
  return uname(&name) == 0 ? name.machine : "unknown";
#endif
}

}  // namespace

const char* cpu_features() {
  static const std::string text = detect();
  return text.c_str();
}

}  // namespace kernelwright::runtime
