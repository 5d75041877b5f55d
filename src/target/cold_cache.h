// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstdint>
#include <string>

namespace kernelwright::target {

// How many bytes to walk over before a timed call, so that it finds the caches cold: twice the last
// level (0: not known), within the bounds of the kind of target. Search, promotion and the final
// check of one machine all take this.
uint64_t flush_bytes(const std::string& kind, int64_t last_level_cache_bytes);

}  // namespace kernelwright::target
