// SPDX-License-Identifier: Apache-2.0
#include "expert/families/row_plan.h"

#include <algorithm>

#include "expert/dialects/reduce.h"
#include "expert/emit_util.h"
#include "expert/families/row_moments.h"

namespace kernelwright::expert {

using graph::Combiner;
using graph::Expr;
using graph::ExprNode;
using graph::ExprOp;
using graph::ScalarKind;
using rewrite::RowGroup;

bool is_output(const OpContext& context, int tensor) {
  return std::find(context.op.outputs.begin(), context.op.outputs.end(), tensor) !=
         context.op.outputs.end();
}

bool reads(const RowGroup::Member& member, int tensor) {
  bool found = false;
  for (const Expr& expr : {member.nest.body, member.nest.finish}) {
    if (!expr) continue;
    graph::visit(expr, [&](const ExprNode& node) {
      found |= node.op == ExprOp::kLoad && node.tensor == tensor;
    });
  }
  return found;
}

namespace {

constexpr int kShared = -2;  // tensor number of a value that only this kernel knows
constexpr int kLoaded = -3;  // and of kept loads: this one and below

// A dear subexpression of a reduction that a later member along the row
// computes again (softmax's exp).
Expr shared_expression(const RowGroup& group, size_t& reduction) {
  for (size_t j = 0; j < group.members.size(); ++j) {
    if (!group.members[j].reduces) continue;
    for (size_t i = j + 1; i < group.members.size(); ++i) {
      if (group.members[i].per_row) continue;
      Expr found;
      // Operands come first, so the last one found is the largest.
      graph::rewrite(group.members[j].nest.body, [&](const Expr& mine) -> Expr {
        if (mine->kind != ScalarKind::kReal || rewrite::arithmetic_cost(mine) < 8) return nullptr;
        bool again = false;
        graph::rewrite(group.members[i].nest.body, [&](const Expr& theirs) -> Expr {
          again |= graph::same(mine, theirs);
          return nullptr;
        });
        if (again) found = mine;
        return nullptr;
      });
      if (found) {
        reduction = j;
        return found;
      }
    }
  }
  return nullptr;
}

// Makes the shared expression a member of its own; its tensor exists in this
// kernel only.
void share_expression(RowGroup& group) {
  size_t at = 0;
  const Expr shared = shared_expression(group, at);
  if (!shared) return;
  RowGroup::Member member;
  member.nest = group.members[at].nest;
  member.nest.outer = member.nest.rank();
  member.nest.combiner = Combiner::kNone;
  member.nest.finish = nullptr;
  member.nest.body = shared;
  member.nest.output = kShared;
  const Expr value = graph::load(kShared, ScalarKind::kReal, {graph::integer(0)});
  for (auto& other : group.members) {
    if (other.per_row && !other.reduces) continue;
    other.nest.body = graph::rewrite(other.nest.body, [&](const Expr& node) {
      return graph::same(node, shared) ? value : nullptr;
    });
  }
  group.members.insert(group.members.begin() + static_cast<std::ptrdiff_t>(at), std::move(member));
}

// The loads of an expression that every point makes, from outside of the group
// and along the row.
void loads_along(const RowGroup& group, const Expr& expr, std::vector<Expr>& found) {
  if (expr->op == ExprOp::kLoad) {
    if (expr->tensor < 0 || group.find(expr->tensor) != nullptr ||
        !code::is_index(expr->operands[0]))
      return;
    const size_t outer = group.outer.size(), rank = outer + group.row.size();
    const auto used = rewrite::axes_used(expr, static_cast<int>(rank));
    if (std::none_of(used.begin() + static_cast<std::ptrdiff_t>(outer), used.end(),
                     [](bool uses) { return uses; }))
      return;
    const bool known = std::any_of(found.begin(), found.end(),
                                   [&](const Expr& other) { return graph::same(other, expr); });
    if (!known) found.push_back(expr);
    return;
  }
  for (size_t i = 0; i < expr->operands.size(); ++i) {
    if (expr->op != ExprOp::kSelect || i == 0) loads_along(group, expr->operands[i], found);
  }
}

// Makes loads that several members need members of their own.
void share_loads(RowGroup& group) {
  std::vector<Expr> all;
  std::vector<int> readers;
  const RowGroup::Member* along = nullptr;
  for (const auto& member : group.members) {
    if (member.per_row && !member.reduces) continue;
    along = &member;
    std::vector<Expr> own;
    loads_along(group, member.nest.body, own);
    for (const Expr& load : own) {
      size_t at = 0;
      while (at < all.size() && !graph::same(all[at], load)) ++at;
      if (at == all.size()) {
        all.push_back(load);
        readers.push_back(0);
      }
      ++readers[at];
    }
  }
  if (along == nullptr) return;
  const rewrite::Nest pattern = along->nest;
  std::vector<RowGroup::Member> made;
  for (size_t i = 0; i < all.size(); ++i) {
    if (readers[i] < 2) continue;
    const Expr& load = all[i];
    RowGroup::Member member;
    member.nest = pattern;
    member.nest.outer = pattern.rank();
    member.nest.combiner = Combiner::kNone;
    member.nest.finish = nullptr;
    member.nest.body = load;
    member.nest.output = kLoaded - static_cast<int>(i);
    const Expr value = graph::load(member.nest.output, load->kind, {graph::integer(0)});
    for (auto& other : group.members) {
      if (other.per_row && !other.reduces) continue;
      other.nest.body = graph::rewrite(other.nest.body, [&](const Expr& node) {
        return graph::same(node, load) ? value : nullptr;
      });
    }
    made.push_back(std::move(member));
  }
  group.members.insert(group.members.begin(), std::make_move_iterator(made.begin()),
                       std::make_move_iterator(made.end()));
}

// Each member in the first pass in which all it reads is known. Squares of moments know the mean
// when their own pass ends.
void assign_passes(Passes& plan) {
  const auto& members = plan.group.members;
  plan.count = 1;
  plan.pass.assign(members.size(), 0);
  for (size_t i = 0; i < members.size(); ++i) {
    for (size_t j = 0; j < i; ++j) {
      if (!reads(members[i], members[j].nest.output)) continue;
      if (plan.moments && i == plan.moments->squares && j == plan.moments->mean) {
        plan.pass[i] = std::max(plan.pass[i], plan.pass[j]);
        continue;
      }
      const bool scalar = members[i].per_row && !members[i].reduces;
      const int after = plan.pass[j] + (members[j].per_row && !scalar ? 1 : 0);
      plan.pass[i] = std::max(plan.pass[i], after);
    }
    plan.count = std::max(plan.count, plan.pass[i] + 1);
  }
}

}  // namespace

Passes plan_passes(const OpContext& context, Keep keep, bool at_once) {
  Passes plan;
  plan.group = *context.row_group();
  auto& members = plan.group.members;
  if (keep != Keep::kNothing) share_expression(plan.group);
  if (keep == Keep::kLoads) share_loads(plan.group);
  if (keep == Keep::kNothing) {
    // Values along the row are computed where they are needed.
    for (size_t i = 0; i < members.size(); ++i) {
      if (members[i].per_row || is_output(context, members[i].nest.output)) continue;
      const Expr body = members[i].nest.body;
      const int tensor = members[i].nest.output;
      for (size_t j = i + 1; j < members.size(); ++j) {
        for (Expr* expr : {&members[j].nest.body, &members[j].nest.finish}) {
          if (*expr)
            *expr = graph::rewrite_loads(*expr, [&](const ExprNode& node) {
              return node.tensor == tensor ? body : nullptr;
            });
        }
      }
    }
    std::erase_if(members, [&](const RowGroup::Member& m) {
      return !m.per_row && !is_output(context, m.nest.output);
    });
  }
  assign_passes(plan);
  if (at_once && (plan.moments = find_moment_pair(plan))) assign_passes(plan);
  plan.kept.assign(members.size(), false);
  for (size_t j = 0; j < members.size(); ++j) {
    for (size_t i = j + 1; i < members.size(); ++i) {
      if (!members[j].per_row && reads(members[i], members[j].nest.output) &&
          plan.pass[i] > plan.pass[j])
        plan.kept[j] = true;
    }
  }
  return plan;
}

bool Passes::only_reduces() const {
  return count == 1 && std::all_of(group.members.begin(), group.members.end(),
                                   [](const RowGroup::Member& m) { return m.per_row; });
}

bool keeps_values(const OpContext& context) {
  const RowGroup& group = *context.row_group();
  size_t at = 0;
  return shared_expression(group, at) != nullptr ||
         std::any_of(group.members.begin(), group.members.end(), [&](const RowGroup::Member& m) {
           return !m.per_row && !is_output(context, m.nest.output);
         });
}

bool has_rows(const OpContext& context, bool arg_too) {
  for (const auto& stage : context.op.stages) {
    if (code::is_arg(stage.combiner) && (!arg_too || context.op.stages.size() > 1)) return false;
  }
  const auto& group = context.row_group();
  return group && !group->row.empty() && group->rows() > 0 && group->row_length() > 0;
}

std::vector<int> following_rows(const OpContext& context) {
  const RowGroup& group = *context.row_group();
  std::vector<int64_t> extents = group.outer;
  extents.insert(extents.end(), group.row.begin(), group.row.end());
  std::vector<int> found;
  for (const auto& member : group.members) {
    if ((member.per_row && !member.reduces) ||
        member.nest.rank() != static_cast<int>(extents.size()))
      continue;
    graph::visit(member.nest.body, [&](const ExprNode& node) {
      if (node.op != ExprOp::kLoad || group.find(node.tensor) != nullptr ||
          std::find(found.begin(), found.end(), node.tensor) != found.end())
        return;
      const auto affine = rewrite::affine_of(member.nest, node.operands[0]);
      if (!affine || affine->constant != 0) return;
      int64_t dense = 1;
      for (size_t a = extents.size(); a-- > 0; dense *= extents[a])
        if (extents[a] > 1 && affine->coefficients[a] != dense) return;
      found.push_back(node.tensor);
    });
  }
  return found;
}

int asking_pass(const Passes& plan) {
  for (int pass = 1; pass < plan.count; ++pass)
    for (size_t j = 0; j < plan.group.members.size(); ++j)
      if (plan.pass[j] == pass && plan.group.members[j].reduces) return pass;
  return plan.count - 1;
}

SharedBy shared_by_row(const RowGroup& group) {
  return [&group](const Expr& value) {
    const size_t outer = group.outer.size();
    const auto used = rewrite::axes_used(value, static_cast<int>(outer + group.row.size()));
    bool along = std::any_of(used.begin() + static_cast<std::ptrdiff_t>(outer), used.end(),
                             [](bool uses) { return uses; });
    graph::visit(value, [&](const ExprNode& node) {
      if (node.op != ExprOp::kLoad) return;
      const RowGroup::Member* made = group.find(node.tensor);
      along |= made != nullptr && !made->per_row;
    });
    return !along;
  };
}

double lane_stride(const OpContext& context, int axis) {
  const RowGroup& group = *context.row_group();
  double worst = 0;
  for (const auto& member : group.members) {
    for (const Expr& expr : {member.nest.body}) {
      graph::visit(expr, [&](const ExprNode& node) {
        if (node.op != ExprOp::kLoad || axis >= member.nest.rank() ||
            group.find(node.tensor) != nullptr)
          return;
        const auto c = coefficient(member.nest, node.operands[0], axis);
        worst = std::max(worst, c ? static_cast<double>(std::abs(*c)) : 16.0);
      });
    }
  }
  return worst;
}

}  // namespace kernelwright::expert
