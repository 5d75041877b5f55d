// SPDX-License-Identifier: Apache-2.0
#include "search/session.h"

#include <fmt/core.h>

#include <algorithm>

#include "base/log.h"

namespace kernelwright::search {
namespace {

bool all_of_dtype(const graph::Graph& graph, graph::DType dtype) {
  bool any = false;
  for (const auto& value : graph.values) {
    if (!graph::is_float(value.type.dtype)) continue;
    if (value.type.dtype != dtype) return false;
    any = true;
  }
  return any;
}

// A module already in half precision is judged in its own type.
target::Policy default_policy(const graph::Graph& graph) {
  if (all_of_dtype(graph, graph::DType::kBF16)) return target::Policy::kBf16;
  if (all_of_dtype(graph, graph::DType::kF16)) return target::Policy::kFp16;
  return target::Policy::kStrict;
}

}  // namespace

Result<std::unique_ptr<target::Target>> choose_target(const std::string& name) {
  if (!name.empty()) {
    KW_TRY(auto chosen, target::open_target(name));
    if (const std::string reason = chosen->absent_reason(); !reason.empty())
      return fail(ErrorKind::kEnvironment, fmt::format("target {}: {}", name, reason));
    return chosen;
  }
  const auto names = target::target_names();
  if (std::find(names.begin(), names.end(), "cuda") != names.end()) {
    KW_TRY(auto cuda, target::open_target("cuda"));
    if (cuda->absent_reason().empty()) return cuda;
  }
  return choose_target("cpu");
}

Result<Session> Session::open(const SessionOptions& options) {
  Session session;
  session.spec = options.spec;
  session.work_dir = options.work_dir;
  std::optional<target::Policy> policy;
  if (!session.spec.policy.empty()) {
    policy = target::policy_from_name(session.spec.policy);
    if (!policy)
      return fail(ErrorKind::kUsage, fmt::format("unknown policy '{}': strict, tf32, bf16 or fp16",
                                                 session.spec.policy));
  }
  KW_TRY(session.target, choose_target(session.spec.target));
  session.spec.target = session.target->name();
  const auto refuse_policy = [&](target::Policy p) {
    return fail(ErrorKind::kUsage, fmt::format("policy {} is not supported on target {}",
                                               target::policy_name(p), session.spec.target));
  };
  if (policy && !session.target->supports(*policy)) return refuse_policy(*policy);
  if (session.spec.size.empty()) session.spec.size = session.spec.target == "cpu" ? "cpu" : "gpu";
  if (session.spec.policy.empty()) session.spec.policy = "strict";

  std::error_code code;
  std::filesystem::create_directories(options.work_dir, code);
  if (code)
    return fail(ErrorKind::kEnvironment,
                fmt::format("cannot create {}: {}", options.work_dir.string(), code.message()));

  base::progress("import", session.spec.path);
  torch::WorkerOptions worker_options;
  worker_options.threads = options.threads;
  worker_options.log_path = options.work_dir / "torch.log";
  KW_TRY(torch::Worker worker, torch::Worker::start(worker_options));
  session.torch = std::make_unique<torch::Worker>(std::move(worker));
  session.threads = session.torch->threads();
  KW_TRY(session.imported, session.torch->import(session.spec, options.work_dir));
  session.policy = policy.value_or(default_policy(session.imported.graph));
  session.spec.policy = target::policy_name(session.policy);
  if (!session.target->supports(session.policy)) return refuse_policy(session.policy);

  session.partition = rewrite::partition(session.imported.graph);
  KW_CHECK_OK(session.torch->set_regions(session.imported.graph, session.partition.regions));

  base::progress("probe", session.target->device_name());
  KW_TRY(session.model, session.target->machine_model());
  return session;
}

}  // namespace kernelwright::search
