// SPDX-License-Identifier: Apache-2.0
#include "target/cold_cache.h"

#include <algorithm>

namespace kernelwright::target {
namespace {

struct Bounds {
  const char* kind;
  uint64_t least, most, otherwise;  // otherwise: where the cache's size is not known
};

constexpr Bounds kBounds[] = {{"cpu", 16 << 20, 256 << 20, 64 << 20},
                              {"cuda", 32 << 20, 512 << 20, 128 << 20}};

}  // namespace

uint64_t flush_bytes(const std::string& kind, int64_t last_level_cache_bytes) {
  const Bounds* bounds = &kBounds[0];
  for (const Bounds& row : kBounds)
    if (kind == row.kind) bounds = &row;
  if (last_level_cache_bytes <= 0) return bounds->otherwise;
  return std::clamp(2 * static_cast<uint64_t>(last_level_cache_bytes), bounds->least, bounds->most);
}

}  // namespace kernelwright::target
