// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <string_view>

namespace kernelwright::base {

// Processor time since the machine started, in clock ticks summed over all processors; zeros where
// the system says nothing.
struct ProcessorUse {
  double all = 0;   // used or not
  double used = 0;  // by anyone, what a hypervisor took away included
  double ours = 0;  // by this process and its descendants
};

ProcessorUse processor_use();

// Share of the machine's processor time between two readings that somebody used (0 to 1).
double used_share(const ProcessorUse& before, const ProcessorUse& after);
// The same for those who are not of ours.
double others_share(const ProcessorUse& before, const ProcessorUse& after);

namespace internal {
// First line of /proc/stat; only `all` and `used`.
ProcessorUse parse_machine(std::string_view text);
// /proc/<pid>/stat: parent, and ticks of the process and of the children that it waited for. False
// when malformed. The name in parentheses may hold anything.
bool parse_process(std::string_view text, int* parent, double* ticks);
}  // namespace internal

}  // namespace kernelwright::base
