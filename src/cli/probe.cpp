// SPDX-License-Identifier: Apache-2.0
#include <fmt/core.h>

#include "base/log.h"
#include "cli/commands.h"
#include "search/session.h"
#include "target/machine_model.h"

namespace kernelwright::cli {
namespace {

Result<target::MachineModel> measure(const ProbeOptions& options) {
  KW_TRY(const auto target, search::choose_target(options.target));
  base::progress("probe", "measuring what this machine can do");
  return target->machine_model(options.remeasure);
}

}  // namespace

int cmd_probe(const ProbeOptions& options, const GlobalOptions& global) {
  const auto model = measure(options);
  base::end_progress();
  if (!model) return report_error(model.error(), global);
  if (global.json)
    fmt::print("{}\n", target::machine_model_json(*model));
  else
    fmt::print("{}", target::machine_model_table(*model));
  return 0;
}

}  // namespace kernelwright::cli
