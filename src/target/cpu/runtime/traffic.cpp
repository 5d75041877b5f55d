// SPDX-License-Identifier: Apache-2.0
#include "target/cpu/runtime/traffic.h"

#include <algorithm>

#if defined(__x86_64__)
#include <xmmintrin.h>
#endif

namespace kernelwright::runtime {
namespace {

using Line = float __attribute__((vector_size(64)));

constexpr int64_t kPiece = 64;            // lines of the longer side that go together
constexpr int64_t kStreamFrom = 4 << 20;  // bytes of results that no cache near a core holds

struct Traffic {
  const Line* from;
  Line* to;
  int64_t lines_read, lines_written, pieces;
  bool stream;
};

void store(Line* to, const Line& value, bool stream) {
#if defined(__x86_64__)
  if (stream) {
    const auto* lanes = reinterpret_cast<const float*>(&value);
    for (int i = 0; i < 16; i += 4)
      _mm_stream_ps(reinterpret_cast<float*>(to) + i, _mm_load_ps(lanes + i));
    return;
  }
#else
  (void)stream;
#endif
  *to = value;
}

void move_pieces(void* context, int, int64_t begin, int64_t end) {
  const Traffic& t = *static_cast<const Traffic*>(context);
  const auto at = [&](int64_t lines, int64_t piece) { return lines * piece / t.pieces; };
  Line sum[4] = {};
  int64_t written = at(t.lines_written, begin);
  for (int64_t piece = begin; piece < end; ++piece) {
    int64_t read = at(t.lines_read, piece);
    const int64_t read_end = at(t.lines_read, piece + 1);
    for (; read + 4 <= read_end; read += 4)
      for (int k = 0; k < 4; ++k) sum[k] += t.from[read + k];
    for (; read < read_end; ++read) sum[0] += t.from[read];
    const int64_t written_end = at(t.lines_written, piece + 1);
    for (; written < written_end; ++written) store(t.to + written, sum[written & 3], t.stream);
  }
#if defined(__x86_64__)
  _mm_sfence();
#endif
  for (Line& one : sum) __asm__ volatile("" : : "m"(one));
}

}  // namespace

void move_traffic(Pool& pool, const void* from, int64_t read, void* to, int64_t written) {
  Traffic traffic{
      static_cast<const Line*>(from), static_cast<Line*>(to), read / 64, written / 64, 0,
      written >= kStreamFrom};
  traffic.pieces = (std::max(traffic.lines_read, traffic.lines_written) + kPiece - 1) / kPiece;
  const auto held = pool.lock();
  pool.run_ranges(move_pieces, &traffic, traffic.pieces, 1);
}

}  // namespace kernelwright::runtime
