// SPDX-License-Identifier: Apache-2.0
#include "agent/format_guide.h"

#include <fmt/core.h>

#include "agent/texts.h"

namespace kernelwright::agent {
namespace {

constexpr char kCommon[] =
    R"md(A program is a JSON object (the plan) and one source file with kernels. There is no host code: a trusted
runtime launches what the plan says, kernels only compute.

Plan keys: `format` (1), `target`, `source` (plain file name), `params` (name to integer: `-D` defines, usable in every size,
and what a search tunes afterwards), `flags` (allow-list below), `requires` (features), `buffers`, `prepare` (steps run when a
weight changes), `run` (steps of every call). Unknown keys are refused.
A size is a number or a text over params: `+ - * / % ( )`, `ceil_div(a, b)`, `min(a, b)`, `max(a, b)`.

Buffers, name to object. Roles: `input` {index}, `output` {index} (every output of the region is written), `weight` {name},
`state` {name} (mutated by forward: read at entry, must be written), `packed` {dtype, shape} (written by `prepare` only, read by
`run`), `scratch` {dtype, shape} (undefined at the start of a call), `sync` {dtype u32|i32|i64, shape} (zero at entry, to be left
zero), `table` {dtype, values} (constants). dtypes: f64 f32 f16 bf16 i64 i32 i16 i8 u8 u32 bool. All tensors are contiguous.
A `weight` goes by its name in describe_workload's list (`conv.weight`, not the graph's `p_conv_weight`).
`dtype` and `shape` may be left out for input, output, weight and state.

Steps: launch {"kernel": NAME, "grid": [SIZE...], "args": [...]}; {"fill": {"buffer", "value"}}; {"copy": {"from", "to"}};
{"repeat": SIZE, "body": [...], "swap": [["a", "b"]]}. Steps run one after the other; each sees what earlier ones wrote.
Args: "x" (read), {"out": "y"}, {"inout": "y"}, {"view": {"buffer", "offset", "shape", "strides"}, "access": "in|out|inout"},
{"i32": SIZE}, {"i64": SIZE}, {"f32": REAL}, {"f64": REAL}, {"scalar_input": I, "dtype": D}, {"step": "i32"}. A buffer that a
launch writes stands once in its args.

Rules: results are compared with the module in fp64, in units of its own rounding noise, on secret inputs; inputs and weights are
read only; nothing may survive from call to call; a reading of scratch that nothing wrote is refused.
)md";

constexpr char kCpu[] =
    R"md(CPU: `extern "C" void NAME(const kw_args* args, int64_t begin, int64_t end)`. The product of the grid's extents is cut into
ranges [begin, end) over the threads. `args->buffers[i]` are the buffer arguments and `args->values[i].i32/.i64/.f32/.f64` the
others, each in the order written. `args->worker`, `args->worker_count`, `args->scratch` (per worker; null unless
the launch says `scratch_bytes`).
Launch keys: `grain` (fewest grid points per range), `team` (every worker is called once with the whole grid and has
`args->barrier(args->team)`), `scratch_bytes`. Buffers begin at multiples of 64 bytes.
Includes: "kernelwright/kernel_abi.h", "kw_math.h" (vectorizing exp, log, tanh, erf, ...), and of the standard's: algorithm array
bit cfloat climits cmath concepts cstddef cstdint cstring float.h immintrin.h initializer_list limits limits.h math.h numbers
numeric stddef.h stdint.h string.h tuple type_traits utility. No writable globals, no allocation, no threads, no system calls. Built with -O3 -march=native -std=c++20; IEEE, never fast-math.
Flags: -O1 -O2 -O3 -funroll-loops -fno-unroll-loops -ftree-vectorize -fno-tree-vectorize -fno-math-errno -fno-trapping-math
-ffp-contract=fast|off -mprefer-vector-width=128..512 -falign-loops=1..64. `#pragma omp simd reduction(...)` works.
)md";

constexpr char kCuda[] =
    R"md(CUDA: `extern "C" __global__ void NAME(...)`. The parameters are the args, one each, in the order written: a read buffer is
`const T*`, a written one `T*`, i32 `int`, i64 `long long`, f32 `float`, f64 `double`, a tensor map
`const __grid_constant__ kw_tensor_map`. T of f16 and bf16 is `kw_f16` and `kw_bf16` (kw_types.h).
Launch keys: `block` (1 to 3 sizes, product up to 1024, needed), `shared_bytes` (dynamic shared memory), `cooperative`, `cluster`,
`pdl`, and `"grid": {"resident_per_sm": N}` for a persistent grid.
Headers, ours only: kw_types.h, kw_math.h, kw_memory.h, kw_reduce.h, kw_atomic.h, kw_barrier.h, kw_tma.h, kw_mma.h, kw_wgmma.h,
kw_pieces.h, kw_split.h.
No writable `__device__` variables, no malloc, printf, assert or launches from the device. -std=c++20, never --use_fast_math; use
kw_sin, kw_cos, kw_tan.
Flags: --maxrregcount=16..255 --fmad=true|false --extra-device-vectorization -lineinfo.
`requires`: cooperative cluster tma pdl mbarrier cp_async ldmatrix mma_f16 mma_bf16 mma_tf32 mma_f64 mma_fp8 wgmma sm_80 sm_90a.
)md";

}  // namespace

std::string format_rules(const std::string& target) {
  std::string out = kCommon;
  if (target == "cpu") out += std::string("\n") + kCpu;
  if (target == "cuda") out += std::string("\n") + kCuda;
  return out;
}

std::string format_guide(const std::string& target) {
  std::string out = format_rules(target);
  const std::string file = target == "cuda" ? "kernels.cu" : "kernels.cpp";
  const auto* plan = find_text(fmt::format("example/{}/program.json", target));
  const auto* source = find_text(fmt::format("example/{}/{}", target, file));
  if (plan && source)
    out += fmt::format("\nA complete example.\n\n```json\n{}\n```\n\n```cpp\n{}\n```\n", *plan,
                       *source);
  return out;
}

}  // namespace kernelwright::agent
