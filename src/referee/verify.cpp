// SPDX-License-Identifier: Apache-2.0
#include "referee/verify.h"

#include <fmt/format.h>

#include <algorithm>

namespace kernelwright::referee {
namespace {

void keep_worst(std::optional<ErrorFigures>& worst, const ErrorFigures& figures) {
  if (!worst) {
    worst = figures;
    return;
  }
  worst->rho_rms = std::max(worst->rho_rms, figures.rho_rms);
  worst->rho_max = std::max(worst->rho_max, figures.rho_max);
  worst->relative = std::max(worst->relative, figures.relative);
  worst->allclose = worst->allclose && figures.allclose;
}

}  // namespace

Reply<int> Session::mapped(const Arena& arena, bool writable) {
  auto it = ids_.find(&arena);
  if (it != ids_.end()) return it->second;
  auto id = client_.map(arena, writable);
  if (id) ids_[&arena] = *id;
  return id;
}

Reply<void> Session::forget(const Arena& arena) {
  auto it = ids_.find(&arena);
  if (it == ids_.end()) return {};
  const int id = it->second;
  ids_.erase(it);
  return client_.unmap(id);
}

Result<JudgedProgram> JudgedProgram::create(Session& session, Space& space, int program,
                                            const program::Interface& interface, uint64_t seed) {
  std::vector<uint64_t> sizes;
  sizes.reserve(interface.outputs.size() + interface.states.size());
  for (const auto& slot : interface.outputs)
    sizes.push_back(static_cast<uint64_t>(slot.type.bytes()));
  for (const auto& slot : interface.states)
    sizes.push_back(static_cast<uint64_t>(slot.type.bytes()));
  KW_TRY(std::shared_ptr<Arena> outputs, space.allocate("kw-outputs", sizes, Flush::kEnd, seed));
  std::vector<std::string> labels;
  labels.reserve(sizes.size());
  for (size_t i = 0; i < interface.outputs.size(); ++i)
    labels.push_back(fmt::format("output {}", i));
  for (const auto& slot : interface.states) labels.push_back("state '" + slot.name + "'");
  outputs->set_labels(std::move(labels));
  return JudgedProgram(session, program, interface, std::move(outputs));
}

int JudgedProgram::region_of(const BankDraw::Expected& expected) const {
  if (expected.name.empty()) return expected.index;
  for (size_t i = 0; i < interface_.states.size(); ++i) {
    if (interface_.states[i].name == expected.name)
      return static_cast<int>(interface_.outputs.size() + i);
  }
  return -1;
}

Reply<int> JudgedProgram::binding(const BankDraw& draw) {
  auto it = bindings_.find(&draw);
  if (it != bindings_.end()) return it->second;
  auto given = session_->mapped(*draw.given, false);
  if (!given) return given;
  auto weights = session_->mapped(*draw.weights, false);
  if (!weights) return weights;
  auto outputs = session_->mapped(*outputs_, true);
  if (!outputs) return outputs;
  bench::Binding binding;
  binding.program = program_;
  binding.scalars = draw.scalars;
  for (int region : draw.input_regions) binding.inputs.push_back({*given, region});
  for (size_t i = 0; i < interface_.outputs.size(); ++i)
    binding.outputs.push_back({*outputs, static_cast<int>(i)});
  for (const auto& [name, region] : draw.weight_regions)
    binding.weights.emplace_back(name, bench::TensorRef{*weights, region});
  for (size_t i = 0; i < interface_.states.size(); ++i) {
    const std::string& name = interface_.states[i].name;
    binding.states.push_back({name,
                              {*given, draw.state_regions.at(name)},
                              {*outputs, static_cast<int>(interface_.outputs.size() + i)}});
  }
  auto id = session_->client().bind(std::move(binding));
  if (id) bindings_[&draw] = *id;
  return id;
}

void JudgedProgram::forget(const BankDraw& draw) {
  bindings_.erase(&draw);
  forgotten_ += static_cast<int>(hashes_.erase(&draw));
}

Reply<void> JudgedProgram::poison_outputs(int byte) {
  for (int region = 0; region < outputs_->count(); ++region)
    KW_CHECK_OK(as_reply(outputs_->fill(region, byte)));
  return {};
}

Reply<void> JudgedProgram::check_bands() const {
  for (int region = 0; region < outputs_->count(); ++region) {
    KW_TRY(const std::optional<std::string> damage, as_reply(outputs_->damage(region)));
    if (!damage) continue;
    return tl::unexpected(
        Trouble{VerdictKind::kWrong,
                fmt::format("wrote out of bounds: {}, {}",
                            outputs_->labels()[static_cast<size_t>(region)], *damage),
                {}});
  }
  return {};
}

Reply<void> JudgedProgram::check_answers(const BankDraw& draw) {
  for (const BankDraw::Expected& expected : draw.answers) {
    const int region = region_of(expected);
    if (region < 0 || outputs_->tensor_bytes(region) !=
                          static_cast<uint64_t>(expected.elements->rules().type.bytes())) {
      return tl::unexpected(Trouble{VerdictKind::kWrong,
                                    expected.label() + " has another size than the reference gives",
                                    {}});
    }
    KW_TRY(const Comparison comparison,
           as_reply(judge_answer(outputs_->tensor(region), *expected.elements, expected.eager)));
    keep_worst(candidate_error_, comparison.candidate);
    keep_worst(eager_error_, comparison.eager);
    if (!comparison.accepted) {
      return tl::unexpected(
          Trouble{VerdictKind::kWrong,
                  fmt::format("{} on the {} draw ({}): {}", expected.label(),
                              torch::draw_kind_name(draw.kind), torch::draw_kind_words(draw.kind),
                              comparison.reason),
                  {}});
    }
  }
  return {};
}

Reply<uint64_t> JudgedProgram::hash() const {
  uint64_t all = 0;
  for (int region = 0; region < outputs_->count(); ++region) {
    KW_TRY(const uint64_t one, as_reply(outputs_->hash(region)));
    all = all * 0x9e3779b97f4a7c15ull + one;
  }
  return all;
}

Reply<JudgedProgram::Call> JudgedProgram::verify(const BankDraw& draw, int poison) {
  KW_TRY(const int bound, binding(draw));
  // Unlike the scratch, so that one cannot be taken for the other.
  KW_CHECK_OK(poison_outputs((poison < 0 ? 0xff : poison) ^ 0x3c));
  KW_TRY(const bench::Ran ran, session_->client().run({bound, poison}));
  if (ran.prepared) prepare_ms_ = std::max(prepare_ms_, ran.prepare_ms);
  KW_CHECK_OK(check_bands());
  if (!ran.sync_is_zero)
    return tl::unexpected(
        Trouble{VerdictKind::kWrong, "a sync buffer is not zero again after the call", {}});
  Call call;
  call.ms = ran.ms;
  KW_TRY(call.hash, hash());
  auto before = hashes_.find(&draw);
  if (before != hashes_.end() && before->second == call.hash) return call;
  if (auto right = check_answers(draw); !right) {
    Trouble& trouble = right.error();
    if (before != hashes_.end())
      trouble.reason =
          "right at first, then wrong on the same draw (a race, or state kept between calls): " +
          trouble.reason;
    return tl::unexpected(trouble);
  }
  if (before != hashes_.end()) {
    return tl::unexpected(Trouble{
        VerdictKind::kWrong,
        fmt::format("two calls on the same {} draw differ (a race, or state kept between calls)",
                    torch::draw_kind_name(draw.kind)),
        {}});
  }
  hashes_[&draw] = call.hash;
  return call;
}

Reply<void> JudgedProgram::verify_left(const BankDraw& draw) {
  KW_CHECK_OK(check_bands());
  auto before = hashes_.find(&draw);
  KW_TRY(const uint64_t now, hash());
  if (before != hashes_.end() && before->second == now) return {};
  if (auto right = check_answers(draw); !right) {
    right.error().reason = "a timed call was wrong: " + right.error().reason;
    return right;
  }
  if (before != hashes_.end())
    return tl::unexpected(Trouble{VerdictKind::kWrong,
                                  "a timed call differs from a judged call on the same draw (a "
                                  "race, or state kept between calls)",
                                  {}});
  hashes_[&draw] = now;
  return {};
}

}  // namespace kernelwright::referee
