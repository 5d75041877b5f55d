// SPDX-License-Identifier: Apache-2.0
// Commands that are declared before they exist. A definition elsewhere in this folder takes over.
#include "cli/commands.h"

#define KW_NOT_BUILT __attribute__((weak))

namespace kernelwright::cli {
namespace {

int not_built(const char* command, const GlobalOptions& global) {
  return report_error(Error{ErrorKind::kInternal, std::string(command) + ": not built yet", {}},
                      global);
}

}  // namespace

KW_NOT_BUILT int cmd_optimize(const OptimizeOptions&, const GlobalOptions& g) {
  return not_built("optimize", g);
}
KW_NOT_BUILT int cmd_check(const CheckOptions&, const GlobalOptions& g) {
  return not_built("check", g);
}
KW_NOT_BUILT int cmd_verify(const VerifyOptions&, const GlobalOptions& g) {
  return not_built("verify", g);
}
KW_NOT_BUILT int cmd_bench(const BenchOptions&, const GlobalOptions& g) {
  return not_built("bench", g);
}
KW_NOT_BUILT int cmd_archive(const ArchiveOptions&, const GlobalOptions& g) {
  return not_built("archive", g);
}
KW_NOT_BUILT int cmd_report(const ReportOptions&, const GlobalOptions& g) {
  return not_built("report", g);
}
KW_NOT_BUILT int cmd_mcp(const McpOptions&, const GlobalOptions& g) {
  return not_built("mcp", g);
}

}  // namespace kernelwright::cli
