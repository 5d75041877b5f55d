// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <vector>

// The referee's own kernels (src/referee/cuda/judge.cu) for the stub driver: one block, one thread,
// fp32 answers alone.
namespace kernelwright::stub {

using Params = std::vector<const void*>;
void measure(const Params& params);
void find(const Params& params);
void element(const Params& params);
void hash(const Params& params);
void bands(const Params& params);

}  // namespace kernelwright::stub
