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
#if defined(__AVX512F__) && defined(__GNUC__) && !defined(__clang__)
  for (int64_t i = 0; i < bytes; i += 64)
    __builtin_ia32_movntdq512((kw_line*)((char*)to + i), *(const kw_line*)((const char*)from + i));
#elif defined(__AVX__) && defined(__GNUC__) && !defined(__clang__)
  for (int64_t i = 0; i < bytes; i += 32)
    __builtin_ia32_movntdq256((kw_half*)((char*)to + i), *(const kw_half*)((const char*)from + i));
#elif defined(__clang__)
  for (int64_t i = 0; i < bytes; i += 64)
    __builtin_nontemporal_store(*(const kw_line*)((const char*)from + i), (kw_line*)((char*)to + i));
#else
  __builtin_memcpy(to, from, (unsigned long)bytes);
#endif
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
