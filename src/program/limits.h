// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstddef>
#include <cstdint>

// Every bound of the program format, in one place.
namespace kernelwright::program {

inline constexpr size_t kMaxTextBytes = 4u << 20;  // program.json
inline constexpr size_t kMaxSourceBytes = 4u << 20;
inline constexpr size_t kMaxJsonDepth = 32;
inline constexpr size_t kMaxObjectKeys = 8192;
inline constexpr size_t kMaxBuffers = 4096;
inline constexpr size_t kMaxSteps = 16384;  // as written, bodies included
inline constexpr size_t kMaxArgs = 256;
inline constexpr size_t kMaxRank = 8;
inline constexpr size_t kMaxFlags = 32;
inline constexpr size_t kMaxParams = 128;
inline constexpr size_t kMaxTableValues = 1u << 16;
inline constexpr size_t kMaxNameBytes = 128;
inline constexpr size_t kMaxExprBytes = 256;
inline constexpr int kMaxInputIndex = 4095;
inline constexpr int kMaxScalarIndex = 255;
inline constexpr int kMaxRepeatDepth = 4;
inline constexpr int64_t kMaxRepeatCount = int64_t{1} << 24;
inline constexpr size_t kMaxSwaps = 64;                // of one repeat
inline constexpr int64_t kMaxSize = int64_t{1} << 48;  // any size expression
inline constexpr int64_t kMaxWorkspaceBytes = int64_t{64} << 30;
inline constexpr int64_t kMaxWorkerScratchBytes = int64_t{1} << 30;

}  // namespace kernelwright::program
