// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstddef>

// What tests ask of the stub driver (libkw_stub_cuda.so) besides CUDA's own functions. The library
// stands in for libcuda.so.1 through KERNELWRIGHT_CUDA_DRIVER: its device has the figures of an
// H100, its memory is the host's, its kernels are the few of kernels.cpp, carried
// out at the launch. A graph runs its nodes in the most awkward order that its edges allow.
extern "C" {

// Every call since the last reset, one per line: "cuMemAlloc 4096", "cuLaunchKernelEx add_value
// grid 1 1 1 block 32 1 1 shared 0 attributes".
const char* kw_stub_log();
void kw_stub_reset();
// Calls of one function since the last reset.
size_t kw_stub_count(const char* function);
// From the `after`-th call on (0: the next), the function fails with `code`; 0 ends it.
void kw_stub_fail(const char* function, int code, int after);
// What tensor maps were last encoded with: "tiled type 7 rank 2 address 0x.. shape 64 32 ...".
const char* kw_stub_tensor_map();

}  // extern "C"
