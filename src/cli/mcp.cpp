// SPDX-License-Identifier: Apache-2.0
#include "cli/commands.h"

namespace kernelwright::cli {

int cmd_mcp(const McpOptions&, const GlobalOptions& global) {
  return report_error(
      Error{ErrorKind::kUsage, "the MCP server is not part of this build: use optimize", {}},
      global);
}

}  // namespace kernelwright::cli
