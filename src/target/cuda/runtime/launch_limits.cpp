// SPDX-License-Identifier: Apache-2.0
#include "target/cuda/runtime/launch_limits.h"

#include <fmt/core.h>

#include <algorithm>

namespace kernelwright::cuda {
namespace {

tl::unexpected<Error> refuse(const LaunchOp& op, const std::string& why) {
  return fail(ErrorKind::kInput, fmt::format("{}: kernel '{}' {}", op.place, op.kernel, why));
}

Error at(Error error, const LaunchOp& op) {
  return std::move(error).with("kernel", op.kernel).with("step", op.place);
}

constexpr unsigned kPlainShared = 48 << 10;  // what a block may have without asking
constexpr unsigned kPortableCluster = 8;

}  // namespace

Status LaunchLimits::shared_memory(const LaunchOp& op, const KernelFunction& kernel) const {
  int64_t total = int64_t{op.config.shared_bytes} + kernel.shared_bytes;
  if (total > device_.shared_optin_bytes)
    return refuse(op, fmt::format("wants {} bytes of shared memory ({} static, {} dynamic), {} has "
                                  "{} per block",
                                  total, kernel.shared_bytes, op.config.shared_bytes, device_.name,
                                  device_.shared_optin_bytes));
  if (total <= kPlainShared) return {};
  int allowed = 0;
  Status status =
      driver_.func_get_attribute(&allowed, kFunctionMaxDynamicSharedBytes, kernel.function);
  auto wanted = static_cast<int>(op.config.shared_bytes);
  if (status && allowed < wanted)
    status = driver_.func_set_attribute(kernel.function, kFunctionMaxDynamicSharedBytes, wanted);
  if (!status) return fail(at(std::move(status.error()), op));
  return {};
}

Status LaunchLimits::fit(LaunchOp& op, const KernelFunction& kernel, const unsigned (&cluster)[3],
                         bool cooperative, int resident_per_sm) const {
  LaunchConfig& config = op.config;
  unsigned threads = config.block_x * config.block_y * config.block_z;
  if (threads > static_cast<unsigned>(kernel.max_threads))
    return refuse(op, fmt::format("can have {} threads per block ({} registers each), the launch "
                                  "has {}",
                                  kernel.max_threads, kernel.registers, threads));
  KW_CHECK_OK(shared_memory(op, kernel));
  unsigned blocks = cluster[0] * cluster[1] * cluster[2];
  if (blocks > 1 && !device_.cluster)
    return refuse(op, fmt::format("is launched in clusters, which {} (sm_{}) does not have",
                                  device_.name, device_.capability()));
  if (cooperative && !device_.cooperative)
    return refuse(op, fmt::format("is a cooperative launch, which {} does not have", device_.name));
  if (blocks > kPortableCluster) {
    if (auto status =
            driver_.func_set_attribute(kernel.function, kFunctionNonPortableClusterAllowed, 1);
        !status)
      return fail(at(std::move(status.error()), op));
  }
  if (resident_per_sm <= 0 && !cooperative && blocks == 1) return {};

  int fit_per_sm = 0;
  if (auto status = driver_.occupancy_blocks_per_sm(&fit_per_sm, kernel.function,
                                                    static_cast<int>(threads), config.shared_bytes);
      !status)
    return fail(at(std::move(status.error()), op));
  int64_t room = int64_t{fit_per_sm} * device_.multiprocessors;
  if (resident_per_sm > 0) {
    if (cluster[1] != 1 || cluster[2] != 1)
      return refuse(op, "has a grid of resident blocks: its cluster has one dimension");
    if (fit_per_sm < resident_per_sm)
      return refuse(op, fmt::format("fits {} times on a multiprocessor ({} registers, {} threads, "
                                    "{} + {} bytes of shared memory), resident_per_sm is {}",
                                    fit_per_sm, kernel.registers, threads, kernel.shared_bytes,
                                    config.shared_bytes, resident_per_sm));
    int64_t wanted = int64_t{resident_per_sm} * device_.multiprocessors / blocks * blocks;
    config.grid_x = static_cast<unsigned>(std::max<int64_t>(wanted, blocks));
    config.grid_y = config.grid_z = 1;
  }
  if (config.grid_x % cluster[0] || config.grid_y % cluster[1] || config.grid_z % cluster[2])
    return refuse(op, fmt::format("has a grid of {} x {} x {} blocks that clusters of {} x {} x {} "
                                  "do not divide",
                                  config.grid_x, config.grid_y, config.grid_z, cluster[0],
                                  cluster[1], cluster[2]));
  if (blocks > 1) {
    int clusters = 0;
    LaunchConfig asked = config;
    asked.attributes = op.attributes.data();
    asked.attribute_count = static_cast<unsigned>(op.attributes.size()) - (op.pdl ? 1 : 0);
    if (auto status = driver_.occupancy_active_clusters(&clusters, kernel.function, &asked);
        !status)
      return fail(at(std::move(status.error()), op));
    if (clusters < 1)
      return refuse(op, fmt::format("does not fit as a cluster of {} blocks of {} threads and {} "
                                    "bytes of shared memory",
                                    blocks, threads, kernel.shared_bytes + config.shared_bytes));
    // Where multiprocessors are left over in a group, fewer blocks are resident than without
    // clusters.
    room = std::min<int64_t>(room, int64_t{clusters} * blocks);
    if (resident_per_sm > 0 && config.grid_x > room) config.grid_x = static_cast<unsigned>(room);
  }
  int64_t total = int64_t{config.grid_x} * config.grid_y * config.grid_z;
  if (cooperative && total > room)
    return refuse(op, fmt::format("is a cooperative launch of {} blocks, {} are resident at once "
                                  "on {}",
                                  total, room, device_.name));
  return {};
}

Status LaunchLimits::check_params(const LaunchOp& op, const KernelFunction& kernel,
                                  const std::vector<size_t>& bytes) const {
  if (!kernel.params_known) return {};
  if (bytes.size() != kernel.param_bytes.size())
    return refuse(op, fmt::format("takes {} parameters, \"args\" has {}", kernel.param_bytes.size(),
                                  bytes.size()));
  for (size_t i = 0; i < bytes.size(); ++i)
    if (bytes[i] != kernel.param_bytes[i])
      return refuse(op, fmt::format("takes {} bytes as parameter {}, args[{}] has {}",
                                    kernel.param_bytes[i], i, i, bytes[i]));
  return {};
}

}  // namespace kernelwright::cuda
