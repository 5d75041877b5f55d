// SPDX-License-Identifier: Apache-2.0
#include "expert/dialects/cpp/kernel_text.h"

#include <fmt/format.h>

#include "expert/dialects/spelling.h"
#include "expert/program_builder.h"

namespace kernelwright::expert {

using program::Access;

program::Launch KernelText::finish(int64_t grid) {
  std::string text = helpers;
  text += fmt::format("extern \"C\" void {}(const kw_args* kw, int64_t begin, int64_t end) {{\n",
                      name_);
  program::Launch launch;
  for (size_t i = 0; i < args_.size(); ++i) {
    const program::BufferArg& arg = args_[i];
    const char* type = code::c_type(builder_.dtype(arg.buffer));
    const char* constant = arg.access == Access::kRead ? "const " : "";
    // What other workers write behind a barrier is no restricted pointer's.
    text += fmt::format("  {0}{1}*{4} {2} = ({0}{1}*)kw->buffers[{3}];\n", constant, type,
                        arg.buffer, i, team && arg.access != Access::kRead ? "" : " __restrict");
    launch.args.emplace_back(arg);
  }
  text += body + "}\n\n";
  builder_.add_source(text);
  launch.kernel = name_;
  launch.grid = {program::size(grid)};
  if (grain > 0) launch.grain = program::size(grain);
  if (scratch_bytes > 0) launch.scratch_bytes = program::size(scratch_bytes);
  launch.team = team;
  return launch;
}

void KernelText::launch(int64_t grid) {
  builder_.add_run(finish(grid));
}
void KernelText::launch_in_prepare(int64_t grid) {
  builder_.add_prepare(finish(grid));
}

std::string stream_helper() {
  return R"(#ifndef KW_STREAM
#define KW_STREAM
typedef long long kw_line __attribute__((vector_size(64)));
typedef long long kw_half __attribute__((vector_size(32)));
static inline void kw_stream(void* to, const void* from, int64_t bytes) {
  char* const out = (char*)to;
  const char* const in = (const char*)from;
  int64_t i = 0;
#if defined(__AVX__) || defined(__clang__)
  // Plain stores up to the first whole line, and behind the last.
  int64_t head = -(int64_t)(uintptr_t)out & 63;
  if (head > bytes) head = bytes;
  __builtin_memcpy(out, in, (unsigned long)head);
  for (i = head; i + 64 <= bytes; i += 64) {
    kw_line line;
    __builtin_memcpy(&line, in + i, 64);
#if defined(__clang__)
    __builtin_nontemporal_store(line, (kw_line*)(out + i));
#elif defined(__AVX512F__)
    __builtin_ia32_movntdq512((kw_line*)(out + i), line);
#else
    kw_half half[2];
    __builtin_memcpy(half, &line, 64);
    __builtin_ia32_movntdq256((kw_half*)(out + i), half[0]);
    __builtin_ia32_movntdq256((kw_half*)(out + i + 32), half[1]);
#endif
  }
#endif
  __builtin_memcpy(out + i, in + i, (unsigned long)(bytes - i));
}
static inline void kw_stream_end(void) {
#if defined(__x86_64__)
  __builtin_ia32_sfence();
#endif
}
#endif
)";
}

}  // namespace kernelwright::expert
