// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <linux/filter.h>

#include <vector>

#include "base/result.h"
#include "base/shared_memory.h"
#include "base/subprocess.h"

namespace kernelwright::base {

// A Confinement made ready before fork, so that the child has only system calls left to do.
struct PreparedConfinement {
  UniqueFd ruleset;  // empty: no Landlock on this kernel
  std::vector<sock_filter> filter;
};

// kEnvironment when a write path cannot be opened or the kernel refuses a rule.
Result<PreparedConfinement> prepare_confinement(const Confinement& confinement);

// In the child, after fork: async-signal-safe. False with errno set when the kernel refuses.
bool enter_confinement(int ruleset_fd, const sock_filter* filter, size_t filter_length);

// Landlock ABI of the running kernel, 0 when there is none.
int landlock_abi();

}  // namespace kernelwright::base
