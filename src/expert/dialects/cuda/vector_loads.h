// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <functional>
#include <string>
#include <vector>

#include "expert/emit_util.h"

namespace kernelwright::expert::cuda {

// Whether `width` neighbours along an axis, from a multiple of `width` on, lie side by side from an
// aligned address on: one access per 16 bytes.
bool runs_along(const graph::Expr& offset, const std::vector<int64_t>& extents, int axis,
                int64_t width, graph::DType dtype);

// Loads of a thread that works on `width` neighbours along one axis. Takes out of expressions the
// loads that every point makes (outside of the sides of a select) and that run along the axis, and
// makes them vector loads, issued together before anything is computed. With width 1 any load whose
// index needs no other load counts.
class VectorLoads {
 public:
  // `spare`: tensors that the caller holds in variables.
  VectorLoads(const OpContext& context, std::vector<int64_t> extents, int axis, int64_t width,
              std::vector<int> spare = {});
  // The expression with those loads replaced by values that bind() names.
  graph::Expr replace(const graph::Expr& expr);
  // Tensors of which every element is loaded once: their loads leave the caches first.
  void read_once(std::vector<int> tensors) { once_ = std::move(tensors); }
  // Vectors that the caller has already, each named by a text that `place` gives, empty for those
  // that are to be loaded.
  void found_in(std::function<std::string(const graph::Expr&)> place) { place_ = std::move(place); }
  // Whether nothing is to be loaded.
  bool empty() const;
  std::vector<graph::Expr> expressions() const;  // of all loads taken

  // "kw_vec<float, 4> l0[2]; ...": room for `count` vectors per load.
  std::string declare(int64_t count, int indent) const;
  // "l0[s] = kw_load_const<4>(...);": `printer` knows the axes, with the first of the neighbours
  // for the vector's axis; its statements of `level` come first.
  std::string load(KernelArguments& kernel, code::ExprPrinter& printer, int level,
                   const std::string& slot, int indent) const;
  // "const float x0 = l0[s].v[e];" for the element at hand, and the binding of x0 at `level`.
  std::string elements(code::ExprPrinter& printer, code::Real real, int level,
                       const std::string& slot, int indent) const;

 private:
  struct Load {
    graph::Expr expr;
    int id = 0;  // stands for it as a tensor number
  };
  bool takes(const graph::Expr& load) const;
  graph::Expr walk(const graph::Expr& expr);
  std::string place(const Load& load) const { return place_ ? place_(load.expr) : ""; }

  const OpContext& context_;
  std::vector<int64_t> extents_;
  int axis_;
  int64_t width_;
  std::vector<int> spare_, once_;
  std::function<std::string(const graph::Expr&)> place_;
  std::vector<Load> loads_;
};

}  // namespace kernelwright::expert::cuda
