// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstddef>
#include <string>

namespace kernelwright::referee {

// For the bench worker: on SIGSEGV and SIGBUS, says over the channel where the fault lies relative
// to the tensors it knows, then dies of the signal. A hint for the next proposer; nothing is
// decided by it.
void report_faults(int channel_fd);
void know_tensor(const std::byte* begin, size_t bytes, const std::string& label);
void forget_tensor(const std::byte* begin);

}  // namespace kernelwright::referee
