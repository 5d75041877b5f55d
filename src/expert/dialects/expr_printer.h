// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <map>
#include <set>
#include <string>
#include <vector>

#include "expert/dialects/spelling.h"
#include "graph/expr.h"

namespace kernelwright::expert::code {

// Prints scalar expressions as statements of a C-like language in single-assignment form, equal
// subexpressions once, each placed in the outermost loop level where all it reads is known. Level 0
// is outside all loops; the caller prints the loops and asks for the statements of each level.
// Loads inside the sides of a select stay inside, so that only the chosen side is read.
class ExprPrinter {
 public:
  // `extents`: of every axis; lets index arithmetic be simplified.
  ExprPrinter(Real real, std::vector<int64_t> extents, std::string prefix = "v",
              const Spelling& spelling = cpp_spelling());

  void bind_axis(int axis, std::string name, int level);
  // Where a tensor lies; strides in elements, per dimension of its load index.
  void bind_tensor(int tensor, std::string pointer, graph::DType dtype,
                   std::vector<int64_t> strides);
  // A tensor whose element at hand is already in a variable, whatever the index.
  void bind_value(int tensor, std::string name, int level);
  // A tensor held in an array; the element is named by the bound text, at its level.
  void bind_reduced(std::string name, int level);

  // The text that names the value: a variable or a literal.
  std::string print(const graph::Expr& expr);
  int level_of(const std::string& name) const;
  // The linear element offset of an index into a tensor with these strides.
  std::string offset(const std::vector<graph::Expr>& index, const std::vector<int64_t>& strides);

  // Statements collected for a level, each line indented; clears them.
  std::string take(int level, int indent);

 private:
  struct Tensor {
    std::string pointer;
    graph::DType dtype = graph::DType::kF32;
    std::vector<int64_t> strides;
  };
  struct Value {
    std::string text;
    int level = 0;
    bool atom = false;  // a name or a literal
  };
  Value visit(const graph::Expr& expr, bool inside_select);
  Value load(const graph::ExprNode& node, bool inside_select);
  Value linear(const graph::Expr& index, bool inside_select);
  // Gives a computed text a variable (or, inside a select, leaves it inline).
  Value settle(const std::string& type, std::string text, int level, bool inside_select);
  std::string type_of(graph::ScalarKind kind) const;
  std::string type_of(const graph::Expr& expr) const;

  Real real_;
  std::vector<int64_t> extents_;
  std::string prefix_;
  const Spelling* spelling_;
  int next_ = 0;
  std::map<int, Value> axes_;
  std::map<int, Tensor> tensors_;
  std::map<int, Value> values_;
  Value reduced_;
  std::map<std::string, Value> known_;  // printed text -> variable
  std::map<std::string, int> levels_;   // variable -> level
  std::map<int, std::vector<std::string>> statements_;
};

}  // namespace kernelwright::expert::code
