// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <string>
#include <vector>

#include "report/verdict_log.h"

namespace kernelwright::report {

// What was refused and why: like reasons in one row, with how often and for which ideas; what
// promotion did not take; and in a sentence what was right but slower. A piece of HTML.
std::string refusals_html(const std::vector<LoggedVerdict>& verdicts);

}  // namespace kernelwright::report
