// SPDX-License-Identifier: Apache-2.0
// What a generated CPU kernel sees. C, no includes but <stdint.h>. Version: KW_ABI_VERSION.
#ifndef KERNELWRIGHT_KERNEL_ABI_H
#define KERNELWRIGHT_KERNEL_ABI_H

#include <stdint.h>

#define KW_ABI_VERSION 1

#ifdef __cplusplus
extern "C" {
#endif

typedef union kw_value {
  int64_t i64;
  int32_t i32;
  float f32;
  double f64;
} kw_value;

typedef struct kw_team kw_team;  // opaque; see kw_args::barrier

// Passed to every call of a kernel. A launch of grid G is cut into ranges [begin, end) that
// together cover 0..G-1 once; a range runs on one worker. Buffers are 64-byte aligned unless a view
// offsets them.
typedef struct kw_args {
  void* const* buffers;    // buffer arguments, in the order of the launch's "args"
  const kw_value* values;  // immediates, scalar inputs and step counters, in order
  int32_t worker;          // 0 .. worker_count-1, fixed for this call
  int32_t worker_count;
  void* scratch;  // this worker's scratch, 64-byte aligned, content undefined at entry
  int64_t scratch_bytes;
  // `team` launches: every worker is called once with the same begin=0, end=grid; barrier(team)
  // returns when all of them have called it. Null otherwise.
  void (*barrier)(kw_team* team);
  kw_team* team;
} kw_args;

// extern "C" void NAME(const kw_args* args, int64_t begin, int64_t end);
typedef void (*kw_kernel)(const kw_args* args, int64_t begin, int64_t end);

#ifdef __cplusplus
}
#endif
#endif
