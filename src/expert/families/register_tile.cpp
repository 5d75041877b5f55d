// SPDX-License-Identifier: Apache-2.0
#include "expert/families/register_tile.h"

#include <fmt/format.h>

#include <algorithm>

namespace kernelwright::expert {

std::string vector_type(const std::string& name) {
  return name + "_v";
}

namespace {

// The loop's head and the products of one k.
std::string single_step(const std::string& v, const char* type, const RegisterTile& tile) {
  std::string text = "  for (int64_t k = 0; k < depth; ++k) {\n";
  if (tile.table) text += fmt::format("    const {}* const bk = b + table[k];\n", type);
  for (int64_t j = 0; j < tile.nv; ++j) {
    text +=
        fmt::format("    {0} b{1} = *(const {0}*)({2} + {3});{4}\n", v, j, tile.table ? "bk" : "b",
                    j * tile.lanes, tile.mr > 1 ? fmt::format(" KW_KEEP(b{});", j) : "");
  }
  for (int64_t r = 0; r < tile.mr; ++r) {
    text += fmt::format("    {{ const {} x = a[{}];", type, r * tile.row_a);
    for (int64_t j = 0; j < tile.nv; ++j) text += fmt::format(" c{0}_{1} += x * b{1};", r, j);
    text += " }\n";
  }
  return text;
}

// The same for two neighbours in k.
std::string pair_step(const std::string& name, const RegisterTile& tile) {
  std::string text = "  for (int64_t k = 0; k < depth; k += 2) {\n";
  for (int64_t j = 0; j < tile.nv; ++j)
    text += fmt::format("    __m512i b{0} = _mm512_loadu_si512(b + {1}); KW_KEEP(b{0});\n", j,
                        2 * j * tile.lanes);
  for (int64_t r = 0; r < tile.mr; ++r) {
    text += fmt::format("    {{ const __m512i x = _mm512_set1_epi32(*(const {}_pair*)(a + {}));",
                        name, 2 * r * tile.row_a);
    for (int64_t j = 0; j < tile.nv; ++j)
      text +=
          fmt::format(" c{0}_{1} = _mm512_dpbf16_ps(c{0}_{1}, (__m512bh)x, (__m512bh)b{1});", r, j);
    text += " }\n";
  }
  return text;
}

}  // namespace

std::string register_tile_source(const std::string& name, const RegisterTile& tile) {
  const std::string v = vector_type(name);
  const char* type = code::real_type(tile.real);
  const int64_t bytes = tile.real == code::Real::kF64 ? 8 : 4;
  // Without KW_KEEP the compiler loads a vector of B again for each of its products.
  std::string text = R"(#ifndef KW_KEEP
#if defined(__AVX512F__)
#define KW_KEEP(x) __asm__("" : "+v"(x))
#elif defined(__AVX__)
#define KW_KEEP(x) __asm__("" : "+x"(x))
#else
#define KW_KEEP(x)
#endif
#endif
)";
  text +=
      fmt::format("typedef {0} {1} __attribute__((vector_size({2}), aligned({3}), may_alias));\n",
                  type, v, tile.lanes * bytes, bytes);
  if (tile.pairs)
    text += fmt::format(
        "#include <immintrin.h>\ntypedef int {}_pair __attribute__((may_alias, aligned(2)));\n",
        name);
  text += fmt::format(
      "static __attribute__((noinline)) void {0}(const {1}* __restrict a, const {1}* __restrict "
      "b, {2}* __restrict c, int64_t depth, int first{3}) {{\n",
      name, tile.pairs ? "uint16_t" : type, type, tile.table ? ", const int* table" : "");
  for (int64_t r = 0; r < tile.mr; ++r) {
    text += fmt::format("  {} ", v);
    for (int64_t j = 0; j < tile.nv; ++j)
      text += fmt::format("{}c{}_{} = {{}}", j ? ", " : "", r, j);
    text += ";\n";
  }
  text += tile.pairs ? pair_step(name, tile) : single_step(v, type, tile);
  const int64_t together = tile.pairs ? 2 : 1;
  text += fmt::format("    a += {};\n    b += {};\n  }}\n", together * tile.step_a,
                      tile.table ? 0 : together * tile.step_b);
  for (const bool first : {true, false}) {
    text += first ? "  if (first) {\n" : "  } else {\n";
    for (int64_t r = 0; r < tile.mr; ++r) {
      for (int64_t j = 0; j < tile.nv; ++j) {
        text += fmt::format("    *({0}*)(c + {1}) {2} c{3}_{4};\n", v,
                            r * tile.row_c + j * tile.lanes, first ? "=" : "+=", r, j);
      }
    }
  }
  return text + "  }\n}\n";
}

bool fits_registers(const OpContext& context, int64_t mr, int64_t nv) {
  const int64_t registers = context.vector_bytes() >= 64 ? 32 : 16;
  return mr * nv + nv + 1 <= registers;
}

double vector_rate(const OpContext& context, bool wide, int64_t lanes) {
  double peak = context.model.peak(wide ? graph::DType::kF64 : graph::DType::kF32) /
                std::max(1, context.model.threads);
  if (peak <= 0) peak = 5e10;
  return peak / (2.0 * static_cast<double>(lanes));
}

double tile_step_seconds(int64_t mr, int64_t nv, double vector_rate) {
  // Loads and latency beside the multiply-adds.
  const double products = static_cast<double>(mr * nv);
  const double loads = 0.5 * static_cast<double>(mr) + static_cast<double>(nv);
  const double cycles = std::max({products, loads, 8.0}) + 1.5;
  return cycles / vector_rate;
}

double tile_store_seconds(int64_t mr, int64_t nv, double vector_rate) {
  return static_cast<double>(mr * nv) * 1.5 / vector_rate + 5e-9;
}

}  // namespace kernelwright::expert
