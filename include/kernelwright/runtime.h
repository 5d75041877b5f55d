// SPDX-License-Identifier: Apache-2.0
// The runtime's C ABI: the referee's bench worker, the drop-in module (through ctypes) and the
// torch.compile backend execute programs through it and through nothing else.
#ifndef KERNELWRIGHT_RUNTIME_H
#define KERNELWRIGHT_RUNTIME_H

#include <stdint.h>

#define KW_RUNTIME_ABI 2

#ifdef __cplusplus
extern "C" {
#endif

#define KW_EXPORT __attribute__((visibility("default")))

typedef struct kw_program kw_program;

// 0 is success; on failure the message of kw_last_error() (per thread, one line) says why.
typedef int kw_status;

KW_EXPORT int kw_runtime_abi(void);
KW_EXPORT const char* kw_last_error(void);
// "x86_64 avx512f ..." : the instruction sets an object built here with -march=native may use.
KW_EXPORT const char* kw_cpu_features(void);

// A child of fork() has a pool of its own; a program that another thread was running then is
// unusable there. Worker threads for all programs of this process, the caller included. Default: 1.
KW_EXPORT kw_status kw_set_threads(int count);
KW_EXPORT int kw_get_threads(void);
// Starts the workers now; without it they start with the first launch that needs them. For a
// process that is about to give up the right to make threads.
KW_EXPORT kw_status kw_start_threads(void);
// Puts idle workers to sleep at once instead of letting them spin for the next launch.
KW_EXPORT void kw_park(void);
// Returns when every worker runs, each on a core of its own where there are enough; they then spin
// for the next launch as after any launch. For a call that is to be timed.
KW_EXPORT kw_status kw_wake(void);
// Reads and writes so many bytes once, on all threads, as fast as memory allows: what a kernel with
// this traffic cannot beat just now. Multiples of 64 are moved; `from` and `to` are 64-byte
// aligned. What is written means nothing.
KW_EXPORT kw_status kw_move_traffic(const void* from, int64_t read_bytes, void* to,
                                    int64_t written_bytes);

// Opens a program: the text of program.json and the built object on disk. Its "target" decides:
//   cpu   a shared object;
//   cuda  a cubin. The calling thread's current CUDA context is the program's from then on; where
//         there is none, the primary context of device 0 (or of $KERNELWRIGHT_CUDA_DEVICE).
KW_EXPORT kw_status kw_open(const char* program_json, const char* object_path, kw_program** out);
KW_EXPORT void kw_close(kw_program* program);
KW_EXPORT const char* kw_target(const kw_program* program);

// Buffers by role: "input" and "output" in the order of their index in the region (indices a
// program does not use are left out), "weight" and "state" in the order written. Counts and indices
// are -1 and names null where there is none.
KW_EXPORT int kw_buffer_count(const kw_program* program, const char* role);
KW_EXPORT const char* kw_buffer_name(const kw_program* program, const char* role,
                                     int i);  // weight or state name, else buffer name
KW_EXPORT int kw_buffer_index(const kw_program* program, const char* role,
                              int i);  // of an input or output
// -1 when the program leaves the shape to the region.
KW_EXPORT int64_t kw_buffer_bytes(const kw_program* program, const char* role, int i);
// Bytes of scratch, packed and sync memory that the program holds once prepared.
KW_EXPORT int64_t kw_workspace_bytes(const kw_program* program);

// Runs the `prepare` steps over the weights (pointers in kw_buffer_name order). Must be called
// before the first run of a program that has weights or prepare steps, and whenever a weight's
// content or address changed. The pointers must stay valid. Weights that are not 64-byte aligned
// are copied. `stream` is the target's own: a CUstream for cuda, null for cpu. prepare_on returns
// when the work is queued (cpu: done), kw_prepare when it is done, on the default stream.
KW_EXPORT kw_status kw_prepare_on(kw_program* program, const void* const* weights, void* stream);
KW_EXPORT kw_status kw_prepare(kw_program* program, const void* const* weights);

// Runs the plan: pointers in buffer order by role (device memory for cuda); `scalars` are the
// scalar inputs by index (may be null). Every pointer is 64-byte aligned; outputs and states
// overlap nothing else. No allocation (cpu: but once after kw_set_threads; cuda: but in the first
// calls, which build the plan's graph). One call at a time per program: a concurrent call waits.
// run_on queues the work on `stream` and does not wait (cpu: it is done). Calls on different
// streams are ordered by the runtime. A stream that is being captured gets plain launches; what is
// captured then must not be replayed while the same program runs elsewhere. kw_run uses the default
// stream and returns when the outputs are complete.
KW_EXPORT kw_status kw_run_on(kw_program* program, const void* const* inputs, void* const* outputs,
                              void* const* states, const double* scalars, void* stream);
KW_EXPORT kw_status kw_run(kw_program* program, const void* const* inputs, void* const* outputs,
                           void* const* states, const double* scalars);

// For the referee: where a call's time goes. kw_profile_on is kw_run_on step by step, without a
// graph and with nothing side by side, so that the whole takes longer. kw_step_times waits for it
// and writes the ms of each launch, fill and copy of `run` (kw_step_count of them, in the order
// written, iterations of a repeat added up).
KW_EXPORT int kw_step_count(const kw_program* program);
KW_EXPORT kw_status kw_profile_on(kw_program* program, const void* const* inputs,
                                  void* const* outputs, void* const* states, const double* scalars,
                                  void* stream);
KW_EXPORT kw_status kw_step_times(kw_program* program, double* ms);
// What the processor counted meanwhile over all threads, waiting workers included, for each of
// those steps; -1 where it counts nothing, is not permitted to, or was not asked to in time.
typedef struct kw_counts {
  int64_t cycles;
  int64_t instructions;
  int64_t cache_misses;  // of the last level: lines that came from memory
  int64_t tlb_misses;    // of loads
  int64_t page_faults;
} kw_counts;
KW_EXPORT kw_status kw_step_counts(kw_program* program, kw_counts* counts);
// Begins to count for the calling thread and those that it starts from now on. Returns how many of
// kw_counts' figures machine and system permit; 0: none. Counting has no end.
KW_EXPORT int kw_count_events(void);

// For the referee: fills scratch (not packed or sync) with `byte`, and tells whether every sync
// buffer is zero again (1) or not (0); that one waits for the stream. -1: it could not be read,
// see kw_last_error().
KW_EXPORT kw_status kw_poison_scratch_on(kw_program* program, int byte, void* stream);
KW_EXPORT int kw_sync_is_zero_on(kw_program* program, void* stream);
KW_EXPORT void kw_poison_scratch(kw_program* program, int byte);
KW_EXPORT int kw_sync_is_zero(const kw_program* program);

// One JSON object about the program as loaded: {"target", "kernels": {NAME: {"registers",
// "local_bytes", "shared_bytes", ...}}, "graph": "used" | why not, "nodes", ...}. Valid until the
// next call for the same program; null on failure.
KW_EXPORT const char* kw_describe(kw_program* program);

#ifdef __cplusplus
}
#endif
#endif
