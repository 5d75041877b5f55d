// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <string>

#include "base/result.h"

namespace kernelwright::agent {

// A reply broke one of ReplyLimits: the same request would do it again, and cost again.
inline tl::unexpected<Error> over_bound(std::string what) {
  return fail(Error{ErrorKind::kInput, std::move(what), {}}.with("bound", "reply"));
}

inline bool is_over_bound(const Error& error) {
  return !error.context.empty() &&
         error.context.front() == std::pair<std::string, std::string>{"bound", "reply"};
}

}  // namespace kernelwright::agent
